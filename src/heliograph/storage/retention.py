"""Taking old messages of an account out of its sight, a page at a time."""

from __future__ import annotations

from sqlalchemy import exists, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema import messages, submissions
from heliograph.storage.sets import among

__all__ = ["has_old", "hide_page"]

# By the index of history, whose buckets grow with time: open messages hold their bucket up.
_FIND = text(
    "SELECT id, submission_id, (id >> 13) AS bucket, final_at FROM messages "
    "WHERE account_id = :account_id AND (id >> 13) >= :bucket AND is_deleted = 0 "
    "AND created_at < :before ORDER BY account_id, (id >> 13) LIMIT :limit"
)


async def has_old(
    connection: AsyncConnection, account_id: int, *, before_ms: int, from_bucket: int
) -> bool:
    """Whether `hide_page` would find any message."""
    parameters = {
        "account_id": account_id,
        "bucket": from_bucket,
        "before": before_ms,
        "limit": 1,
    }
    return (await connection.execute(_FIND, parameters)).first() is not None


async def hide_page(
    connection: AsyncConnection, account_id: int, *, before_ms: int, from_bucket: int, limit: int
) -> tuple[int, int]:
    """Hides ended messages accepted before a moment and empties their texts.

    Returns (how many were looked at, the bucket to go on from).
    """
    parameters = {
        "account_id": account_id,
        "bucket": from_bucket,
        "before": before_ms,
        "limit": limit,
    }
    found = (await connection.execute(_FIND, parameters)).all()
    ended = [row.id for row in found if row.final_at]
    if ended:
        await connection.execute(
            update(messages)
            .where(among(connection, messages.c.id, ended))
            .values(is_deleted=1, own_text=None)
        )
        # Of those that wait for their time the text is still needed: the last one takes it away.
        calls = sorted({row.submission_id for row in found if row.final_at})
        is_needed = exists().where(
            messages.c.submission_id == submissions.c.id, messages.c.final_at == 0
        )
        is_there = (submissions.c.text != "") | (submissions.c.comment != "")
        await connection.execute(
            update(submissions)
            .where(among(connection, submissions.c.id, calls), is_there, ~is_needed)
            .values(text="", comment="")
        )
    if not found:
        return 0, from_bucket
    if not ended and len(found) == limit:
        return len(found), found[-1].bucket + 1  # a page of open ones: the next start sees to them
    return len(found), min(
        (row.bucket for row in found if not row.final_at), default=found[-1].bucket
    )
