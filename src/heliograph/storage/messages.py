"""Reading messages back: for dispatch after a start, for receipts, for the clock, for their owners.

Every reader returns the domain objects that the services work with, parts included, and takes time
that does not grow with the number of finished messages: open ones are found through partial
indices, single ones by their keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import ColumnElement, func, literal_column, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import Message, Part
from heliograph.storage.loading import load_messages
from heliograph.storage.schema import messages, parts, submissions
from heliograph.storage.sets import among, is_sqlite

__all__ = [
    "due_scheduled",
    "expired_between",
    "find_by_external",
    "find_messages",
    "load_messages",
    "messages_of",
    "recent_messages",
    "submitted_parts",
    "waiting_accounts",
    "waiting_connectors",
    "waiting_messages",
]

# A partial index is used only when the condition is written as in the index, with literal numbers.
_WAITING: ColumnElement[bool] = literal_column("parts.state IN (3, 4, 6)")
_SUBMITTED: ColumnElement[bool] = literal_column("parts.state = 5")
_SCHEDULED: ColumnElement[bool] = literal_column("messages.state = 1")
_OPEN: ColumnElement[bool] = literal_column("messages.final_at = 0")
# Literal too: PostgreSQL shifts a bigint by an integer, and a bound value would be a bigint.
_ONE: ColumnElement[int] = literal_column("1")
_EIGHT: ColumnElement[int] = literal_column("8")
_MESSAGE_OF_PART: ColumnElement[bool] = messages.c.id == parts.c.id.op(">>")(_EIGHT)
# How far back `recent_messages` looks: it is for eyes, and must not read a whole history.
_RECENT_MESSAGES = 100_000

# Clients may give one id to all their messages. Then the newest so many are looked through for a
# recipient, so that no request can cost seconds.
_MAX_EQUAL_REFS = 10_000
# The newest message of a pair, or nothing if it is hidden. Both texts make the engine walk from the
# newest submission down and stop at the first hit, instead of sorting all with this client_ref.
_FIND_SQLITE = text(
    "SELECT (SELECT CASE m.is_deleted WHEN 0 THEN m.id END FROM submissions s "
    "CROSS JOIN messages m ON m.submission_id = s.id "
    "AND m.recipient = json_extract(j.value, '$[1]') "
    "WHERE s.account_id = :account_id AND s.client_ref = json_extract(j.value, '$[0]') "
    "AND s.id > coalesce((SELECT o.id FROM submissions o WHERE o.account_id = :account_id "
    "AND o.client_ref = json_extract(j.value, '$[0]') "
    f"ORDER BY o.id DESC LIMIT 1 OFFSET {_MAX_EQUAL_REFS}), 0) "
    "ORDER BY s.id DESC, m.id DESC LIMIT 1) FROM json_each(:pairs) j"
)
_FIND_POSTGRESQL = text(
    "SELECT (SELECT CASE m.is_deleted WHEN 0 THEN m.id END FROM "
    "(SELECT id FROM submissions WHERE account_id = :account_id AND client_ref = j.client_ref "
    f"ORDER BY account_id DESC, client_ref DESC, id DESC LIMIT {_MAX_EQUAL_REFS}) s "
    "CROSS JOIN LATERAL (SELECT id, is_deleted FROM messages WHERE submission_id = s.id "
    "AND recipient = j.recipient ORDER BY id DESC LIMIT 1) m LIMIT 1) "
    "FROM unnest(CAST(:refs AS text[]), CAST(:recipients AS text[])) AS j(client_ref, recipient)"
)


async def find_messages(
    connection: AsyncConnection, account_id: int, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Message]:
    """An account's messages by (client_ref, recipient): the newest of each pair.

    A pair is left out when there is none, or when its newest message was hidden by its owner.
    """
    if not pairs:
        return {}
    given: dict[str, object]
    if is_sqlite(connection):
        given = {"pairs": msgspec.json.encode(pairs).decode()}
        statement = _FIND_SQLITE
    else:
        given = {"refs": [ref for ref, _ in pairs], "recipients": [to for _, to in pairs]}
        statement = _FIND_POSTGRESQL
    rows = await connection.execute(statement, {"account_id": account_id, **given})
    loaded = await load_messages(connection, [id for id in rows.scalars() if id is not None])
    return {(message.submission.client_ref, message.recipient): message for message in loaded}


async def messages_of(
    connection: AsyncConnection, account_id: int, client_ref: str, *, limit: int = 1000
) -> list[Message]:
    """Messages of every submission with that client_ref, newest first; hidden ones too."""
    ids = await connection.execute(
        select(messages.c.id)
        .join_from(submissions, messages, messages.c.submission_id == submissions.c.id)
        .where(submissions.c.account_id == account_id, submissions.c.client_ref == client_ref)
        .order_by(submissions.c.id.desc(), messages.c.id.desc())
        .limit(limit)
    )
    return _newest_first(await load_messages(connection, ids.scalars()))


async def find_by_external(
    connection: AsyncConnection, connector_id: int, external_ids: Iterable[str]
) -> dict[str, Part]:
    """Submitted parts of a connector by the ids that it gave. Of several with one id the newest."""
    wanted = list(dict.fromkeys(external_ids))
    if not wanted:
        return {}
    rows = await connection.execute(
        select(parts.c.id)
        .where(
            parts.c.connector_id == connector_id,
            among(connection, parts.c.external_id, wanted),
            _SUBMITTED,
        )
        .order_by(parts.c.id)
    )
    found = await _load_parts(connection, list(rows.scalars()))
    return {part.external_id: part for part in found}


async def waiting_connectors(connection: AsyncConnection) -> list[int]:
    """Ids of the connectors with waiting or claimed parts, whether they still exist or not."""
    found: list[int] = []
    last = -1
    while True:  # from one connector to the next, instead of through a million index entries
        following = await connection.scalar(
            select(func.min(parts.c.connector_id)).where(parts.c.connector_id > last, _WAITING)
        )
        if following is None:
            return found
        found.append(following)
        last = following


async def waiting_accounts(connection: AsyncConnection, connector_id: int) -> list[tuple[int, int]]:
    """Accounts with parts that wait for a connector: pairs of (account id, first part id)."""
    rows = await connection.execute(
        select(messages.c.account_id, func.min(parts.c.id))
        .join_from(parts, messages, _MESSAGE_OF_PART)
        .where(parts.c.connector_id == connector_id, _WAITING, _OPEN)
        .group_by(messages.c.account_id)
        .order_by(messages.c.account_id)
    )
    return [(account_id, part_id) for account_id, part_id in rows.all()]


async def waiting_messages(
    connection: AsyncConnection,
    *,
    connector_id: int,
    account_id: int | None = None,
    after_part_id: int = 0,
    limit: int,
) -> list[Part]:
    """Parts that wait for a connector (QUEUED, SUBMITTING, UNKNOWN), in the order of their ids.

    `account_id` None: of every account. Fewer than `limit` parts mean that there are no more.
    """
    # A lookup by key for each part, in these words: of a join PostgreSQL makes a comparison of all
    # with all while it knows nothing about the tables yet.
    owner = (
        select(messages.c.account_id)
        .where(_MESSAGE_OF_PART, _OPEN)
        .correlate(parts)
        .scalar_subquery()
    )
    query = (
        select(parts.c.id)
        .where(
            parts.c.connector_id == connector_id,
            parts.c.id > after_part_id,
            _WAITING,
            owner.is_not(None) if account_id is None else owner == account_id,
        )
        .order_by(parts.c.id)
        .limit(limit)
    )
    return await _load_parts(connection, list((await connection.execute(query)).scalars()))


async def submitted_parts(
    connection: AsyncConnection, connector_id: int, *, after: str, limit: int
) -> list[Part]:
    """Parts of a connector whose receipts are expected, in the order of their external ids.

    Begins after the external id `after`; fewer than `limit` parts mean that there are no more.
    """
    ids = await connection.execute(
        select(parts.c.id)
        .where(parts.c.connector_id == connector_id, parts.c.external_id > after, _SUBMITTED)
        .order_by(parts.c.external_id)
        .limit(limit)
    )
    found = await _load_parts(connection, list(ids.scalars()))
    return sorted(found, key=lambda part: part.external_id)


async def due_scheduled(connection: AsyncConnection, now_ms: int, limit: int) -> list[Message]:
    """Scheduled messages whose time has come, earliest first; they have no parts yet."""
    ids = await connection.execute(
        select(messages.c.id)
        .where(_SCHEDULED, messages.c.due_at <= now_ms)
        .order_by(messages.c.due_at, messages.c.id)
        .limit(limit)
    )
    loaded = await load_messages(connection, ids.scalars())
    return sorted(loaded, key=lambda message: (message.due_at, message.id))


async def expired_between(
    connection: AsyncConnection, cursor: tuple[int, int], until_ms: int, limit: int
) -> list[Message]:
    """Open messages with (expires_at, id) after the cursor and expires_at up to `until_ms`."""
    place = tuple_(messages.c.expires_at, messages.c.id)
    ids = await connection.execute(
        select(messages.c.id)
        .where(_OPEN, place > cursor, messages.c.expires_at <= until_ms)
        .order_by(messages.c.expires_at, messages.c.id)
        .limit(limit)
    )
    loaded = await load_messages(connection, ids.scalars())
    return sorted(loaded, key=lambda message: (message.expires_at, message.id))


async def recent_messages(
    connection: AsyncConnection,
    *,
    connector_ids: Iterable[int],
    recipient: str = "",
    after_id: int = 0,
    limit: int = 50,
) -> list[Message]:
    """Messages that were handed to one of the connectors, newest first.

    `recipient` '': anybody's. `after_id`: only newer ones. Looks at the last 100,000 messages.
    """
    newest = select(messages.c.id, messages.c.recipient).where(messages.c.id > after_id)
    newest = newest.order_by(messages.c.id.desc()).limit(_RECENT_MESSAGES)
    window = newest.subquery("newest")
    query = (
        select(window.c.id)
        .join_from(window, parts, parts.c.id == window.c.id.op("<<")(_EIGHT).op("+")(_ONE))
        .where(parts.c.submitted_at > 0, among(connection, parts.c.connector_id, [*connector_ids]))
        .order_by(window.c.id.desc())
        .limit(limit)
    )
    if recipient:
        query = query.where(window.c.recipient == recipient)
    ids = await connection.execute(query)
    return _newest_first(await load_messages(connection, ids.scalars()))


def _newest_first(loaded: list[Message]) -> list[Message]:
    return sorted(loaded, key=lambda message: -message.id)


async def _load_parts(connection: AsyncConnection, part_ids: Sequence[int]) -> list[Part]:
    """Parts in the order of their ids, each with its message and all sibling parts."""
    loaded = await load_messages(connection, (part_id >> 8 for part_id in part_ids))
    by_id = {message.id: message for message in loaded}
    return [by_id[part_id >> 8].parts[(part_id & 0xFF) - 1] for part_id in part_ids]
