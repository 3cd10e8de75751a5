"""The journal's writer on SQLite: one connection in one thread.

The statements release the interpreter lock once for a whole batch; the event loop goes on
meanwhile.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain

import msgspec

from heliograph.storage.bulk import Bulk
from heliograph.storage.database import prepare_sqlite
from heliograph.storage.journal import Rows, Script, StorageDown

__all__ = ["SqliteWriter"]

_FIXED = {
    "lock_balances": "SELECT purse_id, balance_micros, credit_micros FROM balances "
    "WHERE purse_id IN (SELECT json_extract(value, '$[0]') FROM json_each(?))",
    "adjust_balances": "UPDATE balances SET balance_micros = balance_micros + j.effect "
    "FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS effect "
    "FROM json_each(?)) AS j WHERE purse_id = j.id",
    "take_counters": 'INSERT INTO counters (name, "next") '
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') + 1 FROM json_each(?) "
    'WHERE true ON CONFLICT (name) DO UPDATE SET "next" = "next" + excluded."next" - 1 '
    'RETURNING name, "next"',
}
# Checkpoints copy the log into the database file and fsync it: rarer is cheaper, and a start that
# has to replay 16 MB of log still takes a fraction of a second.
_CHECKPOINT_PAGES = 4000
_CACHE_KIB = 64 * 1024

# What the database itself suffers from. Everything else that SQLite raises is about the row or the
# statement: SQLITE_ERROR too, whose class (OperationalError) would tell otherwise.
_DOWN_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOTADB,
    }
)

# Rows of one statement: these, and whatever is left below the last of them. Few enough texts that
# each is prepared once and kept; few enough statements that the thread seldom has to wait for the
# interpreter lock, which it gives up with each of them.
_SIZES = (256, 64)
_KEPT_STATEMENTS = 1024

_encode = msgspec.json.Encoder().encode


class SqliteWriter:
    """A BatchWriter on one SQLite file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Opens the file. Raises StorageDown."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)

    async def write(self, script_of: Callable[[], Script]) -> None:
        """Runs a script in one transaction. Raises StorageDown, or what a bad row led to
        (sqlite3.Error, UnicodeEncodeError ...)."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, script_of)

    async def close(self) -> None:
        """Closes the file and ends the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _open(self) -> None:
        try:
            connection = sqlite3.connect(
                self._path, isolation_level=None, cached_statements=_KEPT_STATEMENTS
            )
            prepare_sqlite(connection.execute)
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        except sqlite3.DatabaseError as error:
            raise StorageDown(f"the database file can not be opened: {error}") from error
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, script_of: Callable[[], Script]) -> None:
        connection = self._connection
        assert connection is not None, "the writer is not open"
        try:
            connection.execute("BEGIN IMMEDIATE")
            _run(connection, script_of())
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.rollback()
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DOWN_CODES:
                raise StorageDown(f"the database can not be written: {error}") from error
            raise
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


def _run(connection: sqlite3.Connection, script: Script) -> None:
    answer: Rows | None = None
    try:
        while True:
            statement, rows = next(script) if answer is None else script.send(answer)
            if isinstance(statement, Bulk):
                answer = _write_rows(connection, statement, rows)
            else:
                given = (_encode(rows).decode(),)
                answer = connection.execute(_FIXED[statement], given).fetchall()
    except StopIteration:
        return


def _write_rows(connection: sqlite3.Connection, bulk: Bulk, rows: Rows) -> Rows:
    """Runs the statement on all rows, in as few pieces as the sizes allow."""
    answer: Rows = []
    at = 0
    while left := len(rows) - at:
        size = next((size for size in _SIZES if size <= left), left)
        values = list(chain.from_iterable(rows[at : at + size]))
        cursor = connection.execute(_text(bulk, size), values)
        if bulk.returns:
            answer += cursor.fetchall()
        at += size
    return answer


@cache
def _text(bulk: Bulk, size: int) -> str:
    marks = f"({', '.join('?' * len(bulk.columns))})"
    return bulk.sqlite.format(values=", ".join([marks] * size))
