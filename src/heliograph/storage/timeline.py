"""The timeline of a message: every stored row about it, for the person who asks where it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Table, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import part_id
from heliograph.storage.schema import (
    events,
    messages,
    outbox,
    outbox_attempts,
    parts,
    submissions,
    unmatched_receipts,
)
from heliograph.storage.sets import among

__all__ = ["Timeline", "read_timeline"]

Row = dict[str, Any]
# Events are few; a message that collected more than this is a defect, not a story.
_MAX_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Rows as they are stored, by column names; lists in the order of their making.

    `callbacks`: rows of the outbox. `attempts`: those of them that did not succeed at once.
    `unmatched`: receipts that fitted nothing when they came and bear the id of one of the parts.
    """

    submission: Row
    message: Row
    parts: list[Row]
    events: list[Row]
    callbacks: list[Row]
    attempts: list[Row]
    unmatched: list[Row]


async def read_timeline(connection: AsyncConnection, message_id: int) -> Timeline | None:
    """Everything about a message; None when there is no such message."""
    message = await _rows(connection, _of(messages).where(messages.c.id == message_id))
    if not message:
        return None
    submission_id = message[0]["submission_id"]
    submission = await _rows(connection, _of(submissions).where(submissions.c.id == submission_id))
    found = await _rows(
        connection,
        _of(parts).where(parts.c.id.between(part_id(message_id, 1), part_id(message_id, 255))),
    )
    callbacks = await _rows(connection, _of(outbox).where(outbox.c.message_id == message_id))
    attempts = _of(outbox_attempts).where(
        among(connection, outbox_attempts.c.outbox_id, [row["id"] for row in callbacks])
    )
    return Timeline(
        submission=submission[0],
        message=message[0],
        parts=found,
        events=await _rows(connection, _of(events).where(events.c.message_id == message_id)),
        callbacks=callbacks,
        attempts=await _rows(connection, attempts),
        unmatched=await _unmatched(connection, found),
    )


async def _unmatched(connection: AsyncConnection, found: list[Row]) -> list[Row]:
    conditions = [
        and_(
            unmatched_receipts.c.connector_id == part["connector_id"],
            unmatched_receipts.c.external_id == part["external_id"],
        )
        for part in found
        if part["external_id"]
    ]
    if not conditions:
        return []
    return await _rows(connection, _of(unmatched_receipts).where(or_(*conditions)))


def _of(table: Table) -> Select[Any]:
    return select(table).order_by(table.c.id).limit(_MAX_ROWS)


async def _rows(connection: AsyncConnection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in (await connection.execute(query)).mappings()]
