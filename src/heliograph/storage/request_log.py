"""The request log: what accounts asked for through doors that give no answer, and the outcome.

It holds neither texts nor numbers nor secrets, and is bounded by time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema import request_log

__all__ = ["LoggedRequest", "list_requests", "purge_requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request. `at` is epoch ms; `door` is ``smtp`` or ``sms``."""

    id: int
    account_id: int
    at: int
    door: str
    what: str
    outcome: str


async def list_requests(
    connection: AsyncConnection, account_id: int, *, limit: int = 100
) -> list[LoggedRequest]:
    """The newest requests of an account, newest first."""
    rows = await connection.execute(
        select(request_log)
        .where(request_log.c.account_id == account_id)
        .order_by(request_log.c.id.desc())
        .limit(limit)
    )
    return [LoggedRequest(**row) for row in rows.mappings()]


async def purge_requests(connection: AsyncConnection, before_ms: int) -> int:
    """Deletes what is older; how many rows that were."""
    done = await connection.execute(delete(request_log).where(request_log.c.at < before_ms))
    return done.rowcount
