"""Numbers: internal ids for rows, and the small ids that clients see, counted per account.

Both are taken from the database in blocks through the journal, so that several processes never meet
on one row. What is left of a block is lost with the process: ids have gaps and never repeat.
"""

from __future__ import annotations

import asyncio
import time

from heliograph.storage.journal import Entry, Journal

__all__ = ["ClientRefs", "Ids", "IdsExhausted"]

# A refill is asked for when half is used: half a million ids are far more than a second's traffic.
_ID_BLOCK = 1_000_000
_REF_BLOCK_FIRST = 16
_REF_BLOCK_MOST = 16_384


class IdsExhausted(Exception):
    """Ids ran out: nothing new can be accepted until the database gives a block."""


class Ids:
    """Internal 64-bit ids. `take` never waits. To be used in the event loop only."""

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._next = 0
        self._end = 0
        self._spare: tuple[int, int] | None = None
        self._refill: asyncio.Task[None] | None = None

    async def open(self, journal: Journal) -> None:
        """Takes the first block. Raises StorageDown."""
        self._journal = journal
        self._next, self._end = await self._take()

    def take(self, count: int) -> int:
        """The first of `count` consecutive ids. Raises IdsExhausted when blocks ran out faster than
        the database gives them."""
        value = self._next
        if value + count > self._end:
            if self._spare is None:
                raise IdsExhausted("the database did not give a block of ids in time")
            value, self._end = self._spare
            self._spare = None
        self._next = value + count
        if self._spare is None and self._refill is None and self._end - value < _ID_BLOCK // 2:
            self._refill = asyncio.get_running_loop().create_task(self._take_spare())
        return value

    async def _take_spare(self) -> None:
        try:
            self._spare = await self._take()
        finally:
            self._refill = None

    async def _take(self) -> tuple[int, int]:
        assert self._journal is not None, "ids are not open"
        entry = Entry(now_ms=0)
        entry.counters = [("ids", _ID_BLOCK)]
        first = (await self._journal.write(entry)).firsts[0]
        return first, first + _ID_BLOCK


class _Block:
    __slots__ = ("end", "next", "size", "taken_at")

    def __init__(self) -> None:
        self.next = self.end = 0
        self.size = _REF_BLOCK_FIRST // 2
        self.taken_at = 0.0


class ClientRefs:
    """Message ids that clients see: small numbers counted per account from 1.

    An account that sends much gets larger blocks, one that sends seldom keeps small gaps at
    restarts.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._blocks: dict[int, _Block] = {}
        self._refills: dict[int, asyncio.Task[None]] = {}

    def try_next(self, account_id: int) -> int | None:
        """The next number, or None when a block has to be waited for (`await refill`)."""
        block = self._blocks.get(account_id)
        if block is None or block.next >= block.end:
            return None
        value = block.next
        block.next = value + 1
        return value

    async def next(self, account_id: int) -> int:
        """The next number. Raises StorageDown."""
        while (value := self.try_next(account_id)) is None:
            task = self._refills.get(account_id)
            if task is None:
                task = asyncio.create_task(self._refill(account_id))
                self._refills[account_id] = task
            await asyncio.shield(task)
        return value

    async def _refill(self, account_id: int) -> None:
        try:
            block = self._blocks.setdefault(account_id, _Block())
            now = time.monotonic()
            if now - block.taken_at < 10:
                block.size = min(block.size * 4, _REF_BLOCK_MOST)
            elif not block.taken_at:
                block.size = _REF_BLOCK_FIRST
            entry = Entry(now_ms=0)
            entry.counters = [(f"client:{account_id}", block.size)]
            first = (await self._journal.write(entry)).firsts[0]
            block.next, block.end, block.taken_at = first, first + block.size, now
        finally:
            self._refills.pop(account_id, None)
