"""Reading messages back: for dispatch after a start, for receipts, for the clock, for their owners.

Every reader returns the domain objects that the services work with, parts included. Conditions that have to
match a partial index are literals in the statement, as a bound value would hide the match from SQLite's
planner.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import Message, MessageState, MessageType, Part, Submission

__all__ = [
    "due_scheduled",
    "expired_between",
    "find_by_external",
    "find_messages",
    "load_messages",
    "waiting_accounts",
    "waiting_messages",
]

# Bound values of one statement; both engines take more than 32,000.
_CHUNK = 5_000

_COLUMNS = """
    m.id, m.submission_id, m.recipient, m.mccmnc, m.state, m.err, m.part_count, m.price_micros,
    m.charged_micros, m.due_at, m.expires_at, m.created_at, m.final_at, m.own_text, m.own_sender,
    m.route, m.detail, s.account_id, s.payer_id, s.client_ref, s.type, s.sender, s.text, s.comment,
    s.door, s.flags, s.is_test, s.options, s.created_at AS submitted_at
"""
_JOIN = "messages m JOIN submissions s ON s.id = m.submission_id"


async def waiting_accounts(connection: AsyncConnection, connector_id: int) -> list[tuple[int, int]]:
    """Accounts with parts that wait for a connector: pairs of (account id, first part id)."""
    rows = await connection.execute(
        text(
            "SELECT m.account_id, min(p.id) FROM parts p JOIN messages m ON m.id = p.id >> 8 "
            "WHERE p.connector_id = :connector AND p.state IN (3, 4, 6) AND m.final_at = 0 "
            "GROUP BY m.account_id"
        ),
        {"connector": connector_id},
    )
    return [(row[0], row[1]) for row in rows]


async def waiting_messages(
    connection: AsyncConnection,
    *,
    connector_id: int,
    account_id: int,
    after_part_id: int,
    limit: int,
) -> list[Part]:
    """Parts that wait for a connector (QUEUED, SUBMITTING or UNKNOWN), oldest first."""
    rows = await connection.execute(
        text(
            f"SELECT p.id AS part_id, {_COLUMNS} FROM parts p JOIN messages m ON m.id = p.id >> 8 "
            "JOIN submissions s ON s.id = m.submission_id "
            "WHERE p.connector_id = :connector AND p.state IN (3, 4, 6) AND p.id > :after "
            "AND m.account_id = :account AND m.final_at = 0 ORDER BY p.id LIMIT :limit"
        ).bindparams(connector=connector_id, after=after_part_id, account=account_id, limit=limit)
    )
    found = rows.all()
    messages = {m.id: m for m in await _build(connection, found)}
    return [messages[row.part_id >> 8].parts[(row.part_id & 255) - 1] for row in found]


async def find_by_external(
    connection: AsyncConnection, connector_id: int, external_ids: Iterable[str]
) -> dict[str, Part]:
    """Submitted parts of a connector by the ids that it gave them."""
    wanted = list(dict.fromkeys(external_ids))
    part_ids: dict[str, int] = {}
    statement = text(
        "SELECT external_id, id FROM parts WHERE connector_id = :connector "
        "AND external_id IN :wanted AND state = 5"
    ).bindparams(bindparam("wanted", expanding=True))
    for at in range(0, len(wanted), _CHUNK):
        rows = await connection.execute(
            statement, {"connector": connector_id, "wanted": wanted[at : at + _CHUNK]}
        )
        part_ids.update((row[0], row[1]) for row in rows)
    loaded = await load_messages(connection, {i >> 8 for i in part_ids.values()})
    messages = {m.id: m for m in loaded}
    return {
        external: messages[i >> 8].parts[(i & 255) - 1]
        for external, i in part_ids.items()
        if i >> 8 in messages
    }


async def due_scheduled(connection: AsyncConnection, now_ms: int, limit: int) -> list[Message]:
    """Scheduled messages whose time has come, earliest first; they have no parts yet."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM {_JOIN} WHERE m.state = 1 AND m.due_at <= :now "
            "ORDER BY m.due_at LIMIT :limit"
        ),
        {"now": now_ms, "limit": limit},
    )
    return await _build(connection, rows.all())


async def expired_between(
    connection: AsyncConnection, cursor: tuple[int, int], until_ms: int, limit: int
) -> list[Message]:
    """Open messages with (expires_at, id) after the cursor and expires_at up to `until_ms`."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM {_JOIN} WHERE m.final_at = 0 AND m.expires_at >= :since "
            "AND m.expires_at <= :until AND (m.expires_at > :since OR m.id > :id) "
            "ORDER BY m.expires_at, m.id LIMIT :limit"
        ),
        {"since": cursor[0], "id": cursor[1], "until": until_ms, "limit": limit},
    )
    return await _build(connection, rows.all())


async def find_messages(
    connection: AsyncConnection, account_id: int, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Message]:
    """An account's messages by (client's id, recipient): the newest of each pair, hidden ones left out."""
    refs = bindparam("refs", expanding=True)
    recipients = bindparam("recipients", expanding=True)
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM {_JOIN} WHERE s.account_id = :account "
            "AND s.client_ref IN :refs AND m.recipient IN :recipients AND m.is_deleted = 0 "
            "ORDER BY m.id"
        ).bindparams(refs, recipients),
        {
            "account": account_id,
            "refs": list({ref for ref, _ in pairs}),
            "recipients": list({recipient for _, recipient in pairs}),
        },
    )
    wanted = set(pairs)
    newest = {(row.client_ref, row.recipient): row for row in rows}
    kept = [row for pair, row in newest.items() if pair in wanted]
    built = await _build(connection, kept)
    return {(m.submission.client_ref, m.recipient): m for m in built}


async def load_messages(connection: AsyncConnection, ids: Iterable[int]) -> list[Message]:
    """Messages by their ids; unknown ids are left out."""
    wanted = sorted(set(ids))
    statement = text(f"SELECT {_COLUMNS} FROM {_JOIN} WHERE m.id IN :ids").bindparams(
        bindparam("ids", expanding=True)
    )
    messages: list[Message] = []
    for at in range(0, len(wanted), _CHUNK):
        rows = await connection.execute(statement, {"ids": wanted[at : at + _CHUNK]})
        messages += await _build(connection, rows.all())
    return messages


async def _build(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Message]:
    """Domain objects of joined rows, one per message, with their parts."""
    submissions: dict[int, Submission] = {}
    messages: dict[int, Message] = {}
    for row in rows:
        if row.id in messages:
            continue
        submission = submissions.get(row.submission_id)
        if submission is None:
            submission = submissions[row.submission_id] = _submission(row)
        messages[row.id] = _message(row, submission)
    part_ids = [m.id << 8 | seq for m in messages.values() for seq in range(1, m.part_count + 1)]
    statement = text(
        "SELECT id, state, connector_id, external_id, err, attempts, next_try_at, submitted_at, "
        "responded_at, done_at FROM parts WHERE id IN :ids ORDER BY id"
    ).bindparams(bindparam("ids", expanding=True))
    for at in range(0, len(part_ids), _CHUNK):
        for row in await connection.execute(statement, {"ids": part_ids[at : at + _CHUNK]}):
            message = messages[row.id >> 8]
            message.parts.append(_part(row, message))
    return list(messages.values())


def _submission(row: Row[Any]) -> Submission:
    return Submission(
        id=row.submission_id,
        account_id=row.account_id,
        payer_id=row.payer_id,
        client_ref=row.client_ref,
        type=MessageType(row.type),
        sender=row.sender,
        text=row.text,
        comment=row.comment,
        created_at=row.submitted_at,
        door=row.door,
        flags=row.flags,
        is_test=bool(row.is_test),
        options=json.loads(row.options) if row.options else None,
    )


def _message(row: Row[Any], submission: Submission) -> Message:
    message = Message(
        id=row.id,
        submission=submission,
        recipient=row.recipient,
        mccmnc=row.mccmnc,
        state=MessageState(row.state),
        part_count=row.part_count,
        price_micros=row.price_micros,
        created_at=row.created_at,
        expires_at=row.expires_at,
        due_at=row.due_at,
        err=row.err,
        own_text=row.own_text,
        own_sender=row.own_sender,
        route=tuple(int(c) for c in row.route.split(",") if c),
    )
    message.charged_micros = row.charged_micros
    message.final_at = row.final_at
    message.detail = json.loads(row.detail) if row.detail else None
    return message


def _part(row: Row[Any], message: Message) -> Part:
    part = Part(message, row.id & 255, MessageState(row.state), row.connector_id)
    part.external_id = row.external_id
    part.err = row.err
    part.attempts = row.attempts
    part.next_try_at = row.next_try_at
    part.submitted_at = row.submitted_at
    part.responded_at = row.responded_at
    part.done_at = row.done_at
    return part
