"""Counters: numbers that are taken from the database in blocks and never twice.

The server takes them through its journal; this is for everything else, such as the command line.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["take"]

_TAKE = text(
    'INSERT INTO counters (name, "next") VALUES (:name, :count + 1) '
    'ON CONFLICT (name) DO UPDATE SET "next" = counters."next" + :count RETURNING "next"'
)


async def take(connection: AsyncConnection, name: str, count: int) -> int:
    """The first of `count` fresh numbers of a counter; a new counter begins at 1."""
    following = await connection.scalar(_TAKE, {"name": name, "count": count})
    assert following is not None
    return int(following) - count
