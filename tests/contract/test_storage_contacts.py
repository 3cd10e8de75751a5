"""Contacts, groups and black lists on both engines, through the services that write them."""

from __future__ import annotations

import asyncio
import gc
import random
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.contract.rows import NOW

from heliograph.domain.accounts import Account
from heliograph.domain.blacklists import BlackType
from heliograph.domain.contacts import ContactFilter, ContactKind
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, SendRequest
from heliograph.services.contacts import Contacts, Groups
from heliograph.services.registers import Registers
from heliograph.storage import accounts, contact_index, contacts
from heliograph.storage.database import Database
from heliograph.storage.schema_books import contact_fresh, contact_grams, contact_shelves

PHONE = ContactKind.PHONE


class Book:
    """Two accounts with their contacts, and the registers of another process."""

    def __init__(self, database: Database, mine: Account, other: Account) -> None:
        directory: Any = SimpleNamespace(on_change=lambda _: None)
        self.database = database
        self.mine, self.other = mine, other
        self.registers = Registers(database, directory, common_sender="")
        self.remote = Registers(database, directory, common_sender="")
        self.contacts = Contacts(database, self.registers)

    async def add(self, *phones: str, groups: list[int] | None = None, **fields: str) -> Any:
        rows = [(phone, fields) for phone in phones]
        return await self.contacts.add(self.mine, PHONE, rows, group_ids=groups)

    async def phones(self, account: Account | None = None, **wanted: Any) -> list[str]:
        page = await self.contacts.page(account or self.mine, PHONE, ContactFilter(**wanted))
        return [contact.address for contact in page]

    async def sizes(self) -> dict[int, int]:
        return {g.id: g.size for g in await self.contacts.groups(self.mine, PHONE)}


@pytest.fixture
async def book(database: Database) -> Book:
    async with database.write() as connection:
        for login in ("mine", "other"):
            await accounts.create_account(connection, login, now_ms=NOW)
    async with database.read() as connection:
        mine = await accounts.find_account(connection, "mine")
        other = await accounts.find_account(connection, "other")
    return Book(database, mine, other)


async def test_adding_again_gives_new_data_and_keeps_the_rest(book: Book) -> None:
    first = await book.add("8 (916) 123-45-67", name="One", tags="a, b")
    again = await book.add("+79161234567", name="Two")
    assert first == again
    (contact,) = await book.contacts.page(book.mine, PHONE, ContactFilter())
    assert (contact.name, contact.tags, contact.groups) == ("Two", "a, b", ())
    assert await book.add("nothing", "123") is Refusal.BAD_PARAMETERS
    last = await book.add("79160000001", "79160000002", "79160000001")
    found = await book.contacts.page(book.mine, PHONE, ContactFilter(address="79160000001"))
    assert [c.id for c in found] == [last]


async def test_groups_and_their_sizes(book: Book) -> None:
    one, two = [g.id for g in await book.contacts.groups(book.mine, PHONE)]
    await book.add("79160000001", "79160000002", groups=[one])
    await book.add("79160000002", "79160000003", groups=[one, two])
    assert await book.sizes() == {one: 3, two: 2}
    assert await book.phones(group_id=two) == ["79160000002", "79160000003"]
    move = book.contacts.move
    assert await move(book.mine, PHONE, "79160000003", group_id=two, way=1) is None
    assert await move(book.mine, PHONE, "79160000001", group_id=two, way=2) is None
    assert await move(book.mine, PHONE, "79160000002", group_id=two, way=3) is None
    assert await move(book.mine, PHONE, "79160000002", group_id=two, way=3) is None
    assert await book.sizes() == {one: 2, two: 2}
    assert await book.phones(group_id=0) == []
    assert await book.contacts.delete(book.mine, PHONE, "79160000001") is None
    assert await book.sizes() == {one: 1, two: 1}
    assert await book.contacts.delete_group(book.mine, PHONE, one) is None
    assert await book.phones(group_id=one) == []
    assert await book.phones(group_id=0) == ["79160000002"]
    made = await book.contacts.add_group(book.mine, PHONE, name="New", number="")
    assert isinstance(made, int)
    assert made not in (one, two)
    # What was deleted does not come back.
    assert one not in await book.sizes()


async def test_filters(book: Book) -> None:
    await book.add("79160000001", last_name="Петрова", first_name="Анна", comments="VIP 100%")
    await book.add("79160000002", last_name="Петров", other_numbers="79169999999")
    await book.add("79160000003", first_name="Петр", name="Shop_1")
    assert await book.phones(full_name="ПЕТРОВА  анна") == ["79160000001"]
    assert await book.phones(full_name="петров") == ["79160000001", "79160000002"]
    assert await book.phones(full_name="анна") == []
    assert await book.phones(search="0%") == ["79160000001"]
    assert await book.phones(search="SHOP_") == ["79160000003"]
    assert await book.phones(search="6999") == ["79160000002"]
    assert await book.phones(address="79169999999") == []
    assert await book.phones(full_name="петров", search="vip") == ["79160000001"]
    ids = [c.id for c in await book.contacts.page(book.mine, PHONE, ContactFilter())]
    assert await book.phones(after_id=ids[0], limit=1) == ["79160000002"]


async def test_a_name_that_many_have_is_found_along_the_page(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.storage.contact_pages._FEW", 3)
    phones = [f"7916000000{at}" for at in range(8)]
    await book.add(*phones[:6], last_name="Usual")
    await book.add(*phones[6:], last_name="Rare")
    assert await book.phones(full_name="usual", limit=5) == phones[:5]
    assert await book.phones(full_name="rare") == phones[6:]


async def test_a_name_that_was_another_text_before(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is searched of the contacts is the same, and who is found by a name is not."""
    monkeypatch.setattr("heliograph.storage.contact_pages._FEW", 0)
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", 0)
    await book.add("79160000001", "79160000002", name="Petrov")
    assert await book.phones(full_name="pet") == []
    await book.add("79160000001", name="", last_name="Petrov")
    fields = {"name": "", "last_name": "Petrov"}
    assert await book.contacts.change(book.mine, PHONE, "79160000002", fields=fields) is None
    assert await book.phones(full_name="pet", search="etr") == ["79160000001", "79160000002"]


async def test_a_change_of_address(book: Book) -> None:
    (group, _) = [g.id for g in await book.contacts.groups(book.mine, PHONE)]
    await book.add("79160000001", groups=[group], name="Kept")
    await book.add("79160000002")
    change = book.contacts.change
    refusal = await change(
        book.mine, PHONE, "79160000001", fields={}, new_addresses=["79160000002"]
    )
    assert refusal is Refusal.NOT_SAVED
    fresh = ["79160000003", "79160000004"]
    assert await change(book.mine, PHONE, "79160000001", fields={}, new_addresses=fresh) is None
    assert await book.phones(group_id=group) == fresh
    assert await book.phones(search="kept") == fresh
    assert await change(book.mine, PHONE, "79160000001", fields={}) is Refusal.NOT_FOUND
    assert await change(book.mine, PHONE, fresh[0], fields={"name": ""}, group_ids=[]) is None
    assert await book.phones(search="kept") == fresh[1:]
    assert await book.phones(group_id=group) == fresh[1:]


async def test_nobody_reaches_anothers_contacts(book: Book) -> None:
    (group, _) = [g.id for g in await book.contacts.groups(book.mine, PHONE)]
    await book.add("79160000001", groups=[group])
    contacts, other = book.contacts, book.other
    assert await book.phones(other) == []
    assert await book.phones(other, group_id=group) == []
    assert await contacts.delete(other, PHONE, "79160000001") is Refusal.NOT_FOUND
    assert await contacts.change(other, PHONE, "79160000001", fields={}) is Refusal.NOT_FOUND
    assert await contacts.delete_group(other, PHONE, group) is Refusal.NOT_FOUND
    assert await contacts.change_group(other, PHONE, group, {"name": "x"}) is Refusal.NOT_FOUND
    rows = [("79160000009", {})]
    assert await contacts.add(other, PHONE, rows, group_ids=[group]) is Refusal.NOT_FOUND
    await contacts.add(other, PHONE, rows)
    move = contacts.move(other, PHONE, "79160000009", group_id=group, way=2)
    assert await move is Refusal.NOT_FOUND
    assert await book.sizes() == {group: 1, group + 1: 0}


async def test_black_lists_reach_every_process(book: Book) -> None:
    black = "79160000001"
    add, mine = book.contacts.add_black, book.mine
    first = await add(mine, black, BlackType.SINGLE)
    assert await add(mine, black, BlackType.SINGLE) == first
    await add(mine, "79160000002", BlackType.ALL)
    await add(mine, "foo@example.com", BlackType.MASS)
    await book.remote.refresh()
    for registers in (book.registers, book.remote):
        listed = registers.black_list(mine.id)
        assert listed is not None
        assert listed.blocks(black, is_mass=False)
        assert not listed.blocks(black, is_mass=True)
        assert listed.blocks("79160000002", is_mass=True)
        assert listed.blocks("FOO@example.com", is_mass=True)
        assert not listed.blocks("foo@example.com", is_mass=False)
        assert registers.black_list(book.other.id) is None
    remove = book.contacts.remove_black
    assert await remove(book.other, black, BlackType.SINGLE) is Refusal.NOT_FOUND
    assert await remove(mine, black, BlackType.SINGLE) is None
    assert await remove(mine, black, BlackType.SINGLE) is Refusal.NOT_FOUND
    await remove(mine, "79160000002", BlackType.ALL)
    await remove(mine, "foo@example.com", BlackType.MASS)
    await book.remote.refresh()
    assert book.registers.black_list(mine.id) is None
    assert book.remote.black_list(mine.id) is None


async def test_groups_as_recipients(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.services.contacts._BATCH", 2)
    monkeypatch.setattr("heliograph.services.contacts._PAGE", 20)
    (first, _) = [g.id for g in await book.contacts.groups(book.mine, PHONE)]
    number = await book.contacts.add_group(book.mine, PHONE, name="Shop", number=str(first))
    assert isinstance(number, int)
    phones = [f"79160000{at:03}" for at in range(45)]
    await book.add(*phones, groups=[number])
    await book.add("79161111111", groups=[first])
    groups = Groups(book.database, account_by_id={book.mine.id: book.mine}.get, max_recipients=46)

    async def expand(account: Account, *recipients: str) -> list[str] | Refusal:
        request = SendRequest(account, [Entry(list(recipients), "text")], has_groups=True)
        refusal = await groups.expand(request)
        return request.entries[0].recipients if refusal is None else refusal

    # The short number comes before the id.
    assert await expand(book.mine, f"G{first}") == phones
    assert await expand(book.mine, "79162222222", f"g{number}") == ["79162222222", *phones]
    refused: tuple[tuple[str, ...], ...] = (
        ("G99",),
        (f"G{first}", "79162222222", "79162222223"),
        (f"G{first + 1}",),
    )
    for recipients in refused:
        assert await expand(book.mine, *recipients) is Refusal.BAD_PARAMETERS
    assert await expand(book.other, f"G{number}") is Refusal.BAD_PARAMETERS
    async with book.database.write() as connection:
        await accounts.update_account(connection, book.other.id, parent_id=book.mine.id)
        await accounts.change_settings(connection, book.other.id, {"fl[26]": "1"})
        child = await accounts.find_account(connection, book.other.id)
    assert await expand(child, f"G{number}") == phones


async def test_requests_leave_hardly_anything_to_the_collector(book: Book) -> None:
    """What a request leaves in circles is collected with that of hundreds of others, in a pause
    that somebody has to wait for: a tenth of a second for a hundred thousand objects."""
    group = (await book.contacts.groups(book.mine, PHONE))[0].id

    async def use() -> None:
        for n in range(10):
            await book.add(f"7900000000{n}", groups=[group], name="Anna")
            await book.contacts.change(book.mine, PHONE, "79000000000", fields={"name": f"Q{n}"})
            await book.phones(search="ann", group_id=group)
            await book.phones(full_name="ann", group_id=0)

    await use()
    gc.collect()
    gc.disable()
    try:
        await use()
        assert gc.collect() < 40 * 40
    finally:
        gc.enable()


def _words(chance: random.Random) -> str:
    return " ".join(chance.choice(("anna", "Анна", "vera", "100%", "a_b", "q")) for _ in range(2))


@pytest.mark.parametrize("few", [0, 20, 1000])
async def test_search_finds_what_looking_at_every_contact_would(
    book: Book, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Whatever was added, changed and deleted, in small steps over shelves of 32 contacts; along
    the members of a group as well as by the index."""
    monkeypatch.setattr("heliograph.storage.contact_search._FIRST_STEP", 1)
    for module in ("contact_index", "contact_search"):
        monkeypatch.setattr(f"heliograph.storage.{module}.SHELF_BITS", 5)
    monkeypatch.setattr("heliograph.storage.contact_index._LAST_PLACE", 31)
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", 25)
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_SCATTERED", 10)
    monkeypatch.setattr("heliograph.storage.contact_index._WORN", 50)
    monkeypatch.setattr("heliograph.storage.contact_pages._FEW", few)
    monkeypatch.setattr("heliograph.storage.contact_pages._LEAST", 3)
    chance = random.Random(5)
    first, second = [g.id for g in await book.contacts.groups(book.mine, PHONE)]
    numbers = [str(79000000000 + n * 618_033_989 % 10**9) for n in range(300)]
    for at in range(0, 300, 60):
        rows = [(n, {"name": _words(chance), "last_name": "Li"}) for n in numbers[at : at + 60]]
        await book.contacts.add(book.mine, PHONE, rows, group_ids=[first, second][: at % 3])
        await book.contacts.add(book.other, PHONE, rows[:1])
    for number in chance.sample(numbers, 80):
        if chance.random() < 0.5:
            await book.contacts.delete(book.mine, PHONE, number)
        else:
            fields = {"comments": _words(chance)}
            await book.contacts.change(book.mine, PHONE, number, fields=fields)
    everyone = await book.contacts.page(book.mine, PHONE, ContactFilter())
    assert len(everyone) < 300
    async with book.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(contact_grams)) > 50
        assert await connection.scalar(select(func.count()).select_from(contact_shelves)) > 8
    for part in ("anna ver", "АННА", "0%", "a_b", "q", "li", "7", numbers[7][4:9], "nobody", "%"):
        wanted = part.casefold()
        expected = [
            each
            for each in everyone
            if any(
                wanted in text.casefold()
                for text in (each.address, each.name, each.comments, each.last_name)
            )
        ]
        addresses = [each.address for each in expected]
        assert await book.phones(search=part) == addresses, part
        assert await book.phones(search=part, limit=7) == addresses[:7], part
        if addresses:
            after = {"after_id": expected[0].id}
            assert await book.phones(search=part, **after) == addresses[1:], part
        grouped = [each.address for each in expected if second in each.groups]
        assert await book.phones(search=part, group_id=second) == grouped, part
        alone = [each.address for each in expected if not each.groups]
        assert await book.phones(search=part, group_id=0) == alone, part
        assert await book.phones(search=part, group_id=0, full_name="li") == alone, part
        assert await book.phones(search=part, full_name="l") == addresses, part
        assert await book.phones(search=part, full_name="x") == [], part


@pytest.mark.parametrize("fresh", [2048, 5])
async def test_imports_at_the_same_time_are_all_found(
    book: Book, monkeypatch: pytest.MonkeyPatch, fresh: int
) -> None:
    """Their contacts stand on the same shelf, which they settle at once."""
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", fresh)

    async def add(lane: int) -> None:
        for at in range(20):
            await book.add(f"7916{lane:03}{at:04}", name=f"name-{lane}-{at}")

    await asyncio.gather(*(add(lane) for lane in range(4)))
    for lane in range(4):
        for at in range(20):
            found = await book.phones(search=f"name-{lane}-{at}")
            assert f"7916{lane:03}{at:04}" in found


@pytest.mark.parametrize("settles", [False, True])
async def test_what_changes_while_a_shelf_is_settled_is_found(
    book: Book, monkeypatch: pytest.MonkeyPatch, settles: bool
) -> None:
    """A contact changes after its text was read, with and without settling it itself."""
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", 0)
    await book.add("79160000001", "79160000002", comments="early")
    plan, changed = contact_index._plan, []

    async def slow_plan(*arguments: Any) -> Any:
        work = await plan(*arguments)
        if work is not None and not changed:
            changed.append(work)
            fields = {"comments": "meanwhile"}
            if settles:
                await book.contacts.change(book.mine, PHONE, "79160000001", fields=fields)
            else:
                async with book.database.write() as connection:
                    id = await contacts.find_contact(connection, book.mine.id, PHONE, "79160000001")
                    assert id is not None
                    await contacts.change_contact(connection, id, fields=fields)
        return work

    monkeypatch.setattr("heliograph.storage.contact_index._plan", slow_plan)
    await book.add("79160000001", comments="later")
    assert changed
    assert await book.phones(search="meanwhile") == ["79160000001"]
    assert await book.phones(search="later") == []
    monkeypatch.setattr("heliograph.storage.contact_index._plan", plan)
    for _ in range(2):
        await contact_index.settle(book.database, book.mine.id, PHONE)
        assert await book.phones(search="meanwhile") == ["79160000001"]


async def test_shelves_are_made_anew_and_keep_what_is_there(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contacts that change again and again leave nothing behind, in the end."""
    monkeypatch.setattr("heliograph.storage.contact_index._MAX_FRESH", 10)
    monkeypatch.setattr("heliograph.storage.contact_index._WORN", 512)
    for round in range(40):
        rows = [(f"7916000{at:04}", {"comments": f"round {round} {at}"}) for at in range(64)]
        await book.contacts.add(book.mine, PHONE, rows)
    async with book.database.read() as connection:
        settled = await connection.scalar(select(func.max(contact_shelves.c.settled)))
        assert settled is not None
        assert 64 <= settled <= 512
        rows = await connection.scalar(select(func.count()).select_from(contact_grams))
        assert await connection.scalar(select(func.count()).select_from(contact_fresh)) <= 10
    assert await book.phones(search="round 39 63") == ["79160000063"]
    assert await book.phones(search="round 2") == []
