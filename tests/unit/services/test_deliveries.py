"""Deliveries to sessions: memory first, the rest in pages, turns, repetitions, the end of life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from heliograph.domain.deliveries import SESSION_LIFE_MS
from heliograph.domain.events import CallEnd, OutboxEvent
from heliograph.services.deliveries import Deliveries
from heliograph.storage.journal import Entry
from heliograph.storage.outbox import OUTBOX_RESULTS

pytestmark = pytest.mark.interpreted

NOW_MS = 1_700_000_000_000


class Store:
    """The outbox and its journal, in memory."""

    def __init__(self) -> None:
        self.waiting: dict[int, OutboxEvent] = {}
        self.ended: dict[int, tuple[Any, ...]] = {}
        self.reads = 0
        self.now_ms = NOW_MS

    async def due(self, account_id: int, now_ms: int, limit: int) -> list[OutboxEvent]:
        self.reads += 1
        await asyncio.sleep(0)
        found = [
            e
            for e in self.waiting.values()
            if e.account_id == account_id and e.next_try_at <= now_ms
        ]
        return [copy_of(e) for e in sorted(found, key=lambda e: (e.next_try_at, e.id))[:limit]]

    async def next_due(self, account_id: int, now_ms: int) -> int:
        later = [e.next_try_at for e in self.waiting.values() if e.next_try_at > now_ms]
        return min(later, default=0)

    async def stale(self, until_ms: int, limit: int) -> list[tuple[int, int]]:
        old = [e for e in self.waiting.values() if e.created_at < until_ms]
        return [(e.id, e.attempts) for e in old[:limit]]

    def append(self, entry: Entry) -> None:
        for row in entry.rows[OUTBOX_RESULTS]:
            id_, end, attempts, next_try_at, _, _ = row
            if end == CallEnd.FOR_SESSION:
                self.waiting[id_].attempts = attempts
                self.waiting[id_].next_try_at = next_try_at
            else:
                self.waiting.pop(id_, None)
                self.ended[id_] = row
        if entry.done is not None:
            entry.done(entry)

    async def write(self, entry: Entry) -> Entry:
        self.append(entry)
        return entry

    def make(self, count: int, *, account_id: int = 1, age_ms: int = 0) -> list[OutboxEvent]:
        """New events, on disk."""
        made = []
        for _ in range(count):
            id_ = len(self.waiting) + len(self.ended) + 1
            event = OutboxEvent(
                id=id_,
                account_id=account_id,
                message_id=0,
                kind="receipt",
                payload={},
                created_at=self.now_ms - age_ms,
                next_try_at=self.now_ms - age_ms,
            )
            self.waiting[id_] = event
            made.append(copy_of(event))
        return made


def copy_of(event: OutboxEvent) -> OutboxEvent:
    return OutboxEvent(
        id=event.id,
        account_id=event.account_id,
        message_id=event.message_id,
        kind=event.kind,
        payload=event.payload,
        created_at=event.created_at,
        attempts=event.attempts,
        next_try_at=event.next_try_at,
    )


class Session:
    """A receiver with a window."""

    def __init__(self, window: int = 10) -> None:
        self.room = window
        self.got: list[OutboxEvent] = []

    def deliver(self, event: OutboxEvent) -> None:
        self.room -= 1
        self.got.append(event)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def deliveries(store: Store) -> AsyncIterator[Deliveries]:
    made: Any = Deliveries(
        rows=store,  # type: ignore[arg-type]
        journal=store,  # type: ignore[arg-type]
        clock=lambda: store.now_ms,
    )
    made.start()
    yield made
    await made.stop()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], object]) -> None:
    """Waits for what a tick of the clockwork brings."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def attach(deliveries: Deliveries, *sessions: Session, account_id: int = 1) -> None:
    for session in sessions:
        deliveries.attach(account_id, session)
    await settle()


async def test_what_is_offered_is_not_read_back(deliveries: Deliveries, store: Store) -> None:
    session = Session(window=1000)
    await attach(deliveries, session)
    reads = store.reads
    for _ in range(5):
        deliveries.offer(store.make(100))
    assert len(session.got) == 500
    for event in session.got:
        deliveries.delivered(event)
    await settle()
    assert (store.reads, len(store.ended), deliveries.depth) == (reads, 500, 0)


async def test_what_waited_comes_with_the_first_session(
    deliveries: Deliveries, store: Store
) -> None:
    deliveries.offer(store.make(1200))
    assert deliveries.depth == 0
    session = Session(window=0)
    await attach(deliveries, session)
    while store.waiting:
        session.room = 100
        deliveries.ready(1)
        for event in session.got:
            deliveries.delivered(event)
        session.got.clear()
        await settle()
    assert len(store.ended) == 1200
    # From now on nothing is read back.
    reads = store.reads
    session.room = 10
    deliveries.offer(store.make(1))
    assert (len(session.got), store.reads) == (1, reads)


async def test_sessions_take_turns(deliveries: Deliveries, store: Store) -> None:
    sessions = [Session(window=100) for _ in range(3)]
    await attach(deliveries, *sessions)
    deliveries.offer(store.make(30))
    assert [len(s.got) for s in sessions] == [10, 10, 10]


async def test_a_full_session_keeps_nobody_from_the_others(
    deliveries: Deliveries, store: Store
) -> None:
    slow, quick = Session(window=1), Session(window=100)
    await attach(deliveries, slow, quick)
    deliveries.offer(store.make(50))
    assert (len(slow.got), len(quick.got)) == (1, 49)
    other = Session()
    await attach(deliveries, other, account_id=2)
    deliveries.offer(store.make(5, account_id=2))
    assert len(other.got) == 5


async def test_a_session_that_goes_gives_back(deliveries: Deliveries, store: Store) -> None:
    first, second = Session(), Session(window=0)
    await attach(deliveries, first, second)
    deliveries.offer(store.make(3))
    second.room = 10
    deliveries.detach(1, first, list(first.got))
    assert [e.id for e in second.got] == [1, 2, 3]
    deliveries.detach(1, second, list(second.got))
    assert deliveries.depth == 0
    third = Session()
    await attach(deliveries, third)
    assert [e.id for e in third.got] == [1, 2, 3]


async def test_a_refusal_is_repeated_later(deliveries: Deliveries, store: Store) -> None:
    session = Session()
    await attach(deliveries, session)
    deliveries.offer(store.make(1))
    deliveries.refused(session.got.pop(), "busy")
    await settle()
    assert store.waiting[1].attempts == 1
    assert store.waiting[1].next_try_at == NOW_MS + 1000
    assert deliveries.depth == 0
    store.now_ms += 1000
    await until(lambda: session.got)
    assert [(e.id, e.attempts) for e in session.got] == [(1, 1)]


async def test_after_a_day_it_is_given_up(deliveries: Deliveries, store: Store) -> None:
    session = Session()
    await attach(deliveries, session)
    deliveries.offer(store.make(1, age_ms=SESSION_LIFE_MS))
    deliveries.refused(session.got[0], "busy")
    await settle()
    assert store.ended[1][1] == CallEnd.GIVEN_UP
    store.make(2, account_id=9, age_ms=SESSION_LIFE_MS + 1)
    await until(lambda: not store.waiting)  # the first tick looks for accounts that never come


async def test_a_late_answer_counts(deliveries: Deliveries, store: Store) -> None:
    session = Session()
    await attach(deliveries, session)
    deliveries.offer(store.make(1))
    event = session.got[0]
    deliveries.refused(event, "not answered")
    deliveries.delivered(event)
    await settle()
    assert store.ended[1][1] == CallEnd.DONE
    assert deliveries.depth == 0


async def test_what_is_answered_while_a_page_is_read_is_not_delivered_again(
    store: Store, deliveries: Deliveries
) -> None:
    """The page was read before the result was on disk, and comes after it."""
    due = store.due
    go_on = asyncio.Event()
    go_on.set()

    async def read_slowly(account_id: int, now_ms: int, limit: int) -> list[OutboxEvent]:
        page = await due(account_id, now_ms, limit)
        await go_on.wait()
        return page

    store.due = read_slowly  # type: ignore[method-assign]
    store.make(100)
    session = Session()
    await attach(deliveries, session)
    await settle()
    assert len(session.got) == 10
    go_on.clear()
    reads = store.reads
    for event in list(session.got):  # one more is delivered for each, until a page is wanted
        session.room += 1
        deliveries.delivered(event)
        deliveries.ready(1)
        await settle()
    while store.reads == reads:
        event = session.got[len(store.ended)]
        session.room += 1
        deliveries.delivered(event)
        deliveries.ready(1)
        await settle()
    for event in session.got[len(store.ended) :]:
        deliveries.delivered(event)
    await settle()
    go_on.set()
    while len(store.ended) < 100:
        await settle()
        session.room = 10
        deliveries.ready(1)
        await settle()
        for event in session.got[len(store.ended) :]:
            deliveries.delivered(event)
        await settle()
    assert sorted(event.id for event in session.got) == list(range(1, 101))
    assert deliveries.depth == 0
