"""Contacts by the million: how fast they are imported, and how long a page of them takes.

Run it with the project's interpreter: ``bench/contacts.py --data DIR`` works on an embedded
database in that folder, ``--url postgresql+asyncpg://...`` on another one. It fills what is missing
and leaves it there, so that a second run measures at once.
"""

from __future__ import annotations

import argparse
import asyncio
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
from heliograph.storage.accounts import NoSuchAccount, find_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade
from heliograph.storage.schema_books import black_entries
from heliograph.storage.schema_books import contacts as contact_rows

LOGIN = "contacts-bench"


async def open_account(database: Database) -> Account:
    async with database.read() as connection:
        try:
            return await find_account(connection, LOGIN)
        except NoSuchAccount:
            pass
    return await administration.create_account(
        database, LOGIN, administration.make_password(), now_ms=time.time_ns() // 1_000_000
    )


async def fill(database: Database, contacts: Contacts, account: Account, wanted: int) -> int:
    """Imports what is missing, a hundred thousand at a time; the id of the group of all."""
    groups = await contacts.groups(account, ContactKind.PHONE)
    group_id = groups[0].id
    async with database.read() as connection:
        there = await connection.scalar(
            select(func.count()).where(contact_rows.c.account_id == account.id)
        )
    for first in range(there or 0, wanted, 100_000):
        count = min(100_000, wanted - first)
        began = time.perf_counter()
        await contacts.add(account, ContactKind.PHONE, rows(first, count), group_ids=[group_id])
        took = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"imported {count:,} after {first:,}: {took:.1f} s, memory peak {peak} MB")
    if not database.is_sqlite:
        async with database.write() as connection:
            await connection.exec_driver_sql("ANALYZE")
    return group_id


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
    contacts: Contacts, account: Account, group_id: int, count: int, tries: int
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

    questions: dict[str, dict[str, object]] = {
        "first page": {},
        "page in the middle": {"after_id": count // 2},
        "page of 100": {"lmt": 100, "after_id": count // 3},
        "group, first page": {"grp": group_id},
        "group, page in the middle": {"grp": group_id, "after_id": count // 2},
        "one number": {"phone": number(count // 2)},
        "rare name": {"fio": "rarename"},
        "usual name": {"fio": USUAL_NAME},
        "name that nobody has": {"fio": "nobody"},
        "search, usual": {"search": "Вера"},
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
        group_id = await fill(database, contacts, account, count)
        await measure_pages(contacts, account, group_id, count, tries)
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
