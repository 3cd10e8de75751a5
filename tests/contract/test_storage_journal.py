"""The journal on both engines: order, money, poison, and the exact fate of every entry."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs
from tests.contract.rows import NOW, Books, answer, answers, claim, claims, final, finals, ids_of

from heliograph.domain.messages import MessageState, part_id
from heliograph.storage import schema
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry, Journal, JournalClosed, StorageDown
from heliograph.storage.sqlite_writer import SqliteWriter
from heliograph.storage.statements import (
    CANCEL_PARTS,
    CLAIM_PARTS,
    INSERT_EVENTS,
    INSERT_MESSAGES,
    INSERT_SUBMISSIONS,
    REQUEUE_PARTS,
    RESPOND_PARTS,
    REVISE_MESSAGES,
)

S = MessageState


async def read(database: Database, statement: Any) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(statement)]


async def part_states(books: Books) -> list[int]:
    query = select(schema.parts.c.state).order_by(schema.parts.c.id)
    return [row[0] for row in await read(books.database, query)]


def event(id: int, detail: str = "", **options: Any) -> Entry:
    return Entry({INSERT_EVENTS: [(id, 1, 0, NOW, "note", detail)]}, now_ms=NOW, **options)


async def test_a_submission_is_stored_whole_with_its_money(books: Books) -> None:
    account = await books.account("alex", 1_000_000)
    entry = await books.journal.write(
        books.submission(account, ("79990000001", "79990000002"), price=100_000, parts=2)
    )
    assert entry.is_funded
    assert entry.balance_micros == 800_000
    assert await books.balance(account) == 800_000
    assert await part_states(books) == [S.QUEUED] * 4
    [(kind, amount, effect, count)] = await read(
        books.database,
        text("SELECT kind, amount_micros, effect_micros, count FROM transfers WHERE kind = 1"),
    )
    assert (kind, amount, effect, count) == (1, 200_000, -200_000, 2)
    [(transfer_id,)] = await read(books.database, text("SELECT transfer_id FROM submissions"))
    assert transfer_id > 0
    assert (await books.audit()).is_exact


async def test_everything_that_waits_goes_into_one_commit(database: Database) -> None:
    commits: list[int] = []
    journal = Journal(
        database.writer(),
        take_ids=lambda count: 1,
        observe=lambda rows, seconds: commits.append(rows),
    )
    await journal.open()
    told: list[int] = []
    for id in range(1, 101):
        journal.append(event(id, done=lambda e: told.append(e.rows[INSERT_EVENTS][0][0])))
    assert journal.depth == 200
    await journal.close()
    assert len(commits) == 1
    assert told == list(range(1, 101))
    assert journal.depth == 0


async def test_200_parallel_reserves_on_a_balance_for_100(books: Books) -> None:
    account = await books.account("alex", 100 * 70_000)
    entries = await asyncio.gather(
        *(books.journal.write(books.submission(account, price=70_000)) for _ in range(200))
    )
    funded = [entry.is_funded for entry in entries]
    assert funded == [True] * 100 + [False] * 100  # in the order of their arrival
    assert await books.balance(account) == 0
    assert await read(books.database, text("SELECT count(*) FROM messages")) == [(100,)]
    assert (await books.audit()).is_exact


async def test_parallel_reserves_of_two_processes_never_overdraw(books: Books) -> None:
    account = await books.account("alex", 100 * 70_000)
    twin = Database(books.database.url.render_as_string(hide_password=False))
    other = await Books.open(twin)
    other.ids = itertools.count(2_000_000)
    other.journal._take_ids = lambda count: next(iter([_take(other.ids, count)]))
    try:
        entries = await asyncio.gather(
            *(b.journal.write(b.submission(account, price=70_000)) for b in (books, other) * 100)
        )
    finally:
        await other.close()
        await twin.close()
    assert sum(entry.is_funded for entry in entries) == 100
    assert await books.balance(account) == 0
    assert (await books.audit()).is_exact


def _take(ids: itertools.count[int], count: int) -> int:
    first = next(ids)
    for _ in range(count - 1):
        next(ids)
    return first


async def test_credit_may_be_used_and_not_more(books: Books) -> None:
    account = await books.account("alex", 100)
    async with books.database.write() as connection:
        await connection.execute(text("UPDATE balances SET credit_micros = 50"))
    large, fitting, free = await asyncio.gather(
        books.journal.write(books.submission(account, price=151)),
        books.journal.write(books.submission(account, price=150)),
        books.journal.write(books.submission(account, price=0)),
    )
    assert (large.is_funded, fitting.is_funded, free.is_funded) == (False, True, True)
    assert (large.balance_micros, fitting.balance_micros, free.balance_micros) == (100, -50, -50)
    assert await books.balance(account) == -50


async def test_an_account_that_is_not_there_pays_nothing(books: Books) -> None:
    entry = await books.journal.write(books.submission(4711, price=1))
    assert not entry.is_funded
    assert await read(books.database, text("SELECT count(*) FROM submissions")) == [(0,)]


async def test_ends_post_what_is_charged_and_give_back_the_rest(books: Books) -> None:
    account = await books.account("alex", 1000)
    sent = [
        await books.journal.write(books.submission(account, price=300, parts=3)) for _ in range(3)
    ]
    one, two, three = (ids_of(entry)[0] for entry in sent)
    ended = await books.journal.write(finals(final(one, 300), final(two, 100), final(three, 0)))
    assert sorted(ended.finished) == [one, two, three]
    assert await books.balance(account) == 600
    again = await books.journal.write(finals(final(two, 0), final(one, 0)))
    assert again.finished == []
    assert await books.balance(account) == 600
    kinds = await read(
        books.database,
        text("SELECT kind, amount_micros, count FROM transfers WHERE kind IN (2, 3) ORDER BY kind"),
    )
    assert kinds == [(2, 400, 2), (3, 500, 2)]
    assert (await books.audit()).is_exact


async def test_of_two_ends_in_one_batch_the_first_counts(books: Books) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=300)))
    first, second = await asyncio.gather(
        books.journal.write(finals(final(message, 300))),
        books.journal.write(finals(final(message, 0, state=S.EXPIRED))),
    )
    assert (first.finished, second.finished) == ([message], [])
    assert await books.balance(account) == 700
    assert (await books.audit()).is_exact


async def test_better_news_in_the_batch_of_the_end_loses_no_money(books: Books) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=300)))
    revised = Entry({REVISE_MESSAGES: [(message, int(S.DELIVERED), 0, NOW + 1)]}, now_ms=NOW)
    ended, _ = await asyncio.gather(
        books.journal.write(finals(final(message, 300, state=S.EXPIRED))),
        books.journal.write(revised),
    )
    assert ended.finished == [message]
    stored = await read(
        books.database, text("SELECT state, charged_micros, final_at FROM messages")
    )
    assert stored == [(S.DELIVERED, 300, NOW + 1)]
    assert (await books.audit()).is_exact


async def test_accepted_and_ended_in_one_batch(books: Books) -> None:
    account = await books.account("alex", 1000)
    submitted = books.submission(account, price=300)
    [message] = ids_of(submitted)
    await asyncio.gather(
        books.journal.write(submitted), books.journal.write(finals(final(message, 0)))
    )
    assert await books.balance(account) == 1000
    assert (await books.audit()).is_exact


async def test_claims_take_only_what_waits(books: Books) -> None:
    account = await books.account("alex")
    [message] = ids_of(await books.journal.write(books.submission(account, parts=2)))
    cancelled = [part_id(message, 2), int(S.DELETED), 0, NOW]
    await books.journal.write(Entry({CANCEL_PARTS: [cancelled]}, now_ms=NOW))
    await books.journal.write(claims(claim(message), claim(message, seq=2)))
    assert await part_states(books) == [S.SUBMITTING, S.DELETED]
    await books.journal.write(
        Entry({CANCEL_PARTS: [[part_id(message, 1), 16, 0, NOW]]}, now_ms=NOW)
    )
    assert await part_states(books) == [S.SUBMITTING, S.DELETED]


async def test_put_back_and_claimed_again_without_a_pause(books: Books) -> None:
    account = await books.account("alex")
    [message] = ids_of(await books.journal.write(books.submission(account)))
    back = [part_id(message, 1), int(S.QUEUED), 2, 0, 1, 0]
    await books.journal.write(claims(claim(message)))
    await asyncio.gather(
        books.journal.write(Entry({REQUEUE_PARTS: [back]}, now_ms=NOW, must_write=True)),
        books.journal.write(claims(claim(message, connector_id=2))),
    )
    assert await part_states(books) == [S.SUBMITTING]
    await asyncio.gather(
        books.journal.write(Entry({REQUEUE_PARTS: [back]}, now_ms=NOW, must_write=True)),
        books.journal.write(answers(answer(message, "late"))),
    )
    assert await part_states(books) == [S.SUBMITTED]


async def test_of_two_answers_in_one_batch_the_later_holds(books: Books) -> None:
    account = await books.account("alex")
    [message] = ids_of(await books.journal.write(books.submission(account)))
    unknown = [part_id(message, 1), int(S.UNKNOWN), "", 0, 1, NOW]
    await asyncio.gather(
        books.journal.write(Entry({RESPOND_PARTS: [unknown]}, now_ms=NOW, must_write=True)),
        books.journal.write(answers(answer(message, "abc"))),
    )
    assert await read(books.database, text("SELECT state, external_id FROM parts")) == [(5, "abc")]


POISON: list[Callable[[Books, int], Entry]] = [
    lambda books, account: event(7),  # an id that is there already
    lambda books, account: event(8, "\ud800"),  # not Unicode
    lambda books, account: event(9, None),  # type: ignore[arg-type]  # NOT NULL
]


@pytest.mark.parametrize("poison", POISON, ids=["double", "surrogate", "null"])
async def test_a_poisoned_row_fails_alone(
    books: Books, poison: Callable[[Books, int], Entry]
) -> None:
    account = await books.account("alex", 1000)
    await books.journal.write(event(7))
    entries = [books.submission(account, price=1) for _ in range(40)]
    bad = poison(books, account)
    bad.must_write = True
    entries.insert(23, bad)
    done: list[Entry] = []
    for entry in entries:
        entry.done = done.append
        books.journal.append(entry)
    await books.journal.write(event(1000))
    assert done == entries  # in order
    assert [entry for entry in entries if entry.error is not None] == [bad]
    assert not isinstance(bad.error, StorageDown)
    assert not books.journal.is_down
    assert await books.balance(account) == 960
    assert (await books.audit()).is_exact


async def test_a_failing_callback_stops_nothing(books: Books) -> None:
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    def fail(entry: Entry) -> None:
        raise RuntimeError("a defect")

    books.journal.append(event(1, done=fail))
    await books.journal.write(event(2))
    assert await read(books.database, text("SELECT count(*) FROM events")) == [(2,)]
    assert [str(context["exception"]) for context in told] == ["a defect"]


async def test_counters_are_shared_and_never_repeat(books: Books) -> None:
    def take(*wanted: tuple[str, int]) -> Entry:
        entry = Entry(now_ms=NOW)
        entry.counters = list(wanted)
        return entry

    one, two = await asyncio.gather(
        books.journal.write(take(("a", 10), ("b", 1))),
        books.journal.write(take(("b", 5), ("a", 3))),
    )
    three = await books.journal.write(take(("a", 1)))
    assert (one.firsts, two.firsts, three.firsts) == ([1, 1], [2, 11], [14])


async def test_ids_that_run_out_lose_nothing_that_must_be_written(books: Books) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=300)))
    ids, books.journal._take_ids = books.journal._take_ids, _no_ids
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 300))))
    refused = books.journal.write(books.submission(account, price=1))
    with pytest.raises(Exception, match="no ids"):
        await refused
    await books.journal.write(event(1))  # what needs no ids goes on
    assert not ended.done()
    books.journal._take_ids = ids
    assert (await ended).finished == [message]
    assert (await books.audit()).is_exact


def _no_ids(count: int) -> int:
    raise LookupError("the block is used up")


async def test_what_waits_is_written_before_the_end_and_later_is_refused(books: Books) -> None:
    waiting = [asyncio.ensure_future(books.journal.write(event(id))) for id in range(1, 50)]
    await asyncio.sleep(0)
    await books.journal.close()
    await asyncio.gather(*waiting)
    with pytest.raises(JournalClosed):
        await books.journal.write(event(50))
    assert await read(books.database, text("SELECT count(*) FROM events")) == [(49,)]


async def test_large_batches_are_cut(books: Books) -> None:
    rows = [(id, 1, 0, NOW, "note", "") for id in range(1, 50_001)]
    entries = [
        Entry({INSERT_EVENTS: rows[at : at + 1000]}, now_ms=NOW) for at in range(0, 50_000, 1000)
    ]
    batches: list[int] = []
    books.journal._observe = lambda rows, seconds: batches.append(rows)
    await asyncio.gather(*map(books.journal.write, entries))
    assert sum(batches) == 50_050
    assert max(batches) <= 20_000
    assert await read(books.database, text("SELECT count(*) FROM events")) == [(50_000,)]


async def test_a_restart_finds_everything(database_url: str) -> None:
    first = Database(database_url)
    books = await Books.open(first)
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    await books.journal.write(claims(claim(message)))
    await books.close()
    await first.close()
    second = Database(database_url)
    again = await Books.open(second)
    assert await part_states(again) == [S.SUBMITTING]
    assert await again.balance(account) == 900
    assert (await again.audit()).is_exact
    await again.close()
    await second.close()


# --- a database that is away ----------------------------------------------------------------------


class FaultyWriter:
    """The real writer behind a switch; can fail before a transaction or hide that it committed."""

    def __init__(self, database: Database) -> None:
        self._inner = database.writer()
        self.fault = ""
        self.is_back = asyncio.Event()

    async def open(self) -> None:
        await self._inner.open()

    async def write(self, batch: Sequence[Entry], first_id: int) -> None:
        match self.fault:
            case "away":
                raise StorageDown("away")
            case "lost before":
                self.fault = "away"
                raise StorageDown("lost", outcome=self._tell_false)
            case "lost after":
                self.fault = "away"
                await self._inner.write(batch, first_id)
                raise StorageDown("lost", outcome=self._tell_true)
        await self._inner.write(batch, first_id)

    async def close(self) -> None:
        await self._inner.close()

    async def _tell_true(self) -> bool:
        return self._tell(True)

    async def _tell_false(self) -> bool:
        return self._tell(False)

    def _tell(self, was_committed: bool) -> bool:
        if not self.is_back.is_set():
            raise StorageDown("still away")
        self.fault = ""
        return was_committed


async def test_while_the_database_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    writer = FaultyWriter(database)
    books = await Books.open(database, writer=writer)
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    writer.fault = "away"
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 100))))
    with capture_logs() as away:
        for _ in range(3):
            with pytest.raises(StorageDown):
                await books.journal.write(books.submission(account, price=100))
    assert books.journal.is_down
    assert not ended.done()
    writer.fault = ""
    with capture_logs() as back:
        assert (await ended).finished == [message]
    assert not books.journal.is_down
    # Whoever is called at night finds both moments, and the reason, and each of them once.
    assert [line["event"] for line in [*away, *back]] == [
        "the database can not be written: nothing is accepted",
        "the database can be written again",
    ]
    assert away[0]["reason"] == "away"
    assert (await books.audit()).is_exact
    await books.close()


@pytest.mark.parametrize("was_committed", [False, True])
async def test_a_commit_that_was_lost_is_told_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch, was_committed: bool
) -> None:
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    writer = FaultyWriter(database)
    books = await Books.open(database, writer=writer)
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    writer.fault = "lost after" if was_committed else "lost before"
    sent = asyncio.ensure_future(books.journal.write(books.submission(account, price=100)))
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 100))))
    await asyncio.sleep(0.05)
    assert not sent.done(), "its fate is not known yet"
    with pytest.raises(StorageDown):
        await books.journal.write(books.submission(account, price=100))
    writer.is_back.set()
    assert (await ended).finished == [message]
    if was_committed:
        assert (await sent).is_funded
    else:
        with pytest.raises(StorageDown):
            await sent
    assert await books.balance(account) == (800 if was_committed else 900)
    assert (await books.audit()).is_exact
    await books.close()


async def test_a_fault_in_the_middle_of_the_search_for_poison(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before the fault is reported as written, the rest as not."""
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    writer = FaultyWriter(database)
    books = await Books.open(database, writer=writer)
    await books.journal.write(event(100))
    entries = [event(id) for id in range(1, 9)]
    entries[6] = event(100)
    entries[7].must_write = True

    def fail_from_now(entry: Entry) -> None:
        writer.fault = "away"

    done: list[Entry] = []
    for entry in entries:
        entry.done = done.append
        books.journal.append(entry)
    entries[3].done = lambda entry: (done.append(entry), fail_from_now(entry))[0]
    with pytest.raises(StorageDown):
        await books.journal.write(event(9))
    written = {id for (id,) in await read(database, text("SELECT id FROM events"))} - {100}
    assert written == {1, 2, 3, 4}
    assert [e.error is None for e in entries[:7]] == [True] * 4 + [False] * 3
    writer.fault = ""
    await books.journal.write(event(10))
    assert entries[7].error is None
    await books.close()


async def test_a_close_while_the_database_is_away_tells_everybody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    writer = FaultyWriter(database)
    books = await Books.open(database, writer=writer)
    writer.fault = "away"
    kept = event(1, must_write=True)
    kept.done = lambda entry: None
    books.journal.append(kept)
    await asyncio.sleep(0.05)
    assert kept.error is None
    await asyncio.wait_for(books.close(), 30)
    assert isinstance(kept.error, StorageDown)


async def test_a_sqlite_file_that_another_process_holds(
    tmp_path: Path, engine: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine != "sqlite":
        pytest.skip("about SQLite's write lock")
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    books = await Books.open(database)
    writer = books.journal._writer
    assert isinstance(writer, SqliteWriter)
    await writer.ask("PRAGMA busy_timeout=20")
    holder = sqlite3.connect(tmp_path / "heliograph.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    kept = asyncio.ensure_future(books.journal.write(event(1, must_write=True)))
    with pytest.raises(StorageDown, match="locked"):
        await books.journal.write(event(2))
    holder.execute("ROLLBACK")
    holder.close()
    await kept
    assert await read(database, text("SELECT id FROM events")) == [(1,)]
    await books.close()


async def test_full_disk(tmp_path: Path, engine: str, database: Database) -> None:
    if engine != "sqlite":
        pytest.skip("SQLite can be told how large its file may become")
    books = await Books.open(database)
    writer = books.journal._writer
    assert isinstance(writer, SqliteWriter)
    [(pages,)] = await read(database, text("PRAGMA page_count"))
    await writer.ask(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageDown, match="full"):
        await books.journal.write(event(1, "x" * 100_000))
    assert books.journal.is_down
    await writer.ask("PRAGMA max_page_count=1000000")
    await books.journal.write(event(1, "x" * 100_000))
    assert not books.journal.is_down
    await books.close()


def test_columns_that_the_journal_looks_into() -> None:
    assert (
        INSERT_SUBMISSIONS.columns[0]
        == INSERT_MESSAGES.columns[0]
        == CLAIM_PARTS.columns[0]
        == "id"
    )
