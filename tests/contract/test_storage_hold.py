"""One server at a time on a PostgreSQL database, also after the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.harness.gateway import Gateway, wait_for

from heliograph.storage.database import Database, DatabaseAway
from heliograph.storage.journal import StorageDown
from heliograph.storage.postgresql_hold import PostgresqlHold

pytestmark = pytest.mark.postgres

_END_HOLDS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name LIKE 'heliograph-hold-%' AND pid <> ALL(:spared)"
)


@pytest.fixture(params=["postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """This file is about one engine."""
    return str(request.param)


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Another server's view of the database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


async def end_holds(database: Database, spared: tuple[int, ...] = ()) -> None:
    """As a restart of the database would."""
    async with database.read() as connection:
        await connection.execute(text(_END_HOLDS), {"spared": list(spared)})


async def get_hold(database: Database) -> None:
    """Takes it as soon as the server has noticed that its holder is gone."""
    async with asyncio.timeout(30):
        while not await database.take_hold():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_one_at_a_time(database: Database, other: Database) -> None:
    assert await database.take_hold()
    assert await database.take_hold()
    assert not await other.take_hold()
    await database.close()
    await get_hold(other)


async def test_what_was_lost_is_taken_again(database: Database, other: Database) -> None:
    assert await database.take_hold()
    assert not database.is_away
    await end_holds(other)
    assert await database.take_hold()
    assert not await other.take_hold()
    assert other.is_away


async def test_a_session_that_only_the_server_believes_in(
    database: Database, other: Database
) -> None:
    """The network was cut: our own lost session still has the lock."""
    assert await database.take_hold()
    hold = database._hold
    assert isinstance(hold, PostgresqlHold)
    lost, hold._connection, hold._is_taken = hold._connection, None, False
    assert await database.take_hold()
    assert not await other.take_hold()
    lost.terminate()


async def test_nothing_is_written_once_another_one_has_it(
    database: Database, other: Database
) -> None:
    assert await database.take_hold()
    writer = database.writer()
    await writer.open()
    await end_holds(other)
    await get_hold(other)
    assert not await database.take_hold()
    await writer.close()
    with pytest.raises(StorageDown, match="another heliograph"):
        await writer.write([], 1)


async def test_a_database_that_is_away(database: Database) -> None:
    address = database.url.set(database="nowhere")
    hold = PostgresqlHold(address)
    with pytest.raises(StorageDown, match="can not be reached"):
        await hold.take()
    await hold.close()
    away = Database(address.render_as_string(hide_password=False))
    for connect in (away.read, away.write, away.snapshot):
        with pytest.raises(DatabaseAway, match="nowhere"):
            async with connect():
                pass
    await away.close()


async def test_a_read_that_is_cut(database: Database, other: Database) -> None:
    async def read() -> None:
        async with database.read() as connection:
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            async with other.read() as killer:
                await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await connection.execute(text("SELECT pg_sleep(30)"))

    with pytest.raises(DatabaseAway):
        await read()
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


def test_a_server_that_lost_its_database_to_another_one_ends(
    tmp_path: Path, database_url: str
) -> None:
    gateway = Gateway(tmp_path / "data", f"database.url={database_url}").start()
    process = gateway._process
    assert process is not None

    async def take_over() -> None:
        database = Database(database_url)
        hold = PostgresqlHold(database.url)
        while not await hold.take():
            pid = hold._connection.get_server_pid()
            await end_holds(database, (pid,))
        await asyncio.to_thread(wait_for, lambda: process.poll() is not None)
        await hold.close()
        await database.close()

    try:
        asyncio.run(take_over())
        assert process.returncode == 1
        told = gateway.output.read_text()
        assert "another heliograph serves from this database now" in told
        assert "Traceback" not in told
    finally:
        gateway.kill()
