"""A message from a handset that no connector brought: somebody tries out what happens then.

The running server stores what its connectors hear in `services.receipts`; this is the same for
another process, such as the command line, but for orders by text message, which are none here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import insert

from heliograph.domain.accounts import Account
from heliograph.domain.events import MOSCOW_MINUTES, CallEnd, OutboxEvent, incoming_payload
from heliograph.storage import counters
from heliograph.storage.calls import add_arrival
from heliograph.storage.database import Database
from heliograph.storage.schema import incoming, outbox

__all__ = ["receive"]


async def receive(
    database: Database,
    account: Account,
    *,
    source: str,
    destination: str,
    text: str,
    now_ms: int,
    tz_minutes: int = MOSCOW_MINUTES,
) -> int:
    """Stores a message to the account together with what its handler or its sessions are told of
    it; the message's id. `tz_minutes`: zone of the times in callbacks.

    Both are due at once: a running server tells them within a second or two.
    """
    by_session = account.is_on("fl[1]")
    async with database.write() as connection:
        incoming_id = await counters.take(connection, "ids", 2)
        row = {
            "id": incoming_id,
            "account_id": account.id,
            "connector_id": 0,
            "source": source,
            "destination": destination,
            "text": text,
            "received_at": now_ms,
        }
        await connection.execute(insert(incoming).values(row))
        # Also when nothing follows: the server's ids go on after this one.
        await add_arrival(
            connection,
            "incoming",
            account_id=account.id,
            source=source,
            destination=destination,
            text=text,
            at=now_ms,
        )
        if by_session or account.is_told_incoming:
            event = OutboxEvent(
                id=incoming_id + 1,
                account_id=account.id,
                message_id=0,
                kind="incoming",
                payload=incoming_payload(
                    incoming_id=incoming_id,
                    source=source,
                    destination=destination,
                    text=text,
                    received_at_ms=now_ms,
                    tz_minutes=tz_minutes,
                ),
                created_at=now_ms,
                next_try_at=now_ms,
            )
            await connection.execute(insert(outbox).values(_outbox_values(event, by_session)))
    return incoming_id


def _outbox_values(event: OutboxEvent, by_session: bool) -> dict[str, Any]:
    return {
        "id": event.id,
        "account_id": event.account_id,
        "message_id": event.message_id,
        "kind": event.kind,
        "payload": msgspec.json.encode(event.payload).decode(),
        "state": int(CallEnd.FOR_SESSION if by_session else CallEnd.WAITING),
        "attempts": 0,
        "next_try_at": event.next_try_at,
        "created_at": event.created_at,
        "done_at": 0,
        "last_result": "",
    }
