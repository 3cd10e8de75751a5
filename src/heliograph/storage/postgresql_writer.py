"""The journal's writer on PostgreSQL: one asyncpg connection, arrays through `unnest`.

The connection is made again when it was lost. When it was lost in the middle of a commit, a row
that only that transaction can have written tells afterwards whether it was committed.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import asyncpg
from sqlalchemy import URL

from heliograph.storage.batch import Entry, Rows, Script, write_batch
from heliograph.storage.bulk import Bulk, transpose
from heliograph.storage.journal import StorageDown
from heliograph.storage.statements import FINISH_MESSAGES, HOT

__all__ = ["GONE", "PostgresqlWriter", "address_of", "end_session"]

# Locks are taken in the order of ids, so that two nodes never wait for each other in a circle.
_FIXED = {
    "lock_balances": "SELECT purse_id, balance_micros, credit_micros, currency FROM balances "
    "WHERE purse_id = ANY($1::bigint[]) ORDER BY purse_id FOR UPDATE",
    "adjust_balances": "UPDATE balances SET balance_micros = balance_micros + j.effect "
    "FROM unnest($1::bigint[], $2::bigint[]) AS j(id, effect) WHERE purse_id = j.id",
    "take_counters": 'INSERT INTO counters AS c (name, "next") '
    "SELECT name, taken + 1 FROM unnest($1::text[], $2::bigint[]) AS j(name, taken) "
    'ON CONFLICT (name) DO UPDATE SET "next" = c."next" + excluded."next" - 1 '
    'RETURNING c.name, c."next"',
}
_WIDTHS = {"lock_balances": 1, "adjust_balances": 2, "take_counters": 2}
# Conditions of the server, by class of SQLSTATE (PostgreSQL manual, appendix A): connection (08),
# invalid password (28), missing database (3D), rollback by the server (40), insufficient resources
# (53), intervention of an operator (57), system error (58). And of single states: read-only
# (25006), idle for too long (25P03), lock not available (55P03).
_DOWN_CLASSES = frozenset({"08", "28", "3D", "40", "53", "57", "58"})
_DOWN_STATES = frozenset({"25006", "25P03", "55P03"})
# Every statement here looks rows up by a key. A plan is kept as long as the session, and one that
# was made while a table was small would read it from one end to the other when it is large.
_SETTINGS = {
    "synchronous_commit": "on",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_PARAMETER = re.compile(r"\$(\d+)")
# What the driver raises when the server is away; the last one when its farewell was not read yet.
GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_COLLISIONS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_TRIES = 5
_CONNECT_S = 10.0
# Without a bound a host that vanished would hold the journal until TCP gives up, a quarter of an
# hour.
_STATEMENT_S = 30.0
_END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
_END_TRIES = 40
_END_PAUSE_S = 0.05


class PostgresqlWriter:
    """A BatchWriter on one PostgreSQL connection."""

    def __init__(self, url: URL, *, holds: Callable[[], Awaitable[bool]] | None = None) -> None:
        """`url`: a SQLAlchemy address. `holds()`: whether the database is this server's; asked
        for every connection. None: nobody else writes what it writes."""
        self._dsn = address_of(url)
        self._holds = holds
        self._connection: Any = None
        self._session = ""

    async def open(self) -> None:
        """Connects. Raises StorageDown, also when another server has taken the database."""
        if self._holds is not None and not await self._holds():
            raise StorageDown("another heliograph serves from this database")
        session = f"heliograph-journal-{secrets.token_hex(8)}"
        try:
            connection = await asyncpg.connect(
                self._dsn,
                server_settings={**_SETTINGS, "application_name": session},
                timeout=_CONNECT_S,
                command_timeout=_STATEMENT_S,
            )
            await end_session(connection, self._session)
        except GONE as error:
            raise StorageDown(f"the database can not be reached: {error}") from error
        self._connection, self._session = connection, session

    async def write(self, batch: Sequence[Entry], first_id: int) -> None:
        """Writes a batch. Raises StorageDown, or asyncpg's word on a bad row."""
        if self._connection is None or self._connection.is_closed():
            await self.open()
        for attempt in range(1, _TRIES + 1):
            try:
                ids = itertools.count(first_id)
                probe = await self._run_to_commit(write_batch(batch, ids.__next__, HOT))
                break
            except _COLLISIONS as error:  # with another node: the loser begins anew
                if attempt == _TRIES:
                    raise StorageDown(f"the database is too busy: {error}") from error
        try:
            await self._connection.execute("COMMIT")
        except BaseException as error:
            self._connection.terminate()
            if not _is_down(error):
                raise
            raise StorageDown(
                f"the database went away during a commit: {error}",
                outcome=partial(self._was_committed, probe),
            ) from error

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _run_to_commit(self, script: Script) -> tuple[str, int] | None:
        """Runs the script in a new transaction and leaves it open.

        Returns (question, id) that finds a row once the transaction is committed; None when the
        script wrote nothing that could tell.
        """
        connection = self._connection
        try:
            await connection.execute("BEGIN")
            return await self._run(script)
        except BaseException as error:
            try:
                await connection.execute("ROLLBACK", timeout=_CONNECT_S)
            except Exception:
                connection.terminate()
            if _is_down(error) and not isinstance(error, _COLLISIONS):
                raise StorageDown(f"the database can not be written: {error}") from error
            raise

    async def _run(self, script: Script) -> tuple[str, int] | None:
        """Statements that nobody waits for an answer to go together with the next ones, in one
        round trip, as long as each writes another table."""
        probe: tuple[str, int] | None = None
        group: list[tuple[Bulk | str, Rows]] = []
        answer: Rows = []
        try:
            statement, rows = next(script)
            while True:
                table = _table_of(statement)
                if not table or any(_table_of(other) == table for other, _ in group):
                    await self._execute(group)
                    group = []
                group.append((statement, rows))
                answer = []
                if not table or (isinstance(statement, Bulk) and statement.returns):
                    answer = await self._execute(group)
                    group = []
                if isinstance(statement, Bulk):
                    probe = _probe_of(statement, rows, answer) or probe
                statement, rows = script.send(answer)
        except StopIteration:
            await self._execute(group)
            return probe

    async def _execute(self, group: list[tuple[Bulk | str, Rows]]) -> Rows:
        """Runs statements as one; the rows that the last of them returns."""
        if not group:
            return []
        sql = _join(tuple([statement for statement, _ in group]))
        arrays = [
            array for statement, rows in group for array in transpose(rows, _width_of(statement))
        ]
        return [tuple(row) for row in await self._connection.fetch(sql, *arrays)]

    async def _was_committed(self, probe: tuple[str, int] | None) -> bool:
        """Whether the transaction that `probe` belongs to is on disk. Raises StorageDown."""
        if self._connection is None or self._connection.is_closed():
            await self.open()
        try:
            return probe is not None and bool(
                await self._connection.fetchval(probe[0], probe[1], timeout=_STATEMENT_S)
            )
        except Exception as error:
            self._connection.terminate()
            raise StorageDown(f"the database does not answer: {error}") from error


def _table_of(statement: Bulk | str) -> str:
    """The table that a statement writes; '' for one that has to stand alone."""
    if isinstance(statement, Bulk):
        return statement.table
    return "balances" if statement == "adjust_balances" else ""


def _width_of(statement: Bulk | str) -> int:
    return len(statement.columns) if isinstance(statement, Bulk) else _WIDTHS[statement]


def _renumber(text: str, before: int) -> str:
    """A statement whose parameters come after as many others."""
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + before}", text)


@lru_cache(maxsize=256)
def _join(statements: tuple[Bulk | str, ...]) -> str:
    """One statement that does what all of them do, with their parameters one after the other.

    All see the tables as they were before (PostgreSQL manual, 7.8.4): they must not depend on each
    other's rows.
    """
    texts = []
    before = 0
    for statement in statements:
        text = statement.postgresql if isinstance(statement, Bulk) else _FIXED[statement]
        texts.append(_renumber(text, before))
        before += _width_of(statement)
    *others, last = texts
    if not others:
        return last
    named = ", ".join(f"w{number} AS ({text})" for number, text in enumerate(others))
    return f"WITH {named} {last}"


def address_of(url: URL) -> str:
    """A SQLAlchemy address as asyncpg reads it; its `ssl` is what libpq calls `sslmode`."""
    query = {("sslmode" if key == "ssl" else key): value for key, value in url.query.items()}
    address: str = url.set(drivername="postgresql", query=query).render_as_string(
        hide_password=False
    )
    return address


async def end_session(connection: Any, session: str) -> None:
    """Ends a lost session: on the server it may still hold locks, or be about to commit."""
    if not session:
        return
    for _ in range(_END_TRIES):
        if not await connection.fetch(_END_SESSION, session):
            return
        await asyncio.sleep(_END_PAUSE_S)
    connection.terminate()
    raise ConnectionError("the session before this one does not end")


def _probe_of(statement: Bulk, rows: Rows, answer: Rows) -> tuple[str, int] | None:
    # A batch without any of the two (states of parts only) may be written twice without harm.
    if statement.inserts:
        return f"SELECT 1 FROM {statement.inserts} WHERE id = $1", rows[0][0]
    if statement is FINISH_MESSAGES and answer:
        return "SELECT 1 FROM messages WHERE id = $1 AND final_at <> 0", answer[0][0]
    return None


def _is_down(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in _DOWN_CLASSES or state in _DOWN_STATES
    # The driver's "this value does not fit the column" is an InterfaceError too, and a ValueError.
    if isinstance(error, ValueError):
        return False
    return isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)
