"""Who is in a group and who is in none, on both engines: true after every change."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from sqlalchemy import select
from tests.contract.rows import NOW

from heliograph.domain.accounts import Account
from heliograph.domain.contacts import ContactFilter, ContactKind
from heliograph.domain.refusals import Refusal
from heliograph.services.contacts import Contacts
from heliograph.storage import accounts, contact_groups
from heliograph.storage.contact_groups import rest_id
from heliograph.storage.database import Database
from heliograph.storage.schema_books import contact_members, contacts

PHONE = ContactKind.PHONE


class Book:
    """An account with its contacts."""

    def __init__(self, database: Database, account: Account) -> None:
        self.database = database
        self.account = account
        self.contacts = Contacts(database)

    async def groups(self) -> list[int]:
        return [group.id for group in await self.contacts.groups(self.account, PHONE)]

    async def add(self, *phones: str, groups: list[int] | None = None) -> None:
        rows = [(phone, {"last_name": "Li"}) for phone in phones]
        assert isinstance(await self.contacts.add(self.account, PHONE, rows, group_ids=groups), int)

    async def phones(self, **wanted: object) -> list[str]:
        page = await self.contacts.page(self.account, PHONE, ContactFilter(**wanted))  # type: ignore[arg-type]
        return [contact.address for contact in page]

    async def check(self) -> None:
        """Every list of a group, or of none, holds whom the contacts themselves say."""
        everyone = await self.contacts.page(self.account, PHONE, ContactFilter())
        alone = [each.address for each in everyone if not each.groups]
        assert await self.phones(group_id=0) == alone
        assert await self.phones(group_id=0, search="l") == alone
        assert await self.phones(group_id=0, full_name="li") == alone
        sizes = Counter(id for each in everyone for id in each.groups)
        for group in await self.contacts.groups(self.account, PHONE):
            assert group.size == sizes[group.id]
            inside = [each.address for each in everyone if group.id in each.groups]
            assert await self.phones(group_id=group.id) == inside
            assert await self.phones(group_id=group.id, search="l") == inside
            assert await self.phones(group_id=group.id, full_name="li") == inside
        rest = rest_id(self.account.id, PHONE)
        stored = {(id, each.id) for each in everyone for id in each.groups or (rest,)}
        async with self.database.read() as connection:
            rows = await connection.execute(
                select(contact_members.c.group_id, contact_members.c.contact_id)
            )
            assert {(row[0], row[1]) for row in rows.all()} == stored


@pytest.fixture
async def book(database: Database) -> Book:
    async with database.write() as connection:
        await accounts.create_account(connection, "mine", now_ms=NOW)
    async with database.read() as connection:
        return Book(database, await accounts.find_account(connection, "mine"))


async def _change(book: Book, chance: random.Random, phones: list[str]) -> None:
    """Any change that the address book knows."""
    mine = (book.account, PHONE)
    phone = chance.choice(phones)
    groups = await book.groups()
    some = sorted(chance.sample(groups, min(len(groups), chance.randrange(3))))
    match chance.randrange(10):
        case 0 | 1:
            await book.add(phone, chance.choice(phones), groups=some)
        case 2 | 3:
            await book.add(*chance.sample(phones, 3))
        case 4:
            await book.contacts.change(*mine, phone, fields={"name": "x"}, group_ids=some)
        case 5:
            fresh = chance.sample(phones, 2)
            await book.contacts.change(*mine, phone, fields={}, new_addresses=fresh)
        case 6:
            await book.contacts.delete(*mine, phone)
        case 7 if len(groups) > 3:
            await book.contacts.delete_group(*mine, chance.choice(groups))
        case 7:
            await book.contacts.add_group(*mine, name="New", number="")
        case _:
            way, group_id = chance.randrange(1, 4), chance.choice([*groups, 0])
            await book.contacts.move(*mine, phone, group_id=group_id, way=way)


@pytest.mark.parametrize(("seed", "few", "fresh"), [(1, 3000, 3), (2, 0, 1)])
async def test_lists_stay_true_whatever_is_changed(
    book: Book, seed: int, few: int, fresh: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of groups, and searches in them: along the members, and by the index of contacts."""
    monkeypatch.setattr("heliograph.services.contacts._SWEEP", 2)
    monkeypatch.setattr("heliograph.storage.contact_pages._FEW", few)
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", fresh)
    chance = random.Random(seed)
    phones = [f"7916000000{at}" for at in range(9)]
    for _ in range(40):
        await _change(book, chance, phones)
        await book.check()


async def test_changes_at_the_same_time_lose_nobody(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact that leaves two groups at once is in none; one that joins one while it leaves
    another is in it; one that joins a group that is deleted is in none. All of them settle."""
    monkeypatch.setattr("heliograph.services.contacts._SWEEP", 2)
    monkeypatch.setattr("heliograph.storage.contact_pages._FEW", 0)
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", 2)
    one, two = await book.groups()
    phones = [f"7916000000{at}" for at in range(6)]
    mine = (book.account, PHONE)
    move = book.contacts.move
    for _ in range(5):
        await book.add(*phones, groups=[one, two])
        leave = [move(*mine, each, group_id=g, way=3) for each in phones for g in (one, two)]
        await asyncio.gather(*leave)
        assert await book.phones(group_id=0) == phones
        await book.add(*phones, groups=[one])
        join = [move(*mine, each, group_id=two, way=2) for each in phones]
        leave = [move(*mine, each, group_id=one, way=3) for each in phones]
        await asyncio.gather(*leave, *join)
        assert await book.phones(group_id=two) == phones
        await book.check()
        gone = await book.contacts.add_group(*mine, name="Gone", number="")
        assert isinstance(gone, int)
        await book.add(*phones[:4], groups=[gone])
        join = [move(*mine, each, group_id=gone, way=1) for each in phones]
        done = await asyncio.gather(*join, book.contacts.delete_group(*mine, gone))
        assert done[-1] is None
        assert set(done[:-1]) <= {None, Refusal.NOT_FOUND}
        await book.check()


async def test_contacts_of_other_accounts_and_kinds_are_in_no_list(book: Book) -> None:
    async with book.database.write() as connection:
        await accounts.create_account(connection, "other", now_ms=NOW)
    async with book.database.read() as connection:
        other = await accounts.find_account(connection, "other")
    await book.add("79160000001")
    await book.contacts.add(book.account, ContactKind.MAIL, [("foo@example.com", {})])
    await book.contacts.add(other, PHONE, [("79160000002", {})])
    await book.contacts.add(other, ContactKind.MAIL, [("bar@example.com", {})])
    found = {}
    for account in (book.account, other):
        for kind in ContactKind:
            page = await book.contacts.page(account, kind, ContactFilter(group_id=0))
            found[account.id, kind] = [each.address for each in page]
    assert found == {
        (book.account.id, PHONE): ["79160000001"],
        (book.account.id, ContactKind.MAIL): ["foo@example.com"],
        (other.id, PHONE): ["79160000002"],
        (other.id, ContactKind.MAIL): ["bar@example.com"],
    }
    rows = select(contacts.c.id)
    async with book.database.read() as connection:
        assert len((await connection.execute(rows)).all()) == 4


async def test_names_and_groups_together(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the two is smaller, and when both are large."""
    one, _ = await book.groups()
    phones = [f"7916000000{at}" for at in range(8)]
    await book.add(*phones[:6], groups=[one])
    await book.add(*phones[6:], groups=[])
    await book.contacts.add(book.account, PHONE, [(phones[1], {"last_name": "Ra"})])
    for few in (50_000, 1, 3):
        monkeypatch.setattr("heliograph.storage.contact_pages._FEW", few)
        assert await book.phones(full_name="li", group_id=one, limit=3) == [
            phones[0],
            phones[2],
            phones[3],
        ]
        assert await book.phones(full_name="ra", group_id=one) == [phones[1]]
        assert await book.phones(full_name="ra", group_id=0) == []
        assert await book.phones(full_name="li", group_id=0) == phones[6:]
        assert await book.phones(address=phones[1], group_id=one, full_name="r") == [phones[1]]
        assert await book.phones(address=phones[1], group_id=one, search="li") == []
        assert await book.phones(address=phones[1], group_id=0) == []


async def test_a_deletion_that_was_cut_off_is_finished(book: Book) -> None:
    mine = (book.account, PHONE)
    gone, stays = [await book.contacts.add_group(*mine, name=n, number="") for n in ("a", "b")]
    assert isinstance(gone, int)
    assert isinstance(stays, int)
    await book.add("79161234501", "79161234502", groups=[gone])
    await book.add("79161234503", groups=[gone, stays])
    async with book.database.write() as connection:  # and then the program was killed
        await contact_groups.delete_group(connection, book.account.id, PHONE, group_id=gone)
    await book.contacts.finish_deletions(asyncio.Event())
    assert await book.phones(group_id=0) == ["79161234501", "79161234502"]
    await book.check()
