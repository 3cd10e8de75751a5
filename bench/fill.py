"""Fills a database with the past: millions of finished messages, to measure reading them.

    python bench/fill.py --data /tmp/full --messages 10000000
    python bench/fill.py --url postgresql+asyncpg://user@host/name --messages 10000000

The database is migrated, and must hold no messages. It gets `--accounts` accounts (``full1`` ...,
password ``Secret-123``); the first one has half of the messages, the others share the rest. The
messages lie in the last `--days` days: every second submission has one recipient, the others have a
thousand. Rows are those of delivered messages, with their parts, their transfers and their running
totals, so that `heliograph ledger audit` holds; one message in fifty was answered by its handset.

Rows are made inside of the database by statements of a hundred thousand, without waiting for the
disk (SQLite) and with indices in place, as they will be.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from sqlalchemy import Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.services import administration
from heliograph.storage import counters, deltas, schema
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade

PASSWORD = "Secret-123"
STEP = 100_000
BULK = 1_000
DAY_MS = 86_400_000
PRICE = 1_400_000

# n counts messages from 0. Of every 2000 the first thousand are single sends, the others one
# mailing. Ids of messages go up by three: submissions, transfers and callbacks take the others.
_N = """
WITH RECURSIVE count(n) AS (
  SELECT CAST(:start AS bigint) UNION ALL SELECT n + 1 FROM count WHERE n < :start + :step - 1
), row AS (
  SELECT n, :first_id + 3 * n AS id,
    CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + (n / 2000) % :others END AS account,
    CASE WHEN n % 2000 < 1000 THEN n % 2000 ELSE 1000 + n % 2 END AS slot,
    n / 2000 AS block,
    :began + CAST(n * :pace AS bigint) AS at
  FROM count
), made AS (
  SELECT n, id, :first_account + account - 1 AS account_id,
    :first_id + 3 * (block * 2000 + slot) - 1 AS submission_id, slot, at,
    '79' || substr(CAST(100000000 + (n * 7919) % 900000000 AS text), 1, 9) AS recipient
  FROM row
)
"""
# What is not named here is empty, 0 or NULL.
_ROWS: tuple[tuple[Table, dict[str, str], str], ...] = (
    (
        schema.submissions,
        {
            "id": "submission_id",
            "account_id": "account_id",
            "payer_id": "account_id",
            "client_ref": "CAST(n + 1 AS text)",
            "sender": "'sender'",
            "text": "'Your code is ' || CAST(n % 10000 AS text)",
            "door": "'http'",
            "created_at": "at",
        },
        "slot < 1000 OR n % 2000 < 1002",
    ),
    (
        schema.messages,
        {
            "id": "id",
            "submission_id": "submission_id",
            "account_id": "account_id",
            "payer_id": "account_id",
            "recipient": "recipient",
            "mccmnc": "'25001'",
            "state": "10",
            "part_count": "1",
            "price_micros": str(PRICE),
            "charged_micros": str(PRICE),
            "expires_at": f"at + {DAY_MS}",
            "created_at": "at",
            "final_at": "at + 3000",
            "route": "'1'",
        },
        "true",
    ),
    (
        schema.parts,
        {
            "id": "id * 256 + 1",
            "state": "10",
            "connector_id": "1",
            "external_id": "CAST(id AS text)",
            "attempts": "1",
            "submitted_at": "at",
            "responded_at": "at + 50",
            "done_at": "at + 3000",
        },
        "true",
    ),
    (
        schema.incoming,
        {
            "id": "id + 1",
            "account_id": "account_id",
            "connector_id": "1",
            "source": "recipient",
            "destination": "'4444'",
            "text": "'Yes'",
            "received_at": "at + 9000",
        },
        "n % 50 = 0",
    ),
)


def _insert(table: Table, values: dict[str, str], condition: str) -> str:
    columns, given = [], []
    for column in table.columns:
        columns.append(f'"{column.name}"')
        empty = "NULL" if column.nullable else "''" if isinstance(column.type, Text) else "0"
        given.append(values.get(column.name, empty))
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) {_N} "
        f"SELECT {', '.join(given)} FROM made WHERE {condition}"
    )


# Day of Moscow, as in `totals`.
_TOTALS = f"""
INSERT INTO totals (account_id, day, payer_id, type, mccmnc, currency, messages, parts, delivered,
  failed, refused, deleted, open_micros, charged_micros)
SELECT account_id, (created_at + 10800000) / {DAY_MS}, payer_id, 0, mccmnc, 'RUR', count(*),
  sum(part_count), count(*), 0, 0, 0, 0, sum(charged_micros)
FROM messages GROUP BY account_id, payer_id, mccmnc, (created_at + 10800000) / {DAY_MS}
"""
_COLUMNS = [column.name for column in schema.totals.columns]


async def fill(database: Database, *, messages: int, accounts: int, days: int) -> int:
    """Fills the tables; the id of the first account."""
    now_ms = time.time_ns() // 1_000_000
    made = [
        await administration.create_account(
            database, f"full{i + 1}", PASSWORD, now_ms=now_ms, balance_micros=10**15
        )
        for i in range(accounts)
    ]
    async with database.write() as connection:
        first_id = await counters.take(connection, "ids", 3 * messages + 10) + 3
    given = {
        "first_id": first_id,
        "first_account": made[0].id,
        "others": accounts - 1,
        "began": now_ms - days * DAY_MS,
        "pace": days * DAY_MS / messages,
    }
    for start in range(0, messages, STEP):
        values = given | {"start": start, "step": min(STEP, messages - start)}
        async with database.write() as connection:
            for table, rows, condition in _ROWS:
                await connection.execute(text(_insert(table, rows, condition)), values)
    async with database.write() as connection:
        await connection.execute(text(_TOTALS))
        await _add_thirds(connection)
        await _pay(connection, first_id)
    await _settle(database)
    return made[0].id


async def _add_thirds(connection: AsyncConnection) -> None:
    """The rows of thirds of months, as the journal would have written them; all of them anew."""
    await connection.execute(text("DELETE FROM totals WHERE day < 0"))
    rows = await connection.execute(text(f"SELECT {', '.join(_COLUMNS)} FROM totals"))
    made = deltas.make_rows([{tuple(row[:6]): list(row[6:])} for row in rows])
    thirds = [dict(zip(_COLUMNS, row, strict=True)) for row in made if row[1] < 0]
    await connection.execute(schema.totals.insert(), thirds)


async def _pay(connection: AsyncConnection, first_id: int) -> None:
    """One reserve and one post for each account, named by all its submissions."""
    for kind, effect in ((1, "-sum(price_micros)"), (2, "0")):
        await connection.execute(
            text(
                "INSERT INTO transfers (id, purse_id, kind, amount_micros, effect_micros, count, "
                f"created_at, note) SELECT min(id) + {2 - kind}, payer_id, {kind}, "
                f"sum(price_micros), {effect}, count(*), min(created_at), '' FROM messages "
                "GROUP BY payer_id"
            )
        )
    await connection.execute(
        text(
            "UPDATE submissions SET transfer_id = (SELECT t.id FROM transfers t "
            "WHERE t.purse_id = submissions.payer_id AND t.kind = 1)"
        )
    )
    await connection.execute(
        text(
            "UPDATE balances SET balance_micros = (SELECT sum(effect_micros) FROM transfers t "
            "WHERE t.purse_id = balances.purse_id) WHERE EXISTS (SELECT 1 FROM transfers t "
            "WHERE t.purse_id = balances.purse_id)"
        )
    )


async def _settle(database: Database) -> None:
    """What a running database does by and by: statistics of the planner, the log written back."""
    if database.is_sqlite:
        async with database.read() as connection:
            await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return
    async with database.read() as connection:
        await connection.execute(text("VACUUM ANALYZE"))


async def run(options: argparse.Namespace) -> None:
    database = Database(options.url or sqlite_url(options.data))
    if not options.url:
        options.data.mkdir(parents=True, exist_ok=True)
    try:
        await upgrade(database)
        started = time.perf_counter()
        first = await fill(
            database, messages=options.messages, accounts=options.accounts, days=options.days
        )
        elapsed = time.perf_counter() - started
        print(f"{options.messages} messages in {elapsed:.0f} s, first account {first}")
    finally:
        await database.close()


def main() -> None:
    """Reads the command line and fills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--data", type=Path, help="data folder of an SQLite database")
    where.add_argument("--url", default="", help="address of a PostgreSQL database")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--days", type=int, default=180)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
