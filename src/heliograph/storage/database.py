"""The database: engines for everything but the hot path.

Reads run outside of transactions; writes take the write lock at their beginning (SQLite: BEGIN
IMMEDIATE), so that a read before a write in the same transaction is never stale.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from heliograph.storage.journal import BatchWriter
from heliograph.storage.sqlite_settings import prepare_sqlite

if TYPE_CHECKING:
    from heliograph.storage.postgresql_hold import PostgresqlHold

__all__ = ["Database", "DatabaseAway", "make_folder", "sqlite_url"]


def sqlite_url(data_dir: Path) -> str:
    """Address of the embedded database of a data folder."""
    return f"sqlite+aiosqlite:///{data_dir / 'heliograph.db'}"


def make_folder(data_dir: Path) -> None:
    """Makes a data folder that is not there yet, closed to other users of the machine: texts,
    numbers and hashes of passwords are in it. Raises OSError."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(mode=0o700, exist_ok=True)


_CONNECTIONS = 8


class DatabaseAway(ConnectionError):
    """PostgreSQL can not be reached. A ConnectionError, so that those who know nothing of storage
    can tell it from a mistake in the program: nothing has happened, another time it will."""


class Database:
    """One database of either kind, by its SQLAlchemy address."""

    def __init__(self, url: str) -> None:
        """`url`: ``sqlite+aiosqlite:///file`` or ``postgresql+asyncpg://``. Raises ValueError."""
        self.url = make_url(url)
        if self.url.drivername not in ("sqlite+aiosqlite", "postgresql+asyncpg"):
            raise ValueError(
                f"database.url begins with {self.url.drivername}://; use sqlite+aiosqlite:/// "
                "or postgresql+asyncpg://"
            )
        self.is_sqlite = self.url.drivername.startswith("sqlite")
        if self.is_sqlite and self.url.database in (None, "", ":memory:"):
            raise ValueError(
                "database.url names no file: SQLite needs one, sqlite+aiosqlite:////path"
            )
        self._hold: PostgresqlHold | None = None
        # Errors reach the log, with the statement: the values in it are texts and numbers.
        self._engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            hide_parameters=True,
            # The one that was used last: what it has planned and read, others have not.
            pool_use_lifo=True,
            **self._options(),
        )
        self._reader = self._engine
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare)
        else:
            self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def _options(self) -> dict[str, Any]:
        if not self.is_sqlite:
            # A server with LLVM would compile sums of a thousand sub-clients each time, which
            # takes longer than the 30 ms that they take without.
            return {"pool_pre_ping": True, "connect_args": {"server_settings": {"jit": "off"}}}
        from heliograph.storage.sqlite_cursor import sqlite_driver

        # For good, and not for every read there and back: `write` begins its transactions itself.
        return {"module": sqlite_driver(), "isolation_level": "AUTOCOMMIT"}

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for SELECTs. Raises DatabaseAway, from within the block too."""
        async with self._connect(self._reader) as connection:
            try:
                yield connection
            except DBAPIError as error:
                if error.connection_invalidated and not self.is_sqlite:
                    raise DatabaseAway(str(error.orig)) from error
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose SELECTs all see the same moment. Raises DatabaseAway."""
        async with self._connect(self._reader) as connection:
            begin = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            await connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                await connection.exec_driver_sql("ROLLBACK")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed after the block, rolled back on errors. Raises
        DatabaseAway when it could not begin; what is lost later may have been committed."""
        async with self._connect(self._engine) as connection, connection.begin():
            if self.is_sqlite:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(engine.connect())
            except Exception as error:
                if self.is_sqlite or isinstance(error, PoolTimeout):
                    raise
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise DatabaseAway(reason) from error
            yield connection

    async def take_hold(self) -> bool:
        """Keeps other servers off a PostgreSQL database until `close`; False: one has it already.

        The hold ends with its connection, so this is called again and again: it takes what was lost
        and nobody has. Raises StorageDown. On SQLite there is nothing to do: the data folder itself
        is held.
        """
        if self.is_sqlite:
            return True
        if self._hold is None:
            from heliograph.storage.postgresql_hold import PostgresqlHold

            self._hold = PostgresqlHold(self.url)
        return await self._hold.take()

    @property
    def is_away(self) -> bool:
        """True while a database that is held does not answer; told by the last `take_hold`."""
        return self._hold is not None and not self._hold.is_taken

    async def check(self) -> None:
        """Raises when the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    def writer(self, keep_open: Sequence[int] = ()) -> BatchWriter:
        """The journal's own connection. `keep_open`: see SqliteWriter."""
        if self.is_sqlite:
            from heliograph.storage.sqlite_writer import SqliteWriter

            return SqliteWriter(self.url.database or "", keep_open=keep_open)
        from heliograph.storage.postgresql_writer import PostgresqlWriter

        return PostgresqlWriter(self.url, holds=self.take_hold if self._hold else None)

    async def close(self) -> None:
        """Closes the pool."""
        if self._hold is not None:
            await self._hold.close()
        await self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    prepare_sqlite(cursor.execute)
    cursor.close()
