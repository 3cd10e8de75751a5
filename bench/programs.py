"""The load tools as Python sees them: building, the sink with its control port, a loader's run."""

from __future__ import annotations

import json
import select
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
Report = dict[str, Any]


class ProgramFailure(Exception):
    """A load tool did not build, start or report."""


def build_tools(folder: Path = HERE / "bin") -> Path:
    """Builds sink, httpload and smppload; returns their folder. Raises ProgramFailure."""
    made = subprocess.run(
        ["make", "-s", "-C", str(HERE), f"BIN={folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise ProgramFailure(f"the load tools do not build:\n{made.stderr}")
    return folder


class Sink:
    """A running sink. Its ports are free ones; leaving the context ends it."""

    def __init__(self, tools: Path, *options: str) -> None:
        self._process = subprocess.Popen([str(tools / "sink"), *options], stdout=subprocess.PIPE)
        ports = self._read_ports()
        self.smpp_port: int = ports["smpp"]
        self.http_port: int = ports["http"]
        self._control = socket.create_connection(("127.0.0.1", ports["control"]), timeout=10)
        self._answers = self._control.makefile("rb")

    def _read_ports(self) -> dict[str, int]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 10)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            self._process.wait()
            raise ProgramFailure("the sink did not start")
        ports: dict[str, int] = json.loads(line)
        return ports

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._control.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self, line: str) -> str:
        """Sends one control line and returns the answer. Raises ProgramFailure on "error: ..."."""
        self._control.sendall(line.encode() + b"\n")
        answer = self._answers.readline().decode().rstrip("\n")
        if not answer or answer.startswith("error"):
            raise ProgramFailure(f"sink: {line}: {answer or 'no answer'}")
        return answer

    def statistics(self) -> Report:
        report: Report = json.loads(self.command("stats"))
        return report

    def arrival_map(self, path: Path, count: int) -> bytes:
        """How often each of the first `count` numbers arrived, one byte a number."""
        self.command(f"map {path} {count}")
        return path.read_bytes()

    def callback_map(self, path: Path, count: int) -> bytes:
        self.command(f"cbmap {path} {count}")
        return path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a loader says of its run."""

    report: Report
    accepted: bytes  # one byte a number: how often it was accepted
    complaints: str


def run_loader(command: Sequence[str], *, map_path: Path, timeout_s: float) -> Load:
    """Runs a loader to its end and reads its report and its map. Raises ProgramFailure."""
    full = [*command, "-m", str(map_path), "--timeout", str(timeout_s)]
    try:
        done = subprocess.run(
            full, capture_output=True, text=True, check=False, timeout=timeout_s + 30
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramFailure(f"{command[0]} did not end") from error
    try:
        report = json.loads(done.stdout)
    except ValueError as error:
        raise ProgramFailure(f"{command[0]} gave no report: {done.stderr}") from error
    return Load(report=report, accepted=map_path.read_bytes(), complaints=done.stderr)
