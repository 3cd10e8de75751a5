"""Files of documents, acts of months and expected calls, on both engines: also two at once."""

from __future__ import annotations

import asyncio

from sqlalchemy import insert
from tests.contract.rows import NOW, Books

from heliograph.domain.documents import Content, DocumentKind, Line, Party
from heliograph.storage.calls import end_calls, expect_call, find_calls
from heliograph.storage.database import Database
from heliograph.storage.documents import (
    Document,
    accounts_without_act,
    insert_document,
    keep_file,
    standing_currencies,
)
from heliograph.storage.schema import totals

PERIOD = 2026 * 12 + 10


async def issue(
    database: Database, issuer: int, holder: int, *, currency: str = "RUR", corrects_id: int = 0
) -> Document:
    content = Content(
        language="ru",
        day="01.12.2026",
        currency=currency,
        seller=Party(name="a"),
        buyer=Party(name="b"),
        lines=(Line(name="c", count=1, sum_micros=1_000_000),),
    )
    async with database.write() as connection:
        return await insert_document(
            connection,
            DocumentKind.ACT,
            content,
            issuer_id=issuer,
            account_id=holder,
            now_ms=NOW,
            period=PERIOD,
            corrects_id=corrects_id,
        )


async def test_the_first_file_of_a_document_is_kept(books: Books) -> None:
    document = await issue(books.database, await books.account("shop"), 99)

    async def keep(content: bytes) -> bytes:
        async with books.database.write() as connection:
            return await keep_file(connection, document.id, content)

    # Two people ask for it for the first time, at once: both get the same one.
    kept = await asyncio.gather(*(keep(b"%d" % n) for n in range(6)))
    assert len(set(kept)) == 1
    assert await keep(b"later") == kept[0]


async def test_acts_that_stand(books: Books) -> None:
    shop = await books.account("shop")
    child = await books.account("child", parent_id=shop)
    database = books.database
    async with database.write() as connection:
        for currency in ("RUR", "USD"):
            counts = dict.fromkeys(("messages", "parts", "delivered"), 1)
            nothing = dict.fromkeys(("failed", "refused", "deleted", "open_micros"), 0)
            row = {"account_id": child, "day": 100, "payer_id": child, "type": 0}
            row |= {"mccmnc": "25001", "currency": currency, "charged_micros": 5}
            await connection.execute(insert(totals).values(row | counts | nothing))

    async def due() -> list[tuple[int, int]]:
        async with database.read() as connection:
            return await accounts_without_act(connection, PERIOD, (99, 101))

    async def standing() -> set[str]:
        async with database.read() as connection:
            return await standing_currencies(connection, child, PERIOD)

    assert (await standing(), await due()) == (set(), [(child, shop)])
    first = await issue(database, shop, child)
    assert (await standing(), await due()) == ({"RUR"}, [(child, shop)])
    await issue(database, shop, child, currency="USD")
    assert (await standing(), await due()) == ({"RUR", "USD"}, [])
    # One of two that is taken back is made anew, and the other is not.
    await issue(database, shop, child, corrects_id=first.id)
    assert (await standing(), await due()) == ({"USD"}, [(child, shop)])


async def test_a_call_is_expected_twice_at_once(database: Database) -> None:
    async def expect(n: int) -> None:
        async with database.write() as connection:
            await expect_call(
                connection, 1, "79161234567", number="4444", expires_at=NOW + 1_000 + n
            )

    await asyncio.gather(*map(expect, range(6)))
    async with database.write() as connection:
        assert await find_calls(connection, "79161234567", "5555", NOW) == []
        assert await find_calls(connection, "79161234567", "4444", NOW + 9_000) == []
        found = await find_calls(connection, "79161234567", "4444", NOW)
        assert await find_calls(connection, "79161234567", "", NOW) == found
        assert [account_id for account_id, _ in found] == [1]
        await end_calls(connection, "79161234567", [(1, found[0][1] - 100)])  # of another time
        assert await find_calls(connection, "79161234567", "4444", NOW) == found
        await end_calls(connection, "79161234567", found)
        assert await find_calls(connection, "79161234567", "4444", NOW) == []
