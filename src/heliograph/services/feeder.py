"""The feeder: reads what waits on disk only into the lanes of its connector, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from heliograph.domain.messages import MessageState, Part
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.tracker import Tracker
from heliograph.services.upstream import Upstream
from heliograph.storage.database import Database
from heliograph.storage.messages import waiting_messages

__all__ = ["FEED_PAGE", "Feeder"]

# Parts read at once.
FEED_PAGE = 5_000


class Feeder:
    """Called in the event loop only."""

    def __init__(
        self,
        *,
        database: Database,
        tracker: Tracker,
        books: Bookkeeping,
        clock: Callable[[], int],
        write: Callable[[Changes], None],
        try_later: Callable[[Part, int], None],
        pump: Callable[[Upstream], None],
    ) -> None:
        """`try_later(part, at_ms)` takes what is not due yet, `pump` fills slots from the lanes."""
        self._database = database
        self._tracker = tracker
        self._books = books
        self._clock = clock
        self._write = write
        self._try_later = try_later
        self._pump = pump

    def feed_if_low(self, upstream: Upstream) -> None:
        """Begins to read when something is on disk only and little waits in memory."""
        if upstream.lanes.spilled and len(upstream.lanes) < FEED_PAGE // 2:
            self.feed(upstream)

    def feed(self, upstream: Upstream) -> None:
        """Begins to read, unless it is being done."""
        if upstream.feeding is None and upstream.lanes.spilled:
            upstream.feeding = asyncio.create_task(self._read_spilled(upstream))

    async def _read_spilled(self, upstream: Upstream) -> None:
        """Reads the next page of every account."""
        try:
            for account_id in list(upstream.lanes.spilled):
                await self._read_page(upstream, account_id)
        finally:
            upstream.feeding = None
        self._pump(upstream)

    async def _read_page(self, upstream: Upstream, account_id: int) -> None:
        lanes = upstream.lanes
        if lanes.size(account_id) > FEED_PAGE:
            return
        after = lanes.begin_page(account_id)
        following: int | None = after
        in_memory = set(self._tracker.live)
        try:
            async with self._database.read() as connection:
                page = await waiting_messages(
                    connection,
                    connector_id=upstream.connector.id,
                    account_id=account_id,
                    after_part_id=after,
                    limit=FEED_PAGE,
                )
            following = page[-1].id if len(page) == FEED_PAGE else None
        finally:
            lanes.end_page(account_id, following)
        changes = Changes(self._clock())
        # Whoever was in memory and is not any more has come to its end while the page was read.
        ended = in_memory.difference(self._tracker.live)
        has_ended = self._tracker.has_ended
        page = [p for p in page if p.message.id not in ended and not has_ended(p.message.id)]
        lanes.feed([p for part in page if (p := self._take_in(changes, part)) is not None])
        self._write(changes)

    def _take_in(self, changes: Changes, stored: Part) -> Part | None:
        """A part as it was read: what is to be queued now, if anything.

        A message that is in memory already (some of its parts were not spilled) keeps its objects;
        those of its parts that are not queued are in other hands.
        """
        message = self._tracker.live.setdefault(stored.message.id, stored.message)
        part = message.parts[stored.seq - 1]
        if part is not stored:
            return part if part.state is MessageState.QUEUED else None
        if part.state is MessageState.SUBMITTING:
            self._books.note(
                changes, message.id, part.seq, "unknown", "the gateway was stopped after the claim"
            )
            self._books.lose_part(changes, part)
        if part.state is MessageState.UNKNOWN:
            self._try_later(part, changes.now_ms)
            return None
        if part.next_try_at > changes.now_ms:
            self._try_later(part, part.next_try_at)
            return None
        return part
