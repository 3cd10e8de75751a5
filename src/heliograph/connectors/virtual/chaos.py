"""Bad habits that the simulated SMSC can be given, and what it counts.

The number of a message decides its fate (see `carrier`); these decide how the SMSC itself behaves
towards everybody. Each of them is a thing that real operators do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from heliograph.protocols.smpp.pdu import SubmitSm

__all__ = ["Arrival", "Chaos", "SmscStats"]

IdBase = Literal["decimal", "hex", "hex-upper", "hex-padded", "uuid"]


@dataclass(slots=True, kw_only=True)
class Chaos:
    """May be changed while the server runs. `*_every` N: each Nth submit_sm; 0: never.

    `receipt_id_base` '': as in the answer. `receipt_form`: where a receipt names its message.
    `disconnect_after`: submits after which the connection is dropped without a word.
    `shuffle_answers`: the answers to one read go out in reverse order. `is_deaf`: nothing is
    answered any more, not even enquire_link, as when the peer has died and TCP has not noticed.
    """

    latency_ms: int = 0
    id_base: IdBase = "decimal"
    receipt_id_base: IdBase | Literal[""] = ""
    receipt_form: Literal["text", "tlv", "both"] = "both"
    receipt_early: bool = False
    receipt_twice: bool = False
    drop_every: int = 0
    throttle_every: int = 0
    disconnect_after: int = 0
    shuffle_answers: bool = False
    is_deaf: bool = False


@dataclass(slots=True)
class SmscStats:
    """Counters since the start."""

    binds: int = 0
    bind_refusals: int = 0
    submits: int = 0
    accepted: int = 0
    throttled: int = 0
    dropped: int = 0
    queries: int = 0
    receipts_sent: int = 0
    receipts_acknowledged: int = 0
    receipts_refused: int = 0
    incoming_acknowledged: int = 0
    window_max: int = 0  # the most submits that ever waited for an answer on one connection
    refused_pdus: int = 0


class Arrival(NamedTuple):
    """One accepted submit_sm; `received_at` is epoch milliseconds, `text` without a header."""

    received_at: int
    system_id: str
    message_id: str
    source: str
    destination: str
    text: str
    pdu: SubmitSm
