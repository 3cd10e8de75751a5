"""Deliveries: receipts and incoming messages to the sessions of their owners.

What has just been committed comes over in memory (`offer`) and is not read back. What does not fit,
what no session was there for, and what was refused waits on disk; it is read in pages when a
session is there and has room. An account's receivers take turns.

Every account has a lane of its own. A lane is *behind* while something of it is on disk only; new
events then stay there too, so that they keep their order and memory its bound.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import structlog

from heliograph.domain.deliveries import SESSION_LIFE_MS
from heliograph.domain.events import CallEnd, OutboxEvent
from heliograph.storage.bulk import Bulk
from heliograph.storage.deliveries import Deliveries as DeliveryRows
from heliograph.storage.deliveries import delivery_result
from heliograph.storage.journal import Entry, Journal, Rows

__all__ = ["Deliveries", "Receiver"]

# Rows of the first page after a session came, doubled with every further one: who comes again and
# again and takes nothing costs little.
_FIRST_PAGE = 32
_PAGE = 512
_LANE_MAX = 10_000
_ALL_MAX = 200_000
_PENDING_MAX = 5_000
_TICK_S = 1.0
_STALE_TICKS = 600
# Pauses after a refusal, in seconds: by the number of attempts, the last one for all that follow.
_PAUSES_S = (1, 5, 15, 60, 300)

_log = structlog.get_logger(__name__)


class Receiver(Protocol):
    """A session that takes deliveries; it answers for each by `delivered` or `refused`, or hands
    it back with `detach`."""

    @property
    def room(self) -> int:
        """How many more it takes now."""
        ...

    def deliver(self, event: OutboxEvent) -> None:
        """Takes one; never waits."""
        ...


class _Lane:
    """One account's."""

    __slots__ = (
        "account_id",
        "gone",
        "held",
        "is_behind",
        "is_reading",
        "page",
        "pending",
        "queue",
        "receivers",
        "wake_at",
    )

    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        self.receivers: deque[Receiver] = deque()
        self.queue: deque[OutboxEvent] = deque()
        # In memory, or with a result that is not on disk yet: a page gives them again.
        self.held: set[int] = set()
        # Those whose result came on disk while a page was read: it may show them as waiting.
        self.gone: set[int] = set()
        self.is_behind = True  # nobody knows yet what an earlier run left
        self.is_reading = False
        self.page = _FIRST_PAGE
        # New events that came while a page was read; None: what was read is not all there is.
        self.pending: list[OutboxEvent] | None = None
        self.wake_at = 0  # when something that was refused is due again; 0: never


class Deliveries:
    """All methods run in the event loop."""

    def __init__(self, *, rows: DeliveryRows, journal: Journal, clock: Callable[[], int]) -> None:
        self._rows = rows
        self._journal = journal
        self._clock = clock
        self._lanes: dict[int, _Lane] = {}
        self._depth = 0
        self._results: dict[Bulk, Rows] = {}
        self._settled: list[tuple[_Lane, int]] = []
        self._wanted: dict[int, None] = {}
        self._wants_read = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def depth(self) -> int:
        """Events in memory."""
        return self._depth

    def start(self) -> None:
        """Begins to read back and to give up what is too old."""
        self._tasks = [
            asyncio.create_task(self._read_back(), name="deliveries reader"),
            asyncio.create_task(self._tick(), name="deliveries tick"),
        ]

    async def stop(self) -> None:
        """Ends; the results so far are in the journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._write_results()

    # --- what comes in ----------------------------------------------------------------------------

    def offer(self, events: Sequence[OutboxEvent]) -> None:
        """Takes events that have just been committed."""
        touched: dict[int, _Lane] = {}
        for event in events:
            lane = self._lanes.get(event.account_id)
            if lane is None:
                continue  # no session: it is on disk
            if lane.is_behind or len(lane.queue) >= _LANE_MAX or self._depth >= _ALL_MAX:
                self._leave(lane, event)
            else:
                self._hold(lane, event)
                touched[lane.account_id] = lane
        for lane in touched.values():
            self._pump(lane)

    def _leave(self, lane: _Lane, event: OutboxEvent) -> None:
        """The event stays on disk, unless the page being read turns out to be the last one."""
        lane.is_behind = True
        if lane.pending is not None:
            if len(lane.pending) < _PENDING_MAX:
                lane.pending.append(event)
            else:
                lane.pending = None
        elif not lane.is_reading:
            self._want(lane)

    def _hold(self, lane: _Lane, event: OutboxEvent) -> None:
        if event.id not in lane.held:
            lane.held.add(event.id)
            self._depth += 1
            lane.queue.append(event)

    # --- receivers --------------------------------------------------------------------------------

    def attach(self, account_id: int, receiver: Receiver) -> None:
        """The session may be given deliveries from now on."""
        lane = self._lanes.get(account_id)
        if lane is None:
            lane = self._lanes[account_id] = _Lane(account_id)
        lane.receivers.append(receiver)
        if lane.is_behind:
            self._want(lane)
        self._pump(lane)

    def detach(
        self, account_id: int, receiver: Receiver, unanswered: Iterable[OutboxEvent]
    ) -> None:
        """The session is over; what it did not answer goes to the next one, now or later."""
        lane = self._lanes.get(account_id)
        if lane is None or receiver not in lane.receivers:
            return
        lane.receivers.remove(receiver)
        lane.queue.extendleft(reversed(list(unanswered)))
        if lane.receivers:
            self._pump(lane)
            return
        self._depth -= len(lane.queue)
        lane.held.difference_update(event.id for event in lane.queue)
        lane.queue.clear()
        lane.page = _FIRST_PAGE
        lane.is_behind = True
        if not lane.held and not lane.is_reading:
            del self._lanes[account_id]

    def ready(self, account_id: int) -> None:
        """A receiver of the account has room again."""
        lane = self._lanes.get(account_id)
        if lane is not None and (lane.queue or lane.is_behind):
            self._pump(lane)

    def wake(self, account_id: int) -> None:
        """Another process has left something for the account's sessions on disk."""
        lane = self._lanes.get(account_id)
        if lane is not None:
            lane.is_behind = True
            lane.pending = None  # a page that is being read may be without it
            self._want(lane)

    def _pump(self, lane: _Lane) -> None:
        receivers, queue = lane.receivers, lane.queue
        full = 0
        while queue and full < len(receivers):
            receiver = receivers[0]
            receivers.rotate(-1)
            if receiver.room > 0:
                full = 0
                receiver.deliver(queue.popleft())
            else:
                full += 1
        if lane.is_behind and receivers and len(queue) < lane.page // 2:
            self._want(lane)

    # --- what became of them ----------------------------------------------------------------------

    def delivered(self, event: OutboxEvent) -> None:
        """A session has taken it. Also for an answer that came after `refused`."""
        self._settle(event, CallEnd.DONE, attempts=event.attempts + 1)

    def refused(self, event: OutboxEvent, reason: str) -> None:
        """A session did not take it: another try comes later, within a day."""
        now_ms = self._clock()
        event.attempts += 1
        if now_ms - event.created_at >= SESSION_LIFE_MS:
            self._settle(event, CallEnd.GIVEN_UP, attempts=event.attempts, text=reason)
            return
        pause_s = _PAUSES_S[min(event.attempts, len(_PAUSES_S)) - 1]
        again_at = now_ms + pause_s * 1000
        lane = self._lanes.get(event.account_id)
        if lane is not None:
            lane.wake_at = min(lane.wake_at or again_at, again_at)
        self._settle(
            event,
            CallEnd.FOR_SESSION,
            attempts=event.attempts,
            next_try_at=again_at,
            text=reason,
        )

    def _settle(
        self,
        event: OutboxEvent,
        end: CallEnd,
        *,
        attempts: int,
        next_try_at: int = 0,
        text: str = "",
    ) -> None:
        if not self._results:
            asyncio.get_running_loop().call_soon(self._write_results)
        delivery_result(
            self._results,
            event_id=event.id,
            end=end,
            attempts=attempts,
            at_ms=self._clock(),
            next_try_at=next_try_at,
            text=text,
        )
        lane = self._lanes.get(event.account_id)
        if lane is not None:
            self._settled.append((lane, event.id))

    def _write_results(self) -> None:
        if not self._results:
            return
        rows, self._results = self._results, {}
        settled, self._settled = self._settled, []
        entry = Entry(rows, now_ms=self._clock(), must_write=True)
        entry.done = partial(self._written, settled)
        self._journal.append(entry)

    def _written(self, settled: list[tuple[_Lane, int]], entry: Entry) -> None:
        if entry.error is not None:
            _log.error("results of deliveries were not written", reason=str(entry.error))
        for lane, event_id in settled:
            if lane.is_reading:
                lane.gone.add(event_id)
            if event_id in lane.held:
                lane.held.remove(event_id)
                self._depth -= 1
            if not lane.held and not lane.receivers and not lane.is_reading:
                self._lanes.pop(lane.account_id, None)

    # --- reading back -----------------------------------------------------------------------------

    def _want(self, lane: _Lane) -> None:
        if not lane.is_reading:
            self._wanted[lane.account_id] = None
            self._wants_read.set()

    async def _read_back(self) -> None:
        while True:
            await self._wants_read.wait()
            self._wants_read.clear()
            wanted, self._wanted = self._wanted, {}
            for account_id in wanted:
                lane = self._lanes.get(account_id)
                if lane is None or not lane.receivers or len(lane.queue) >= lane.page:
                    continue
                try:
                    await self._read_page(lane)
                except ConnectionError:
                    pass  # the database is away, which is in the log
                except Exception:
                    _log.exception("deliveries were not read back", account_id=account_id)
                    self._wanted[account_id] = None
                    await asyncio.sleep(_TICK_S)
                    self._wants_read.set()

    async def _read_page(self, lane: _Lane) -> None:
        lane.is_reading = True
        lane.pending = []
        lane.gone.clear()
        try:
            now_ms = self._clock()
            limit = lane.page + len(lane.held)
            page = await self._rows.due(lane.account_id, now_ms, limit)
            next_at = await self._rows.next_due(lane.account_id, now_ms)
        finally:
            lane.is_reading = False
            pending, lane.pending = lane.pending, None
        for event in page:
            if event.id in lane.gone:
                continue
            if now_ms - event.created_at >= SESSION_LIFE_MS:
                reason = "no session has taken it within a day"
                self._settle(event, CallEnd.GIVEN_UP, attempts=event.attempts, text=reason)
            else:
                self._hold(lane, event)
        if next_at:
            lane.wake_at = min(lane.wake_at or next_at, next_at)
        lane.page = min(2 * lane.page, _PAGE)
        if len(page) < limit and pending is not None:
            lane.is_behind = False
            for event in pending:
                self._hold(lane, event)
        self._pump(lane)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            now_ms = self._clock()
            for lane in list(self._lanes.values()):
                if lane.wake_at and lane.wake_at <= now_ms:
                    lane.wake_at = 0
                    lane.is_behind = True
                    self._want(lane)
                elif lane.is_behind and lane.receivers and len(lane.queue) < _PAGE // 2:
                    self._want(lane)
            if ticks % _STALE_TICKS == 1:
                try:
                    await self._give_up_stale(now_ms)
                except ConnectionError:
                    pass  # the database is away, which is in the log
                except Exception:
                    _log.exception("old deliveries were not looked through")

    async def _give_up_stale(self, now_ms: int) -> None:
        """Receipts of accounts that never come for them."""
        while page := await self._rows.stale(now_ms - SESSION_LIFE_MS, _PAGE):
            rows: dict[Bulk, Rows] = {}
            for event_id, attempts in page:
                delivery_result(
                    rows,
                    event_id=event_id,
                    end=CallEnd.GIVEN_UP,
                    attempts=attempts,
                    at_ms=now_ms,
                    text="no session has taken it within a day",
                )
            await self._journal.write(Entry(rows, now_ms=now_ms, must_write=True))
