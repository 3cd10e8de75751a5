"""Rows by the ten thousand, written as the command line would write them one by one."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from bench import fill
from sqlalchemy import insert, select

from heliograph.connectors.registry import check
from heliograph.storage import revisions
from heliograph.storage.database import Database
from heliograph.storage.schema import accounts, balances, connectors, rates, routes

_PAGE = 1_000
_DAYS = 180
_ACCOUNTS = 20
_SINK = "sink"  # the connector that the benchmark has set up
_FILLED = 100_000  # ids of rows that are made here begin after this


async def add_messages(database: Database, count: int) -> None:
    """Finished messages of half a year, with parts, money and statistics."""
    if count:
        await fill.fill(database, messages=count, accounts=_ACCOUNTS, days=_DAYS)


async def add_accounts(database: Database, count: int) -> None:
    """Accounts with a balance each. Their passwords are nobody's."""
    async with database.write() as connection:
        plan_id = await connection.scalar(select(accounts.c.plan_id).limit(1))
    rows = [
        {
            "id": _FILLED + number,
            "login": f"grown{number}",
            "plan_id": plan_id,
            "md5_hash": "none",
            "sha1_hash": "none",
            "created_at": _now_ms(),
        }
        for number in range(count)
    ]
    await _insert(database, accounts, rows)
    purses = [{"purse_id": row["id"], "account_id": row["id"]} for row in rows]
    await _insert(database, balances, purses)


async def add_connectors(database: Database, count: int) -> None:
    """As many links to the operator in all, which share the traffic."""
    async with database.write() as connection:
        found = await connection.execute(select(connectors).where(connectors.c.name == _SINK))
        sink = found.one()
        order = await connection.scalar(
            select(routes.c.order).where(routes.c.connector_id == sink.id)
        )
    settings = check(sink.kind, msgspec.json.decode(sink.settings))
    text = msgspec.json.encode(msgspec.to_builtins(settings)).decode()
    made = [
        {
            "id": _FILLED + number,
            "name": f"sink{number}",
            "kind": sink.kind,
            "settings": text,
            "created_at": _now_ms(),
        }
        for number in range(count - 1)
    ]
    await _insert(database, connectors, made)
    ways = [{"connector_id": row["id"], "order": order} for row in made]
    await _insert(database, routes, ways)


async def add_routes_by_prefix(database: Database, count: int) -> None:
    """Routes for prefixes of numbers; those of the benchmark's recipients fit none of them."""
    await _add_routes(database, [{"prefix": f"8{number:05d}"} for number in range(count)])


async def add_routes_by_network(database: Database, count: int) -> None:
    """Routes for networks and senders of nobody."""
    await _add_routes(database, [{"mccmnc": f"7{number % 100_000:05d}"} for number in range(count)])


async def _add_routes(database: Database, conditions: list[dict[str, Any]]) -> None:
    async with database.write() as connection:
        sink = await connection.scalar(select(connectors.c.id).where(connectors.c.name == _SINK))
    # Before the benchmark's own route: each of them has to be passed over.
    await _insert(
        database, routes, [{"connector_id": sink, "order": 1, **each} for each in conditions]
    )


async def add_rates(database: Database, count: int) -> None:
    """Prices for prefixes, beside the one that fits."""
    async with database.write() as connection:
        plan_id = await connection.scalar(select(accounts.c.plan_id).limit(1))
    await _insert(
        database,
        rates,
        [
            {"plan_id": plan_id, "prefix": f"8{number:06d}", "price_micros": 10_000}
            for number in range(count)
        ],
    )


async def _insert(database: Database, table: Any, rows: list[dict[str, Any]]) -> None:
    for at in range(0, len(rows), _PAGE):
        async with database.write() as connection:
            await connection.execute(insert(table), rows[at : at + _PAGE])
            await revisions.bump(connection)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
