"""Brings the tables of a database to what this version of the program needs.

An empty database gets the tables as they are now; only an older one walks through the migrations,
which lead to the same tables (a test compares them). They are forward only. Either happens in one
transaction, behind a lock: several processes may start at once, the first one works and the others
find the work done. An up-to-date database costs one SELECT.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.database import Database
from heliograph.storage.sets import is_sqlite
from heliograph.storage.tables import metadata

__all__ = ["HEAD", "SchemaUnknown", "migrate", "read_revision", "upgrade"]

# The newest file in `migrations/versions`; a test keeps it true.
HEAD = "0001"

_FOLDER = Path(__file__).parent / "migrations"
# Any number will do, as long as nobody else takes it for a lock in the same database: "helio".
_LOCK_KEY = 0x68656C696F


class SchemaUnknown(Exception):
    """The database has a revision that this version of the program does not know."""


async def upgrade(database: Database) -> None:
    """Brings it to HEAD. Raises SchemaUnknown when the database is ahead of the program."""
    async with database.read() as connection:
        if await read_revision(connection) == HEAD:
            return
    async with database.write() as connection:  # SQLite: holds the write lock from here on
        if not database.is_sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        revision = await read_revision(connection)
        if revision is None:
            await connection.run_sync(_create)
        elif revision != HEAD:
            await connection.run_sync(migrate)


async def read_revision(connection: AsyncConnection) -> str | None:
    """The revision of the tables; None when there are none yet."""
    exists = (
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        if is_sqlite(connection)
        else "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL"
    )
    if await connection.scalar(text(exists)) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    # As Alembic itself would create it.
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def migrate(connection: Connection) -> None:
    """Walks from whatever revision there is to HEAD. Raises SchemaUnknown."""
    # Imported here because it takes half a second and 10 MB, and hardly a start has use for it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)

    def steps(revision: str, _context: MigrationContext) -> object:
        return script._upgrade_revs(HEAD, revision)

    try:
        with EnvironmentContext(config, script, fn=steps, destination_rev=HEAD) as environment:
            environment.configure(connection=connection, target_metadata=metadata)
            environment.run_migrations()
    except CommandError as error:
        raise SchemaUnknown(f"the database was used by another version: {error}") from error
