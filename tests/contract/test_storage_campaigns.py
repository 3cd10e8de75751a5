"""Mailing lists in storage, on both engines."""

from __future__ import annotations

from typing import Any

from tests.contract.rows import NOW, Books, answer, answers, claim, claims, final, finals, ids_of

from heliograph.domain.campaigns import (
    Campaign,
    CampaignState,
    Chunk,
    ChunkKind,
    Repetition,
    Source,
    SourceKind,
)
from heliograph.domain.messages import MessageState, MessageType
from heliograph.storage import campaigns as rows
from heliograph.storage.journal import Entry
from heliograph.storage.statements import INSERT_SUBMISSIONS

S = MessageState
PEOPLE = tuple(f"7999000000{n}" for n in range(4))


def campaign(account_id: int, id: int = 1_000_001, **fields: Any) -> Campaign:
    given: dict[str, Any] = {
        **{"name": "Список", "client_ref": str(id), "type": MessageType.VIBER, "sender": "Shop"},
        **{"text": "hej", "order": {"sender": None, "options": {"a": [1]}}, "created_at": NOW},
        **{"repetition": Repetition.WEEKLY, "max_runs": 3, "recipient_count": 4, "run": 1},
    }
    return Campaign(id=id, account_id=account_id, **given | fields)


async def put(books: Books, made: Campaign) -> None:
    await books.journal.write(Entry({rows.INSERT_CAMPAIGNS: [rows.campaign_row(made)]}, now_ms=NOW))


async def put_chunk(books: Books, entry: Entry, campaign_id: int, **fields: Any) -> Chunk:
    submission_id = entry.rows[INSERT_SUBMISSIONS][0][0]
    chunk = Chunk(submission_id=submission_id, campaign_id=campaign_id, run=1, **fields)
    entry.rows[rows.INSERT_CHUNKS] = [rows.chunk_row(chunk)]
    await books.journal.write(entry)
    return chunk


def state_row(id: int, state: CampaignState) -> tuple[object, ...]:
    return (id, int(state), 2, NOW, NOW + 1, 7, "place", 70)


async def state_of(books: Books, id: int = 1_000_001) -> CampaignState:
    async with books.database.read() as connection:
        return (await rows.load_campaigns(connection, [id]))[0].state


async def test_files_are_read_by_themselves(books: Books) -> None:
    made = campaign(await books.account("alex"))
    files = [["a.txt", "text/plain", "Y29udGVudA=="]]
    made.order["options"]["files"] = files
    await put(books, made)
    async with books.database.read() as connection:
        (found,) = await rows.load_active(connection)
        assert found.order == {**made.order, "options": {"a": [1]}, "has_files": True}
        assert await rows.read_files(connection, made.id) == files
        assert await rows.read_files(connection, 5) == []
        (view,) = await rows.list_views(connection, now_ms=NOW)
        assert (view.campaign.name, view.campaign.order) == (made.name, {})


async def test_a_campaign_comes_back_as_it_was_written(books: Books) -> None:
    account = await books.account("alex")
    made = campaign(account)
    await put(books, made)
    async with books.database.read() as connection:
        assert await rows.load_campaigns(connection, [made.id, 5]) == [made]
        assert await rows.load_active(connection) == [made]
        assert await rows.active_states(connection) == {made.id: CampaignState.LOADING}


async def test_progress(books: Books) -> None:
    made = campaign(await books.account("alex"))
    await put(books, made)
    step = Entry({rows.ADVANCE_CAMPAIGNS: [(made.id, 1, "17", 1000)]}, now_ms=NOW)
    await books.journal.write(step)
    row = state_row(made.id, CampaignState.WAITING)
    async with books.database.read() as connection:
        (found,) = await rows.load_campaigns(connection, [made.id])
        assert (found.seq, found.place, found.position) == (1, "17", 1000)
    await books.journal.write(Entry({rows.UPDATE_CAMPAIGNS: [row]}, now_ms=NOW))
    async with books.database.read() as connection:
        (found,) = await rows.load_campaigns(connection, [made.id])
        assert found.state is CampaignState.WAITING
        assert (found.run, found.next_run_at, found.place) == (2, NOW + 1, "place")


async def test_a_stop_is_not_taken_back(books: Books) -> None:
    made = campaign(await books.account("alex"))
    await put(books, made)
    async with books.database.write() as connection:
        assert await rows.order_stop(connection, made.id)
        assert not await rows.order_stop(connection, made.id)
        assert not await rows.order_stop(connection, 5)
    for state, reached in (
        (CampaignState.SENDING, CampaignState.STOPPING),
        (CampaignState.DONE, CampaignState.STOPPING),
        (CampaignState.CANCELLED, CampaignState.CANCELLED),
        (CampaignState.LOADING, CampaignState.CANCELLED),
    ):
        row = state_row(made.id, state)
        await books.journal.write(Entry({rows.UPDATE_CAMPAIGNS: [row]}, now_ms=NOW))
        assert await state_of(books) is reached
    async with books.database.read() as connection:
        assert await rows.load_active(connection) == []


async def test_sources(books: Books) -> None:
    made = campaign(await books.account("alex"))
    await put(books, made)
    sources = [
        Source(kind=SourceKind.RECIPIENTS, count=2, content="1\n2"),
        Source(kind=SourceKind.GROUP, count=9, content="5"),
        Source(kind=SourceKind.ENTRIES, count=1, content='[[["1"],"ж",null,null]]'),
    ]
    given = [rows.source_row(made.id, seq, source) for seq, source in enumerate(sources)]
    orphan = rows.source_row(7, 0, sources[0])
    await books.journal.write(Entry({rows.INSERT_SOURCES: [*given, orphan]}, now_ms=NOW))
    async with books.database.write() as connection:
        found = [await rows.read_source(connection, made.id, seq) for seq in range(4)]
        assert found == [*sources, None]
        assert await rows.may_repeat(connection, made.id)
        assert not await rows.may_repeat(connection, 7)  # no group
        assert not await rows.may_repeat(connection, 5)  # nothing
        assert await rows.remove_orphans(connection) == [7]
        assert await rows.remove_sources(connection, 7, 50) == 1
        assert await rows.remove_sources(connection, made.id, 2) == 2
        assert await rows.read_source(connection, made.id, 1) is None
        assert await rows.read_source(connection, made.id, 2) == sources[2]
        assert await rows.remove_sources(connection, made.id, 2) == 1


async def test_chunks_and_what_their_owners_see(books: Books) -> None:
    account = await books.account("alex", 1000)
    other = await books.account("other")
    await put(books, campaign(account))
    await put(books, campaign(other, 1_000_002, run=0, created_at=NOW + 10))
    entry = books.submission(account, PEOPLE, price=10)
    first = await put_chunk(books, entry, 1_000_001, message_count=4, cost_micros=40)
    again = books.submission(account, PEOPLE[:1], price=5)
    second = await put_chunk(
        books, again, 1_000_001, message_count=1, cost_micros=5, kind=ChunkKind.SECOND_CHANNEL
    )
    first.delivered, first.failed, first.ended, first.is_closed = 3, 1, 4, True
    await books.journal.write(Entry({rows.UPDATE_CHUNKS: [rows.chunk_update(first)]}, now_ms=NOW))
    async with books.database.read() as connection:
        assert await rows.open_chunks(connection, 1_000_001) == [second]
        one, two = await rows.list_views(connection, now_ms=NOW)
        assert (one.message_count, one.cost_micros, one.ended) == (4, 45, 4)
        assert (one.delivered, one.failed) == (3, 0)  # the failed one has got another message
        assert (two.message_count, two.cost_micros) == (4, 0)
        listed = rows.list_views
        assert await listed(connection, now_ms=NOW, account_id=other) == [two]
        assert await listed(connection, now_ms=NOW, id=one.campaign.id, account_id=other) == []
        assert await listed(connection, now_ms=NOW, since_ms=NOW + 1) == [two]
        assert await listed(connection, now_ms=NOW, until_ms=NOW + 1) == [one]
        assert await listed(connection, now_ms=NOW, limit=1) == [two]
        assert await listed(connection, now_ms=NOW, is_active=True) == [one, two]
    await books.journal.write(Entry({rows.DELETE_CAMPAIGNS: [(1_000_002, 1)]}, now_ms=NOW))
    async with books.database.read() as connection:
        assert await listed(connection, now_ms=NOW) == [one]
        assert len(await listed(connection, now_ms=NOW, with_deleted=True)) == 2


async def test_messages_of_a_chunk(books: Books) -> None:
    """One on the wire, one delivered, one failed, one that waits: who is counted, stopped, asked
    again."""
    account = await books.account("alex", 1000)
    entry = books.submission(account, PEOPLE, price=10)
    chunk = await put_chunk(books, entry, 1_000_001, message_count=4, cost_micros=40)
    wire, good, bad, waiting = ids_of(entry)
    await books.journal.write(claims(claim(wire), claim(good), claim(bad)))
    await books.journal.write(answers(answer(good, "A"), answer(bad, "B")))
    end = finals(final(good, 10), final(bad, state=S.UNDELIVERABLE))
    await books.journal.write(end)
    async with books.database.read() as connection:
        assert await rows.tally(connection, chunk.submission_id) == (30, 2, 1, 1)
        recipients = rows.stream_recipients(connection, 1_000_001, 1)
        assert sorted([each async for each in recipients]) == [f"+{each}" for each in PEOPLE]
        assert [each async for each in rows.stream_recipients(connection, 1_000_001, 2)] == []
        assert await rows.open_messages(connection, chunk.submission_id, 10) == [waiting]
        asked = await rows.unreached(connection, chunk.submission_id, [S.UNDELIVERABLE], 10)
        assert [each[:2] for each in asked] == [(bad, PEOPLE[2])]
    await books.journal.write(Entry({rows.INSERT_REPEATS: [(bad, 1_000_001)]}, now_ms=NOW))
    async with books.database.read() as connection:
        assert await rows.unreached(connection, chunk.submission_id, [S.UNDELIVERABLE], 10) == []
        assert await rows.tally(connection, 5) == (0, 0, 0, 0)


async def test_held_messages(books: Books) -> None:
    account = await books.account("alex", 1000)
    entry = books.submission(account, PEOPLE[:2], state=S.HELD, due_at=NOW + 5)
    chunk = await put_chunk(books, entry, 1_000_001, message_count=2, held_until=1)
    async with books.database.read() as connection:
        assert await rows.due_held(connection, chunk.submission_id, NOW + 4, 10) == []
        assert await rows.due_held(connection, chunk.submission_id, NOW + 5, 10) == ids_of(entry)
        assert await rows.next_held(connection, chunk.submission_id, NOW) == NOW + 5
        assert await rows.next_held(connection, chunk.submission_id, NOW + 5) == 0
