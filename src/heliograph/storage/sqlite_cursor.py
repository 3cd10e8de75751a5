"""One trip to a connection's thread for a statement and all of its rows.

SQLAlchemy's adapter of aiosqlite makes a cursor, executes, fetches and closes, and waits for the
thread each time: four times two switches between threads, which take longer than most statements
do. Here a statement runs in one go, and a rollback only when there is a transaction.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import aiosqlite
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import EMPTY_DICT, await_only

__all__ = ["sqlite_driver"]


class _Ran(NamedTuple):
    """What is left of a sqlite3 cursor that has been closed; named as there."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    rows: Sequence[Any] = ()


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    def __init__(self, adapt_connection: AsyncAdapt_dbapi_connection) -> None:
        # Not that of the base, which makes a cursor in the thread.
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._soft_closed_memoized = EMPTY_DICT
        self._cursor: Any = _Ran()
        self._rows = deque()

    def execute(self, operation: Any, parameters: Any = None) -> None:
        """Runs a statement and fetches its rows."""
        self._run(_execute, operation, () if parameters is None else parameters)

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        """Runs a statement with one row of parameters after the other."""
        self._run(_executemany, operation, seq_of_parameters)

    def close(self) -> None:
        """Forgets the rows; the cursor in the thread has been closed."""
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Nothing is open."""

    def _run(self, function: Callable[..., _Ran], *arguments: Any) -> None:
        connection = self._connection
        try:
            ran = await_only(connection._execute(function, connection._conn, *arguments))
        except Exception as error:
            self._adapt_connection._handle_exception(error)
        self._cursor = ran
        self._rows = deque(ran.rows)


def _execute(connection: sqlite3.Connection, operation: str, parameters: Any) -> _Ran:
    return _finish(connection.execute(operation, parameters))


def _executemany(connection: sqlite3.Connection, operation: str, parameters: Any) -> _Ran:
    return _finish(connection.executemany(operation, parameters))


def _finish(cursor: sqlite3.Cursor) -> _Ran:
    rows = cursor.fetchall() if cursor.description else ()
    ran = _Ran(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
    cursor.close()
    return ran


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = _Cursor

    def rollback(self) -> None:
        """Also called after every read, when there is nothing to roll back."""
        driver = self._connection._connection
        if driver is not None and driver.in_transaction:
            super().rollback()


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arguments: Any, **options: Any) -> _Connection:
        return _Connection(self, super().connect(*arguments, **options)._connection)


def sqlite_driver() -> Any:
    """For `create_engine(module=...)`."""
    return _Driver(aiosqlite, sqlite3)
