"""The hold on a PostgreSQL database: one server at a time sends from it.

It is an advisory lock, which lives as long as the session that took it. A restart of the database
or a cut in the network ends the session and the lock with it while the server goes on; so the hold
is looked at again and again, and the journal writes on a new connection only while it has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any

import asyncpg
from sqlalchemy import URL

from heliograph.storage.journal import StorageDown
from heliograph.storage.postgresql_writer import GONE, address_of, end_session

__all__ = ["PostgresqlHold"]

# Any number that nothing else in the database uses: "heliogra" in octets.
_KEY = int.from_bytes(b"heliogra", "big") >> 1
_ANSWER_S = 10.0
# A machine that vanished lets go after some ten seconds, not after TCP's two hours.
_KEEPALIVE = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


class PostgresqlHold:
    """`take` as often as wanted, and `close` at the end."""

    def __init__(self, url: URL) -> None:
        """`url`: a SQLAlchemy address."""
        self._address = address_of(url)
        self._connection: Any = None
        self._session = ""
        self._is_taken = False
        self._turn = asyncio.Lock()

    async def take(self) -> bool:
        """Whether this server has the database, which it takes if nobody has it; False: another
        one does. Raises StorageDown when that can not be told."""
        async with self._turn:
            try:
                async with asyncio.timeout(2 * _ANSWER_S):
                    return await self._take()
            except GONE as error:
                self._drop()
                raise StorageDown(f"the database can not be reached: {error}") from error

    @property
    def is_taken(self) -> bool:
        """Whether the last look found the database here, and this server's."""
        return self._is_taken

    async def close(self) -> None:
        """Lets go."""
        if self._connection is not None:
            with contextlib.suppress(*GONE):
                await self._connection.close(timeout=_ANSWER_S)
            self._drop()

    async def _take(self) -> bool:
        if self._connection is not None:
            try:
                await self._connection.execute("SELECT 1")
            except GONE:
                self._drop()
        if self._connection is None:
            await self._connect()
        if not self._is_taken:
            self._is_taken = await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1)", _KEY
            )
        return self._is_taken

    async def _connect(self) -> None:
        session = f"heliograph-hold-{secrets.token_hex(8)}"
        self._connection = await asyncpg.connect(
            self._address,
            server_settings={**_KEEPALIVE, "application_name": session},
            timeout=_ANSWER_S,
            command_timeout=_ANSWER_S,
        )
        # To the server our own lost session may be alive, and have the lock.
        await end_session(self._connection, self._session)
        self._session = session

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._is_taken = False
