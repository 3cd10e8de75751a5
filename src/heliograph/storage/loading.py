"""From rows to domain objects: messages with their submission and all their parts.

Three statements for any number of messages: messages, their submissions (texts are read once, not
once per recipient), their parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import (
    Message,
    MessageState,
    MessageType,
    Part,
    Submission,
    part_id,
)
from heliograph.storage.schema import messages, parts, submissions
from heliograph.storage.sets import joined

__all__ = ["load_messages", "split_route"]

_SUBMISSION_COLUMNS = (
    submissions.c.id,
    submissions.c.account_id,
    submissions.c.payer_id,
    submissions.c.client_ref,
    submissions.c.type,
    submissions.c.sender,
    submissions.c.text,
    submissions.c.comment,
    submissions.c.door,
    submissions.c.flags,
    submissions.c.is_test,
    submissions.c.options,
    submissions.c.created_at,
)
_MESSAGE_COLUMNS = (
    messages.c.id,
    messages.c.submission_id,
    messages.c.recipient,
    messages.c.mccmnc,
    messages.c.state,
    messages.c.err,
    messages.c.part_count,
    messages.c.price_micros,
    messages.c.charged_micros,
    messages.c.due_at,
    messages.c.expires_at,
    messages.c.created_at,
    messages.c.final_at,
    messages.c.own_text,
    messages.c.own_sender,
    messages.c.route,
    messages.c.detail,
    messages.c.flags,
)
_PART_COLUMNS = (
    parts.c.id,
    parts.c.state,
    parts.c.connector_id,
    parts.c.external_id,
    parts.c.err,
    parts.c.attempts,
    parts.c.next_try_at,
    parts.c.submitted_at,
    parts.c.responded_at,
    parts.c.done_at,
)
_STATES = {int(state): state for state in MessageState}
_TYPES = {int(type): type for type in MessageType}


async def load_messages(
    connection: AsyncConnection, ids: Iterable[int], *, parts_of_ended: bool = True
) -> list[Message]:
    """Messages by their ids, in the order of ids; unknown ids are left out.

    Messages of one submission share its object; `parts` are complete and in order.
    `parts_of_ended` False: messages that have come to their end have none. Their owners are told
    nothing of them, and a message without parts is freed with its last name: one with parts waits
    for the collector, as each of them knows it.
    """
    asked = list(set(ids))
    if not asked:
        return []
    rows = (
        await connection.execute(
            select(*_MESSAGE_COLUMNS)
            .where(joined(connection, messages.c.id, asked))
            .order_by(messages.c.id)
        )
    ).all()
    wanted = list({row[1] for row in rows})
    found = await connection.execute(
        select(*_SUBMISSION_COLUMNS).where(joined(connection, submissions.c.id, wanted))
    )
    calls = {row[0]: _make_submission(row) for row in found.all()}
    loaded = {row[0]: _make_message(row, calls[row[1]]) for row in rows}
    if parts_of_ended:
        await _load_parts(connection, loaded)
    else:
        still_open = {id: each for id, each in loaded.items() if not each.final_at}
        if still_open:
            await _load_parts(connection, still_open)
    return list(loaded.values())


async def _load_parts(connection: AsyncConnection, loaded: Mapping[int, Message]) -> None:
    ids = [
        part_id(message.id, seq)
        for message in loaded.values()
        for seq in range(1, message.part_count + 1)
    ]
    rows = await connection.execute(
        select(*_PART_COLUMNS).where(joined(connection, parts.c.id, ids)).order_by(parts.c.id)
    )
    for row in rows.all():
        message = loaded[row[0] >> 8]
        message.parts.append(_make_part(row, message))


def _make_submission(row: Sequence[Any]) -> Submission:
    (
        id,
        account_id,
        payer_id,
        client_ref,
        type,
        sender,
        text,
        comment,
        door,
        flags,
        is_test,
        options,
        created_at,
    ) = row
    return Submission(
        id=id,
        account_id=account_id,
        payer_id=payer_id,
        client_ref=client_ref,
        type=_TYPES[type],
        sender=sender,
        text=text,
        created_at=created_at,
        door=door,
        comment=comment,
        flags=flags,
        is_test=bool(is_test),
        options=None if options is None else msgspec.json.decode(options),
    )


def _make_message(row: Sequence[Any], submission: Submission) -> Message:
    (
        id,
        _submission_id,
        recipient,
        mccmnc,
        state,
        err,
        part_count,
        price_micros,
        charged_micros,
        due_at,
        expires_at,
        created_at,
        final_at,
        own_text,
        own_sender,
        route,
        detail,
        own_flags,
    ) = row
    message = Message(
        id=id,
        submission=submission,
        recipient=recipient,
        mccmnc=mccmnc,
        state=_STATES[state],
        part_count=part_count,
        price_micros=price_micros,
        created_at=created_at,
        expires_at=expires_at,
        due_at=due_at,
        err=err,
        own_text=own_text,
        own_sender=own_sender,
        own_flags=own_flags,
        route=split_route(route),
    )
    message.charged_micros = charged_micros
    message.final_at = final_at
    if detail is not None:
        message.detail = msgspec.json.decode(detail, type=dict[str, str])
    return message


def _make_part(row: Sequence[Any], message: Message) -> Part:
    id, state, connector_id, external_id, err, attempts, next_try_at, *moments = row
    part = Part(message, id & 0xFF, _STATES[state], connector_id)
    part.external_id = external_id
    part.err = err
    part.attempts = attempts
    part.next_try_at = next_try_at
    part.submitted_at, part.responded_at, part.done_at = moments
    return part


def split_route(text: str) -> tuple[int, ...]:
    """Connector ids from the column `route`."""
    return tuple(map(int, text.split(","))) if text else ()
