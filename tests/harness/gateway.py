"""A gateway in a process of its own, in a folder of its own, on free ports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Unpack

from heliograph.cli.options import Installation
from heliograph.domain.money import parse_micros
from heliograph.services import administration
from heliograph.storage import proof
from heliograph.storage.accounts import AccountFields
from heliograph.storage.database import Database

__all__ = ["LOGIN", "PASSWORD", "Gateway", "wait_for"]

LOGIN = "alex"
PASSWORD = "Secret-123"
_START_S = 75.0  # a busy machine imports slowly


def wait_for(condition: Any, *, timeout_s: float = 30.0, what: str = "") -> Any:
    """Calls `condition` until it is true; returns what it returned. Raises TimeoutError."""
    ends = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > ends:
            raise TimeoutError(what or getattr(condition, "__name__", "condition"))
        time.sleep(0.02)


class Gateway:
    """`start`, `stop` and `kill` may be called again and again on the same folder."""

    def __init__(
        self,
        data_dir: Path,
        *settings: str,
        environ: Mapping[str, str] | None = None,
        doors: Sequence[str] = (),
    ) -> None:
        """`settings` are ``section.key=value`` texts; `doors` are opened beside HTTP (``smtp``)."""
        self.data_dir = data_dir
        self._settings = settings
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("HELIOGRAPH_")},
            **(environ or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.http = 0
        self.https = 0
        self.smtp = 0
        self.smpp = 0
        self.smpps = 0
        self._doors = doors
        self._markers = 0

    @property
    def output(self) -> Path:
        """What the process printed."""
        return self.data_dir / "output.txt"

    @property
    def pid(self) -> int:
        """Process id of the running gateway."""
        assert self._process is not None
        return self._process.pid

    def cli(self, *arguments: str, check: bool = True) -> str:
        """Runs a command on the gateway's storage; its standard output."""
        command = [sys.executable, "-m", "heliograph", *arguments, "--data", str(self.data_dir)]
        for setting in self._settings:
            command += ["--set", setting]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environ, timeout=60, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def administer(self, use: Callable[[Database], Awaitable[Any]]) -> Any:
        """What `use` answers on the gateway's storage, as any command works on it.

        In a thread: the caller may have an event loop of its own.
        """
        place = Installation(
            data_dir=self.data_dir, overrides=self._settings, environ=self._environ
        )
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(place.run, use, creates=True).result(timeout=60)

    def create_account(
        self,
        login: str = LOGIN,
        balance: str = "1000000",
        *,
        credit: str = "0",
        **fields: Unpack[AccountFields],
    ) -> None:
        """An account with the test password. A running gateway knows it within a second."""

        async def create(database: Database) -> None:
            await administration.create_account(
                database,
                login,
                PASSWORD,
                now_ms=time.time_ns() // 1_000_000,
                balance_micros=parse_micros(balance),
                credit_micros=parse_micros(credit),
                **fields,
            )

        self.administer(create)

    def settle(self) -> None:
        """Waits until the running gateway goes by every account, price and route of now.

        Changes of another process are taken up together and in their order: whoever sees the last
        account sees all that was before it.
        """
        self._markers += 1
        login = f"marker{self._markers}"
        self.create_account(login, "0")
        wait_for(
            lambda: "balance" in self.call("balance", login=login),
            what="the changes of another process",
        )

    def audit(self) -> list[Any]:
        """What `ledger audit` finds wrong."""

        async def prove(database: Database) -> list[Any]:
            async with database.snapshot() as connection:
                return list((await proof.prove(connection)).problems)

        problems: list[Any] = self.administer(prove)
        return problems

    def start(self) -> Gateway:
        """Starts the process and waits until it answers."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        ports = self.data_dir / "ports.json"
        ports.unlink(missing_ok=True)
        command = [sys.executable, "-m", "heliograph", "serve", "--data", str(self.data_dir)]
        command += ["--http", "127.0.0.1:0"]
        for door in ("smpp", "smtp"):
            command += [f"--{door}", "127.0.0.1:0" if door in self._doors else "off"]
        for setting in self._settings:
            command += ["--set", setting]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=self._environ
            )
        try:
            ports = wait_for(self._read_ports, timeout_s=_START_S, what="the gateway's start")
        except BaseException:
            self.kill()
            raise
        self.http, self.https = ports["http"] or 0, ports["https"] or 0
        self.smtp = ports.get("smtp") or 0
        self.smpp, self.smpps = ports.get("smpp") or 0, ports.get("smpps") or 0
        return self

    def _read_ports(self) -> Any:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the gateway ended: {self.output.read_text()[-3000:]}")
        try:
            return json.loads((self.data_dir / "ports.json").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def stop(self) -> int:
        """Ends the process in good order; its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=60)
        self._process = None
        return code

    def kill(self) -> None:
        """Ends the process as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    @property
    def base(self) -> str:
        """Address of the HTTP door."""
        return f"http://127.0.0.1:{self.http}"

    def call(self, script: str, *, fmt: int | None = 3, login: str = LOGIN, **fields: Any) -> Any:
        """GET of a script with the account's credentials: JSON for fmt 3, text otherwise."""
        query = {"login": login, "psw": PASSWORD, "charset": "utf-8"} | fields
        if fmt is not None:
            query["fmt"] = fmt
        reply = self.get(f"/sys/{script}.php?{urllib.parse.urlencode(query)}")
        return json.loads(reply) if fmt == 3 else reply.decode()

    def get(self, path: str) -> bytes:
        """The body that a path answers with, whatever its HTTP status is."""
        return self.request(path)[1]

    def request(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """(HTTP status, body) of a GET, or with `body` of a POST."""
        request = urllib.request.Request(self.base + path, body, dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def metric(self, name: str) -> float:
        """A value of /metrics: the sum over all labels that `name` leaves open.

        `name` is the name of a sample, or all of it up to some point in its labels.
        """
        text = self.get("/metrics").decode()
        values = re.findall(rf"^{re.escape(name)}[^ ]* (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in values)

    def send(self, phones: str, mes: str = "hello", **fields: Any) -> Any:
        """`send.php` with JSON."""
        return self.call("send", phones=phones, mes=mes, **fields)

    def status(self, id: Any, phone: str, **fields: Any) -> Any:
        """`status.php` with JSON."""
        return self.call("status", id=id, phone=phone, **fields)

    def wait_status(self, id: Any, phone: str, status: int, timeout_s: float = 30.0) -> Any:
        """Waits until a message has this status; its whole answer."""

        def reached() -> Any:
            answer = self.status(id, phone, all=1)
            return answer if answer.get("status") == status else None

        return wait_for(reached, timeout_s=timeout_s, what=f"status {status} of {id}")
