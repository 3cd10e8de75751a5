"""Programs of a peer: started with a log of their own, waited for, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.service import GatewayFailure

START_S = 180.0
STOP_S = 30.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Processes:
    """The programs of one gateway, by name, in the order in which they were started.

    Each leads a group of its own, so that what it started ends with it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str], *, environ: Mapping[str, str] | None = None
    ) -> None:
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    def wait_for_port(self, name: str, port: int) -> None:
        """Until something listens there. Raises GatewayFailure when the program ended before."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._running[name].poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise GatewayFailure(f"{name} did not start:\n{self.log_tail(name)}")

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    def are_alive(self) -> bool:
        return all(process.poll() is None for process in self._running.values())

    def stop(self) -> None:
        """Ends them, the last started first."""
        for process in reversed(list(self._running.values())):
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_S)
        self.kill()

    def kill(self, names: Iterable[str] | None = None) -> None:
        """`kill -9` of these at once, or of all."""
        killed = list(self._running) if names is None else list(names)
        for name in killed:
            _signal(self._running[name], signal.SIGKILL)
        for name in killed:
            self._running.pop(name).wait()

    def log_tail(self, name: str | None = None) -> str:
        """The last lines of one program or of all."""
        names = [name] if name else list(self._running)
        texts = [self._log(each).read_text(errors="replace").splitlines()[-20:] for each in names]
        return "\n".join(line for text in texts for line in text)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
