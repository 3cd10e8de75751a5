"""Black lists in SQL. Their keys come back in order, ready for `domain.blacklists.BlackList`."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import revisions
from heliograph.storage.schema_books import black_entries
from heliograph.storage.sets import is_sqlite

__all__ = ["add_entry", "remove_entry", "stream_keys"]

_REGISTER = "black"


async def add_entry(
    connection: AsyncConnection, account_id: int, *, address: str, key: int
) -> tuple[int, int]:
    """Puts an address on the black list; (the entry's id, that of the old one if it was there; the
    register's version)."""
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    statement = insert(black_entries).values(account_id=account_id, key=key, address=address)
    made = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account_id", "key"], set_={"address": address}
        ).returning(black_entries.c.id)
    )
    return int(made.scalar_one()), await revisions.bump_register(connection, _REGISTER, account_id)


async def remove_entry(connection: AsyncConnection, account_id: int, key: int) -> int:
    """Takes an entry off; the register's version, 0: it was not there."""
    done = await connection.execute(
        delete(black_entries).where(
            black_entries.c.account_id == account_id, black_entries.c.key == key
        )
    )
    if not done.rowcount:
        return 0
    return await revisions.bump_register(connection, _REGISTER, account_id)


async def stream_keys(
    connection: AsyncConnection, account_id: int, *, page: int = 50_000
) -> AsyncIterator[array[int]]:
    """An account's keys in ascending order, in pages."""
    last = -1
    while True:
        rows = await connection.execute(
            select(black_entries.c.key)
            .where(black_entries.c.account_id == account_id, black_entries.c.key > last)
            .order_by(black_entries.c.key)
            .limit(page)
        )
        keys = array("Q", rows.scalars())
        if not keys:
            return
        last = keys[-1]
        yield keys
