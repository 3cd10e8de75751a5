"""Clockwork: everything that happens because time has passed.

Scheduled messages are released, messages past their life are ended, retries and unknown outcomes
come up. Every pass reads a bounded page by an index, so that a million waiting messages cost
nothing until their time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from heliograph.config import Config
from heliograph.domain.messages import FINAL_STATES, Message, MessageState, Part
from heliograph.services.cancelling import cancel_message
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.dispatch import Dispatch
from heliograph.services.receipts import Receipts
from heliograph.services.submit import part_row
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Journal
from heliograph.storage.messages import due_scheduled, expired_between
from heliograph.storage.statements import INSERT_PARTS, RELEASE_MESSAGES

__all__ = ["Clockwork", "release"]

_TICK_S = 0.2
_SLOW_TICK_S = 1.0
_PAGE = 2_000
_HOUR_MS = 3_600_000
# "Subscriber not in the network", which belongs to the status "expired" (code tables, section 4).
_NOT_REACHED = 6

_log = structlog.get_logger(__name__)


def release(changes: Changes, messages: Iterable[Message]) -> None:
    """Messages that waited for their time are queued, and get their parts."""
    for message in messages:
        message.state = MessageState.QUEUED
        changes.rows[RELEASE_MESSAGES].append((message.id, int(MessageState.QUEUED)))
        connector_id = message.route[0] if message.route else 0
        for seq in range(1, message.part_count + 1):
            part = Part(message, seq, MessageState.QUEUED, connector_id)
            message.parts.append(part)
            changes.rows[INSERT_PARTS].append(part_row(part))


class Clockwork:
    """Runs from `start` to `stop`; a failing pass is logged and tried again a second later."""

    def __init__(
        self,
        *,
        config: Config,
        journal: Journal,
        database: Database,
        tracker: Tracker,
        books: Bookkeeping,
        dispatch: Dispatch,
        receipts: Receipts,
        clock: Callable[[], int],
    ) -> None:
        self._journal = journal
        self._database = database
        self._tracker = tracker
        self._books = books
        self._dispatch = dispatch
        self._receipts = receipts
        self._clock = clock
        self._receipt_wait_ms = round(config.sending.receipt_wait_hours * _HOUR_MS)
        self._tasks: list[asyncio.Task[None]] = []
        # Messages pass their expiry once: each pass looks only at what has expired since the last
        # one.
        self._swept_waiting = 0
        self._swept_submitted = 0

    def start(self) -> None:
        """Begins to tick."""
        self._tasks = [
            asyncio.create_task(self._run(_TICK_S, self._quick), name="clockwork quick"),
            asyncio.create_task(self._run(_SLOW_TICK_S, self._slow), name="clockwork slow"),
            asyncio.create_task(self._run(_SLOW_TICK_S, self._late), name="clockwork late"),
        ]

    async def stop(self) -> None:
        """Ends ticking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, interval_s: float, work: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                result = work()
                if asyncio.iscoroutine(result):
                    await result
            except ConnectionError:  # the database is away, which is in the log
                await asyncio.sleep(1)
            except Exception:
                _log.exception("clockwork failed")
                await asyncio.sleep(1)

    def _quick(self) -> None:
        self._dispatch.tick(self._clock())

    async def _slow(self) -> None:
        now_ms = self._clock()
        self._receipts.tick(now_ms)
        while await self._release(now_ms):
            pass
        self._swept_waiting = await self._sweep(self._swept_waiting, now_ms, self._end_waiting)

    async def _late(self) -> None:
        """Apart from the rest: an upstream may take its time to answer for thousands of messages,
        and nobody else's message waits for that."""
        self._swept_submitted = await self._sweep(
            self._swept_submitted,
            self._clock() - self._receipt_wait_ms,
            self._end_submitted,
            asks=True,
        )

    async def _release(self, now_ms: int) -> bool:
        """One page of scheduled messages whose time has come; True when there may be more."""
        async with self._database.read() as connection:
            page = await due_scheduled(connection, now_ms, _PAGE)
        if not page:
            return False
        changes = Changes(now_ms)
        # Its owner may have deleted one while the page was read.
        going = [message for message in page if not self._dispatch.stopped.has(message)]
        release(changes, going)
        if not changes.is_empty:
            await self._journal.write(changes.entry(must_write=False))
            self._dispatch.enqueue(going, is_bulk=len(going) > 1)
        return bool(going) and len(page) == _PAGE

    async def _sweep(
        self,
        since_ms: int,
        until_ms: int,
        end: Callable[[Changes, Message], None],
        *,
        asks: bool = False,
    ) -> int:
        """Looks at open messages whose life ended in (since, until]; returns how far it came.

        `asks`: their upstreams are asked once more before they are ended. A clock that was set back
        takes the mark with it: otherwise nobody would look at what is accepted from now on until
        the clock is where it was.
        """
        cursor = (since_ms, 0)
        while True:
            async with self._database.read() as connection:
                page = await expired_between(connection, cursor, until_ms, _PAGE)
            messages = [self._tracker.live.get(stored.id, stored) for stored in page]
            if asks:
                with self._tracker.hold(messages):
                    await self._ask(messages)
            changes = Changes(self._clock())
            for message in messages:
                if message.state not in FINAL_STATES:
                    end(changes, message)
            if not changes.is_empty:
                entry = changes.entry(must_write=True)
                entry.done = partial(self._receipts.written, changes)
                self._journal.append(entry)
            if len(page) < _PAGE:
                return until_ms
            cursor = (page[-1].expires_at, page[-1].id)

    async def _ask(self, messages: list[Message]) -> None:
        """Their upstreams say what they know about their submitted parts."""
        parts = [p for m in messages for p in m.parts if p.state is MessageState.SUBMITTED]
        self._receipts.apply(await self._dispatch.ask(parts))

    def _end_waiting(self, changes: Changes, message: Message) -> None:
        """Its life ended before it could be sent."""
        if message.state is MessageState.SCHEDULED:
            return
        if message.state is MessageState.HELD:
            # Its mailing list is late. Once let go it would wait for ever: nobody looks again.
            cancel_message(
                changes,
                self._books,
                message,
                stop=self._dispatch.stopped.add,
                state=MessageState.EXPIRED,
                err=_NOT_REACHED,
            )
            return
        for part in message.parts:
            if part.state is MessageState.QUEUED:
                self._books.end_part(changes, part, MessageState.EXPIRED, _NOT_REACHED)

    def _end_submitted(self, changes: Changes, message: Message) -> None:
        """The operator has not told what became of it in a day (codes, section 4: 245)."""
        for part in message.parts:
            if part.state not in FINAL_STATES:
                self._books.end_part(changes, part, MessageState.EXPIRED, 245)
