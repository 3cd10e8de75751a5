"""Pieces of long messages: rows until all are there, and afterwards the way from a piece's id."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.pieces import Piece
from heliograph.storage.schema import pieces

__all__ = ["find_message_ref", "load_waiting", "piece_row"]

_WAITING: ColumnElement[bool] = literal_column("pieces.message_ref = ''")


def piece_row(piece: Piece, message_ref: str) -> tuple[object, ...]:
    """A row of INSERT_PIECES; `message_ref` '': it waits. What no longer waits needs no octets."""
    return (
        piece.id,
        piece.account_id,
        piece.client_ref,
        message_ref,
        piece.sender,
        piece.recipient,
        piece.reference,
        piece.total,
        piece.number,
        piece.data_coding,
        "" if message_ref else piece.content.hex(),
        msgspec.json.encode(piece.options).decode(),
        piece.received_at,
    )


async def load_waiting(connection: AsyncConnection) -> list[Piece]:
    """Every piece that waits for the rest of its message, in the order of arrival."""
    rows = await connection.execute(select(pieces).where(_WAITING).order_by(pieces.c.id))
    return [
        Piece(
            id=row.id,
            account_id=row.account_id,
            client_ref=row.client_ref,
            sender=row.sender,
            recipient=row.recipient,
            reference=row.reference,
            total=row.total,
            number=row.number,
            data_coding=row.data_coding,
            content=bytes.fromhex(row.content),
            options=msgspec.json.decode(row.options),
            received_at=row.received_at,
        )
        for row in rows
    ]


async def find_message_ref(
    connection: AsyncConnection, account_id: int, client_ref: str
) -> str | None:
    """The client_ref of the message that a piece became part of; '': it waits; None: no piece."""
    found = await connection.scalar(
        select(pieces.c.message_ref)
        .where(pieces.c.account_id == account_id, pieces.c.client_ref == client_ref)
        .order_by(pieces.c.id.desc())
        .limit(1)
    )
    return None if found is None else str(found)
