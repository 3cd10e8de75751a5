"""An account's history: which messages, newest first, of a period, to some numbers, page by page.

Ten million messages later a page must still be a matter of milliseconds, and the index for it must
not make accepting a message dearer. Two facts are used:

- Ids grow with time. So a period is a span of ids, found by halving (`first_id_since`), and newest
  first is from the largest id down.
- An index in the order of (account, number) would touch a cold page with every insert. Instead ids
  are cut into buckets of 16384: the index is (account, id >> 14, number). An insert lands among the
  last few thousand entries, a page of history is read from the last bucket downwards, and one
  number is looked up in every bucket of the period: some thousand quick steps for ten million
  messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.sets import is_sqlite

__all__ = ["Period", "find_history", "first_id_since"]

_BUCKET_BITS = 14  # as in the index `ix_messages_history`
# An id is taken when a request is stored, its time when it came: in between is less than this.
_SKEW_MS = 120_000
_LARGEST_ID = (1 << 55) - 1

# The first id whose message is not older than a moment, found by halving: the largest id from which
# on the first message is still older, and one. A single statement, as forty would be forty round
# trips.
_FIRST_SINCE = text(
    "WITH RECURSIVE search(id, step) AS ("
    f"SELECT CAST(0 AS bigint), CAST({_LARGEST_ID // 2 + 1} AS bigint) UNION ALL "
    "SELECT search.id + CASE WHEN (SELECT created_at FROM messages "
    "WHERE messages.id >= search.id + step ORDER BY messages.id LIMIT 1) < :since "
    "THEN step ELSE 0 END, step / 2 FROM search WHERE step > 0) "
    "SELECT id + 1 FROM search WHERE step = 0"
)

_SHOWN = "m.is_deleted = 0 AND m.created_at >= :since AND m.created_at < :until"
_IN_SPAN = "m.id >= :first AND m.id < :before"
_IS_MAIL = "m.recipient LIKE '_%@%'"

# Texts and no expressions: what the planner is to do is told by their form.
_PAGE_SQLITE = text(
    "SELECT m.id FROM messages m WHERE m.account_id = :account_id "
    f"AND (m.id >> {_BUCKET_BITS}) >= :first_bucket AND (m.id >> {_BUCKET_BITS}) <= :last_bucket "
    f"AND {_IN_SPAN} AND {_SHOWN} AND NOT ({_IS_MAIL}) "
    f"ORDER BY (m.id >> {_BUCKET_BITS}) DESC, m.id DESC LIMIT :limit"
)
# PostgreSQL takes the conditions on ids and on buckets for independent of each other, expects
# hardly a row, and would gather a whole history to sort it. So it is led from bucket to bucket; the
# limit ends the walk, as rows come in the order of the series.
_WALK = (
    "SELECT id FROM (SELECT m.id FROM generate_series(CAST(:last_bucket AS bigint), "
    "CAST(:first_bucket AS bigint), -1) AS bucket(n) CROSS JOIN LATERAL (SELECT m.id "
    f"FROM messages m WHERE m.account_id = :account_id AND (m.id >> {_BUCKET_BITS}) = bucket.n "
    "AND {condition} AND (m.id + 0) >= :first AND (m.id + 0) < :before AND "
    f"{_SHOWN} ORDER BY m.id DESC) AS m LIMIT :limit) "
    "AS page ORDER BY id DESC"
)
_PAGE_POSTGRESQL = text(_WALK.format(condition=f"NOT ({_IS_MAIL})"))
_OF_NUMBERS_POSTGRESQL = text(
    _WALK.format(condition="m.recipient = ANY(CAST(:recipients AS text[]))")
)
_PAGE_OF_MAILS = text(
    f"SELECT m.id FROM messages m WHERE m.account_id = :account_id AND {_IS_MAIL} "
    f"AND {_IN_SPAN} AND {_SHOWN} ORDER BY m.id DESC LIMIT :limit"
)
_OF_NUMBERS_SQLITE = text(
    "WITH RECURSIVE bucket(n) AS (SELECT :last_bucket UNION ALL "
    "SELECT n - 1 FROM bucket WHERE n > :first_bucket) "
    "SELECT m.id FROM bucket CROSS JOIN json_each(:recipients) AS j CROSS JOIN messages m "
    f"ON m.account_id = :account_id AND (m.id >> {_BUCKET_BITS}) = bucket.n "
    f"AND m.recipient = j.value WHERE {_IN_SPAN} AND {_SHOWN} ORDER BY m.id DESC LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Period:
    """Messages accepted in [since, until), epoch milliseconds."""

    since_ms: int
    until_ms: int


async def first_id_since(connection: AsyncConnection, moment_ms: int) -> int:
    """The least id of the messages that were accepted at `moment_ms` or later (about: requests of
    the same two minutes may be on either side); beyond all ids when there are none."""
    found = await connection.scalar(_FIRST_SINCE, {"since": moment_ms})
    return int(found or 0)


async def find_history(
    connection: AsyncConnection,
    account_id: int,
    period: Period,
    *,
    recipients: Sequence[str] = (),
    mails: bool = False,
    before_id: int | None = None,
    limit: int,
) -> list[int]:
    """Ids of an account's messages of a period, newest first, without those that it deleted.

    `recipients` empty: to anybody; then `mails` says whether e-mails or all others are meant.
    `before_id`: only older ones, for the next page.
    """
    first = await first_id_since(connection, period.since_ms - _SKEW_MS)
    until_ms = period.until_ms + _SKEW_MS
    before = await first_id_since(connection, until_ms)
    if before_id is not None:
        before = min(before, before_id)
    if first >= before:
        return []
    given: dict[str, object] = {
        "account_id": account_id,
        "first": first,
        "before": min(before, _LARGEST_ID),
        "since": period.since_ms,
        "until": period.until_ms,
        "limit": limit,
    }
    statement = _PAGE_OF_MAILS
    if recipients:
        if is_sqlite(connection):
            statement = _OF_NUMBERS_SQLITE
            given["recipients"] = msgspec.json.encode(list(recipients)).decode()
        else:
            statement = _OF_NUMBERS_POSTGRESQL
            given["recipients"] = list(recipients)
    elif not mails:
        statement = _PAGE_SQLITE if is_sqlite(connection) else _PAGE_POSTGRESQL
    if statement is not _PAGE_OF_MAILS:
        given["first_bucket"] = first >> _BUCKET_BITS
        given["last_bucket"] = (before - 1) >> _BUCKET_BITS
    rows = await connection.execute(statement, given)
    return list(rows.scalars())
