"""Runs the consoles that a page of the documentation shows, and compares what they print.

A page is plain Markdown. In a block ``console`` a line that begins with ``$`` is a command, what
follows is what it prints. A comment before a block says more: ``<!-- terminal: NAME -->`` makes its
command run on in a terminal of its own, or shows lines that appear there later; ``<!-- file: NAME
-->`` makes the block a file. Times, ports, passwords and what else differs each time are made alike
before they are compared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.ports import free_ports

__all__ = ["Block", "Console", "find_blocks"]

_BLOCK = re.compile(
    r"(?:<!-- (?P<role>terminal|file): (?P<name>\S+) -->\n+)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ALIKE = (
    (r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "<date>"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d+Z?", "<time>"),
    (r"\b1[789]\d{8}\b", "<timestamp>"),
    (r"\b1[789]\d{14}\b", "<external id>"),
    (r" +[+-]\d+\.\d{3} s\b", " <after>"),
    (r"\bin \d+\.\d{3} s\b", "in <span>"),
    (r"\bin \d+ ms\b", "in <span>"),
    (r"((?:submit|done) date:)\d{10}", r"\1<date>"),
    (r"(password |psw=)[A-Za-z0-9]{16}\b", r"\1<password>"),
    (r"(internal_id +|callback )\d+\b", r"\1<id>"),
    (r"expire=\w{3}, [^;]*", "<date>"),
    (r"[ \t]+$", ""),
)
_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
_BUILT_IN = {"export", "make"}
# A running gateway takes up changes of other processes within a second, when it is let.
_SETTLING_S = 2.5
_CHANGING = re.compile(r"heliograph (account|connector|route|tariff) (?!list|show)")
# A message reaches its handset.
_DELIVERY_S = 0.2
# What only looks may look again: on a busy machine everything takes longer. Not often, because
# the API counts such questions.
_LOOKING = re.compile(
    r"heliograph (inbox|message show|ledger|\w+ list)|curl .*(status|balance|health)"
)
_PAUSES_S = (1.0, 3.0, 10.0)
_APPEARS_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `role` and `name` are those of the comment before it, or empty."""

    kind: str
    text: str
    role: str = ""
    name: str = ""

    def commands(self) -> Iterator[tuple[str, str]]:
        """(command, what it is shown to print) of a console."""
        for piece in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, printed = piece.partition("\n")
            while command.endswith("\\"):
                more, _, printed = printed.partition("\n")
                command = f"{command[:-1].rstrip()} {more.strip()}"
            yield command, printed


def find_blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [
        Block(
            kind=found["kind"],
            text=found["text"],
            role=found["role"] or "",
            name=found["name"] or "",
        )
        for found in _BLOCK.finditer(page)
    ]


class Console:
    """A reader who does what a page says, in a folder of his own, on free ports.

    `ports` are the port numbers that the page uses. Programs in terminals of their own run until
    `close`.
    """

    def __init__(self, folder: Path, *, ports: tuple[int, ...]) -> None:
        self._folder = folder
        self._ports = dict(zip(ports, free_ports(len(ports)), strict=True))
        self._terminals: dict[str, subprocess.Popen[bytes]] = {}
        environ = {k: v for k, v in os.environ.items() if not k.startswith("HELIOGRAPH_")}
        self._environ = environ | {"PATH": _PATH, "PYTHONUNBUFFERED": "1", "COLUMNS": "160"}

    def follow(self, page: str) -> int:
        """Does everything that a page shows; how many commands it ran. Raises AssertionError."""
        count = 0
        for block in find_blocks(page):
            if block.role == "file":
                (self._folder / block.name).write_text(self._lead_here(block.text))
            elif block.role == "terminal" and block.kind == "text":
                self._await(block.name, block.text)
            elif block.role == "terminal":
                ((command, printed),) = block.commands()
                self._begin(block.name, command)
                self._await(block.name, printed)
                count += 1
            elif block.kind == "console":
                for command, printed in block.commands():
                    self._run(command, printed)
                    count += 1
        return count

    @staticmethod
    def missing(page: str) -> str:
        """A program that a page uses and that is not installed; empty when all are there."""
        for block in find_blocks(page):
            for command, _ in block.commands() if block.kind == "console" else ():
                name = command.split()[0]
                if name not in _BUILT_IN and not shutil.which(name, path=_PATH):
                    return name
        return ""

    def close(self) -> None:
        """Ends what still runs, last begun first, as Ctrl-C would."""
        for process in reversed(self._terminals.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(timeout=10)

    def _run(self, command: str, printed: str) -> None:
        wanted = self._alike(printed)
        for pause_s in (*(_PAUSES_S if _LOOKING.match(command) else ()), 0.0):
            done = subprocess.run(
                ["bash", "-c", self._lead_here(command)],
                cwd=self._folder,
                env=self._environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if self._alike(done.stdout) == wanted:
                break
            time.sleep(pause_s)
        else:
            raise AssertionError(f"$ {command}\n{done.stdout}\n{done.stderr}")
        time.sleep(_SETTLING_S if _CHANGING.match(command) else _DELIVERY_S)

    def _begin(self, name: str, command: str) -> None:
        output = self._folder / f"{name}.terminal"
        arguments = shlex.split(self._lead_here(command))
        with output.open("wb") as printed:
            self._terminals[name] = subprocess.Popen(
                arguments,
                cwd=self._folder,
                env=self._environ,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    def _await(self, name: str, printed: str) -> None:
        """Waits until the lines have appeared in a terminal, in this order."""
        wanted = self._alike(printed).splitlines()
        ends = time.monotonic() + _APPEARS_S
        while True:
            text = (self._folder / f"{name}.terminal").read_text()
            lines = iter(self._alike(text).splitlines())
            # Each search goes on where the last one ended.
            if all(line in lines for line in wanted):
                return
            assert time.monotonic() < ends, f"not shown in {name}: {wanted}\n{text}"
            time.sleep(0.1)

    def _lead_here(self, text: str) -> str:
        """The same on this machine's free ports; `make serve` without making anything."""
        listen = f"heliograph serve --http 127.0.0.1:{self._ports.get(8080, 8080)}"
        text = re.sub(r"make serve(?: ARGS='([^']*)')?", lambda m: f"{listen} {m[1] or ''}", text)
        for shown, free in self._ports.items():
            text = re.sub(rf"\b{shown}\b", str(free), text)
        return text

    def _alike(self, text: str) -> str:
        for shown, free in self._ports.items():
            text = re.sub(rf"\b{free}\b", str(shown), text)
        for pattern, instead in _ALIKE:
            text = re.sub(pattern, instead, text, flags=re.MULTILINE)
        return text.strip("\n")
