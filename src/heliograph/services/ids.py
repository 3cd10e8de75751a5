"""Numbers: internal ids for rows, and the small ids that clients see, counted per account.

Both are taken from the database in blocks through the journal, so that several processes never meet
on one row. What is left of a block is lost with the process: ids have gaps and never repeat.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from heliograph.storage.journal import Entry, Journal

__all__ = ["ClientRefs", "Ids", "IdsExhausted"]

# A refill is asked for when half is used: half a million ids are far more than a second's traffic.
_ID_BLOCK = 1_000_000
_REF_BLOCK_FIRST = 16
_REF_BLOCK_MOST = 16_384
# Blocks of this size are used up so fast that the next one is taken ahead.
_REF_BLOCK_AHEAD = 1_024

Taken = Callable[[int | Exception], None]


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

    async def pass_by(self, id: int) -> None:
        """Gives larger ids than this one, which another process took, from now on: whoever reads
        on from it must not miss what comes later. Raises StorageDown."""
        if self._refill is not None:
            await self._refill
        if self._next <= id:
            self._next, self._end = await self._take()
            self._spare = None

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
    __slots__ = ("end", "is_asked", "next", "size", "spare", "taken_at")

    def __init__(self) -> None:
        self.next = self.end = 0
        self.spare: tuple[int, int] | None = None
        self.is_asked = False
        self.size = _REF_BLOCK_FIRST // 2
        self.taken_at = 0.0


class ClientRefs:
    """Message ids that clients see: small numbers counted per account from 1.

    An account that sends much gets larger blocks, and the next one before it needs it; one that
    sends seldom keeps small gaps at restarts.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._blocks: dict[int, _Block] = {}
        self._waiting: dict[int, deque[Taken]] = {}

    def try_next(self, account_id: int) -> int | None:
        """The next number, or None when a block has to be waited for (`next`, `when_next`)."""
        block = self._blocks.get(account_id)
        if block is None:
            return None
        value = block.next
        if value >= block.end:
            if not block.spare:
                return None
            value, block.end = block.spare
            block.spare = None
        block.next = value + 1
        if block.end - value == block.size // 2 and block.size >= _REF_BLOCK_AHEAD:
            self._refill(account_id, block)
        return value

    async def next(self, account_id: int) -> int:
        """The next number. Raises StorageDown, JournalClosed."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def take(number: int | Exception) -> None:
            if future.done():
                return
            if isinstance(number, Exception):
                future.set_exception(number)
            else:
                future.set_result(number)

        self.when_next(account_id, take)
        return await future

    def when_next(self, account_id: int, take: Taken) -> None:
        """Calls `take` with the next number, or with the reason why there is none, in the order of
        these calls; now or when a block has come."""
        waiting = self._waiting.get(account_id)
        if waiting is None:
            number = self.try_next(account_id)
            if number is not None:
                take(number)
                return
            waiting = self._waiting[account_id] = deque()
        waiting.append(take)
        self._refill(account_id, self._blocks.setdefault(account_id, _Block()))

    def _refill(self, account_id: int, block: _Block) -> None:
        if block.is_asked or block.spare:
            return
        block.is_asked = True
        now = time.monotonic()
        if now - block.taken_at < 10:
            block.size = min(block.size * 4, _REF_BLOCK_MOST)
        elif not block.taken_at:
            block.size = _REF_BLOCK_FIRST
        block.taken_at = now
        entry = Entry(now_ms=0, done=partial(self._refilled, account_id, block))
        entry.counters = [(f"client:{account_id}", block.size)]
        self._journal.append(entry)

    def _refilled(self, account_id: int, block: _Block, entry: Entry) -> None:
        block.is_asked = False
        waiting = self._waiting.get(account_id)
        if entry.error is not None:
            self._waiting.pop(account_id, None)
            for take in waiting or ():
                take(entry.error)
            return
        block.spare = (entry.firsts[0], entry.firsts[0] + block.size)
        while waiting:
            number = self.try_next(account_id)
            if number is None:
                self._refill(account_id, block)
                return
            waiting.popleft()(number)
        self._waiting.pop(account_id, None)
