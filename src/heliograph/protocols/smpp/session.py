"""One SMPP connection without its socket: bytes and time in, events and bytes out.

``EsmeSession`` is our end of a bind to an operator, ``SmscSession`` our end of a client's bind to
us. Both work the same way, in the manner of h11:

* ``receive(data, now)`` takes what the socket gave and returns events (see ``events``);
* ``send(request, now, context=...)`` and ``respond(response, sequence_number)`` return the bytes
  to write; ``take_output()`` returns those the session made by itself (enquire_link and its
  answer, refusals, generic_nack): write them after every ``receive`` and ``tick``;
* ``tick(now)`` does what time asks for, not needed before ``next_deadline``.

``now`` is any monotonic clock in seconds. The session owns sequence numbers, the outgoing window,
the timers and the state table (``states``); it knows nothing of messages.

Response timeouts need no timer per request: all requests wait equally long, so those that wait
stand in a dict in the order of their end, and one look at its beginning tells all.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn

from .codec import decode, encode
from .constants import (
    RESPONSE_BIT,
    SEQUENCE_MAX,
    VERSION_33,
    VERSION_34,
    VERSION_50,
    CommandId,
    CommandStatus,
    TlvTag,
    describe_command,
)
from .errors import FramingError, LocalProtocolError, PduError, WindowFullError
from .events import (
    Event,
    FramingFailed,
    PduRejected,
    RequestAbandoned,
    ResponseReceived,
    ResponseTimedOut,
    Timer,
    TimerExpired,
    UnexpectedResponse,
)
from .framing import MAX_COMMAND_LENGTH, FrameBuffer
from .pdu import (
    BindRequest,
    BindResponse,
    EnquireLink,
    GenericNack,
    Pdu,
    make_response,
    response_to,
)
from .states import (
    BOUND_STATES,
    LEGAL_REQUESTS,
    TRANSITIONS,
    Role,
    SessionState,
    legal_from_peer,
)
from .tlv import Tlvs, make_tlv

_BINDS = frozenset(
    {CommandId.BIND_TRANSMITTER, CommandId.BIND_RECEIVER, CommandId.BIND_TRANSCEIVER}
)
_BIND_RESPONSES = frozenset(command | RESPONSE_BIT for command in _BINDS)
# Requests that do not take room in the window: they keep the connection, they carry nothing.
_CONTROL = _BINDS | {CommandId.UNBIND, CommandId.ENQUIRE_LINK, CommandId.OUTBIND}
_WITHOUT_RESPONSE = frozenset({CommandId.OUTBIND, CommandId.ALERT_NOTIFICATION})
_HANDLED_APART = _CONTROL | _WITHOUT_RESPONSE


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Limits and timers of one session; times in seconds, None switches a timer off.

    ``interface_version``: the highest version we speak. ``window_max``: our requests without
    response at one time. ``inbound_max``: the same for the peer, beyond it ESME_RMSGQFUL.
    ``session_init_s``: from the connection to the bind. ``enquire_link_s``: silence after which
    we ask. ``inactivity_s``: silence after which we give up. ``response_s``: wait for a response.
    ``late_max``: timed-out requests remembered for a late response.
    """

    interface_version: int = VERSION_34
    window_max: int = 10
    inbound_max: int | None = None
    session_init_s: float | None = 30.0
    enquire_link_s: float | None = 60.0
    inactivity_s: float | None = 120.0
    response_s: float = 60.0
    late_max: int = 1_000
    max_command_length: int = MAX_COMMAND_LENGTH


class _Waiting(NamedTuple):
    """A request of ours that has no response yet."""

    response_id: int
    context: Any
    sent_at: float


# The named tuple's own constructor costs more than the rest of ``send``'s bookkeeping.
_new_tuple = tuple.__new__


class Session:
    """What both roles have in common. Use ``EsmeSession`` or ``SmscSession``."""

    role: ClassVar[Role]

    def __init__(self, now: float, config: SessionConfig | None = None) -> None:
        self.config = config or SessionConfig()
        self.state = SessionState.OPEN
        self.interface_version = self.config.interface_version
        self._buffer = FrameBuffer(self.config.max_command_length)
        self._frames: deque[bytes] = deque()
        self._output: list[bytes] = []
        self._sequence = 0
        self._window: dict[int, _Waiting] = {}
        self._control: dict[int, _Waiting] = {}
        self._late: dict[int, _Waiting] = {}
        self._unanswered = 0
        # command_id of the bind that the owner has not answered yet, or 0.
        self._bind_awaited = 0
        self._inbound_max = (
            sys.maxsize if self.config.inbound_max is None else (self.config.inbound_max)
        )
        self._opened_at = now
        self._received_at = now
        # While anything waits: not later than the end of the oldest wait, see _expire_waiting.
        self._response_deadline = now
        self._enter(SessionState.OPEN)

    # --- What the owner may ask -----------------------------------------------------------------

    @property
    def is_bound(self) -> bool:
        """True from the good bind response to the first unbind."""
        return self.state in BOUND_STATES

    @property
    def is_over(self) -> bool:
        """True when nothing more can be sent: unbound or closed."""
        return self.state in (SessionState.UNBOUND, SessionState.CLOSED)

    @property
    def outstanding(self) -> int:
        """Our requests in the window that wait for a response."""
        return len(self._window)

    @property
    def window_room(self) -> int:
        """How many more requests ``send`` takes now."""
        return self.config.window_max - len(self._window)

    @property
    def unanswered(self) -> int:
        """Requests of the peer that ``respond`` has not answered yet."""
        return self._unanswered

    @property
    def backlog(self) -> int:
        """PDUs that ``receive`` has taken and not looked at, because of its ``at_most``."""
        return len(self._frames)

    @property
    def next_deadline(self) -> float | None:
        """``tick`` has nothing to do before this; None when nothing depends on time."""
        if self.is_over:
            return None
        config = self.config
        ends = [self._response_deadline] if self._window or self._control else []
        if self._init_is_awaited and config.session_init_s is not None:
            ends.append(self._opened_at + config.session_init_s)
        if config.inactivity_s is not None:
            ends.append(self._received_at + config.inactivity_s)
        if self._may_enquire and config.enquire_link_s is not None:
            ends.append(self._received_at + config.enquire_link_s)
        return min(ends, default=None)

    # --- Receiving ------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float, at_most: int = sys.maxsize) -> list[Event]:
        """Take bytes of the peer; return what they mean, in order.

        Looks at no more than ``at_most`` PDUs; the others are the ``backlog``, for calls to come
        (``data`` may be empty then).

        Never raises for anything the peer does: a bad PDU is a ``PduRejected``, an unreadable
        stream a last ``FramingFailed``. Bytes after the end of the session are dropped.
        """
        events: list[Event] = []
        if self.state is SessionState.CLOSED:
            return events
        frames: Sequence[bytes] = ()
        if data and self._buffer.error is None:
            frames = self._buffer.feed(data)
        if frames:
            self._received_at = now
        if self._frames or len(frames) > at_most:
            waiting_frames = self._frames
            waiting_frames += frames
            count = min(at_most, len(waiting_frames))
            frames = [waiting_frames.popleft() for _ in range(count)]
        window = self._window
        inbound_max = self._inbound_max
        for frame in frames:
            try:
                pdu = decode(frame)
            except PduError as error:
                events.append(self._reject_unreadable(error))
                continue
            command_id = pdu.command_id
            if command_id >= RESPONSE_BIT:
                waiting = window.get(pdu.sequence_number)
                if waiting is not None and waiting[0] == command_id:
                    del window[pdu.sequence_number]
                    events.append(ResponseReceived(pdu, waiting[1], waiting[2]))
                else:
                    events.append(self._take_other_response(pdu))
            elif command_id in self._accepted and self._unanswered < inbound_max:
                self._unanswered += 1
                events.append(pdu)
            else:
                events.append(self._take_other_request(pdu))
        if self._buffer.error is not None and not self._frames:
            events.append(self._fail_framing(self._buffer.error))
        return events

    def _take_other_response(self, pdu: Pdu) -> Event:
        """generic_nack, the responses to control requests, and all that nobody waits for."""
        sequence = pdu.sequence_number
        is_nack = pdu.command_id == CommandId.GENERIC_NACK
        for place in (self._window, self._control):
            waiting = place.get(sequence)
            if waiting is not None and (is_nack or waiting.response_id == pdu.command_id):
                del place[sequence]
                if place is self._control:
                    self._settle_control(waiting.response_id, pdu)
                return ResponseReceived(pdu, waiting.context, waiting.sent_at)
        late = self._late.get(sequence)
        if late is not None and (is_nack or late.response_id == pdu.command_id):
            del self._late[sequence]
            return UnexpectedResponse(pdu, late.context, True)
        return UnexpectedResponse(pdu)

    def _settle_control(self, response_id: int, pdu: Pdu) -> None:
        """Move the state for the response to a bind or unbind of ours."""
        if response_id == CommandId.UNBIND_RESP:
            self._enter(SessionState.UNBOUND)
        elif response_id in _BIND_RESPONSES and self.state is SessionState.BINDING:
            if pdu.command_status or not isinstance(pdu, BindResponse):
                self._enter(SessionState.OPEN)
                return
            offered = pdu.tlvs.number(TlvTag.SC_INTERFACE_VERSION)
            if offered is not None:
                self._agree_on_version(offered)
            self._advance(pdu.command_id)

    def _take_other_request(self, pdu: Pdu) -> Event:
        """Requests that move the state, and those that are not legal now."""
        command_id = pdu.command_id
        if command_id not in self._legal:
            if command_id in _BINDS and (self.is_bound or self.state is SessionState.BINDING):
                return self._reject(pdu, CommandStatus.ESME_RALYBND, "already bound")
            reason = f"{describe_command(command_id)} in state {self.state.value}"
            return self._reject(pdu, CommandStatus.ESME_RINVBNDSTS, reason)
        if command_id in self._accepted:
            return self._reject(pdu, CommandStatus.ESME_RMSGQFUL, "too many unanswered requests")
        if command_id == CommandId.ENQUIRE_LINK:
            self._answer(response_to(pdu))
        elif isinstance(pdu, BindRequest):
            self._bind_awaited = command_id
            self._agree_on_version(pdu.interface_version)
            self._advance(command_id)
        elif command_id in (CommandId.UNBIND, CommandId.OUTBIND):
            self._advance(command_id)
        return pdu

    def _reject(self, pdu: Pdu, status: int, reason: str) -> PduRejected:
        if pdu.command_id not in _WITHOUT_RESPONSE:
            self._answer(response_to(pdu, status))
        return PduRejected(pdu.command_id, pdu.sequence_number, status, reason, pdu)

    def _reject_unreadable(self, error: PduError) -> PduRejected:
        """Answer a bad request; give a bad response to the one who waits for it.

        Responses are never answered, not even unknown ones: two ends that nack each other's nacks
        would not stop.
        """
        sequence = error.sequence_number
        event = PduRejected(error.command_id, sequence, error.command_status, error.reason)
        if error.command_id & RESPONSE_BIT:
            event.is_response = True
            for place in (self._window, self._control):
                waiting = place.get(sequence)
                if waiting is not None and waiting.response_id == error.command_id:
                    del place[sequence]
                    event.is_matched = True
                    event.context = waiting.context
                    if place is self._control:
                        self._settle_control(waiting.response_id, GenericNack(sequence))
                    break
        elif error.command_status == CommandStatus.ESME_RINVCMDID:
            self._answer(GenericNack(sequence, CommandStatus.ESME_RINVCMDID))
        elif error.command_id not in _WITHOUT_RESPONSE:
            self._answer(make_response(error.command_id, sequence, error.command_status))
        return event

    def _fail_framing(self, error: FramingError) -> FramingFailed:
        if not error.is_foreign:
            self._answer(GenericNack(error.sequence_number, error.command_status))
        self._enter(SessionState.CLOSED)
        return FramingFailed(error)

    # --- Sending --------------------------------------------------------------------------------

    def send(self, request: Pdu, now: float, *, context: Any = None) -> bytes:
        """Bytes of ``request`` under the next sequence number; ``context`` comes with its answer.

        Raises WindowFullError when ``window_room`` is 0 (control requests are exempt), and
        LocalProtocolError when the state or a field forbids it. Then nothing has changed.
        """
        command_id = request.command_id
        if command_id not in self._sendable:
            self._refuse_to_send(command_id)
        place = self._window
        if command_id in _HANDLED_APART:
            place = self._control
        elif len(place) >= self.config.window_max:
            raise WindowFullError("the window is full", CommandStatus.ESME_RMSGQFUL)
        sequence = self._sequence + 1
        if sequence > SEQUENCE_MAX:
            sequence = 1
        while sequence in self._window or sequence in self._control:
            sequence = sequence % SEQUENCE_MAX + 1
        octets = encode(request, sequence)
        self._sequence = sequence
        if command_id not in _WITHOUT_RESPONSE:
            if not self._window and not self._control:
                self._response_deadline = now + self.config.response_s
            place[sequence] = _new_tuple(_Waiting, (command_id | RESPONSE_BIT, context, now))
        if place is self._control:
            self._advance(command_id)
        return octets

    def respond(self, response: Pdu, sequence_number: int) -> bytes:
        """Bytes of the answer to the peer's request with this sequence number.

        Gives no bytes when the session is over, because answers to requests of a client that has
        gone are normal. Raises LocalProtocolError when no request of the peer is unanswered, when
        ``response`` is none, or when a bind is answered by another kind of bind.
        """
        command_id = response.command_id
        if command_id < RESPONSE_BIT:
            raise LocalProtocolError(f"{describe_command(command_id)} is not a response")
        if self.is_over:
            return b""
        if command_id in _BIND_RESPONSES:
            return self._respond_to_bind(response, sequence_number)
        octets = encode(response, sequence_number)
        if command_id == CommandId.UNBIND_RESP:
            if self.state is not SessionState.UNBINDING:
                raise LocalProtocolError("unbind_resp without an unbind")
            self._advance(command_id)
        elif self._unanswered > 0:
            self._unanswered -= 1
        else:
            raise LocalProtocolError("no request of the peer is waiting for a response")
        return octets

    def take_output(self) -> bytes:
        """Bytes the session wants to send by itself; the call empties the store."""
        if not self._output:
            return b""
        octets = b"".join(self._output)
        self._output.clear()
        return octets

    def _respond_to_bind(self, response: Pdu, sequence_number: int) -> bytes:
        if command_of(response.command_id) != self._bind_awaited:
            raise LocalProtocolError("no such bind is waiting for a response")
        octets = encode(response, sequence_number)
        if response.command_status:
            self._enter(SessionState.OPEN)
        else:
            self._advance(response.command_id)
        return octets

    def _refuse_to_send(self, command_id: int) -> NoReturn:
        raise LocalProtocolError(
            f"{self.role.value} must not send {describe_command(command_id)} "
            f"in state {self.state.value}",
            CommandStatus.ESME_RINVBNDSTS,
        )

    def _answer(self, response: Pdu) -> None:
        self._output.append(encode(response, response.sequence_number))

    # --- Time -----------------------------------------------------------------------------------

    def tick(self, now: float) -> list[Event]:
        """Do what is due at ``now``: give up waiting, ask for life, end the session."""
        events: list[Event] = []
        if self.is_over:
            return events
        config = self.config
        is_link_dead = self._expire_waiting(now, events)
        if is_link_dead:
            self._expire(Timer.ENQUIRE_LINK, events)
        elif self._is_due(self._opened_at, config.session_init_s, now) and self._init_is_awaited:
            self._expire(Timer.SESSION_INIT, events)
        elif self._is_due(self._received_at, config.inactivity_s, now):
            self._expire(Timer.INACTIVITY, events)
        elif self._is_due(self._received_at, config.enquire_link_s, now) and self._may_enquire:
            self._output.append(self.send(EnquireLink(), now))
        return events

    def close(self) -> list[RequestAbandoned]:
        """The connection is gone: end the session and give back what was waiting, oldest first."""
        self._enter(SessionState.CLOSED)
        places: Iterable[dict[int, _Waiting]] = (self._control, self._window)
        abandoned = [
            RequestAbandoned(sequence, command_of(entry[0]), entry.context, entry.sent_at)
            for place in places
            for sequence, entry in place.items()
        ]
        self._control.clear()
        self._window.clear()
        self._late.clear()
        self._frames.clear()
        self._output.clear()
        return abandoned

    @property
    def _init_is_awaited(self) -> bool:
        return self.state in (SessionState.OPEN, SessionState.OUTBOUND, SessionState.BINDING)

    @property
    def _may_enquire(self) -> bool:
        """Bound, and no enquire_link of ours waits (only binds, unbind and it are in control)."""
        return self.is_bound and not self._control

    @staticmethod
    def _is_due(since: float, span: float | None, now: float) -> bool:
        return span is not None and now >= since + span

    def _expire(self, timer: Timer, events: list[Event]) -> None:
        self._enter(SessionState.CLOSED)
        events.append(TimerExpired(timer))

    def _expire_waiting(self, now: float, events: list[Event]) -> bool:
        """Give up requests that waited too long; true when the link is proven dead."""
        if now < self._response_deadline:
            return False
        is_link_dead = False
        limit = now - self.config.response_s
        oldest = []
        for place in (self._window, self._control):
            ended = []
            for sequence, entry in place.items():
                if entry.sent_at > limit:
                    oldest.append(entry.sent_at)
                    break
                ended.append(sequence)
            for sequence in ended:
                entry = place.pop(sequence)
                command_id = command_of(entry.response_id)
                if command_id == CommandId.ENQUIRE_LINK:
                    # Peers that never answer it but do send messages are alive.
                    is_link_dead = is_link_dead or entry.sent_at >= self._received_at
                    continue
                events.append(ResponseTimedOut(sequence, command_id, entry.context, entry.sent_at))
                if place is self._window:
                    self._remember_late(sequence, entry)
        # The oldest request may be answered before this deadline: then the tick finds nothing and
        # comes here again, which is cheaper than following every response.
        if oldest:
            self._response_deadline = min(oldest) + self.config.response_s
        return is_link_dead

    def _remember_late(self, sequence: int, entry: _Waiting) -> None:
        late = self._late
        while late and len(late) >= self.config.late_max:
            del late[next(iter(late))]
        if self.config.late_max > 0:
            late[sequence] = entry

    # --- State ----------------------------------------------------------------------------------

    def _advance(self, command_id: int) -> None:
        following = TRANSITIONS.get((self.state, CommandId(command_id)))
        if following is not None:
            self._enter(following)

    def _enter(self, state: SessionState) -> None:
        self.state = state
        if state is not SessionState.BINDING:
            self._bind_awaited = 0
        self._legal = legal_from_peer(self.role, state)
        # Those that only pass through to the owner, which is nearly everything there is.
        self._accepted = self._legal - _HANDLED_APART
        self._sendable = LEGAL_REQUESTS[self.role][state]

    def _agree_on_version(self, offered: int) -> None:
        """The lower of both versions (SMPP 3.4 section 5.2.4).

        Values below 3.4 mean "3.3 or earlier", except 34 and 50 in decimal, which are a common
        slip of client settings.
        """
        slips = {34: VERSION_34, 50: VERSION_50}
        offered = slips.get(offered, offered)
        if offered < VERSION_34:
            offered = VERSION_33
        self.interface_version = min(self.config.interface_version, offered)


class EsmeSession(Session):
    """We are the client: bind to an operator, submit, take deliveries."""

    role = Role.ESME


class SmscSession(Session):
    """We are the server: a client binds to us."""

    role = Role.SMSC

    def accept_bind(self, bind: BindRequest, system_id: str) -> bytes:
        """Bytes of the good answer to ``bind``; tells our version to those who know of TLVs."""
        response = response_to(bind)
        assert isinstance(response, BindResponse)
        response.system_id = system_id
        if self.interface_version >= VERSION_34:
            response.tlvs = Tlvs((make_tlv(TlvTag.SC_INTERFACE_VERSION, self.interface_version),))
        return self.respond(response, bind.sequence_number)

    def refuse_bind(self, bind: BindRequest, command_status: int) -> bytes:
        """Bytes of the bad answer to ``bind``; the session is OPEN again."""
        return self.respond(response_to(bind, command_status), bind.sequence_number)


def command_of(response_id: int) -> int:
    """command_id of the request that a response answers."""
    return response_id & ~RESPONSE_BIT
