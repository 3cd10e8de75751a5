"""Kannel 1.4: a bearerbox that talks to the operator and a smsbox that takes HTTP."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

from bench.peers.packages import need_programs
from bench.peers.processes import Processes, free_port
from bench.service import Door, GatewayFailure

USER, PASSWORD = "bench", "benchpsw"
BIND_S = 30.0
LOG_LEVEL = "3"
# Warnings only, and no access log: what is written for each message is time of the peer.
CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {box}
smsbox-interface = 127.0.0.1
dlr-storage = internal
sms-resend-freq = 1
{store}

group = smsc
smsc = smpp
smsc-id = sink
host = 127.0.0.1
port = {operator}
smsc-username = bench
smsc-password = bench
transceiver-mode = true
system-type = ""
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
msg-id-type = 0x00
max-pending-submits = {window}
enquire-link-interval = 30
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
sendsms-interface = 127.0.0.1
http-request-retry = 3
http-queue-delay = 1

group = sendsms-user
username = {user}
password = {password}
default-sender = bench
max-messages = 10
"""


class Kannel:
    """A `Service`. `store` is "" (the memory only), "file" or "spool"."""

    patience_s = 5.0

    def __init__(self, folder: Path, *, store: str) -> None:
        """Raises NotInstalled."""
        self.name = f"kannel, {store or 'no'} store"
        self._programs = need_programs({"bearerbox": "kannel", "smsbox": "kannel"})
        self._folder = folder
        self._store = store
        self._processes = Processes(folder)
        self._file = folder / "kannel.conf"
        self._ports = {name: free_port() for name in ("admin", "box", "http")}
        self._callback_url: str | None = None

    @property
    def door(self) -> Door:
        url = (
            f"http://127.0.0.1:{self._ports['http']}/cgi-bin/sendsms?username={USER}"
            f"&password={PASSWORD}&to=791{{seq}}&text=Tx{{ts}}+hello"
        )
        if self._callback_url:
            # %d is what Kannel fills in: 1 for a delivered message.
            report = quote(f"{self._callback_url}&phone=791", safe="") + "{seq}"
            url += f"&dlr-mask=1&dlr-url={report}" + quote("&status=%d", safe="")
        return Door(single_url=url, good="0: Accepted")

    def prepare(self, *, operator_port: int, callback_url: str | None, window: int) -> None:
        self._callback_url = callback_url
        place = self._folder / "store"
        stores = {
            "": "",
            "file": f"store-type = file\nstore-location = {place}",
            "spool": f"store-type = spool\nstore-location = {place}",
        }
        if self._store == "spool":
            place.mkdir()
        self._file.write_text(
            CONFIGURATION.format(
                **self._ports,
                user=USER,
                password=PASSWORD,
                store=stores[self._store],
                operator=operator_port,
                window=window,
            )
        )

    def start(self, *, smpp: bool) -> None:
        del smpp  # it has no SMPP server
        self._processes.start("bearerbox", self._command("bearerbox"))
        self._processes.wait_for_port("bearerbox", self._ports["box"])
        self._processes.start("smsbox", self._command("smsbox"))
        self._processes.wait_for_port("smsbox", self._ports["http"])
        self._wait_for_bind()

    def _command(self, program: str) -> list[str]:
        return [self._programs[program], "-v", LOG_LEVEL, str(self._file)]

    def _wait_for_bind(self) -> None:
        url = f"http://127.0.0.1:{self._ports['admin']}/status.txt?password={PASSWORD}"
        until = time.monotonic() + BIND_S
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if b"(online" in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise GatewayFailure(f"kannel does not bind:\n{self.log_tail()}")

    def stop(self) -> None:
        self._processes.stop()

    def close(self) -> None:
        self.stop()

    def kill(self, *, stores: bool = False) -> None:
        del stores  # its store is a file
        self._processes.kill()

    def processes(self) -> dict[str, int]:
        return self._processes.pids()

    def is_alive(self) -> bool:
        return self._processes.are_alive()

    def log_tail(self) -> str:
        return self._processes.log_tail()
