"""Messages from handsets, as their owners read them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema import incoming

__all__ = ["IncomingMessage", "list_incoming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingMessage:
    """A stored message from a handset. `account_id` 0: nobody has the number it came to."""

    id: int
    account_id: int
    connector_id: int
    source: str
    destination: str
    text: str
    received_at: int


async def list_incoming(
    connection: AsyncConnection, account_id: int, *, after_id: int = 0, limit: int = 100
) -> list[IncomingMessage]:
    """An account's messages with ids after `after_id`: the newest `limit` of them, newest first."""
    rows = await connection.execute(
        select(incoming)
        .where(incoming.c.account_id == account_id, incoming.c.id > after_id)
        .order_by(incoming.c.id.desc())
        .limit(limit)
    )
    return [IncomingMessage(**row) for row in rows.mappings()]
