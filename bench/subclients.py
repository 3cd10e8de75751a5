"""Statistics of a main account with many sub-clients: how long an answer takes.

    python bench/subclients.py --data DIR [--subclients 1000] [--days 180] [--networks 4]
    python bench/subclients.py --url postgresql+asyncpg://...

Statistics read the running totals and never a message, so it is the totals that are made: for every
sub-client, day and network a row, as the journal writes them (`storage.totals`), and payments. What
is missing is made and stays, so that a second run measures at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.meters import run_as_gateway

from heliograph.domain.accounts import AccountKind
from heliograph.gateways.http.calls import Call
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.users import users
from heliograph.protocols.forms.replies import Format
from heliograph.runtime import now_ms
from heliograph.services import administration
from heliograph.services.directory import Directory
from heliograph.services.statistics import Statistics
from heliograph.storage import deltas, ledger, schema, subclients
from heliograph.storage.accounts import NoSuchAccount, find_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade

LOGIN = "subclients-bench"
PRICE = 1_400_000
TIMES = 20
ZONE_MINUTES = 180
_COLUMNS = [column.name for column in schema.totals.columns]
_NETWORKS = ("25001", "25002", "25020", "25099", "25011", "25035", "40101", "25701")


def rows_of(account_id: int, today: int, days: int, networks: int) -> list[dict[str, object]]:
    """What the journal has written for a sub-client that sends every day to every network."""
    gathered: deltas.Deltas = {}
    for day in range(today - days + 1, today + 1):
        for network in _NETWORKS[:networks]:
            key = (account_id, day, account_id, 0, network, "RUR")
            gathered[key] = [10, 10, 10, 0, 0, 0, 0, 10 * PRICE]
    return [dict(zip(_COLUMNS, row, strict=True)) for row in deltas.make_rows([gathered])]


def month_begins(day: int, months: int) -> int:
    """First day of the month so many months after that of a day."""
    return deltas.first_day(-3 * (-deltas.third_of(day) // 3 + months))


async def fill(database: Database, options: argparse.Namespace, today: int) -> None:
    """The main account, and the sub-clients that are missing, each with a payment a month."""
    try:
        async with database.read() as connection:
            main = await find_account(connection, LOGIN)
    except NoSuchAccount:
        password = administration.make_password()
        main = await administration.create_account(database, LOGIN, password, now_ms=now_ms())
    async with database.read() as connection:
        there = await subclients.count_children(connection, main.id)
    for number in range(there, options.subclients):
        async with database.write() as connection:
            made = await subclients.create_subclient(
                connection,
                f"{LOGIN}-{number}",
                now_ms=now_ms(),
                parent_id=main.id,
                kind=AccountKind.OWN,
            )
            rows = rows_of(made, today, options.days, options.networks)
            await connection.execute(schema.totals.insert(), rows)
            for _ in range(options.days // 30):
                await ledger.pay(connection, main.id, 10**6, now_ms=now_ms())
                await ledger.move(
                    connection, from_id=main.id, to_id=made, amount_micros=10**6, now_ms=now_ms()
                )
    if not database.is_sqlite:
        async with database.write() as connection:
            await connection.exec_driver_sql("ANALYZE")


async def measure(database: Database, today: int) -> None:
    """Replies of `users.php`, from the parameters to the text."""
    directory = Directory(database, abilities_of=lambda *_: frozenset())
    await directory.load()
    account = directory.account(LOGIN)
    assert account is not None
    services = SimpleNamespace(
        limits=SimpleNamespace(count=lambda *_: None),
        statistics=Statistics(
            database=database, directory=directory, clock=now_ms, timezone_minutes=ZONE_MINUTES
        ),
    )

    def date(day: int) -> str:
        return time.strftime("%d.%m.%Y", time.gmtime(day * 86_400))

    questions: dict[str, dict[str, object]] = {
        "sums of this month": {"get_stat": 1},
        "sums since 15 days": {"get_stat": 1, "start": date(today - 15)},
        "sums of 45 days": {"get_stat": 1, "start": date(today - 60), "end": date(today - 15)},
        "sums of half a year": {"get_stat": 1, "start": date(today - 180)},
        "sums of two half months": {
            "get_stat": 1,
            "start": date(month_begins(today, -3) + 15),
            "end": date(month_begins(today, -1) + 14),
        },
        # Five days of each network at both ends, and all thirds between them: the worst.
        "sums of thirds that are cut": {
            "get_stat": 1,
            "start": date(month_begins(today, -5) + 5),
            "end": date(month_begins(today, -1) + 14),
        },
        "sums of one": {"get_stat": 1, "start": date(today - 180), "user": f"{LOGIN}-7"},
        "details of one, half a year": {
            "get_stat_all": 1,
            "start": date(today - 180),
            "user": f"{LOGIN}-7",
        },
        "details of today": {"get_stat_all": 1, "start": date(today)},
        "details of ten days": {"get_stat_all": 1, "start": date(today - 9)},
    }
    for what, fields in questions.items():
        texts = {name: str(value) for name, value in {**fields, "reseller": 1}.items()}
        taken, size = [], 0
        cpu = time.process_time()
        for _ in range(1 + TIMES):
            began = time.perf_counter()
            parameters = Parameters(texts, texts)
            reply = await users(
                Call(
                    "users",
                    parameters,
                    fmt=Format.TEXT,
                    account=account,
                    services=services,
                    settings=HttpSettings(),
                    tell=lambda _: None,
                )
            )
            taken.append((time.perf_counter() - began) * 1000)
            assert not reply.error_code, (what, reply)
            size = reply.text.count("\n") + 1
        cpu = (time.process_time() - cpu) * 1000 / len(taken)
        first = taken.pop(0)  # reads from the disk, and has its statement prepared
        taken.sort()
        median, longest = taken[TIMES // 2], taken[-1]
        print(
            f"{what:30} {size:7} lines   first {first:6.1f}   median {median:6.1f}   "
            f"longest {longest:6.1f} ms   CPU of this process {cpu:7.1f} ms"
        )


async def run(options: argparse.Namespace) -> None:
    run_as_gateway()
    database = Database(options.url or sqlite_url(options.data))
    try:
        await upgrade(database)
        today = (now_ms() + ZONE_MINUTES * 60_000) // 86_400_000
        await fill(database, options, today)
        async with database.read() as connection:
            count = await connection.scalar(select(func.count()).select_from(schema.totals))
        print(f"{count:,} rows of totals")
        await measure(database, today)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path)
    where.add_argument("--url")
    parser.add_argument("--subclients", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--networks", type=int, default=4, choices=range(1, len(_NETWORKS) + 1))
    options = parser.parse_args()
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
