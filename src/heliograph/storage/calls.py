"""Calls that people are expected to make, and what another process heard for the running server."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import counters
from heliograph.storage.schema_services import arrivals, expected_calls
from heliograph.storage.sets import is_sqlite

__all__ = [
    "Arrival",
    "add_arrival",
    "end_calls",
    "expect_call",
    "find_calls",
    "forget_calls",
    "take_arrivals",
]

_PAGE = 1_000


class Arrival(NamedTuple):
    """What another process heard: `kind` is ``call`` or ``incoming``."""

    id: int
    kind: str
    account_id: int
    source: str
    destination: str
    text: str
    at: int


async def expect_call(
    connection: AsyncConnection, account_id: int, phone: str, *, number: str, expires_at: int
) -> None:
    """The person with that phone was told to call `number`."""
    # A person may press the button twice.
    put = sqlite.insert if is_sqlite(connection) else postgresql.insert
    values = {"number": number, "expires_at": expires_at}
    await connection.execute(
        put(expected_calls)
        .values(account_id=account_id, phone=phone, **values)
        .on_conflict_do_update(index_elements=["account_id", "phone"], set_=values)
    )


async def find_calls(
    connection: AsyncConnection, phone: str, number: str, now_ms: int
) -> list[tuple[int, int]]:
    """(account, until when) of those that wait for a call from `phone` to `number` ('': to any)."""
    awaited = (expected_calls.c.phone == phone) & (expected_calls.c.expires_at > now_ms)
    if number:
        awaited &= expected_calls.c.number == number
    rows = await connection.execute(
        select(expected_calls.c.account_id, expected_calls.c.expires_at).where(awaited)
    )
    return [(account_id, expires_at) for account_id, expires_at in rows]


async def end_calls(connection: AsyncConnection, phone: str, found: list[tuple[int, int]]) -> None:
    """They wait no more, unless they have begun anew meanwhile."""
    for account_id, expires_at in found:
        await connection.execute(
            delete(expected_calls).where(
                expected_calls.c.account_id == account_id,
                expected_calls.c.phone == phone,
                expected_calls.c.expires_at == expires_at,
            )
        )


async def forget_calls(connection: AsyncConnection, now_ms: int) -> None:
    """Drops what nobody waits for any more."""
    await connection.execute(delete(expected_calls).where(expected_calls.c.expires_at <= now_ms))


async def add_arrival(
    connection: AsyncConnection,
    kind: str,
    *,
    source: str,
    destination: str,
    at: int,
    account_id: int = 0,
    text: str = "",
) -> None:
    """Leaves something for the running server, which looks every second."""
    values = {
        "id": await counters.take(connection, "ids", 1),
        "kind": kind,
        "account_id": account_id,
        "source": source,
        "destination": destination,
        "text": text,
        "at": at,
    }
    await connection.execute(insert(arrivals).values(values))


async def take_arrivals(connection: AsyncConnection, *, is_peek: bool = False) -> list[Arrival]:
    """What was left, in order; it is here no more, unless that was only a look."""
    rows = await connection.execute(select(arrivals).order_by(arrivals.c.id).limit(_PAGE))
    found = [Arrival(*row) for row in rows]
    if found and not is_peek:
        await connection.execute(delete(arrivals).where(arrivals.c.id <= found[-1].id))
    return found
