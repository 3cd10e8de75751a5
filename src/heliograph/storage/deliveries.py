"""The part of the outbox that sessions drain: receipts and incoming messages of accounts.

Rows are written in the transaction of what they tell, in the state FOR_SESSION; reads go by
account, in the order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from heliograph.domain.events import CallEnd, OutboxEvent
from heliograph.storage.bulk import Bulk
from heliograph.storage.database import Database
from heliograph.storage.journal import Rows
from heliograph.storage.outbox import OUTBOX_RESULTS

__all__ = ["Deliveries", "delivery_result"]

_COLUMNS = "id, account_id, message_id, kind, payload, attempts, next_try_at, created_at"
# A partial index is used only when the condition is written as in the index.
_DUE = text(
    f"SELECT {_COLUMNS} FROM outbox WHERE state = 3 AND account_id = :account_id "
    "AND next_try_at <= :now ORDER BY next_try_at, id LIMIT :limit"
)
_NEXT = text(
    "SELECT MIN(next_try_at) FROM outbox WHERE state = 3 AND account_id = :account_id "
    "AND next_try_at > :now"
)
_STALE = text(
    "SELECT id, attempts FROM outbox WHERE state = 3 AND created_at < :until LIMIT :limit"
)

_decode = msgspec.json.Decoder(dict[str, str]).decode


def delivery_result(
    rows: dict[Bulk, Rows],
    *,
    event_id: int,
    end: CallEnd,
    attempts: int,
    at_ms: int,
    next_try_at: int = 0,
    text: str = "",
) -> None:
    """Adds the row that writes what became of a delivery."""
    done_at = 0 if end is CallEnd.FOR_SESSION else at_ms
    rows.setdefault(OUTBOX_RESULTS, []).append(
        (event_id, int(end), attempts, next_try_at, done_at, text)
    )


class Deliveries:
    """Reads what waits for sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, account_id: int, now_ms: int, limit: int) -> list[OutboxEvent]:
        """What may be delivered now, the longest due first."""
        given = {"account_id": account_id, "now": now_ms, "limit": limit}
        async with self._database.read() as connection:
            rows = (await connection.execute(_DUE, given)).all()
        return [_event(row) for row in rows]

    async def next_due(self, account_id: int, now_ms: int) -> int:
        """When the next one after now is due; 0: there is none."""
        given = {"account_id": account_id, "now": now_ms}
        async with self._database.read() as connection:
            found = await connection.scalar(_NEXT, given)
        return int(found or 0)

    async def stale(self, until_ms: int, limit: int) -> list[tuple[int, int]]:
        """(id, attempts) of those written before `until_ms`, of any account."""
        async with self._database.read() as connection:
            rows = await connection.execute(_STALE, {"until": until_ms, "limit": limit})
        return [(id, attempts) for id, attempts in rows.all()]


def _event(row: Sequence[Any]) -> OutboxEvent:
    id_, account_id, message_id, kind, payload, attempts, next_try_at, created_at = tuple(row)
    return OutboxEvent(
        id=id_,
        account_id=account_id,
        message_id=message_id,
        kind=kind,
        payload=_decode(payload),
        attempts=attempts,
        next_try_at=next_try_at,
        created_at=created_at,
    )
