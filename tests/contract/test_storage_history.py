"""History: newest first, by period and number, within one account, on both engines."""

from __future__ import annotations

from typing import Any

from tests.contract.rows import NOW, Books, ids_of

from heliograph.storage.history import Period, find_history, first_id_since
from heliograph.storage.incoming import IncomingQuery, read_incoming
from heliograph.storage.journal import Entry
from heliograph.storage.statements import HIDE_MESSAGES, INSERT_INCOMING

HOUR = 3_600_000
DAY = 24 * HOUR
ALL = Period(0, NOW + 400 * DAY)


async def send(books: Books, account: int, recipient: str, at: int, **fields: Any) -> int:
    entry = books.submission(account, [recipient], created_at=at, **fields)
    await books.journal.write(entry)
    return ids_of(entry)[0]


async def test_pages_of_a_period(books: Books) -> None:
    shop, other = await books.account("shop"), await books.account("other")
    mine = [await send(books, shop, f"7916000{n:04}", NOW + n * HOUR) for n in range(60)]
    await send(books, other, "79160000001", NOW)
    async with books.database.read() as connection:
        found = await find_history(connection, shop, ALL, limit=25)
        assert found == mine[:-26:-1]
        following = await find_history(connection, shop, ALL, before_id=found[-1], limit=100)
        assert found + following == mine[::-1]
        day = Period(NOW + DAY, NOW + 2 * DAY)
        assert await find_history(connection, shop, day, limit=100) == mine[24:48][::-1]
        assert await find_history(connection, 999, ALL, limit=100) == []
        nothing = Period(NOW - 9 * DAY, NOW - 8 * DAY)
        assert await find_history(connection, shop, nothing, limit=100) == []
        later = Period(NOW + 300 * DAY, NOW + 301 * DAY)
        assert await find_history(connection, shop, later, limit=100) == []


async def test_numbers_mails_and_hidden_ones(books: Books) -> None:
    shop, other = await books.account("shop"), await books.account("other")
    first = await send(books, shop, "79161111111", NOW)
    second = await send(books, shop, "79162222222", NOW + 1)
    again = await send(books, shop, "79161111111", NOW + 2)
    mail = await send(books, shop, "ann@example.com", NOW + 3)
    nick = await send(books, shop, "@ann", NOW + 4)
    hidden = await send(books, shop, "79161111111", NOW + 5)
    await send(books, other, "79161111111", NOW + 6)
    await books.journal.write(Entry({HIDE_MESSAGES: [(hidden, 1)]}, now_ms=NOW))
    async with books.database.read() as connection:
        assert await find_history(connection, shop, ALL, limit=9) == [nick, again, second, first]
        assert await find_history(connection, shop, ALL, mails=True, limit=9) == [mail]
        one = await find_history(connection, shop, ALL, recipients=["79161111111"], limit=9)
        assert one == [again, first]
        both = ["79161111111", "79162222222", "79163333333"]
        found = await find_history(connection, shop, ALL, recipients=both, limit=2)
        assert found == [again, second]
        mails = await find_history(
            connection, shop, ALL, recipients=["ann@example.com"], mails=True, limit=9
        )
        assert mails == [mail]


async def test_the_first_id_of_a_moment(books: Books) -> None:
    shop = await books.account("shop")
    async with books.database.read() as connection:
        assert await first_id_since(connection, NOW) == 1
    ids = [await send(books, shop, "79161111111", NOW + n * HOUR) for n in range(20)]
    async with books.database.read() as connection:
        for n, id in enumerate(ids):
            before = ids[n - 1] if n else 0
            assert before < await first_id_since(connection, NOW + n * HOUR) <= id
        assert await first_id_since(connection, NOW + 99 * HOUR) > ids[-1]


async def test_incoming_messages(books: Books) -> None:
    shop, other = await books.account("shop"), await books.account("other")
    rows = [
        (100 + n, shop if n % 5 else other, 1, "79161111111", f"44{n % 2}", f"text {n}", NOW + n)
        for n in range(20)
    ]
    await books.journal.write(Entry({INSERT_INCOMING: rows}, now_ms=NOW))

    async def ids(**query: Any) -> list[int]:
        async with books.database.read() as connection:
            found = await read_incoming(connection, shop, IncomingQuery(**query))
        assert all(message.account_id == shop for message in found)
        return [message.id - 100 for message in found]

    assert await ids() == [n for n in range(20) if n % 5]
    assert await ids(limit=3) == [17, 18, 19]
    assert await ids(after_id=107, limit=3) == [108 - 100, 9, 11]
    assert await ids(since_ms=NOW + 16) == [16, 17, 18, 19]
    assert await ids(destination="441", since_ms=NOW + 16) == [17, 19]
    assert await ids(after_id=119) == []
