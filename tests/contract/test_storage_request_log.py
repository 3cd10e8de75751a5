"""The request log and the settings of accounts, on both engines."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.rows import Books

from heliograph.services.ids import Ids
from heliograph.services.request_log import RequestLog
from heliograph.storage.accounts import (
    NoSuchAccount,
    change_settings,
    create_account,
    find_account,
    update_account,
)
from heliograph.storage.database import Database
from heliograph.storage.request_log import LoggedRequest, list_requests, purge_requests

DAY_MS = 86_400_000


async def list_all(database: Database, account_id: int) -> list[LoggedRequest]:
    async with database.read() as connection:
        return await list_requests(connection, account_id)


async def test_an_account_reads_its_own_requests_newest_first(
    database: Database, books: Books
) -> None:
    ids = Ids()
    await ids.open(books.journal)
    log = RequestLog(journal=books.journal, database=database, ids=ids, clock=lambda: 5, days=1)
    log.note(1, door="smtp", what="mail to send@", outcome="accepted")
    log.note(2, door="smtp", what="mail to send@", outcome="no money")
    log.note(1, door="sms", what="w" * 1000, outcome="refused")
    await books.journal.close()
    mine = await list_all(database, 1)
    assert [(r.door, r.outcome, r.at) for r in mine] == [
        ("sms", "refused", 5),
        ("smtp", "accepted", 5),
    ]
    assert len(mine[0].what) == 200
    assert [r.outcome for r in await list_all(database, 2)] == ["no money"]


async def test_strangers_who_know_a_login_do_not_fill_its_log(
    database: Database, books: Books
) -> None:
    ids = Ids()
    await ids.open(books.journal)
    log = RequestLog(journal=books.journal, database=database, ids=ids, clock=lambda: 5, days=1)
    for _ in range(100):
        log.note(1, door="smtp", what="mail", outcome="wrong password", is_trusted=False)
    await books.journal.close()
    assert len(await list_all(database, 1)) == 20


async def test_old_requests_are_forgotten(database: Database, books: Books) -> None:
    ids = Ids()
    await ids.open(books.journal)
    now_ms = 10 * DAY_MS
    log = RequestLog(
        journal=books.journal, database=database, ids=ids, clock=lambda: now_ms, days=3
    )
    log.note(1, door="smtp", what="mail", outcome="accepted")
    stop = asyncio.Event()
    await books.journal.close()
    now_ms += 3 * DAY_MS + 1
    running = asyncio.create_task(log.run(stop))
    while await list_all(database, 1):  # noqa: ASYNC110  another task empties it
        await asyncio.sleep(0.01)
    stop.set()
    await running
    async with database.write() as connection:
        assert await purge_requests(connection, now_ms) == 0


async def test_settings_are_changed_one_by_one(database: Database) -> None:
    async with database.write() as connection:
        account_id = await create_account(
            connection, "alex", now_ms=1, settings={"mph": "79161234567", "mfl[5]": "1"}
        )
        account = await find_account(connection, "alex")
        assert account.settings == {"mph": "79161234567", "mfl[5]": "1"}
        assert account.is_on("mfl[5]")
        assert not account.is_on("mfl[6]")
        await change_settings(
            connection, account_id, {"mfl[5]": "", "mlen": "70", "mfl[6]": "0", "ф": "Привет"}
        )
        account = await find_account(connection, account_id)
        assert account.settings == {
            "mph": "79161234567",
            "mlen": "70",
            "mfl[6]": "0",
            "ф": "Привет",
        }
        assert not account.is_on("mfl[6]")
        await update_account(connection, account_id, settings={})
        assert (await find_account(connection, "alex")).settings == {}
        with pytest.raises(NoSuchAccount):
            await change_settings(connection, 99, {"mph": "1"})
