"""Drains the outbox: calls the clients' handlers, each account on its own.

Events come over from the commit in memory (`offer`) and are called without being read back.
Results are written in batches. What failed, did not fit in memory, or was left by an earlier run of
the program is read from the database in pages, account by account. See `lanes` for the order of
events and the circuit.

Fairness: an account has at most `per_account_parallel` calls going on. When half of all the calls
allowed are going on, each account gets its share of the rest, and the last quarter is kept for
accounts whose receiver answers quickly: so slow receivers, however many, do not delay the others.
Memory is shared out in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from heliograph.config import Webhooks
from heliograph.domain.accounts import Account
from heliograph.domain.events import LIFE_MS, CallEnd, CallResult, OutboxEvent, next_try_after
from heliograph.httpclient import HttpClient, HttpError
from heliograph.observability import Metrics
from heliograph.webhooks.events import write_body, write_headers
from heliograph.webhooks.lanes import Depth, Lane
from heliograph.webhooks.signing import read_address

__all__ = ["DirectoryPort", "StorePort", "WebhookDispatcher"]

_PAGE = 500
_TICK_S = 1.0
# Before new events of an account that is behind are read: what gathers meanwhile comes at once.
_READ_PAUSE_MS = 200
_LEAST_PAUSE_S = 0.02
_FAST_MS = 1000
# Lanes that are remembered only for having been fast.
_MAX_IDLE_LANES = 10_000
# Pages of events without a future that one probe of a dead receiver clears away.
_EXPIRY_PAGES = 20

_log = structlog.get_logger(__name__)


class StorePort(Protocol):
    """The outbox as `storage.outbox.Outbox` has it."""

    async def survey(self) -> list[tuple[int, int]]: ...
    async def due(
        self, account_id: int, now_ms: int, limit: int, *, with_new: bool = True
    ) -> list[OutboxEvent]: ...
    async def has_retries(self, account_id: int) -> bool: ...
    async def finish(self, results: Sequence[CallResult]) -> None: ...


class DirectoryPort(Protocol):
    """Who owns an event."""

    def account_by_id(self, account_id: int, /) -> Account | None: ...

    async def refresh_if_changed(self) -> bool:
        """Reads what has changed in the database; True when something had."""


class WebhookDispatcher:
    """Makes the calls. All methods run in the event loop."""

    def __init__(
        self,
        store: StorePort,
        client: HttpClient,
        directory: DirectoryPort,
        *,
        clock: Callable[[], int],
        config: Webhooks,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._directory = directory
        self._clock = clock
        self._config = config
        self._metrics = metrics
        self._lanes: dict[int, Lane] = {}
        self._depth = Depth()
        self._calls: set[asyncio.Task[None]] = set()
        self._total = 0  # calls going on
        self._active = 0  # lanes that have any
        self._starved: deque[Lane] = deque()
        self._results: list[CallResult] = []
        self._has_results = asyncio.Event()
        self._wants_read = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop
        self._stopped = asyncio.Event()
        self._is_surveyed = False
        self._is_stopping = False
        self._is_ended = False  # no more results will come

    @property
    def depth(self) -> int:
        """Events in memory."""
        return self._depth.count

    def start(self) -> None:
        """Begins to call; what an earlier run left is called too."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(self._write_results(), name="webhooks-results"),
            asyncio.create_task(self._read_back(), name="webhooks-reader"),
            asyncio.create_task(self._tick(), name="webhooks-tick"),
        ]

    async def stop(self, drain_s: float = 5.0) -> None:
        """Ends: calls going on get `drain_s` to finish, results are written, nothing is lost: what
        was not called is in the database."""
        self._is_stopping = True
        for lane in self._lanes.values():
            lane.drop_queue()
        if self._calls:
            await asyncio.wait(self._calls, timeout=drain_s)
        self._stopped.set()
        self._wants_read.set()
        writer = self._tasks[0] if self._tasks else None
        others = self._tasks[1:]
        if others:
            await asyncio.wait(
                others, timeout=drain_s
            )  # they are in the middle of a SELECT at most
        ended = [*self._calls, *others]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        self._is_ended = True
        self._has_results.set()
        if writer is not None:
            # A database that is away must not hold the end up: the calls are then made once more.
            await asyncio.wait([writer], timeout=drain_s)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        self._tasks = []

    def offer(self, events: Sequence[OutboxEvent]) -> None:
        """Takes events that have just been committed. Never waits; what does not fit is in the
        database and is read from there."""
        touched = set()
        now_ms = self._clock()
        for event in events:
            lane = self._lane(event.account_id)
            if lane.offer(event, is_full=not self._has_room(lane)):
                touched.add(lane)
            elif not lane.is_open:
                lane.read_after = min(lane.read_after, now_ms + _READ_PAUSE_MS)
                self._wants_read.set()
        for lane in touched:
            self._fill(lane)

    # --- calling ---

    def _lane(self, account_id: int) -> Lane:
        lane = self._lanes.get(account_id)
        if lane is None:
            # Before the first survey nobody knows what an earlier run left of this account.
            lane = Lane(account_id, self._depth, is_behind=not self._is_surveyed)
            self._lanes[account_id] = lane
        return lane

    def _has_room(self, lane: Lane) -> bool:
        """Whether one more event of the account may be held in memory."""
        depth, most = self._depth.count, self._config.queued
        if len(lane.queue) >= self._config.per_account_queued or depth >= most or self._is_stopping:
            return False
        if depth * 2 < most:
            return True
        if depth * 4 < most * 3:
            return len(lane.held) < max(1, most // 2 // len(self._lanes))
        return lane.is_fast

    def _may_call(self, lane: Lane) -> bool:
        if self._is_stopping:
            return False
        if lane.is_open:
            return lane.calls == 0
        total, most = self._total, self._config.parallel
        if lane.calls >= self._config.per_account_parallel or total >= most:
            return False
        if total * 2 < most:
            return True
        if total * 4 < most * 3:
            return lane.calls < max(1, most // 2 // max(1, self._active))
        return lane.is_fast and lane.calls == 0

    def _fill(self, lane: Lane) -> None:
        """Starts as many calls as the lane may have."""
        for _ in range(len(lane.queue)):
            if not self._may_call(lane):
                break
            self._count_call(lane, 1)
            task = self._loop.create_task(self._work(lane))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        if lane.queue and not lane.calls and not lane.is_starved and not self._is_stopping:
            lane.is_starved = True
            self._starved.append(lane)

    def _count_call(self, lane: Lane, change: int) -> None:
        was_active = lane.calls > 0
        lane.calls += change
        self._total += change
        self._active += (lane.calls > 0) - was_active

    async def _work(self, lane: Lane) -> None:
        """Makes one call after the other until the queue is empty or the share is used up."""
        try:
            while (event := lane.take()) is not None:
                await self._call(lane, event)
                lane.calls -= 1  # to be judged as if it were to start now
                self._total -= 1
                may_go_on = self._may_call(lane)
                lane.calls += 1
                self._total += 1
                if not may_go_on:
                    return
        finally:
            self._count_call(lane, -1)
            if lane.is_behind and not lane.queue:
                self._wants_read.set()
            if self._starved:
                starved = self._starved.popleft()
                starved.is_starved = False
                self._fill(starved)

    async def _call(self, lane: Lane, event: OutboxEvent) -> None:
        is_probe = lane.is_open
        account = self._directory.account_by_id(event.account_id)
        started = self._clock()
        if account is None or not account.callback_url:
            lane.settle(event)
            self._record(_given_up(event, "the account has no callback address", started))
            return
        is_taken = False
        try:
            address = read_address(account.callback_url)
            body = write_body(event, address)
            response = await self._client.post_form(address.url, body, write_headers(event))
            is_taken = response.status == 200
            outcome = f"HTTP {response.status}"
        except HttpError as error:
            outcome = str(error)
        except asyncio.CancelledError:
            lane.release(event.id)  # it stays as it is in the database
            raise
        except Exception:
            # A mistake of ours must not end the lane, nor be repeated without end.
            _log.exception("callback failed unexpectedly", event_id=event.id)
            outcome = "internal error"
        now_ms = self._clock()
        lane.is_fast = now_ms - started < _FAST_MS
        end, next_try_at = CallEnd.DONE, 0
        if is_taken:
            lane.settle_success(event)
        else:
            lane.settle_failure(event, is_probe=is_probe, now_ms=now_ms)
            retry_at = next_try_after(event.attempts + 1, now_ms)
            end = CallEnd.GIVEN_UP if retry_at is None else CallEnd.WAITING
            next_try_at = retry_at or 0
        self._record(
            CallResult(
                event,
                end,
                at_ms=now_ms,
                text=outcome,
                next_try_at=next_try_at,
                elapsed_ms=now_ms - started,
            )
        )

    def _record(self, result: CallResult) -> None:
        self._results.append(result)
        self._has_results.set()

    # --- writing ---

    async def _write_results(self) -> None:
        while True:
            if not self._results:
                if self._is_ended:
                    return
                self._has_results.clear()
                await self._has_results.wait()
                continue
            batch, self._results = self._results, []
            try:
                await self._store.finish(batch)
            except Exception:
                # Nothing is lost: the events are called again when their time comes.
                _log.exception("results of callbacks were not written", count=len(batch))
                if self._is_stopping:
                    return
                await asyncio.sleep(_TICK_S)
            for result in batch:
                # The lane is there: it is not forgotten while it holds an event.
                self._lanes[result.event.account_id].release(result.event.id)
            self._count(batch)

    def _count(self, batch: list[CallResult]) -> None:
        if self._metrics is None:
            return
        names = {CallEnd.DONE: "done", CallEnd.WAITING: "failed", CallEnd.GIVEN_UP: "given_up"}
        for end, name in names.items():
            spans = [result.elapsed_ms for result in batch if result.end is end]
            if spans:
                self._metrics.callbacks(name, len(spans), sum(spans) / len(spans))

    # --- reading back ---

    async def _tick(self) -> None:
        """Once a second: who has events in the database that nobody holds?"""
        while not self._is_stopping:
            try:
                await self._survey()
            except ConnectionError:
                pass  # the database is away, which is in the log
            except Exception:
                _log.exception("the outbox could not be looked through")
            self._wants_read.set()
            await self._pause(_TICK_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _survey(self) -> None:
        waiting = await self._store.survey()
        now_ms = self._clock()
        for account_id, first_at in waiting:
            if not self._is_surveyed or first_at <= now_ms:
                self._lane(account_id).is_behind = True
        self._is_surveyed = True
        for lane in list(self._lanes.values()):
            if lane.is_idle and not (lane.is_fast and len(self._lanes) < _MAX_IDLE_LANES):
                del self._lanes[lane.account_id]
            elif lane.queue:
                self._fill(lane)

    async def _read_back(self) -> None:
        while not self._is_stopping:
            await self._wants_read.wait()
            self._wants_read.clear()
            started = time.monotonic()
            for lane in list(self._lanes.values()):
                if self._is_stopping or not self._is_ready_to_read(lane):
                    continue
                try:
                    await self._read_page(lane)
                except ConnectionError:
                    pass  # the database is away, which is in the log
                except Exception:
                    _log.exception("callbacks were not read back", account_id=lane.account_id)
                    await self._pause(_TICK_S)
            # Reading back never takes more than half of the time, however many accounts need it.
            await self._pause(max(_LEAST_PAUSE_S, time.monotonic() - started))

    def _is_ready_to_read(self, lane: Lane) -> bool:
        if not lane.is_behind or lane.queue or not self._has_room(lane):
            return False
        now_ms = self._clock()
        if lane.is_open:
            return lane.calls == 0 and now_ms >= lane.open_until
        return now_ms >= lane.read_after

    async def _read_page(self, lane: Lane) -> None:
        now_ms = self._clock()
        if lane.is_open:
            await self._read_probe(lane, now_ms)
        else:
            await self._read_due(lane, now_ms)

    async def _read_due(self, lane: Lane, now_ms: int) -> None:
        lane.begin_page()
        has_retries = await self._store.has_retries(lane.account_id)
        # Events that are held come again with the page: make room for them.
        limit = min(_PAGE, self._config.per_account_queued) + len(lane.held)
        page = await self._due(lane, now_ms, limit)
        if lane.is_open:
            return  # the receiver has died in the meantime
        is_all = not has_retries and len(page) < limit
        if not lane.put_page(page, is_all=is_all) and lane.is_behind:
            lane.read_after = now_ms + int(_TICK_S * 1000)
        self._fill(lane)

    async def _due(self, lane: Lane, now_ms: int, limit: int) -> list[OutboxEvent]:
        page = await self._store.due(lane.account_id, now_ms, limit)
        if page:
            # Whoever made them due again may have mended the address just before, in another
            # process: the next look at the configuration would come too late.
            await self._directory.refresh_if_changed()
        return page

    async def _read_probe(self, lane: Lane, now_ms: int) -> None:
        """One event for a receiver that did not answer, after clearing away what has no future."""
        for _ in range(_EXPIRY_PAGES):
            page = await self._store.due(lane.account_id, now_ms - LIFE_MS, _PAGE, with_new=False)
            if page:
                reason = "the receiver did not answer for the time of all retries"
                await self._store.finish([_given_up(event, reason, now_ms) for event in page])
            if len(page) < _PAGE:
                break
        lane.begin_page()
        page = await self._due(lane, now_ms, 1 + len(lane.held))
        fresh = [event for event in page if event.id not in lane.held]
        if fresh and lane.is_open:
            lane.put_page(fresh[:1], is_all=False)
            self._fill(lane)
        else:
            lane.open_until = now_ms + lane.pause_ms


def _given_up(event: OutboxEvent, reason: str, now_ms: int) -> CallResult:
    return CallResult(event, CallEnd.GIVEN_UP, at_ms=now_ms, text=reason, is_attempt=False)
