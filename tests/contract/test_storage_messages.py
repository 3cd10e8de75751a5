"""Reading messages back, on both engines, with the index that each reader is meant to use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event, text
from tests.contract.rows import NOW, Books, answer, answers, claim, claims, final, finals, ids_of

from heliograph.domain.messages import Message, MessageState, MessageType, part_id
from heliograph.storage import incoming, timeline
from heliograph.storage.journal import Entry
from heliograph.storage.messages import (
    due_scheduled,
    expired_between,
    find_by_external,
    find_messages,
    load_messages,
    messages_of,
    recent_messages,
    waiting_accounts,
    waiting_connectors,
    waiting_messages,
)
from heliograph.storage.statements import (
    FINISH_PARTS,
    HIDE_MESSAGES,
    INSERT_EVENTS,
    INSERT_INCOMING,
    INSERT_MESSAGES,
    INSERT_OUTBOX,
    INSERT_SUBMISSIONS,
    INSERT_UNMATCHED,
)
from heliograph.storage.unmatched import UnmatchedReceipt, list_unmatched

S = MessageState


def ids(found: Sequence[Message | UnmatchedReceipt]) -> list[int]:
    return [each.id for each in found]


async def test_a_message_comes_back_as_it_was_written(books: Books) -> None:
    account = await books.account("alex", 1000)
    entry = books.submission(account, ("79990000001", "79990000002"), price=90, parts=3, text="hej")
    entry.rows[INSERT_SUBMISSIONS][0][INSERT_SUBMISSIONS.columns.index("options")] = '{"pid":1}'
    second = entry.rows[INSERT_MESSAGES][1]
    second[INSERT_MESSAGES.columns.index("own_text")] = "du"
    second[INSERT_MESSAGES.columns.index("own_sender")] = "me"
    second[INSERT_MESSAGES.columns.index("route")] = "3,1"
    await books.journal.write(entry)
    first_id, second_id = ids_of(entry)
    await books.journal.write(claims(claim(first_id, connector_id=7)))
    await books.journal.write(answers(answer(first_id, "F00")))
    await books.journal.write(
        Entry(
            now_ms=NOW,
            finals=[(second_id, int(S.DELIVERED), 6, 30, NOW + 5, '{"imsi":"250"}')],
            must_write=True,
        )
    )
    async with books.database.read() as connection:
        one, two = await load_messages(connection, [second_id, first_id, 99])
        brief = await load_messages(connection, [second_id, first_id], parts_of_ended=False)
    assert (one.id, two.id) == (first_id, second_id)
    assert one.submission is two.submission
    call = one.submission
    assert (call.account_id, call.client_ref, call.type) == (account, "1", MessageType.SMS)
    assert (call.text, call.options, call.is_test) == ("hej", {"pid": 1}, False)
    assert (one.text, one.sender, one.route) == ("hej", "sender", (1,))
    assert (two.text, two.sender, two.route) == ("du", "me", (3, 1))
    assert [part.seq for part in one.parts] == [1, 2, 3]
    part = one.parts[0]
    assert part.message is one
    assert (part.state, part.connector_id, part.external_id) == (S.SUBMITTED, 7, "F00")
    assert (part.attempts, part.submitted_at, part.responded_at) == (1, NOW, NOW)
    assert (one.state, one.final_at, one.price_micros) == (S.QUEUED, 0, 90)
    assert (two.state, two.err, two.charged_micros, two.final_at) == (S.DELIVERED, 6, 30, NOW + 5)
    assert two.detail == {"imsi": "250"}
    assert [(each.id, each.parts == []) for each in brief] == [(one.id, False), (two.id, True)]
    assert [part.id for part in brief[0].parts] == [part.id for part in one.parts]


async def test_the_newest_of_a_pair_answers(books: Books) -> None:
    alex, boris = await books.account("alex"), await books.account("boris")
    sent = {}
    for account, ref, to in (
        (alex, "5", "79990000001"),
        (alex, "5", "79990000002"),
        (alex, "5", "79990000001"),
        (alex, "abc-1", "79990000001"),
        (boris, "6", "79990000001"),
    ):
        entry = await books.journal.write(books.submission(account, (to,), client_ref=ref))
        sent[account, ref, to] = ids_of(entry)[0]
    pairs = [
        ("abc-1", "79990000001"),
        ("5", "79990000001"),
        ("6", "79990000001"),  # another account's
        ("5", "79990000002"),
        ("5", "79990000003"),
        ("5", "79990000001"),
    ]
    async with books.database.read() as connection:
        found = await find_messages(connection, alex, pairs)
        assert {pair: message.id for pair, message in found.items()} == {
            pair: sent[alex, *pair] for pair in pairs if (alex, *pair) in sent
        }
        assert await find_messages(connection, boris, [("5", "79990000001")]) == {}
        assert await find_messages(connection, boris, []) == {}
        newest_first = await messages_of(connection, alex, "5")
        assert ids(newest_first) == sorted(ids(newest_first), reverse=True)
        assert len(newest_first) == 3


async def test_a_hidden_message_does_not_uncover_an_older_one(books: Books) -> None:
    account = await books.account("alex")
    for _ in range(2):
        entry = await books.journal.write(books.submission(account))
    pair = ("1", "79990000001")
    hidden = Entry({HIDE_MESSAGES: [(ids_of(entry)[0], 1)]}, now_ms=NOW)
    await books.journal.write(hidden)
    async with books.database.read() as connection:
        assert await find_messages(connection, account, [pair]) == {}
        assert len(await messages_of(connection, account, "1")) == 2


async def test_parts_are_found_by_the_operators_ids(books: Books) -> None:
    account = await books.account("alex")
    [message] = ids_of(await books.journal.write(books.submission(account, parts=2)))
    await books.journal.write(claims(claim(message), claim(message, seq=2)))
    await books.journal.write(answers(answer(message, "0012"), answer(message, "12", seq=2)))
    async with books.database.read() as connection:
        found = await find_by_external(connection, 1, ["12", "0012", "12", "x'; --"])
        assert {key: part.seq for key, part in found.items()} == {"0012": 1, "12": 2}
        assert len(found["12"].message.parts) == 2
        assert await find_by_external(connection, 2, ["12"]) == {}
        assert await find_by_external(connection, 1, []) == {}
    ended = Entry({FINISH_PARTS: [(part_id(message, 1), 10, 0, NOW)]}, now_ms=NOW)
    await books.journal.write(ended)
    async with books.database.read() as connection:
        assert list(await find_by_external(connection, 1, ["12", "0012"])) == ["12"]


async def test_what_waits_is_read_in_pages(books: Books) -> None:
    alex, boris = await books.account("alex"), await books.account("boris")
    sent = []
    for number in range(30):
        entry = books.submission(
            alex if number % 3 else boris, parts=2, connector_id=1 if number % 5 else 2
        )
        sent.append(await books.journal.write(entry))
    all_ids = [ids_of(entry)[0] for entry in sent]
    await books.journal.write(claims(claim(all_ids[1]), claim(all_ids[2])))
    await books.journal.write(answers(answer(all_ids[1], "x")))
    await books.journal.write(finals(final(all_ids[4])))
    mine = [m for n, m in enumerate(all_ids) if n % 3 and n % 5 and n != 4]
    expected = [part_id(m, seq) for m in mine for seq in (1, 2) if (m, seq) != (all_ids[1], 1)]
    found: list[int] = []
    async with books.database.read() as connection:
        assert await waiting_connectors(connection) == [1, 2]
        first_parts = dict(await waiting_accounts(connection, 1))
        assert first_parts == {alex: expected[0], boris: part_id(all_ids[3], 1)}
        after = 0
        while True:
            page = await waiting_messages(
                connection, connector_id=1, account_id=alex, after_part_id=after, limit=7
            )
            found += [part.id for part in page]
            for part in page:
                assert part.message.parts[part.seq - 1] is part
                assert len(part.message.parts) == 2
            if len(page) < 7:
                break
            after = page[-1].id
        everybody = await waiting_messages(connection, connector_id=1, limit=1000)
    assert found == expected
    states = {part.id: part.state for part in everybody}
    assert states[part_id(all_ids[2], 1)] is S.SUBMITTING
    assert len(everybody) == 2 * 24 - 2 - 1


async def test_scheduled_and_expired(books: Books) -> None:
    account = await books.account("alex")
    later = [
        ids_of(
            await books.journal.write(
                books.submission(account, state=S.SCHEDULED, due_at=NOW + at, expires_at=NOW + 9999)
            )
        )[0]
        for at in (300, 100, 200, 100)
    ]
    short = [
        ids_of(await books.journal.write(books.submission(account, expires_at=NOW + at)))[0]
        for at in (50, 10, 50, 50, 70)
    ]
    await books.journal.write(finals(final(short[2])))
    async with books.database.read() as connection:
        due = await due_scheduled(connection, NOW + 200, 10)
        assert ids(due) == [later[1], later[3], later[2]]
        assert due[0].parts == []
        assert ids(await due_scheduled(connection, NOW + 200, 1)) == [later[1]]
        assert await due_scheduled(connection, NOW, 10) == []
        seen: list[int] = []
        cursor = (0, 0)
        while page := await expired_between(connection, cursor, NOW + 60, 2):
            seen += ids(page)
            cursor = (page[-1].expires_at, page[-1].id)
        assert seen == [short[1], short[0], short[3]]
        assert ids(await expired_between(connection, (NOW + 60, 0), NOW + 70, 9)) == [short[4]]


async def test_recent_messages_of_a_connector(books: Books) -> None:
    account = await books.account("alex")
    sent = [
        ids_of(await books.journal.write(books.submission(account, (f"7999000000{n % 2}",))))[0]
        for n in range(6)
    ]
    await books.journal.write(
        claims(*(claim(m, connector_id=1 + n // 4) for n, m in enumerate(sent[:5])))
    )
    async with books.database.read() as connection:
        both = await recent_messages(connection, connector_ids=[1, 2])
        assert ids(both) == sent[4::-1]
        odd = await recent_messages(connection, connector_ids=[1], recipient="79990000001", limit=1)
        assert ids(odd) == [sent[3]]
        assert ids(await recent_messages(connection, connector_ids=[1], after_id=sent[2])) == [
            sent[3]
        ]
        assert await recent_messages(connection, connector_ids=[]) == []


async def test_a_timeline_has_every_row(books: Books) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=2, parts=2)))
    await books.journal.write(claims(claim(message), claim(message, seq=2)))
    await books.journal.write(answers(answer(message, "A1")))
    entry = Entry(
        {
            INSERT_EVENTS: [
                (3, message, 1, NOW, "deferred", "b"),
                (2, message, 0, NOW, "note", "a"),
            ],
            INSERT_UNMATCHED: [(4, 1, "A1", 10, 0, NOW), (5, 1, "A2", 10, 0, NOW)],
            INSERT_OUTBOX: [(6, account, message, "status", "{}", 0, 1, NOW, NOW, 0, "HTTP 500")],
        },
        now_ms=NOW,
    )
    await books.journal.write(entry)
    async with books.database.write() as connection:
        await connection.execute(
            text("INSERT INTO outbox_attempts VALUES (7, 6, :now, 'HTTP 500', 12)"), {"now": NOW}
        )
    async with books.database.read() as connection:
        found = await timeline.read_timeline(connection, message)
        assert await timeline.read_timeline(connection, 1) is None
    assert found is not None
    assert found.submission["text"] == "text"
    assert found.message["price_micros"] == 2
    assert [row["external_id"] for row in found.parts] == ["A1", ""]
    assert [row["detail"] for row in found.events] == ["a", "b"]
    assert [row["id"] for row in found.unmatched] == [4]
    assert [row["last_result"] for row in found.callbacks] == ["HTTP 500"]
    assert [row["elapsed_ms"] for row in found.attempts] == [12]


async def test_incoming_messages_are_read_newest_first(books: Books) -> None:
    alex, boris = await books.account("alex"), await books.account("boris")
    rows = [(n, (boris, alex)[n % 2], 1, "7999", "1234", f"text {n}", NOW) for n in range(1, 8)]
    await books.journal.write(Entry({INSERT_INCOMING: rows}, now_ms=NOW))
    async with books.database.read() as connection:
        found = await incoming.list_incoming(connection, alex, limit=3)
        assert [message.text for message in found] == ["text 7", "text 5", "text 3"]
        newer = await incoming.list_incoming(connection, alex, after_id=5)
        assert [message.id for message in newer] == [7]


async def test_one_id_for_all_messages_costs_no_seconds(books: Books) -> None:
    account = await books.account("alex")
    for start in range(0, 3_000, 500):
        entries = [books.submission(account, (f"7999{n:07d}",)) for n in range(start, start + 500)]
        await asyncio.gather(*map(books.journal.write, entries))
    pairs = [("1", f"7999{n:07d}") for n in range(0, 3_000, 30)]
    pairs += [("1", f"7998{n:07d}") for n in range(100)]  # there are none
    times = []
    async with books.database.read() as connection:
        for _ in range(3):
            started = time.perf_counter()
            found = await find_messages(connection, account, pairs)
            times.append(time.perf_counter() - started)
    assert min(times) < 5, "some 0.2 s on an idle machine"
    assert sorted(found) == sorted(pairs[:100])


PLANS: dict[str, Any] = {
    "ix_parts_waiting": lambda c: waiting_messages(c, connector_id=1, limit=5),
    "ix_parts_external": lambda c: find_by_external(c, 1, ["a"]),
    "ix_messages_scheduled": lambda c: due_scheduled(c, NOW, 5),
    "ix_messages_open": lambda c: expired_between(c, (0, 0), NOW, 5),
    "ix_submissions_client_ref": lambda c: find_messages(c, 1, [("1", "2")]),
    "ix_messages_submission": lambda c: find_messages(c, 1, [("1", "2")]),
}


@pytest.mark.parametrize("index", PLANS)
async def test_readers_use_their_index(books: Books, engine: str, index: str) -> None:
    if engine != "sqlite":
        pytest.skip("PostgreSQL chooses by statistics, and reads small tables whole")
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    async with books.database.read() as connection:
        watched = connection.sync_connection
        event.listen(watched, "before_cursor_execute", note)
        await PLANS[index](connection)
        event.remove(watched, "before_cursor_execute", note)
        plan = ""
        for statement, parameters in statements:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan += "\n".join(str(row[3]) for row in rows) + "\n"
    assert f"INDEX {index} " in plan, plan
    assert "SCAN messages" not in plan
    assert "SCAN parts" not in plan
    if index != "ix_parts_external":  # where as many rows are sorted as were asked for
        assert "USE TEMP B-TREE" not in plan


async def test_the_feeder_reads_fast(books: Books) -> None:
    """A million queued parts have to be on their way ten seconds after a restart."""
    account = await books.account("alex")
    recipients = [f"7999{n:07d}" for n in range(5_000)]
    await books.journal.write(books.submission(account, recipients, text="x" * 1000))
    async with books.database.read() as connection:
        await waiting_messages(connection, connector_id=1, account_id=account, limit=10)
        times = []
        for _ in range(3):
            started = time.perf_counter()
            page = await waiting_messages(
                connection, connector_id=1, account_id=account, limit=5_000
            )
            times.append(time.perf_counter() - started)
    assert len(page) == 5_000
    assert len({id(part.message.submission) for part in page}) == 1
    assert min(times) < 1.5, "some 50 ms on an idle machine"


async def test_unmatched_receipts_are_found(books: Books) -> None:
    rows = [
        (1, 1, "a1", int(S.DELIVERED), 0, NOW),
        (2, 2, "a1", int(S.EXPIRED), 6, NOW + 1),
        (3, 1, "161", int(S.UNDELIVERABLE), 12, NOW + 2),
    ]
    await books.journal.write(Entry({INSERT_UNMATCHED: rows}, now_ms=NOW))
    async with books.database.read() as connection:
        everything = await list_unmatched(connection, limit=9)
        assert [(each.id, each.state, each.err) for each in everything] == [
            (3, S.UNDELIVERABLE, 12),
            (2, S.EXPIRED, 6),
            (1, S.DELIVERED, 0),
        ]
        assert ids(await list_unmatched(connection, limit=2)) == [3, 2]
        assert ids(await list_unmatched(connection, connector_id=1, limit=9)) == [3, 1]
        either = await list_unmatched(connection, external_ids=["a1", "161"], limit=9)
        assert ids(either) == [3, 2, 1]
        both = await list_unmatched(connection, connector_id=2, external_ids=["161"], limit=9)
        assert both == []
