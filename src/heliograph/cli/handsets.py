"""What lies in the handsets of the virtual network: messages that a virtual connector delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.cli.output import show_moment
from heliograph.domain.messages import MessageState, MessageType
from heliograph.storage.schema import connectors, messages, parts, submissions

__all__ = ["Arrived", "Follower", "list_arrived"]

_ARRIVED = (MessageState.DELIVERED, MessageState.READ, MessageState.CLICKED)
# These reach a telephone without anything being shown on it.
_UNSEEN = (MessageType.HLR, MessageType.PING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message as a handset shows it. `arrived_at` is epoch milliseconds."""

    message_id: int
    arrived_at: int
    sender: str
    recipient: str
    type: str
    text: str

    def as_record(self) -> dict[str, object]:
        """All of it, for JSON."""
        return {
            "arrived": show_moment(self.arrived_at),
            "from": self.sender,
            "to": self.recipient,
            "type": self.type,
            "text": self.text,
            "internal_id": self.message_id,
        }


async def list_arrived(
    connection: AsyncConnection, *, number: str | None, limit: int
) -> list[Arrived]:
    """The newest messages, oldest of them first. `number` None: of all handsets."""
    query = _arrived(number).order_by(messages.c.id.desc()).limit(limit)
    return _read((await connection.execute(query)).all())


class Follower:
    """Finds what has arrived since the last look, each message once.

    Messages arrive in another order than that of their ids, so everything from the oldest message
    on that was still open at the last look is looked at again.
    """

    def __init__(self, *, number: str | None) -> None:
        self._number = number
        self._from_id = 0
        self._seen: set[int] = set()

    async def begin(self, connection: AsyncConnection, limit: int) -> list[Arrived]:
        """The newest messages that are there already."""
        self._from_id = await _oldest_open(connection)
        found = await list_arrived(connection, number=self._number, limit=limit)
        late = await connection.execute(
            _arrived(self._number).where(messages.c.id >= self._from_id)
        )
        self._seen = {each.message_id for each in _read(late.all())}
        return found

    async def poll(self, connection: AsyncConnection) -> list[Arrived]:
        """What is new. `connection` sees one moment (`Database.snapshot`)."""
        query = _arrived(self._number).where(messages.c.id >= self._from_id)
        found = _read((await connection.execute(query.order_by(messages.c.id.desc()))).all())
        fresh = [each for each in found if each.message_id not in self._seen]
        self._from_id = await _oldest_open(connection)
        self._seen = {i.message_id for i in found if i.message_id >= self._from_id}
        return fresh


async def _oldest_open(connection: AsyncConnection) -> int:
    """Id of the oldest message that may still arrive; above all ids when none may."""
    oldest = select(func.min(messages.c.id)).where(messages.c.final_at == 0)
    found = await connection.scalar(oldest)
    if found is None:
        newest = await connection.scalar(select(func.max(messages.c.id)))
        return int(newest or 0) + 1
    return int(found)


def _arrived(number: str | None) -> Select[Any]:
    first_part: ColumnElement[bool] = parts.c.id == messages.c.id * 256 + 1
    virtual = select(connectors.c.id).where(connectors.c.kind == "virtual")
    query = (
        select(
            messages.c.id,
            messages.c.final_at,
            func.coalesce(messages.c.own_sender, submissions.c.sender),
            messages.c.recipient,
            submissions.c.type,
            func.coalesce(messages.c.own_text, submissions.c.text),
        )
        .join(submissions, submissions.c.id == messages.c.submission_id)
        .join(parts, first_part)
        .where(
            messages.c.state.in_([int(state) for state in _ARRIVED]),
            submissions.c.type.not_in([int(kind) for kind in _UNSEEN]),
            parts.c.connector_id.in_(virtual),
        )
    )
    return query if number is None else query.where(messages.c.recipient == number)


def _read(rows: Sequence[Any]) -> list[Arrived]:
    """Rows that came newest first, turned round."""
    return [
        Arrived(
            message_id=message_id,
            arrived_at=arrived_at,
            sender=sender,
            recipient=recipient,
            type=MessageType(kind).name.lower(),
            text=text,
        )
        for message_id, arrived_at, sender, recipient, kind, text in reversed(rows)
    ]
