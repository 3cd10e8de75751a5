"""Many things due later, with few timers: entries of the same moment share one.

An event loop's own timer costs more than a whole message may, so entries are gathered by ticks; a
tick has one timer however many entries it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Agenda"]

_T = TypeVar("_T")


class Agenda(Generic[_T]):
    """Hands entries to `on_due` in batches, in the order of their ticks of `tick_ms`."""

    __slots__ = ("_buckets", "_handles", "_loop", "_on_due", "_tick_s")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_due: Callable[[list[_T]], None],
        *,
        tick_ms: int = 10,
    ) -> None:
        self._loop = loop
        self._on_due = on_due
        self._tick_s = tick_ms / 1_000
        self._buckets: dict[int, list[_T]] = {}
        self._handles: dict[int, asyncio.Handle] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, after_ms: int, entry: _T) -> None:
        """`entry` is due in `after_ms`; with 0 in the next turn of the loop."""
        # Tick -1 is "the next turn": real ticks count from the start of the loop's clock.
        tick = -1
        if after_ms > 0:
            tick = int((self._loop.time() + after_ms / 1_000) / self._tick_s) + 1
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(entry)
            return
        self._buckets[tick] = [entry]
        self._handles[tick] = (
            self._loop.call_soon(self._run, tick)
            if tick < 0
            else self._loop.call_at(tick * self._tick_s, self._run, tick)
        )

    def clear(self) -> list[_T]:
        """Forgets everything and returns it, the soonest first."""
        for handle in self._handles.values():
            handle.cancel()
        left = [entry for tick in sorted(self._buckets) for entry in self._buckets[tick]]
        self._handles.clear()
        self._buckets.clear()
        return left

    def _run(self, tick: int) -> None:
        self._handles.pop(tick, None)
        self._on_due(self._buckets.pop(tick, []))
