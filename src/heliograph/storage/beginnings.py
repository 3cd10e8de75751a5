"""What every account is given once: its default groups, the default sender name, a task group.

It is made when somebody first asks for it, and stays away when its owner has deleted it.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema_books import beginnings
from heliograph.storage.sets import is_sqlite

__all__ = ["begin", "forget", "has_begun", "list_begun"]


async def has_begun(connection: AsyncConnection, account_id: int, what: str) -> bool:
    """Whether the account was given `what` before."""
    found = await connection.scalar(
        select(beginnings.c.what).where(
            beginnings.c.account_id == account_id, beginnings.c.what == what
        )
    )
    return found is not None


async def begin(connection: AsyncConnection, account_id: int, what: str) -> bool:
    """Notes that the account is given `what` in this transaction; False: it was before."""
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    statement = insert(beginnings).values(account_id=account_id, what=what)
    done = await connection.execute(statement.on_conflict_do_nothing())
    return bool(done.rowcount)


async def forget(connection: AsyncConnection, account_id: int, what: str) -> None:
    """Lets the account be given `what` once more."""
    await connection.execute(
        delete(beginnings).where(beginnings.c.account_id == account_id, beginnings.c.what == what)
    )


async def list_begun(connection: AsyncConnection, what: str) -> set[int]:
    """Ids of all accounts that were given `what`."""
    return set(
        await connection.scalars(select(beginnings.c.account_id).where(beginnings.c.what == what))
    )
