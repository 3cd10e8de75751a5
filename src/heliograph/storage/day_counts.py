"""How much an account has sent today, for accounts with daily limits.

The counts are written in the transaction of the messages that they count, so that a restart forgets
none, and are read once, when the server starts.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import schema
from heliograph.storage.bulk_texts import bulk_add
from heliograph.storage.schema import day_counts

__all__ = ["ADD_DAY_COUNTS", "CountKey", "load_counts", "purge_counts"]

# (account_id, day, kind, key)
CountKey = tuple[int, int, int, str]

ADD_DAY_COUNTS = bulk_add(schema.day_counts)


async def load_counts(connection: AsyncConnection, since_day: int) -> dict[CountKey, int]:
    """All counts from a day on."""
    rows = await connection.execute(select(day_counts).where(day_counts.c.day >= since_day))
    return {(account, day, kind, key): count for account, day, kind, key, count in rows}


async def purge_counts(connection: AsyncConnection, before_day: int) -> int:
    """Forgets the counts of days before; how many rows they were."""
    done = await connection.execute(delete(day_counts).where(day_counts.c.day < before_day))
    return done.rowcount
