"""Events that the owner of an account is told about, and what a callback says of each.

A payload is a dict of names and texts in the order in which they go out; names are those of the
callback reference, section 2. The kinds are told apart by the presence of a name: `mes` is an
incoming message, `waitcall` a confirmation call, anything else a delivery status.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from enum import IntEnum, unique

from heliograph.domain.messages import Message
from heliograph.domain.money import format_micros

__all__ = [
    "HANDOVER_MS",
    "LIFE_MS",
    "MOSCOW_MINUTES",
    "RETRY_DELAYS_MS",
    "CallEnd",
    "CallResult",
    "OutboxEvent",
    "incoming_payload",
    "next_try_after",
    "status_payload",
    "waitcall_payload",
]

# A new event is handed to the dispatcher in memory. Only when it is not done after this time is it
# looked for in the database, so that a healthy callback is never read back.
HANDOVER_MS = 30_000

_MINUTE_MS = 60_000
# Callback reference, section 3: after the last one the event is given up.
RETRY_DELAYS_MS = tuple(minutes * _MINUTE_MS for minutes in (1, 2, 5, 10, 30, 60))
# A due event that could not even be tried for as long as all its retries take is given up too.
LIFE_MS = sum(RETRY_DELAYS_MS)

MOSCOW_MINUTES = 180

# Members of an HLR answer that a status call repeats (callback reference, 2.1); a menu's digits.
_DETAIL_NAMES = ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet", "dtmf")


class OutboxEvent:
    """One call to make. `kind` is ``status``, ``incoming`` or ``waitcall``.

    `message_id` 0: about no message. `attempts` have failed so far; from `next_try_at` on the
    database gives the event out.
    """

    __slots__ = (
        "account_id",
        "attempts",
        "created_at",
        "id",
        "kind",
        "message_id",
        "next_try_at",
        "payload",
    )

    def __init__(
        self,
        *,
        id: int,
        account_id: int,
        message_id: int,
        kind: str,
        payload: dict[str, str],
        created_at: int,
        attempts: int = 0,
        next_try_at: int | None = None,
    ) -> None:
        """`next_try_at` None: a new event, which is about to be offered to the dispatcher."""
        self.id = id
        self.account_id = account_id
        self.message_id = message_id
        self.kind = kind
        self.payload = payload
        self.created_at = created_at
        self.attempts = attempts
        self.next_try_at = created_at + HANDOVER_MS if next_try_at is None else next_try_at

    def __repr__(self) -> str:
        # Without the payload: it holds numbers and texts of people.
        return f"<OutboxEvent {self.id} {self.kind} account={self.account_id}>"


@unique
class CallEnd(IntEnum):
    """What became of an event. Stored as a number."""

    WAITING = 0  # failed, and will be tried again
    DONE = 1
    GIVEN_UP = 2
    FOR_SESSION = 3  # waits for a session of its account, and never for a call


class CallResult:
    """The result of one call. `is_attempt` False: the event ended without a call."""

    __slots__ = ("at_ms", "elapsed_ms", "end", "event", "is_attempt", "next_try_at", "text")

    def __init__(
        self,
        event: OutboxEvent,
        end: CallEnd,
        *,
        at_ms: int,
        text: str,
        next_try_at: int = 0,
        elapsed_ms: int = 0,
        is_attempt: bool = True,
    ) -> None:
        self.event = event
        self.end = end
        self.at_ms = at_ms
        self.text = text
        self.next_try_at = next_try_at
        self.elapsed_ms = elapsed_ms
        self.is_attempt = is_attempt


def next_try_after(attempts: int, now_ms: int) -> int | None:
    """When to call again after `attempts` (from 1) have failed; None: give up."""
    if attempts > len(RETRY_DELAYS_MS):
        return None
    return now_ms + RETRY_DELAYS_MS[attempts - 1]


def status_payload(
    message: Message,
    status: int,
    *,
    err: int,
    at_ms: int,
    cost_micros: int,
    tz_minutes: int = MOSCOW_MINUTES,
) -> dict[str, str]:
    """What a status call says. `status` and `err` are the API's numbers; the empty members of an
    HLR answer are left out."""
    submission = message.submission
    kind = int(submission.type)
    seconds = at_ms // 1000
    payload = {
        "id": submission.client_ref,
        "phone": message.recipient,
        "status": str(status),
        "time": _time_text(seconds, tz_minutes),
        "ts": str(seconds),
        "err": str(err),
        "cnt": str(message.part_count),
        "type": str(kind),
        "flag": str(message.flags & ~0xF | kind & 0xF),
        "cost": format_micros(cost_micros),
        "sender": message.sender,
    }
    if message.detail:
        for name in _DETAIL_NAMES:
            if value := message.detail.get(name):
                payload[name] = value
    return payload


def incoming_payload(
    *,
    incoming_id: int,
    source: str,
    destination: str,
    text: str,
    received_at_ms: int,
    tz_minutes: int = MOSCOW_MINUTES,
) -> dict[str, str]:
    """What a call about a message from a handset says."""
    seconds = received_at_ms // 1000
    return {
        "id": str(incoming_id),
        "phone": source,
        "mes": text,
        "to": destination,
        "time": _time_text(seconds, tz_minutes),
        "ts": str(seconds),
    }


def waitcall_payload(phone: str, at_ms: int, *, tz_minutes: int = MOSCOW_MINUTES) -> dict[str, str]:
    """What a call about a confirmation call says (wait_call.php)."""
    seconds = at_ms // 1000
    return {
        "phone": phone,
        "waitcall": "1",
        "ts": str(seconds),
        "time": _time_text(seconds, tz_minutes),
    }


@functools.lru_cache(maxsize=256)
def _time_text(seconds: int, tz_minutes: int) -> str:
    # Cached: thousands of receipts carry the same second.
    moment = datetime.fromtimestamp(seconds + tz_minutes * 60, UTC)
    return f"{moment:%d.%m.%Y %H:%M:%S}"
