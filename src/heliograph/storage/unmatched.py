"""Receipts that fitted no part when they came, for people who look for them.

The journal writes them (`storage.statements`); what fits a message by now is in its timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageState
from heliograph.storage.schema import unmatched_receipts
from heliograph.storage.sets import among

__all__ = ["UnmatchedReceipt", "list_unmatched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedReceipt:
    """`external_id` is the operator's id as it is compared: without case and leading zeros where
    they mean nothing. `received_at` in epoch milliseconds."""

    id: int
    connector_id: int
    external_id: str
    state: MessageState
    err: int
    received_at: int


async def list_unmatched(
    connection: AsyncConnection,
    *,
    connector_id: int = 0,
    external_ids: Sequence[str] = (),
    limit: int,
) -> list[UnmatchedReceipt]:
    """Newest first; of every connector and with any id where these are 0 and empty."""
    table = unmatched_receipts
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if connector_id:
        query = query.where(table.c.connector_id == connector_id)
    if external_ids:
        query = query.where(among(connection, table.c.external_id, external_ids))
    return [
        UnmatchedReceipt(**{**row, "state": MessageState(row["state"])})
        for row in (await connection.execute(query)).mappings()
    ]
