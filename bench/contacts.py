"""Contacts by the million: how fast they are imported, and how long a page of them takes.

Run it with the project's interpreter: ``bench/contacts.py --data DIR`` works on an embedded
database in that folder, ``--url postgresql+asyncpg://...`` on another one. It fills what is missing
and leaves it there, so that a second run measures at once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.book import RARE_NAME, USUAL_NAME, number, parts, rows
from bench.meters import run_as_gateway

from heliograph.domain.accounts import Account
from heliograph.domain.blacklists import BlackType, black_key
from heliograph.domain.contacts import ContactKind
from heliograph.gateways.http.calls import Call
from heliograph.gateways.http.contacts import phones
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.ports import HttpSettings
from heliograph.protocols.forms.replies import Format
from heliograph.services import administration
from heliograph.services.contacts import Contacts
from heliograph.services.registers import Registers
from heliograph.storage import contact_groups, contact_index
from heliograph.storage.accounts import NoSuchAccount, find_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade
from heliograph.storage.schema_books import black_entries
from heliograph.storage.schema_books import contacts as contact_rows

LOGIN = "contacts-bench"
# One contact in a hundred has this in its texts; nobody of these two groups.
FRIEND = "Вера"
SOME, STRANGERS = "Some strangers", "Strangers"


async def open_account(database: Database) -> Account:
    async with database.read() as connection:
        try:
            return await find_account(connection, LOGIN)
        except NoSuchAccount:
            pass
    return await administration.create_account(
        database, LOGIN, administration.make_password(), now_ms=time.time_ns() // 1_000_000
    )


async def fill(
    database: Database, contacts: Contacts, account: Account, wanted: int
) -> dict[str, int]:
    """Imports what is missing, a hundred thousand at a time; the ids of the groups by their names,
    see `arrange`."""
    groups = await contacts.groups(account, ContactKind.PHONE)
    async with database.read() as connection:
        there = await connection.scalar(
            select(func.count()).where(contact_rows.c.account_id == account.id)
        )
    for first in range(there or 0, wanted, 100_000):
        count = min(100_000, wanted - first)
        began = time.perf_counter()
        await contacts.add(account, ContactKind.PHONE, rows(first, count), group_ids=[groups[0].id])
        took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"imported {count:,} after {first:,}: {took:.1f} s, memory peak {peak} MB")
    if not any(group.name == STRANGERS for group in groups):
        await arrange(database, contacts, account, group_id=groups[0].id)
    return {group.name: group.id for group in await contacts.groups(account, ContactKind.PHONE)}


async def arrange(
    database: Database, contacts: Contacts, account: Account, *, group_id: int
) -> None:
    """Takes one contact in twenty out of the group of all. Others, who have nothing of a usual
    name, make a group of one in twenty, and all of them one of nearly all."""
    some, strangers = [
        await contacts.add_group(account, ContactKind.PHONE, name=name, number="")
        for name in (SOME, STRANGERS)
    ]
    assert isinstance(some, int)
    assert isinstance(strangers, int)
    key, id = contact_rows.c.search_key, contact_rows.c.id
    after = 0
    while True:
        async with database.write() as connection:
            page = await connection.execute(
                select(id, key)
                .where(contact_rows.c.account_id == account.id, id > after)
                .order_by(id)
                .limit(10_000)
            )
            texts = dict(page.all())
            if not texts:
                break
            after = max(texts)
            alone = [id for id in texts if id % 20 == 3]
            others = [id for id, text in texts.items() if FRIEND.casefold() not in text]
            await contact_groups.leave_groups(connection, alone)
            await contact_groups.join_groups(connection, alone, [])
            others = sorted(set(others) - set(alone))
            await contact_groups.join_groups(connection, others, [strangers])
            members = [id for id in others if id % 20 == 7]
            await contact_groups.join_groups(connection, members, [some])
        await contact_index.settle(database, account.id, ContactKind.PHONE)
    if not database.is_sqlite:
        async with database.write() as connection:
            await connection.exec_driver_sql("ANALYZE")


async def measure(what: str, use: Callable[[], Awaitable[Any]], times: int = 15) -> None:
    """Prints the median and the longest of some calls."""
    taken = []
    cpu = time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        await use()
        taken.append((time.perf_counter() - began) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / times
    taken.sort()
    print(
        f"{what:45} median {taken[len(taken) // 2]:7.1f} ms   longest {taken[-1]:7.1f} ms   "
        f"CPU of this process {cpu:6.1f} ms"
    )


async def measure_pages(
    contacts: Contacts, account: Account, groups: dict[str, int], count: int, tries: int
) -> None:
    """Replies of `phones.php`, from the parameters to the text."""
    services = SimpleNamespace(
        limits=SimpleNamespace(count=lambda *_: None),
        books=SimpleNamespace(contacts=contacts),
    )

    async def ask(**fields: object) -> None:
        texts = {name: str(value) for name, value in fields.items()}
        reply = await phones(
            Call(
                "phones",
                Parameters(texts, texts),
                fmt=Format.JSON,
                account=account,
                services=services,
                settings=HttpSettings(),
                tell=lambda _: None,
            )
        )
        assert reply.error_code in (0, 3), reply

    group_id = groups["Group 1"]
    questions: dict[str, dict[str, object]] = {
        "first page": {},
        "page in the middle": {"after_id": count // 2},
        "page of 100": {"lmt": 100, "after_id": count // 3},
        "group, first page": {"grp": group_id},
        "group, page in the middle": {"grp": group_id, "after_id": count // 2},
        "no group, first page": {"grp": 0},
        "no group, page in the middle": {"grp": 0, "after_id": count // 2},
        "one number": {"phone": number(count // 2)},
        "rare name": {"fio": "rarename"},
        "usual name": {"fio": USUAL_NAME},
        "name that nobody has": {"fio": "nobody"},
        "rare name, in a group": {"fio": "rarename", "grp": group_id},
        "usual name, in a group": {"fio": USUAL_NAME, "grp": group_id},
        "usual name, in a group of one in twenty": {"fio": USUAL_NAME, "grp": groups[SOME]},
        "search, usual": {"search": FRIEND},
        "search, one in 50,000": {"search": "Rarename"},
        "search, one of thousands of names": {"search": RARE_NAME},
        "search, name that nobody has, usual parts": {"search": "александрей"},
        "search, end of a number": {"search": number(count // 2)[-6:]},
        "search, four digits of many": {"search": "4321"},
        "search, three digits": {"search": "432"},
        "search, three signs that nobody has": {"search": "xyz"},
        "search, two signs that nobody has": {"search": "ъq"},
        "search, rare, in a group": {"search": "Rarename", "grp": group_id},
        "search, rare, of a usual name": {"search": number(count // 2)[-6:], "fio": USUAL_NAME},
        "search, nothing": {"search": "nothing at all"},
        "search, one digit, in no group": {"search": "7", "grp": 0},
        "search, usual, in no group": {"search": FRIEND, "grp": 0},
        "search, rare, in no group": {"search": "Rarename", "grp": 0},
        "search, usual, in one in twenty without": {"search": FRIEND, "grp": groups[SOME]},
        "search, usual, in nearly all without": {"search": FRIEND, "grp": groups[STRANGERS]},
        "search, usual, of a usual name": {"search": FRIEND, "fio": USUAL_NAME},
    }
    for what, fields in questions.items():
        await measure(what, lambda fields=fields: ask(get=1, **fields))
    await measure("groups", lambda: ask(get_group=1))
    await measure_parts(lambda part: ask(get=1, search=part), tries)


async def measure_parts(search: Callable[[str], Awaitable[None]], tries: int) -> None:
    """Prints what `tries` searches by chance take: by the length of what is looked for, and the
    longest ones. Each is asked twice, and counts with the longer time."""
    taken = []
    for part in parts(tries, seed=tries):
        times = []
        for _ in range(2):
            began = time.perf_counter()
            await search(part)
            times.append((time.perf_counter() - began) * 1000)
        taken.append((max(times), part))
    taken.sort(reverse=True)
    for size in range(1, 13):
        some = [ms for ms, part in taken if len(part) == size]
        if some:
            print(
                f"  {size:2} signs: median {some[len(some) // 2]:6.1f}   longest {some[0]:6.1f} ms"
            )
    over = sum(ms >= 50 for ms, _ in taken)
    print(f"{tries} searches by chance: median {taken[tries // 2][0]:.1f} ms, {over} over 50 ms")
    print("longest: " + ", ".join(f"{part!r} {ms:.1f}" for ms, part in taken[:12]))


async def measure_changes(contacts: Contacts, account: Account, count: int) -> None:
    """What it takes to change single contacts all over the book; some of them settle others."""
    chance = random.Random(time.time_ns())

    async def change() -> None:
        phone, text = number(chance.randrange(count)), f"changed {chance.randrange(10**6)}"
        fields = {"comments": text}
        assert await contacts.change(account, ContactKind.PHONE, phone, fields=fields) is None

    await measure("change of one contact", change, times=min(count // 100 + 1, 3000))


async def measure_black_list(
    database: Database, contacts: Contacts, account: Account, wanted: int
) -> None:
    """A black list of a million: how long it is loaded, what it takes, one more entry."""
    async with database.read() as connection:
        there = await connection.scalar(
            select(func.count()).where(black_entries.c.account_id == account.id)
        )
    for first in range(there or 0, wanted, 20_000):
        values = [
            {
                "account_id": account.id,
                "key": black_key(str(number(3 * at)), BlackType.ALL),
                "address": str(number(3 * at)),
            }
            for at in range(first, min(first + 20_000, wanted))
        ]
        async with database.write() as connection:
            await connection.execute(black_entries.insert(), values)
    await contacts.add_black(account, "79999999999", BlackType.ALL)
    registers = Registers(database, SimpleNamespace(on_change=lambda _: None), common_sender="")  # type: ignore[arg-type]
    began = time.perf_counter()
    await registers.refresh()
    listed = registers.black_list(account.id)
    assert listed is not None
    print(f"black list of {len(listed):,} loaded in {time.perf_counter() - began:.1f} s")
    numbers = [str(number(at)) for at in range(0, 30_000)]
    began = time.perf_counter()
    hits = sum(listed.blocks(number, is_mass=False) for number in numbers)
    took = time.perf_counter() - began
    print(f"{took / len(numbers) * 1e6:.1f} us a lookup, {hits} hits")
    await measure(
        "one more entry", lambda: contacts.add_black(account, "79999999998", BlackType.ALL)
    )


async def run(url: str, count: int, tries: int) -> None:
    run_as_gateway()
    database = Database(url)
    await upgrade(database)
    account = await open_account(database)
    directory = SimpleNamespace(on_change=lambda _: None)
    registers = Registers(database, directory, common_sender="")  # type: ignore[arg-type]
    contacts = Contacts(database, registers)
    try:
        groups = await fill(database, contacts, account, count)
        await measure_pages(contacts, account, groups, count, tries)
        await measure_changes(contacts, account, count)
        await measure_black_list(database, contacts, account, count)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path)
    where.add_argument("--url")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--tries", type=int, default=600, help="searches by chance (600)")
    arguments = parser.parse_args()
    if arguments.data:
        arguments.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(arguments.url or sqlite_url(arguments.data), arguments.count, arguments.tries))


if __name__ == "__main__":
    main()
