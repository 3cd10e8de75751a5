"""Messages from handsets, as their owners read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema import incoming

__all__ = ["IncomingMessage", "IncomingQuery", "list_incoming", "read_incoming"]


class IncomingMessage(NamedTuple):
    """A stored message from a handset, as its row. `account_id` 0: nobody has the number it came
    to."""

    id: int
    account_id: int
    connector_id: int
    source: str
    destination: str
    text: str
    received_at: int


_COLUMNS = [incoming.c[name] for name in IncomingMessage._fields]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingQuery:
    """Which incoming messages: after an id (0: any), received since a moment (epoch ms), by one
    number ('': by any)."""

    after_id: int = 0
    since_ms: int = 0
    destination: str = ""
    limit: int = 100


async def read_incoming(
    connection: AsyncConnection, account_id: int, query: IncomingQuery
) -> list[IncomingMessage]:
    """An account's messages in the order of their ids.

    When there are more than the limit: those that come next after `after_id`, so that a reader can
    go on from the last one; without it the newest ones.
    """
    rows = select(*_COLUMNS).where(
        incoming.c.account_id == account_id, incoming.c.received_at >= query.since_ms
    )
    if query.destination:
        rows = rows.where(incoming.c.destination == query.destination)
    if query.after_id:
        rows = rows.where(incoming.c.id > query.after_id).order_by(incoming.c.id)
    else:  # by time, for which there is an index
        rows = rows.order_by(incoming.c.received_at.desc(), incoming.c.id.desc())
    found = await connection.execute(rows.limit(query.limit))
    return sorted(map(IncomingMessage._make, found))  # by id, the first member


async def list_incoming(
    connection: AsyncConnection, account_id: int, *, after_id: int = 0, limit: int = 100
) -> list[IncomingMessage]:
    """An account's messages with ids after `after_id`: the newest `limit` of them, newest first."""
    rows = await connection.execute(
        select(*_COLUMNS)
        .where(incoming.c.account_id == account_id, incoming.c.id > after_id)
        .order_by(incoming.c.received_at.desc(), incoming.c.id.desc())  # as the index goes
        .limit(limit)
    )
    return [IncomingMessage._make(row) for row in rows]
