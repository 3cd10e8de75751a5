"""Taking turns: what one client sends must not keep the event loop from the others.

A read brings up to a thousand PDUs. A connection handles the first few at once, so that clients who
send a message now and then wait for nobody. With more it stands in one line with all others that
have more; the line is served round by round, a few PDUs each, and gets no more than a little time
of every turn of the loop. What new clients send comes in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Protocol

__all__ = ["PDUS_A_TURN", "Turns"]

PDUS_A_TURN = 8
"""PDUs that a connection handles in one go."""

# Of every turn of the loop. What else a turn does for these PDUs comes on top: commit and answers.
_BUDGET_S = 0.0003


class Sharer(Protocol):
    """Something with more work than may be done in one go."""

    def take_turn(self) -> bool:
        """Does some of it; whether there is more."""
        ...


class Turns:
    """The line."""

    def __init__(self, *, budget_s: float = _BUDGET_S) -> None:
        """`budget_s`: after so much time in one turn of the loop the others wait for the next."""
        self._budget_s = budget_s
        self._line: deque[Sharer] = deque()
        self._is_due = False
        self._loop = asyncio.get_running_loop()

    def join(self, sharer: Sharer) -> None:
        """Takes a place at the end. Whoever stands in line must not join again."""
        self._line.append(sharer)
        self._serve_later()

    def _serve_later(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        self._is_due = False
        line = self._line
        ends = perf_counter() + self._budget_s
        try:
            while line:
                sharer = line.popleft()
                if sharer.take_turn():
                    line.append(sharer)
                if perf_counter() >= ends:
                    break
        finally:
            if line:
                self._serve_later()
