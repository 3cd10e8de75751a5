"""Installations that have grown: the rows that the benchmark of growth makes are those of a real
installation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench.grown import rows
from bench.grown.dimensions import DIMENSIONS
from sqlalchemy import func, select

from heliograph.domain.routing import Route
from heliograph.services import administration
from heliograph.storage import ledger, routing, schema
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """As the benchmark's gateway has it before the first start."""
    made = Database(sqlite_url(tmp_path))
    await upgrade(made)
    await administration.ensure_first_account(made, now_ms=1)
    async with made.write() as connection:
        settings = {"host": "127.0.0.1", "system_id": "bench", "password": "bench"}
        sink = await routing.add_connector(connection, "sink", "smpp", settings=settings, now_ms=1)
        await routing.add_route(connection, Route(id=0, connector_id=sink))
    yield made
    await made.close()


async def count(database: Database, table: str) -> int:
    async with database.read() as connection:
        rows = select(func.count()).select_from(schema.metadata.tables[table])
        return int((await connection.execute(rows)).scalar_one())


async def test_each_dimension_adds_what_it_says(database: Database) -> None:
    before = {name: await count(database, name) for name in ("accounts", "routes", "rates")}
    await rows.add_accounts(database, 30)
    await rows.add_routes_by_prefix(database, 40)
    await rows.add_routes_by_network(database, 50)
    await rows.add_rates(database, 60)
    await rows.add_connectors(database, 10)
    assert await count(database, "accounts") == before["accounts"] + 30
    assert await count(database, "rates") == before["rates"] + 60
    assert await count(database, "routes") == before["routes"] + 40 + 50 + 9
    async with database.read() as connection:
        made = await routing.list_connectors(connection)
        ways = await routing.list_routes(connection)
    links = {each.id for each in made if each.kind == "smpp"}
    assert len(links) == 10
    shared = [way for way in ways if not way.prefix and not way.mccmnc and way.order == 100]
    assert {way.connector_id for way in shared} == links


async def test_stored_messages_keep_the_ledger_exact(database: Database) -> None:
    await rows.add_messages(database, 3_000)
    assert await count(database, "messages") == 3_000
    async with database.read() as connection:
        assert (await ledger.audit(connection)).is_exact


def test_sizes_are_scaled_and_the_smallest_stays() -> None:
    stored = next(dimension for dimension in DIMENSIONS if dimension.name == "stored")
    assert [choice.name for choice in stored.choices(1.0)] == ["0", "1,000,000", "10,000,000"]
    assert [choice.name for choice in stored.choices(0.001)] == ["0", "1,000", "10,000"]
