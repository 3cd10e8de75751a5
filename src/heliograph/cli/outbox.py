"""Callbacks as the command line reads them: rows of the outbox with their attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.cli.output import mask_number, show_moment
from heliograph.storage import accounts
from heliograph.storage.database import Database
from heliograph.storage.outbox import replay
from heliograph.storage.schema import accounts as account_rows
from heliograph.storage.schema import outbox, outbox_attempts

__all__ = ["list_callbacks", "read_callback", "replay_callbacks"]

# Waiting for a call, or for a session of the account.
_STATES = {0: "waiting", 1: "done", 2: "given-up", 3: "for-session"}
_HIDDEN = "(hidden)"


async def list_callbacks(
    connection: AsyncConnection, *, login: str | None, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """Callbacks, newest first. Raises NoSuchAccount."""
    query = (
        select(outbox, account_rows.c.login)
        .join(account_rows, account_rows.c.id == outbox.c.account_id)
        .order_by(outbox.c.id.desc())
        .limit(limit)
    )
    if login is not None:
        account = await accounts.find_account(connection, login)
        query = query.where(outbox.c.account_id == account.id)
    if state is not None:
        numbers = {name: number for number, name in _STATES.items()}
        query = query.where(outbox.c.state == numbers[state])
    rows = list((await connection.execute(query)).mappings())
    # Ids are given out in blocks: those of commands run ahead of the server's.
    rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    return [_record(row) for row in rows]


async def read_callback(
    connection: AsyncConnection, callback_id: int, *, with_text: bool, numbers: bool
) -> dict[str, Any] | None:
    """One callback with what it says and its failed attempts; None: there is none."""
    query = (
        select(outbox, account_rows.c.login)
        .join(account_rows, account_rows.c.id == outbox.c.account_id)
        .where(outbox.c.id == callback_id)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    failed = await connection.execute(
        select(outbox_attempts)
        .where(outbox_attempts.c.outbox_id == callback_id)
        .order_by(outbox_attempts.c.id)
    )
    says = msgspec.json.decode(row["payload"], type=dict[str, str])
    if "mes" in says and not with_text:
        says["mes"] = _HIDDEN
    if "phone" in says:
        says["phone"] = mask_number(says["phone"], is_shown=numbers)
    return {
        **_record(row),
        "says": says,
        "failed_attempts": [
            {"at": show_moment(each.at), "took_ms": each.elapsed_ms, "result": each.result}
            for each in failed
        ],
    }


async def replay_callbacks(
    database: Database, ids: Sequence[int], *, login: str | None, since_ms: int, now_ms: int
) -> int:
    """Makes callbacks due again; how many. Raises NoSuchAccount."""
    account_id = 0
    if login is not None:
        async with database.read() as connection:
            account_id = (await accounts.find_account(connection, login)).id
    return await replay(database, now_ms=now_ms, ids=ids, account_id=account_id, since_ms=since_ms)


def _record(row: Mapping[Any, Any]) -> dict[str, Any]:
    is_waiting = row["state"] in (0, 3)
    return {
        "id": row["id"],
        "account": row["login"],
        "kind": row["kind"],
        "message": row["message_id"],
        "state": _STATES[row["state"]],
        "attempts": row["attempts"],
        "written": show_moment(row["created_at"]),
        "next_try": show_moment(row["next_try_at"]) if is_waiting else "",
        "done": show_moment(row["done_at"]),
        "last_result": row["last_result"],
    }
