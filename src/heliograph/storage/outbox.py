"""The outbox: callbacks to make, kept until they are done or given up.

Rows are written in the transaction of what they tell (`INSERT_OUTBOX`); results come back in
batches through the journal. Reads go by account, so that what a dead receiver leaves behind slows
nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, text

from heliograph.domain.events import HANDOVER_MS, CallEnd, CallResult, OutboxEvent
from heliograph.storage import schema
from heliograph.storage.bulk_texts import bulk_insert, bulk_update
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry, Journal

__all__ = ["INSERT_OUTBOX_ATTEMPTS", "OUTBOX_RESULTS", "Outbox", "replay"]

# The end of a call: (id, state, attempts, next_try_at, done_at, last_result).
OUTBOX_RESULTS = bulk_update(
    "outbox_results",
    schema.outbox,
    key="id",
    columns=["state", "attempts", "next_try_at", "done_at", "last_result"],
)
INSERT_OUTBOX_ATTEMPTS = bulk_insert(schema.outbox_attempts)

_MAX_RESULT_CHARS = 200
_IDS_PER_STATEMENT = 500
_COLUMNS = "id, account_id, message_id, kind, payload, attempts, next_try_at, created_at"

# A loose index scan: one step per account, however many rows wait. The index is partial, so every
# step repeats its condition.
_SURVEY = text(
    """
    WITH RECURSIVE walk(account_id) AS (
        SELECT MIN(account_id) FROM outbox WHERE state = 0
        UNION ALL
        SELECT (SELECT MIN(o.account_id) FROM outbox AS o
                WHERE o.state = 0 AND o.account_id > walk.account_id)
        FROM walk WHERE walk.account_id IS NOT NULL
    )
    SELECT account_id,
           (SELECT MIN(o.next_try_at) FROM outbox AS o
            WHERE o.state = 0 AND o.account_id = walk.account_id)
    FROM walk WHERE account_id IS NOT NULL
    """
)
# An event whose message has an earlier one that would come later in this order is left out.
_DUE = text(
    f"""
    SELECT {_COLUMNS} FROM outbox
    WHERE state = 0 AND account_id = :account_id AND next_try_at <= :horizon
      AND (next_try_at <= :now OR attempts = 0)
      AND (message_id = 0 OR NOT EXISTS (
          SELECT 1 FROM outbox AS earlier
          WHERE earlier.message_id = outbox.message_id AND earlier.state = 0
            AND earlier.id < outbox.id AND earlier.next_try_at > outbox.next_try_at))
    ORDER BY next_try_at, id LIMIT :limit
    """
)
_HAS_RETRIES = text(
    "SELECT 1 FROM outbox WHERE state = 0 AND account_id = :account_id AND attempts > 0 LIMIT 1"
)
# Receipts are for sessions only; what else waits for one is not called again over HTTP either.
_REPLAY = (
    "UPDATE outbox SET state = CASE WHEN kind = 'receipt' OR state = 3 THEN 3 ELSE 0 END, "
    "attempts = 0, next_try_at = :now, done_at = 0, "
    "last_result = 'to be called again' WHERE NOT (state IN (0, 3) AND attempts = 0) AND "
)

_decode = msgspec.json.Decoder(dict[str, str]).decode


class Outbox:
    """The outbox of a running server. `take_ids(n)` gives the first of n new ids."""

    def __init__(
        self, database: Database, journal: Journal, take_ids: Callable[[int], int]
    ) -> None:
        self._database = database
        self._journal = journal
        self._take_ids = take_ids

    async def survey(self) -> list[tuple[int, int]]:
        """Every account with waiting events: (account id, when its first one is due)."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_SURVEY)).all()
        return [(account_id, first_at) for account_id, first_at in rows]

    async def due(
        self, account_id: int, now_ms: int, limit: int, *, with_new: bool = True
    ) -> list[OutboxEvent]:
        """Events of one account to call now, longest due first. None overtakes an earlier one of
        its message: it comes behind it, or not before that one is due.

        `with_new` adds those that were never tried and would otherwise still count as handed over.
        """
        horizon = now_ms + HANDOVER_MS if with_new else now_ms
        given = {"account_id": account_id, "now": now_ms, "horizon": horizon, "limit": limit}
        async with self._database.read() as connection:
            rows = (await connection.execute(_DUE, given)).all()
        return [_event(row) for row in rows]

    async def has_retries(self, account_id: int) -> bool:
        """Whether events that have failed before wait for their time."""
        async with self._database.read() as connection:
            found = await connection.execute(_HAS_RETRIES, {"account_id": account_id})
            return found.first() is not None

    async def finish(self, results: Sequence[CallResult]) -> None:
        """Writes results; returns when they are on disk. Only failed attempts get a row of their
        own.

        Waits for a database that is away; raises JournalClosed at the end of the program.
        """
        if not results:
            return
        rows = []
        attempts = []
        for result in results:
            event = result.event
            text_ = result.text[:_MAX_RESULT_CHARS]
            count = event.attempts + result.is_attempt
            end = result.end
            done_at = 0 if end is CallEnd.WAITING else result.at_ms
            rows.append((event.id, int(end), count, result.next_try_at, done_at, text_))
            if end is not CallEnd.DONE and result.is_attempt:
                attempts.append(
                    (self._take_ids(1), event.id, result.at_ms, text_, result.elapsed_ms)
                )
        entry_rows: dict[Any, list[Any]] = {OUTBOX_RESULTS: rows}
        if attempts:
            entry_rows[INSERT_OUTBOX_ATTEMPTS] = attempts
        await self._journal.write(Entry(entry_rows, now_ms=results[0].at_ms, must_write=True))


async def replay(
    database: Database,
    *,
    now_ms: int,
    ids: Sequence[int] = (),
    message_id: int = 0,
    account_id: int = 0,
    since_ms: int = 0,
) -> int:
    """Makes events due again, with a new schedule: by their ids, of a message, or of an account
    since a moment. Returns how many.

    Only the database is touched: a running server, which may be another process, notices within
    a second. Raises ValueError when nothing says which events.
    """
    given: dict[str, int] = {"now": now_ms}
    if ids:
        conditions = []
        for at in range(0, len(ids), _IDS_PER_STATEMENT):
            chunk = {f"id{at + i}": v for i, v in enumerate(ids[at : at + _IDS_PER_STATEMENT])}
            names = ", ".join(f":{name}" for name in chunk)
            conditions.append((f"id IN ({names})", {**given, **chunk}))
    elif message_id:
        conditions = [("message_id = :id", {**given, "id": message_id})]
    elif account_id:
        condition = "account_id = :id AND created_at >= :since"
        conditions = [(condition, {**given, "id": account_id, "since": since_ms})]
    else:
        raise ValueError("say which callbacks: ids, a message, or an account")
    count = 0
    async with database.write() as connection:
        for condition, values in conditions:
            count += (await connection.execute(text(_REPLAY + condition), values)).rowcount
    return count


def _event(row: Row[Any]) -> OutboxEvent:
    id_, account_id, message_id, kind, payload, attempts, next_try_at, created_at = tuple(row)
    return OutboxEvent(
        id=id_,
        account_id=account_id,
        message_id=message_id,
        kind=kind,
        payload=_decode(payload),
        attempts=attempts,
        next_try_at=next_try_at,
        created_at=created_at,
    )
