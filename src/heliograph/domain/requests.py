"""What a door asks of the platform, and what it is told: the words shared by every gateway.

A door (HTTP, SMPP, SMTP, command line) decodes its own protocol into these values and knows nothing
else; prices, limits, routes and storage are behind `services`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal

__all__ = [
    "Entry",
    "Line",
    "Refused",
    "SendRequest",
    "Spread",
    "StatusAnswer",
    "Submitted",
]


@dataclass(slots=True)
class Entry:
    """A text and who gets it. `recipients` are as the client wrote them.

    `sender` None: the request's. `tz_minutes` None: the request's (a list may give both per line).
    """

    recipients: list[str]
    text: str
    sender: str | None = None
    tz_minutes: int | None = None


@dataclass(slots=True)
class Spread:
    """Send in portions: over `period_ms` in steps of `step_ms`.

    A request that is a part of a whole says where it belongs: its recipients are those from `first`
    on of `total`, and the first portion goes out at `start_ms` (epoch ms). 0 and 0: it is the
    whole, and begins at its time.
    """

    period_ms: int
    step_ms: int
    first: int = 0
    total: int = 0
    start_ms: int = 0


@dataclass(slots=True)
class SendRequest:
    """One call that sends. Texts still hold prefixes (`__HLR__`) and comments (`~~~`); the text of
    a binary message is hex digits.

    `client_ref` '': the platform makes one. `sender` None: the account's default name; '': none at
    all. `time` is the client's own text for the time of sending ('' = at once; send.php 2.3),
    `tz_minutes` its zone (None: the account's). `valid_ms` 0: the default life. `max_parts` 0: no
    limit. `translit` 0, 1 or 2. `options` go with the submission as they are (`pid`, `dcs`,
    `subject`, `voice` ...; `internal`: a message of the platform itself, which nobody pays and the
    account does not see). `due_at` is the time of sending of doors whose protocol gives an
    instant (epoch ms, 0 = at once); without `time` only. A refusal among `late_refusals` is told to
    the owner by a receipt: the door itself answers that the message was taken. `campaign_id`: the
    mailing list that this is a portion of; such a request is no repetition of another one, and its
    messages wait for their time until the list lets them go; `list_size`: how many recipients the
    whole list has. `links`: short addresses that stand in
    the texts, with what they stand for; every recipient gets his own. `has_groups`: among the
    recipients are groups of contacts (`G17`).
    """

    account: Account
    entries: list[Entry]
    type: MessageType = MessageType.SMS
    client_ref: str = ""
    sender: str | None = None
    translit: int = 0
    time: str = ""
    tz_minutes: int | None = None
    spread: Spread | None = None
    valid_ms: int = 0
    max_parts: int = 0
    door: str = "http"
    options: dict[str, Any] = field(default_factory=dict)
    due_at: int = 0
    late_refusals: frozenset[Refusal] = frozenset()
    campaign_id: int = 0
    list_size: int = 0
    has_groups: bool = False
    links: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """What became of one recipient. `price_micros` is for all its parts; 0 when refused."""

    recipient: str
    mccmnc: str
    price_micros: int
    refusal: Refusal | None = None


@dataclass(slots=True)
class Submitted:
    """Accepted and on disk (or, for an estimate, what it would cost).

    `part_count` is the sum over valid recipients. `client_ref` '' for an estimate. `lines` in the
    order of the request. `balance_micros` after the reserve. `code`: the spoken code that the
    platform made.
    """

    client_ref: str
    part_count: int
    cost_micros: int
    balance_micros: int
    lines: Sequence[Line]
    is_test: bool = False
    code: str = ""


@dataclass(slots=True)
class Refused:
    """Refused as a whole. `client_ref` is set when the refused message can be asked for by it."""

    refusal: Refusal
    client_ref: str = ""
    reason: str = ""
    lines: Sequence[Line] = ()


@dataclass(slots=True)
class StatusAnswer:
    """The state of one message as a client may see it. Times are epoch ms, 0 when there is none.

    `status` and `err` are the API's numbers (codes, sections 3 and 4). `is_found` False: no such
    message; then only `client_ref` and `recipient` are set.
    """

    client_ref: str
    recipient: str
    is_found: bool = False
    status: int = -3
    err: int = 0
    changed_at: int = 0
    sent_at: int = 0
    cost_micros: int = 0
    sender: str = ""
    text: str = ""
    comment: str = ""
    type: MessageType = MessageType.SMS
    flags: int = 0
    mccmnc: str = ""
    country: str = ""
    operator: str = ""
    operator_orig: str = ""
    region: str = ""
    part_count: int = 0
    is_test: bool = False
    detail: dict[str, str] | None = None
