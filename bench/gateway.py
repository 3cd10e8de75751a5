"""Heliograph under test: set up through its command line, started in a folder, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.meters import family_of
from bench.service import Door, GatewayFailure, SmppDoor

LOGIN = "bench"
PASSWORD = "benchpsw"  # SMPP 3.4 allows eight characters (section 5.2.2)
BULK_NUMBERS = 10_000
WINDOW = 100
START_S = 180
STOP_S = 60


def setup_commands(
    *, operator_port: int, callback_url: str | None, window: int = WINDOW
) -> list[list[str]]:
    """The command lines that prepare an empty data folder, without the program and --data."""
    operator = {
        "host": "127.0.0.1",
        "port": operator_port,
        "system_id": "bench",
        "password": "bench",
        "window": window,
    }
    settings = [part for name, value in operator.items() for part in ("--set", f"{name}={value}")]
    commands = [
        ["account", "create", LOGIN, "--password", PASSWORD, "--balance", "1000000000"],
        ["connector", "add", "sink", "--kind", "smpp", *settings],
        ["route", "add", "--connector", "sink"],
        ["tariff", "add", "--prefix", "7", "--price", "0.01"],
    ]
    if callback_url:
        commands.append(["account", "set", LOGIN, "--callback", callback_url])
    return commands


def serve_command(*, smpp: bool) -> list[str]:
    """The command line of the server, without the program and --data."""
    settings = ["limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true"]
    return [
        *("serve", "--http", "127.0.0.1:0", "--smtp", "off"),
        *("--smpp", "127.0.0.1:0" if smpp else "off"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


class Gateway:
    """One gateway process and its data folder: a `Service`."""

    patience_s = 5.0

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        name: str = "heliograph",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`environ` holds settings beside those of the benchmark (``HELIOGRAPH_LOG__LEVEL``)."""
        self.name = name
        self._command = list(command)
        self._folder = folder
        self.environ = {**os.environ, **(environ or {})}
        self._log = folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def door(self) -> Door:
        url = f"http://127.0.0.1:{self.ports['http']}/sys/send.php"
        user = f"login={LOGIN}&psw={PASSWORD}"
        text = "Tx{ts}+hello"
        smpp = self.ports.get("smpp")
        return Door(
            single_url=f"{url}?{user}&phones=791{{seq}}&mes={text}",
            good="OK - ",
            bulk=(url, f"{user}&mes={text}&phones={{list:791:{BULK_NUMBERS}}}"),
            smpp=SmppDoor(port=smpp, login=LOGIN, password=PASSWORD) if smpp else None,
        )

    def processes(self) -> dict[str, int]:
        return {"heliograph": self.pid}

    def run(self, *arguments: str) -> str:
        """One command on its data folder; what it prints. Raises GatewayFailure."""
        full = [*self._command, *arguments, "--data", str(self._folder)]
        try:
            done = subprocess.run(
                full, capture_output=True, text=True, check=False, timeout=START_S, env=self.environ
            )
        except subprocess.TimeoutExpired as error:
            raise GatewayFailure(f"{' '.join(full)} did not end") from error
        if done.returncode:
            raise GatewayFailure(f"{' '.join(full)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def prepare(
        self, *, operator_port: int, callback_url: str | None, window: int = WINDOW
    ) -> None:
        """Creates account, connector, route and tariff. Raises GatewayFailure."""
        for arguments in setup_commands(
            operator_port=operator_port, callback_url=callback_url, window=window
        ):
            self.run(*arguments)

    def start(self, *, smpp: bool) -> None:
        """Starts the server and waits until it is healthy. Raises GatewayFailure."""
        announced = self._folder / "ports.json"
        announced.unlink(missing_ok=True)
        full = [*self._command, *serve_command(smpp=smpp), "--data", str(self._folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(full, stdout=log, stderr=log, env=self.environ)
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            if self._is_healthy(announced):
                return
            time.sleep(0.05)
        self.stop()
        raise GatewayFailure(f"the gateway did not start:\n{self.log_tail()}")

    def _is_healthy(self, announced: Path) -> bool:
        try:
            self.ports = json.loads(announced.read_text())
            url = f"http://127.0.0.1:{self.ports['http']}/health"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError, KeyError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends what outlives a stop: nothing here."""
        self.stop()

    def kill(self, *, stores: bool = False) -> None:
        if self._process is not None:
            for pid in family_of(self._process.pid):  # its helpers at the same moment
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-20:])
