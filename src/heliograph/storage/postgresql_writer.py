"""The journal's writer on PostgreSQL: one asyncpg connection, arrays through `unnest`.

The connection is made again when it was lost; a batch whose commit was not confirmed is reported as not
written, which is safe because every insert has a unique id: a second try of the same rows would be refused
by its keys and never doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import URL

from heliograph.storage.bulk import Bulk, transpose
from heliograph.storage.journal import Rows, Script, StorageDown

__all__ = ["PostgresqlWriter"]

# Locks are taken in the order of ids, so that two nodes never wait for each other in a circle.
_FIXED = {
    "lock_balances": "SELECT account_id, balance_micros, credit_micros FROM balances "
    "WHERE account_id = ANY($1::bigint[]) ORDER BY account_id FOR UPDATE",
    "adjust_balances": "UPDATE balances SET balance_micros = balance_micros + j.effect "
    "FROM unnest($1::bigint[], $2::bigint[]) AS j(id, effect) WHERE account_id = j.id",
    "take_counters": 'INSERT INTO counters AS c (name, "next") '
    "SELECT name, taken + 1 FROM unnest($1::text[], $2::bigint[]) AS j(name, taken) "
    'ON CONFLICT (name) DO UPDATE SET "next" = c."next" + excluded."next" - 1 '
    'RETURNING c.name, c."next"',
}
_WIDTHS = {"lock_balances": 1, "adjust_balances": 2, "take_counters": 2}
_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DeadlockDetectedError,
)


class PostgresqlWriter:
    """A BatchWriter on one PostgreSQL connection."""

    def __init__(self, url: URL) -> None:
        self._dsn = url.render_as_string(hide_password=False)
        self._connection: Any = None

    async def open(self) -> None:
        """Connects. Raises StorageDown."""
        try:
            self._connection = await asyncpg.connect(
                self._dsn, server_settings={"synchronous_commit": "on"}
            )
        except _LOST as error:
            raise StorageDown(f"the database can not be reached: {error}") from error

    async def write(self, script_of: Callable[[], Script]) -> None:
        """Runs a script in one transaction. Raises StorageDown, or asyncpg's error for a bad row."""
        try:
            if self._connection is None or self._connection.is_closed():
                await self.open()
            async with self._connection.transaction():
                await self._run(script_of())
        except _LOST as error:
            raise StorageDown(f"the database can not be written: {error}") from error

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _run(self, script: Script) -> None:
        answer: Rows | None = None
        try:
            while True:
                statement, rows = next(script) if answer is None else script.send(answer)
                if isinstance(statement, Bulk):
                    sql, width = statement.postgresql, len(statement.columns)
                else:
                    sql, width = _FIXED[statement], _WIDTHS[statement]
                answer = [tuple(r) for r in await self._connection.fetch(sql, *transpose(rows, width))]
        except StopIteration:
            return
