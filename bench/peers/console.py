"""Jasmin's console: a line in, some lines and a prompt out."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from bench.service import GatewayFailure

PROMPT = "jcli : "
FORM_PROMPT = "> "
ANSWER_S = 30.0


class Console:
    """One connection; `close` when done."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S)
        self.say("")  # it greets without a prompt

    def say(self, line: str, prompt: str = PROMPT) -> str:
        """One command; what it answers. Raises GatewayFailure without an answer."""
        self._socket.sendall(line.encode() + b"\r\n")
        return self._read(prompt)

    def fill(self, command: str, values: Mapping[str, object]) -> None:
        """A command that asks for fields. Raises GatewayFailure when it was not obeyed."""
        self.say(command, FORM_PROMPT)
        for name, value in values.items():
            self.say(f"{name} {value}", FORM_PROMPT)
        answer = self.say("ok")
        if "Success" not in answer:
            raise GatewayFailure(f"jasmin: {command}: {answer.strip()}")

    def close(self) -> None:
        self._socket.close()

    def _read(self, prompt: str) -> str:
        text, until = "", time.monotonic() + ANSWER_S
        while not text.endswith(prompt) and time.monotonic() < until:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                break
            if not data:
                break
            text += data.decode(errors="replace")
        if not text.endswith(prompt):
            raise GatewayFailure(f"jasmin's console stopped at: {text[-200:]}")
        return text
