"""The outbox on both engines: what is due, in which order, what results do, and replaying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from tests.contract.rows import NOW, Books

from heliograph.domain.events import HANDOVER_MS, CallEnd, CallResult, OutboxEvent
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry
from heliograph.storage.outbox import Outbox, replay
from heliograph.storage.statements import INSERT_OUTBOX

MINUTE = 60_000


class Writer:
    """Puts events into the outbox; ids count from 1 in the order of calls."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.outbox = Outbox(books.database, books.journal, lambda _: next(books.ids))
        self.last_id = 0

    async def put(
        self, account_id: int, message_id: int = 0, *, at: int = NOW, attempts: int = 0
    ) -> int:
        """One waiting event that is due at `at`."""
        self.last_id += 1
        await self.put_rows([(self.last_id, account_id, message_id, at, attempts)])
        return self.last_id

    async def put_rows(self, rows: Sequence[tuple[int, int, int, int, int]]) -> None:
        payload = msgspec.json.encode({"id": "1", "mes": "Привет"}).decode()
        full = [
            (id, account, message, "status", payload, 0, attempts, at, NOW, 0, "")
            for id, account, message, at, attempts in rows
        ]
        await self.books.journal.write(Entry({INSERT_OUTBOX: full}, now_ms=NOW))

    async def due(self, account_id: int, now: int = NOW, **options: Any) -> list[int]:
        return [e.id for e in await self.outbox.due(account_id, now, 100, **options)]

    async def row(self, id: int) -> tuple[Any, ...]:
        query = "SELECT state, attempts, next_try_at, done_at, last_result FROM outbox"
        async with self.books.database.read() as connection:
            return tuple((await connection.execute(text(f"{query} WHERE id = {id}"))).one())


@pytest.fixture
def writer(books: Books) -> Writer:
    return Writer(books)


def result(id: int, end: CallEnd, *, attempts: int = 0, **options: Any) -> CallResult:
    event = OutboxEvent(
        id=id,
        account_id=1,
        message_id=0,
        kind="status",
        payload={},
        created_at=NOW,
        attempts=attempts,
    )
    return CallResult(event, end, at_ms=NOW + 5, elapsed_ms=7, **options)


async def test_an_event_comes_back_as_it_was(writer: Writer) -> None:
    id = await writer.put(3, 9, attempts=2)
    (event,) = await writer.outbox.due(3, NOW, 10)
    assert (event.id, event.account_id, event.message_id, event.kind) == (id, 3, 9, "status")
    assert (event.attempts, event.next_try_at, event.created_at) == (2, NOW, NOW)
    assert event.payload == {"id": "1", "mes": "Привет"}


async def test_due_by_account_and_time(writer: Writer) -> None:
    late = await writer.put(1, at=NOW - 5)
    later = await writer.put(1, at=NOW - 10)
    await writer.put(1, at=NOW + MINUTE, attempts=1)
    await writer.put(2)
    fresh = await writer.put(1, at=NOW + HANDOVER_MS)
    assert await writer.due(1) == [later, late, fresh]
    assert await writer.due(1, with_new=False) == [later, late]
    assert await writer.due(1, NOW + MINUTE) != []
    assert await writer.due(9) == []


async def test_no_event_overtakes_an_earlier_one_of_its_message(writer: Writer) -> None:
    failed = await writer.put(1, 7, at=NOW + MINUTE, attempts=1)
    follower = await writer.put(1, 7, at=NOW + HANDOVER_MS)
    other = await writer.put(1, 8, at=NOW + HANDOVER_MS)
    assert await writer.due(1) == [other]
    got = await writer.due(1, NOW + MINUTE)
    assert follower not in got[: got.index(failed)] if failed in got else follower not in got
    await writer.outbox.finish([result(failed, CallEnd.DONE, text="HTTP 200")])
    assert await writer.due(1) == [follower, other]


async def test_the_survey_names_every_account_once_with_its_first_moment(writer: Writer) -> None:
    assert await writer.outbox.survey() == []
    rows = [(i, i % 3 + 1, 0, NOW + i, 0) for i in range(1, 301)]
    await writer.put_rows(rows)
    assert sorted(await writer.outbox.survey()) == [(1, NOW + 3), (2, NOW + 1), (3, NOW + 2)]
    await writer.outbox.finish([result(i, CallEnd.DONE, text="x") for i in range(3, 301, 3)])
    assert sorted(account for account, _ in await writer.outbox.survey()) == [2, 3]


async def test_results_are_written(writer: Writer, database: Database) -> None:
    done, failed, given_up, untried = [await writer.put(1) for _ in range(4)]
    await writer.outbox.finish(
        [
            result(done, CallEnd.DONE, text="HTTP 200"),
            result(failed, CallEnd.WAITING, text="HTTP 500", next_try_at=NOW + MINUTE),
            result(given_up, CallEnd.GIVEN_UP, attempts=6, text="x" * 1000),
            result(untried, CallEnd.GIVEN_UP, text="no address", is_attempt=False),
        ]
    )
    assert await writer.row(done) == (1, 1, 0, NOW + 5, "HTTP 200")
    assert await writer.row(failed) == (0, 1, NOW + MINUTE, 0, "HTTP 500")
    assert await writer.row(given_up) == (2, 7, 0, NOW + 5, "x" * 200)
    assert await writer.row(untried) == (2, 0, 0, NOW + 5, "no address")
    async with database.read() as connection:
        query = "SELECT outbox_id, at, result, elapsed_ms FROM outbox_attempts ORDER BY outbox_id"
        attempts = [tuple(row) for row in await connection.execute(text(query))]
    assert attempts == [(failed, NOW + 5, "HTTP 500", 7), (given_up, NOW + 5, "x" * 200, 7)]
    assert await writer.outbox.has_retries(1)
    assert not await writer.outbox.has_retries(2)


async def test_replaying_makes_events_due_again(writer: Writer, database: Database) -> None:
    ids = [await writer.put(1, 7), await writer.put(1, 8), await writer.put(2, 9)]
    await writer.outbox.finish([result(i, CallEnd.GIVEN_UP, attempts=6, text="x") for i in ids])
    assert await writer.outbox.survey() == []
    assert await replay(database, now_ms=NOW + 9, ids=[ids[0], 12345]) == 1
    assert (await writer.row(ids[0]))[:4] == (0, 0, NOW + 9, 0)
    assert await replay(database, now_ms=NOW + 9, message_id=8) == 1
    assert await replay(database, now_ms=NOW + 9, account_id=2, since_ms=NOW + 1) == 0
    assert await replay(database, now_ms=NOW + 9, account_id=2, since_ms=NOW) == 1
    assert sorted(await writer.outbox.survey()) == [(1, NOW + 9), (2, NOW + 9)]
    assert await replay(database, now_ms=NOW + 10, account_id=2) == 0  # it waits already
    with pytest.raises(ValueError, match="which"):
        await replay(database, now_ms=NOW)


async def test_many_ids_are_replayed_at_once(writer: Writer, database: Database) -> None:
    await writer.put_rows([(i, 1, 0, NOW, 1) for i in range(1, 1202)])
    assert await replay(database, now_ms=NOW, ids=range(1, 1202)) == 1201


async def test_a_million_rows_of_a_dead_receiver_do_not_slow_the_survey(
    writer: Writer, database: Database
) -> None:
    """By the plan and not by the clock: the survey only steps through the index."""
    await writer.put_rows([(i, 1, 0, NOW, 0) for i in range(1, 20_001)])
    await writer.put_rows([(30_000, 2, 0, NOW, 0)])
    assert sorted(await writer.outbox.survey()) == [(1, NOW), (2, NOW)]
    if not database.is_sqlite:
        return
    async with database.read() as connection:
        plan = await connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT MIN(next_try_at) FROM outbox "
                "WHERE state = 0 AND account_id = 1"
            )
        )
        assert any("ix_outbox_waiting" in str(row) for row in plan)
