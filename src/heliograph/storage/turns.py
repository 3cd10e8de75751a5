"""Turns: a transaction that looks whether something is there and then adds it has to be alone.

On SQLite every writing transaction is. On PostgreSQL two at once would both find nothing.
"""

from __future__ import annotations

from enum import IntEnum, unique

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.sets import is_sqlite

__all__ = ["Turn", "take_turn"]


@unique
class Turn(IntEnum):
    """What transactions of one account take turns at."""

    GROUPS = 1  # of contacts: their short numbers
    CODES = 2  # that confirm numbers as sender names
    TEMPLATES = 3  # at operators


async def take_turn(connection: AsyncConnection, turn: Turn, account_id: int) -> None:
    """Waits for the other transactions at this; those that follow wait until this one ends."""
    if not is_sqlite(connection):
        # Of two numbers of 32 bits: apart from the locks of the whole database.
        lock = func.pg_advisory_xact_lock(int(turn), account_id & 0x7FFF_FFFF)
        await connection.execute(select(lock))
