"""What a session tells its owner.

Requests of the peer arrive as the PDU itself (``SubmitSm``, ``DeliverSm``, ``BindTransceiver``,
``Unbind`` ...): the owner answers them with ``Session.respond``, except ``EnquireLink``, which has
been answered already and is shown for counting. Everything else is one of the classes below.

The PDU and response events are plain slotted objects, not frozen ones: they are made per message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from .errors import RemoteProtocolError
from .pdu import Pdu


@dataclass(slots=True)
class ResponseReceived:
    """The peer answered a request of ours.

    ``pdu`` is the response, or GenericNack; ``context`` the object given to ``send``; ``sent_at``
    the ``now`` of that call.
    """

    pdu: Pdu
    context: Any
    sent_at: float


@dataclass(slots=True)
class UnexpectedResponse:
    """A response to nothing that is waiting: never asked, answered twice, or too late.

    ``is_late`` is true when the request had timed out; ``context`` then is the one given to
    ``send``, so that an outcome written down as unknown can still be put right.
    """

    pdu: Pdu
    context: Any = None
    is_late: bool = False


@dataclass(slots=True)
class PduRejected:
    """A PDU that could not be accepted; the session goes on.

    The answer, if the standard has one, is in the output already. ``pdu`` is set when the PDU was
    sound but not allowed now. ``is_response`` with ``is_matched`` true: an answer to a request of
    ours that cannot be read, so ``context`` will get no other answer.
    """

    command_id: int
    sequence_number: int
    command_status: int
    reason: str
    pdu: Pdu | None = None
    is_response: bool = False
    is_matched: bool = False
    context: Any = None


@dataclass(slots=True)
class ResponseTimedOut:
    """No response within ``response_s``. A late one will come as UnexpectedResponse."""

    sequence_number: int
    command_id: int
    context: Any
    sent_at: float


@dataclass(slots=True)
class RequestAbandoned:
    """The session ended while this request was waiting for its response."""

    sequence_number: int
    command_id: int
    context: Any
    sent_at: float


class Timer(Enum):
    """The timers that end a session (SMPP 3.4 section 7.2)."""

    SESSION_INIT = "session_init"
    ENQUIRE_LINK = "enquire_link"
    INACTIVITY = "inactivity"


@dataclass(slots=True)
class TimerExpired:
    """The session is over: send what is in the output and close the connection.

    SESSION_INIT: not bound in time. ENQUIRE_LINK: the peer did not answer our enquire_link.
    INACTIVITY: the peer was silent for too long.
    """

    timer: Timer


@dataclass(slots=True)
class FramingFailed:
    """The stream is beyond repair: send what is in the output (maybe nothing) and close."""

    error: RemoteProtocolError


Event: TypeAlias = (
    Pdu
    | ResponseReceived
    | UnexpectedResponse
    | PduRejected
    | ResponseTimedOut
    | TimerExpired
    | FramingFailed
)
