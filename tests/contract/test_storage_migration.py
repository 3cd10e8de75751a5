"""Migrations: to exactly the tables of the schema from wherever, once, whoever starts first."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from heliograph.storage import migration
from heliograph.storage import tables as schema
from heliograph.storage.database import Database
from heliograph.storage.migration import SchemaUnknown, upgrade
from heliograph.storage.sqlite_settings import prepare_sqlite
from heliograph.storage.sqlite_writer import SqliteWriter


# SQLAlchemy does not read back indices over expressions from SQLite: their texts are compared
# below.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping")
@pytest.mark.parametrize("walks", [False, True], ids=["created", "migrated"])
async def test_upgrade_makes_exactly_the_schema(empty_url: str, walks: bool) -> None:
    database = Database(empty_url)
    if walks:
        async with database.write() as connection:
            await connection.run_sync(migration.migrate)
    await upgrade(database)
    if database.is_sqlite:  # has no schemas; another database can be named as one
        async with database.read() as connection:
            await connection.execute(text("ATTACH ':memory:' AS twin"))
            assert await connection.run_sync(_differences) == []
    else:
        async with database.write() as connection:
            await connection.execute(text("CREATE SCHEMA twin"))
            assert await connection.run_sync(_differences) == []
    await upgrade(database)  # finds nothing to do
    await database.close()


def _differences(connection: Connection) -> list[Any]:
    """What Alembic would still change, and where the tables differ from those that the metadata
    itself would create (defaults and conditions, which Alembic does not compare well)."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = [
        difference
        for difference in compare_metadata(context, schema.metadata)
        if not isinstance(difference, tuple) or difference[1].name != "alembic_version"
    ]
    twin = connection.execution_options(schema_translate_map={None: "twin"})
    schema.metadata.create_all(twin)
    stored = inspect(connection)
    for table in schema.metadata.sorted_tables:
        mine, theirs = (_shape(stored, table.name, name) for name in (None, "twin"))
        if mine != theirs:
            found.append((table.name, mine, theirs))
    if connection.dialect.name == "sqlite":
        texts = "SELECT name, sql FROM {}.sqlite_master WHERE type = 'index' AND sql LIKE '%>>%'"
        mine, theirs = (
            {name: sql.replace("twin.", "") for name, sql in connection.exec_driver_sql(query)}
            for query in (texts.format("main"), texts.format("twin"))
        )
        if mine != theirs or not mine:
            found.append(("expressions", mine, theirs))
    return found


def _shape(stored: Any, table: str, schema_name: str | None) -> str:
    """Everything that the database knows about a table, as text without the schema's name."""
    parts = [
        stored.get_columns(table, schema=schema_name),
        stored.get_pk_constraint(table, schema=schema_name),
        [
            {**index, "dialect_options": {k: str(v) for k, v in index["dialect_options"].items()}}
            for index in sorted(
                stored.get_indexes(table, schema=schema_name), key=lambda index: index["name"]
            )
        ],
        sorted(stored.get_unique_constraints(table, schema=schema_name), key=str),
        [
            (key["constrained_columns"], key["referred_table"], key["referred_columns"])
            for key in stored.get_foreign_keys(table, schema=schema_name)
        ],
    ]
    return repr(parts).replace("twin.", "")


def test_head_is_the_newest_file() -> None:
    folder = Path(migration.__file__).parent / "migrations"
    script = ScriptDirectory(str(folder))
    assert script.get_heads() == [migration.HEAD]


async def test_a_newer_database_is_refused(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaUnknown):
        await upgrade(database)


def _start(url: str, barrier: Any) -> None:
    async def run() -> None:
        database = Database(url)
        barrier.wait(30)
        await upgrade(database)
        await database.close()

    asyncio.run(run())


async def test_two_processes_may_start_at_once(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_start, args=(empty_url, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0, 0]
    database = Database(empty_url)
    async with database.read() as connection:
        assert await migration.read_revision(connection) == migration.HEAD
    await database.close()


def test_a_new_file_waits_for_who_else_prepares_it(tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as first,
        closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as second,
    ):
        first.execute("BEGIN IMMEDIATE")
        refused = []

        def execute(statement: str) -> Any:
            try:
                return second.execute(statement)
            except sqlite3.OperationalError:
                refused.append(statement)
                first.execute("COMMIT")
                raise

        prepare_sqlite(execute)
        assert refused == ["PRAGMA journal_mode=WAL"]  # SQLite itself did not wait
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_commits_are_synced_to_disk(database: Database) -> None:
    async with database.read() as connection:
        if database.is_sqlite:
            assert await connection.scalar(text("PRAGMA synchronous")) == 2  # FULL
            assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"
            assert await connection.scalar(text("PRAGMA foreign_keys")) == 1
            assert await _synchronous_of_the_journal(database) == 2
        else:
            assert await connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert await connection.scalar(text("SHOW fsync")) == "on"


async def _synchronous_of_the_journal(database: Database) -> int:
    writer = database.writer()
    assert isinstance(writer, SqliteWriter)
    await writer.open()
    found = int((await writer.ask("PRAGMA synchronous"))[0][0])
    await writer.close()
    return found


@pytest.mark.parametrize(
    "url", ["mysql://x", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"database\.url"):
        Database(url)
