"""Statements on SQLite outside of the journal: one trip to the thread each, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from heliograph.storage.database import Database, sqlite_url


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(sqlite_url(tmp_path))
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"))
    yield opened
    await opened.close()


@pytest.fixture
def trips(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the threads of connections."""
    counted: list[str] = []
    execute = aiosqlite.Connection._execute

    async def count(self: aiosqlite.Connection, function: Any, *arguments: Any) -> Any:
        counted.append(function.__name__)
        return await execute(self, function, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", count)
    return counted


async def names(database: Database) -> list[tuple[int, str]]:
    async with database.read() as connection:
        rows = await connection.execute(text("SELECT id, name FROM t ORDER BY id"))
        return [(row.id, row.name) for row in rows]


async def test_a_read_is_one_trip(database: Database, trips: list[str]) -> None:
    assert await names(database) == []
    assert len(trips) == 1


async def test_a_write_is_one_trip_and_its_transaction(
    database: Database, trips: list[str]
) -> None:
    async with database.write() as connection:
        done = await connection.execute(text("INSERT INTO t (name) VALUES ('a'), ('b')"))
        assert (done.rowcount, done.lastrowid) == (2, 2)
    assert len(trips) == 3
    rows = [{"id": 3, "name": "c"}, {"id": 4, "name": None}]
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO t VALUES (:id, :name)"), rows)
        returned = await connection.execute(
            text("UPDATE t SET name = 'd' WHERE id = 4 RETURNING *")
        )
        assert returned.all() == [(4, "d")]
    assert await names(database) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


async def write_twice(database: Database, then: str) -> None:
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO t VALUES (1, 'a')"))
        await connection.execute(text(then))


async def test_what_fails_is_rolled_back(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await write_twice(database, "INSERT INTO t VALUES (1, 'b')")
    with pytest.raises(OperationalError):
        await write_twice(database, "SELECT nothing FROM t")
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO t VALUES (1, 'a')"))
        await connection.rollback()
    assert await names(database) == []


async def test_a_write_that_was_cancelled_leaves_nothing(database: Database) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO t VALUES (1, 'a')"))
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.write() as connection:  # the write lock is free again
        await connection.execute(text("INSERT INTO t VALUES (2, 'b')"))
    assert await names(database) == [(2, "b")]


async def test_more_readers_than_connections(database: Database) -> None:
    async with asyncio.timeout(30):
        found = await asyncio.gather(*(names(database) for _ in range(100)))
    assert found == [[]] * 100


async def test_a_snapshot_sees_one_moment(database: Database) -> None:
    count = text("SELECT count(*) FROM t")
    async with database.snapshot() as connection:
        before = await connection.scalar(count)
        async with database.write() as writing:
            await writing.execute(text("INSERT INTO t VALUES (1, 'a')"))
        assert await connection.scalar(count) == before == 0
    assert len(await names(database)) == 1
