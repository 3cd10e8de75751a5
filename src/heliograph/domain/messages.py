"""Submission, message and part: what is sent, and the table of states that they walk through.

A *submission* is one API call, a *message* is one recipient of it, a *part* is one segment on the
wire. Operators answer for parts; the state of a message is derived from its parts.

The walk of a message::

    SCHEDULED -> QUEUED -> SUBMITTING -> SUBMITTED -> DELIVERED | EXPIRED | UNDELIVERABLE | REJECTED
                   ^____________|  |
                    (Deferred)     +-> UNKNOWN (sent, never answered) -> by the connector's policy

Storage keeps QUEUED for an open message whatever its parts are doing: the state in between is read
from the parts when somebody asks, which saves a write per message on the way out.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, unique
from typing import Any

__all__ = [
    "FINAL_STATES",
    "MAX_PARTS",
    "TRANSITIONS",
    "Message",
    "MessageState",
    "MessageType",
    "Part",
    "Submission",
    "derive_state",
    "may_advance",
    "message_id_of",
    "part_id",
]

# Parts are numbered in one octet on the wire (3GPP TS 23.040, 9.2.3.24.1).
MAX_PARTS = 255


@unique
class MessageType(IntEnum):
    """Kind of a message; the numbers are the API's (code tables, section 5)."""

    # That of Enum is a Python function, and members are looked up several times a message.
    __hash__ = int.__hash__

    SMS = 0
    FLASH = 1
    BINARY = 2
    WAP_PUSH = 3
    HLR = 4
    PING = 5
    MMS = 6
    CALL = 7
    EMAIL = 8
    VIBER = 10
    SOCIAL = 12
    WHATSAPP = 13
    TELEGRAM = 14


@unique
class MessageState(IntEnum):
    """Where a message or a part is. Stored as a number: values never change their meaning."""

    __hash__ = int.__hash__

    SCHEDULED = 1  # waits for its time
    HELD = 2  # waits for a decision: moderation, its mailing list
    QUEUED = 3  # accepted, waits for a connector
    SUBMITTING = 4  # claimed: it may be on the wire
    SUBMITTED = 5  # the operator has it
    UNKNOWN = 6  # sent, never answered, link lost
    DELIVERED = 10
    READ = 11
    CLICKED = 12
    EXPIRED = 13
    UNDELIVERABLE = 14
    REJECTED = 15  # refused by the operator
    DELETED = 16  # by its owner, before it was sent
    INVALID_NUMBER = 17
    FORBIDDEN = 18
    NO_FUNDS = 19
    NO_ROUTE = 20
    STOPPED = 21  # with the mailing list that it belongs to, before it was sent


FINAL_STATES = frozenset(state for state in MessageState if state >= MessageState.DELIVERED)

_S = MessageState
_ENDS = frozenset({_S.DELIVERED, _S.EXPIRED, _S.UNDELIVERABLE, _S.REJECTED})

# From each state, the states that may follow. DELIVERED may follow EXPIRED and UNDELIVERABLE
# because operators do send such a second receipt and the later news is the better one; nothing else
# follows a final state but a reader's own act (READ, CLICKED).
TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    _S.SCHEDULED: frozenset({_S.QUEUED, _S.HELD, _S.DELETED, _S.EXPIRED, _S.FORBIDDEN}),
    _S.HELD: frozenset({_S.QUEUED, _S.SCHEDULED, _S.DELETED, _S.EXPIRED, _S.FORBIDDEN, _S.STOPPED}),
    _S.QUEUED: frozenset(
        {
            _S.SUBMITTING,
            _S.DELETED,
            _S.EXPIRED,
            _S.REJECTED,
            _S.UNDELIVERABLE,
            _S.NO_ROUTE,
            _S.STOPPED,
        }
    ),
    _S.SUBMITTING: frozenset({_S.QUEUED, _S.SUBMITTED, _S.UNKNOWN, _S.NO_ROUTE}) | _ENDS,
    _S.UNKNOWN: frozenset({_S.QUEUED, _S.SUBMITTED}) | _ENDS,
    _S.SUBMITTED: _ENDS | {_S.READ, _S.CLICKED},
    _S.EXPIRED: frozenset({_S.DELIVERED}),
    _S.UNDELIVERABLE: frozenset({_S.DELIVERED}),
    _S.DELIVERED: frozenset({_S.READ, _S.CLICKED}),
    _S.READ: frozenset({_S.CLICKED}),
    _S.CLICKED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.DELETED: frozenset(),
    _S.INVALID_NUMBER: frozenset(),
    _S.FORBIDDEN: frozenset(),
    _S.NO_FUNDS: frozenset(),
    _S.NO_ROUTE: frozenset(),
    _S.STOPPED: frozenset(),
}


def may_advance(current: MessageState, following: MessageState) -> bool:
    """True when the table allows `following` right after `current`."""
    return following in TRANSITIONS[current]


def part_id(message_id: int, seq: int) -> int:
    """Id of part `seq` (1..255): the message's id and the number in the low octet."""
    return message_id << 8 | seq


def message_id_of(part: int) -> int:
    """Id of the message that a part id belongs to."""
    return part >> 8


class Submission:
    """One API call. `text` is what is sent (after transliteration), without the comment.

    `options` holds what few submissions have: `pid`, `dcs`, `subject`, `valid_s`, `files` ...;
    times are epoch milliseconds.
    """

    __slots__ = (
        "account_id",
        "client_ref",
        "comment",
        "created_at",
        "door",
        "flags",
        "id",
        "is_test",
        "options",
        "payer_id",
        "sender",
        "text",
        "type",
    )

    def __init__(
        self,
        *,
        id: int,
        account_id: int,
        payer_id: int,
        client_ref: str,
        type: MessageType,
        sender: str,
        text: str,
        created_at: int,
        door: str = "http",
        comment: str = "",
        flags: int = 0,
        is_test: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.account_id = account_id
        self.payer_id = payer_id
        self.client_ref = client_ref
        self.type = type
        self.sender = sender
        self.text = text
        self.created_at = created_at
        self.door = door
        self.comment = comment
        self.flags = flags
        self.is_test = is_test
        self.options = options


class Message:
    """One recipient of a submission, with its price for all parts in micros.

    `own_text` and `own_sender` are set when a list gave this recipient its own ones; `own_flags`
    are bits of `flag` that not all messages of the submission have (templates). `route` is the
    tuple of connector ids to try, best first; `route_step` is the position in it.
    """

    __slots__ = (
        "charged_micros",
        "created_at",
        "detail",
        "due_at",
        "err",
        "expires_at",
        "final_at",
        "id",
        "mccmnc",
        "own_flags",
        "own_sender",
        "own_text",
        "part_count",
        "parts",
        "price_micros",
        "recipient",
        "route",
        "route_step",
        "state",
        "submission",
    )

    def __init__(
        self,
        *,
        id: int,
        submission: Submission,
        recipient: str,
        mccmnc: str,
        state: MessageState,
        part_count: int,
        price_micros: int,
        created_at: int,
        expires_at: int,
        due_at: int = 0,
        err: int = 0,
        own_text: str | None = None,
        own_sender: str | None = None,
        own_flags: int = 0,
        route: tuple[int, ...] = (),
    ) -> None:
        self.id = id
        self.submission = submission
        self.recipient = recipient
        self.mccmnc = mccmnc
        self.state = state
        self.part_count = part_count
        self.price_micros = price_micros
        self.charged_micros = 0
        self.final_at = 0
        self.created_at = created_at
        self.expires_at = expires_at
        self.due_at = due_at
        self.err = err
        self.own_text = own_text
        self.own_sender = own_sender
        self.own_flags = own_flags
        self.route = route
        self.route_step = 0
        self.detail: dict[str, str] | None = None
        self.parts: list[Part] = []

    @property
    def text(self) -> str:
        """What this recipient gets."""
        return self.submission.text if self.own_text is None else self.own_text

    @property
    def sender(self) -> str:
        """The sender name that this recipient sees."""
        return self.submission.sender if self.own_sender is None else self.own_sender

    @property
    def flags(self) -> int:
        """Bits of `flag`, the type left out."""
        return self.submission.flags | self.own_flags


class Part:
    """One segment on the wire. `seq` counts from 1; `attempts` counts submits that were
    answered."""

    __slots__ = (
        "attempts",
        "connector_id",
        "done_at",
        "err",
        "external_id",
        "message",
        "next_try_at",
        "responded_at",
        "seq",
        "state",
        "submitted_at",
    )

    def __init__(self, message: Message, seq: int, state: MessageState, connector_id: int) -> None:
        self.message = message
        self.seq = seq
        self.state = state
        self.connector_id = connector_id
        self.external_id = ""
        self.err = 0
        self.attempts = 0
        self.submitted_at = 0
        self.responded_at = 0
        self.done_at = 0
        self.next_try_at = 0

    @property
    def id(self) -> int:
        """The part's id, computed from its message's."""
        return self.message.id << 8 | self.seq


# When parts disagree, the worst open state speaks for the message, and among final ones the worst
# end.
_PRECEDENCE: tuple[MessageState, ...] = (
    _S.QUEUED,
    _S.SUBMITTING,
    _S.UNKNOWN,
    _S.SUBMITTED,
    _S.DELETED,
    _S.STOPPED,
    _S.NO_ROUTE,
    _S.REJECTED,
    _S.UNDELIVERABLE,
    _S.EXPIRED,
    _S.DELIVERED,
    _S.READ,
    _S.CLICKED,
)
_RANK = {state: rank for rank, state in enumerate(_PRECEDENCE)}


def derive_state(parts: Iterable[MessageState]) -> MessageState:
    """State of a message from its parts' states.

    Open while any part is open (the least advanced open part speaks); else the worst end: one lost
    part makes the whole message unreadable.
    """
    return min(parts, key=_RANK.__getitem__)
