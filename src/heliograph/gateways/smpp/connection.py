"""One client's connection: octets in, requests to the services, answers in their order out.

The answers of one turn of the event loop leave in one write. A submit is answered when it is on
disk; answers keep the order of their requests, so each request has a slot in a row, and the row is
written from its front. Deliveries go out as the window of the bind allows.

Nothing here grows with a client's ill will: reading stops while it does not read or has too many
requests without answers, and it is closed when that lasts.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from functools import partial
from typing import Any, cast

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.events import OutboxEvent
from heliograph.domain.pieces import Piece
from heliograph.domain.requests import Refused, Submitted
from heliograph.gateways.smpp.accounts import AccountBinds
from heliograph.gateways.smpp.counters import Counters
from heliograph.gateways.smpp.deliveries import compose_delivery
from heliograph.gateways.smpp.errors import LATE_REFUSALS, SUBMIT_STATUS
from heliograph.gateways.smpp.ports import Owner, SmppSettings
from heliograph.gateways.smpp.questions import Questions
from heliograph.gateways.smpp.requests import Fault, Reader
from heliograph.gateways.smpp.trace import Trace
from heliograph.gateways.smpp.turns import PDUS_A_TURN
from heliograph.protocols.smpp.constants import VERSION_50, CommandId, CommandStatus
from heliograph.protocols.smpp.errors import FramingError, ProtocolError
from heliograph.protocols.smpp.events import (
    Event,
    FramingFailed,
    PduRejected,
    ResponseReceived,
    ResponseTimedOut,
    TimerExpired,
    UnexpectedResponse,
)
from heliograph.protocols.smpp.pdu import (
    PDU_BY_COMMAND,
    BindReceiver,
    BindRequest,
    BindTransmitter,
    CancelSm,
    DataSm,
    EnquireLink,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    response_to,
)
from heliograph.protocols.smpp.session import SessionConfig, SmscSession

__all__ = ["Connection"]

# Shared by all connections: what is read is taken out before the loop reads again.
_READ_BUFFER = memoryview(bytearray(16 * 1024))
# Beyond it what waits in the socket's buffer of ours stops the reading.
_WRITE_HIGH = 256 * 1024
# A client that reads nothing for so long is closed; or for `idle_s`, if that is less.
_UNREAD_S = 30.0
# Slots beyond the window that refusals may fill before the reading stops.
_SLOTS_SPARE = 1_000
# PDUs waiting for their turn that stop the reading.
_BACKLOG_MAX = 500
# So many refusals for speed in one second stop the reading for the rest of it.
_THROTTLES_MAX = 2_000
# Deliveries in a row without an answer after which a client is taken for dead.
_UNANSWERED_MAX = 50

_SUBMIT_SM = CommandId.SUBMIT_SM.value
_OK = CommandStatus.ESME_ROK.value
_FULL = CommandStatus.ESME_RMSGQFUL.value
_THROTTLED = CommandStatus.ESME_RTHROTTLED.value
_SYSTEM_ERROR = CommandStatus.ESME_RSYSERR.value

_log = structlog.get_logger(__name__)


class Slot:
    """The place of an answer in the row; `octets` None: not there yet."""

    __slots__ = ("octets", "sequence_number")

    def __init__(self, sequence_number: int) -> None:
        self.sequence_number = sequence_number
        self.octets: bytes | None = None


class Connection(asyncio.BufferedProtocol):
    """Made by the server for every connection. `number` tells them apart for people."""

    def __init__(self, owner: Owner, number: int, *, is_tls: bool) -> None:
        settings = owner.settings
        self._owner = owner
        self._services = owner.services
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.number = number
        self.is_tls = is_tls
        self.address = ""
        self.since_ms = owner.now_ms()
        self.session = SmscSession(self._loop.time(), _configure(settings))
        self.account: Account | None = None
        self.binds: AccountBinds | None = None
        self.kind: type[BindRequest] = BindRequest
        self.counters = Counters()
        self.last_error = ""
        self.failed_binds = 0
        self._reader = Reader(is_latin=False)
        self._is_latin = False
        self._questions: Questions | None = None
        self._trace: Trace | None = None
        self._slots: deque[Slot] = deque()
        self._waiting = 0  # requests without an answer
        self._deliveries: list[bytes] = []
        self._is_flush_due = False
        self._is_in_line = False
        self._is_reading = True
        self._unread_s = min(_UNREAD_S, settings.idle_s)
        self._unread_since = 0.0
        self._throttles = self._unanswered_row = 0
        self._unbind: int | None = None
        self._is_attached = False
        self._binding: asyncio.Task[None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # --- transport --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the bind."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)
        if not self._owner.connected(self):
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next read goes."""
        return _READ_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Handles the first PDUs of a read at once, the others when their turn comes."""
        data = bytes(_READ_BUFFER[:nbytes])
        if self._trace is not None:
            self._show("in", data)
        if self._is_in_line:
            self.session.receive(data, self._loop.time(), 0)
            self._govern_reading()
        elif self._handle_some(data):
            self._is_in_line = True
            self._owner.turns.join(self)

    def take_turn(self) -> bool:
        """Handles a few of the PDUs that wait; whether there are more."""
        self._is_in_line = self._transport is not None and self._handle_some(b"")
        return self._is_in_line

    def _handle_some(self, data: bytes) -> bool:
        session = self.session
        now_ms = 0
        for event in session.receive(data, self._loop.time(), PDUS_A_TURN):
            if type(event) is SubmitSm:
                now_ms = now_ms or self._owner.now_ms()
                self._submit(event, now_ms)
            else:
                self._take(event)
        self._flush_later()
        if len(self._slots) > _SLOTS_SPARE:
            self._govern_reading()
        return session.backlog > 0

    def pause_writing(self) -> None:
        """The client does not read what we answer: we do not read what it asks."""
        self._unread_since = self._loop.time()
        self._govern_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread_since = 0.0
        self._govern_reading()
        if self.binds is not None:
            self._services.deliveries.ready(self.binds.account.id)

    def connection_lost(self, exc: Exception | None) -> None:
        """Deliveries without an answer go to another bind; answers to come are for nobody."""
        self._transport = None
        abandoned = self.session.close()
        if self._is_attached and self.binds is not None:
            events = [a.context for a in abandoned if isinstance(a.context, OutboxEvent)]
            self._services.deliveries.detach(self.binds.account.id, self, events)
        if self._binding is not None:
            self._binding.cancel()
        if self._questions is not None:
            self._questions.close()
        self._slots.clear()
        self._deliveries.clear()
        self._owner.lost(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def tick(self, now: float) -> None:
        """Called once a second."""
        for event in self.session.tick(now):
            self._take(event)
        self._flush()
        if self._unread_since and now - self._unread_since > self._unread_s:
            self.drop("does_not_read", "the client does not read")
        elif self._unanswered_row >= _UNANSWERED_MAX:
            self.drop("does_not_answer", "the client does not answer deliveries")
        if self._throttles:
            self._throttles = 0
            self._govern_reading()

    def drop(self, reason: str, text: str) -> None:
        """Ends the connection without a word to the client. `reason` is a word for the metrics."""
        self.last_error = text
        if self._transport is not None:
            self._owner.refused(reason)
            self._transport.abort()

    def unbind(self) -> None:
        """Asks the client to go, and closes when it has answered."""
        if self.session.is_bound:
            self._deliveries.append(self.session.send(Unbind(), self._loop.time()))
            self._flush()
        elif self._transport is not None and not self._slots:
            self._transport.close()

    def trace_until(self, until_ms: int) -> None:
        """Shows what is exchanged in the log until then; 0: not any more."""
        if not until_ms or until_ms <= self._owner.now_ms():
            self._trace = None
        elif self.account is not None and (self._trace is None or self._trace.until_ms != until_ms):
            self._trace = Trace(self.account.login, self.number, until_ms)

    # --- deliveries -------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more deliveries it takes now."""
        if self._unread_since or self._unbind is not None or not self.session.is_bound:
            return 0
        return self.session.window_room

    def deliver(self, event: OutboxEvent) -> None:
        """Sends a delivery; the services are told what became of it."""
        try:
            pdu = compose_delivery(
                event,
                timezone_minutes=self._owner.settings.timezone_minutes,
                is_latin=self._is_latin,
                version=self.session.interface_version,
            )
            octets = self.session.send(pdu, self._loop.time(), context=event)
        except (ProtocolError, ValueError, KeyError) as error:
            _log.error("a delivery can not be written", event_id=event.id, reason=repr(error))
            self._services.deliveries.refused(event, "it can not be written as a PDU")
            return
        self._deliveries.append(octets)
        self._flush_later()

    def _settle(self, event: OutboxEvent, status: int) -> None:
        self._unanswered_row = 0
        if status == _OK:
            self.counters.delivered += 1
            self._services.deliveries.delivered(event)
        else:
            self.counters.refused += 1
            self._services.deliveries.refused(event, f"refused with 0x{status:08X}")

    # --- answers ----------------------------------------------------------------------------------

    def answer(self, slot: Slot, response: Pdu) -> None:
        """Fills a slot."""
        status = response.command_status
        self._waiting -= 1
        counters = self.counters
        if type(response) is SubmitSmResp and status == _OK:
            counters.accepted += 1
        else:
            counters.note(response.command_id, status)
        slot.octets = self.session.respond(response, slot.sequence_number)
        if not self._is_flush_due and self._slots and self._slots[0].octets is not None:
            self._flush_later()

    def _flush_later(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Writes what may go."""
        self._is_flush_due = False
        slots, transport = self._slots, self._transport
        if transport is None:
            return
        pieces: list[bytes] = []
        while slots and slots[0].octets is not None:
            pieces.append(cast("bytes", slots.popleft().octets))
        if self._deliveries:
            pieces += self._deliveries
            self._deliveries.clear()
        pieces.append(self.session.take_output())
        if self._unbind is not None and not slots:
            pieces.append(self.session.respond(UnbindResp(self._unbind), self._unbind))
        octets = b"".join(pieces)
        if octets:
            transport.write(octets)
            if self._trace is not None:
                self._show("out", octets)
        if self.session.is_over:
            transport.close()
        elif not self._is_reading:
            self._govern_reading()

    def _govern_reading(self) -> None:
        """Reads only while the client reads, waits and slows down as it should."""
        if self._transport is None or self._transport.is_closing():
            return
        window = self.binds.window if self.binds is not None else 0
        may_read = (
            not self._unread_since
            and len(self._slots) <= window + _SLOTS_SPARE
            and self._throttles < _THROTTLES_MAX
            and self.session.backlog < _BACKLOG_MAX
        )
        if may_read != self._is_reading:
            self._is_reading = may_read
            if may_read:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _show(self, direction: str, octets: bytes) -> None:
        if self._trace is not None and not self._trace.show(
            direction, octets, self._owner.now_ms()
        ):
            self._trace = None

    # --- requests ---------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        try:
            self._handle(event)
        except Exception:
            # A mistake of ours ends this request and not the session.
            _log.exception("a request failed unexpectedly", bind=self.number)
            if isinstance(event, Pdu) and self.session.unanswered:
                slot = self._take_slot(event)
                self.answer(slot, response_to(event, _SYSTEM_ERROR))

    def _handle(self, event: Event) -> None:
        match event:
            case ResponseReceived(pdu=pdu, context=OutboxEvent() as delivery):
                self._settle(delivery, pdu.command_status)
                if self.binds is not None:
                    self._services.deliveries.ready(self.binds.account.id)
            case ResponseTimedOut(context=OutboxEvent() as delivery):
                self._unanswered_row += 1
                self.counters.unanswered += 1
                self.last_error = "a delivery was not answered"
                self._services.deliveries.refused(delivery, "not answered")
            case UnexpectedResponse(pdu=pdu, context=OutboxEvent() as delivery):
                if not pdu.command_status:
                    self._services.deliveries.delivered(delivery)
            case PduRejected():
                self._reject(event)
            case DataSm() | SubmitMulti() | QuerySm() | CancelSm() | ReplaceSm():
                self._ask(event)
            case SubmitSm():
                self._submit(event, self._owner.now_ms())
            case BindRequest():
                self._binding = self._loop.create_task(self._bind(event))
            case Unbind():
                self._unbind = event.sequence_number
                self._flush_later()
            case FramingFailed(error=error):
                self._flush()
                is_foreign = isinstance(error, FramingError) and error.is_foreign
                self.drop("not_smpp" if is_foreign else "broken_stream", error.reason)
            case TimerExpired(timer=timer):
                self._flush()
                self.drop(f"timer_{timer.value}", f"the timer {timer.value} has ended")
            case EnquireLink():
                self.counters.note(CommandId.ENQUIRE_LINK_RESP.value, _OK)
            case ResponseReceived() | ResponseTimedOut() | UnexpectedResponse():
                pass  # about an unbind or enquire_link of ours, or about nothing
            case Pdu():
                slot = self._take_slot(event)
                self.answer(slot, response_to(event, CommandStatus.ESME_RINVCMDID.value))

    def _reject(self, event: PduRejected) -> None:
        """The session has answered; here it is counted."""
        self.last_error = event.reason
        # Commands that nobody knows are one: a client must not fill the metrics with its numbers.
        is_known = event.command_id in PDU_BY_COMMAND
        command_id = event.command_id if is_known else CommandId.GENERIC_NACK.value
        self.counters.note(command_id, event.command_status)
        if event.is_matched and isinstance(event.context, OutboxEvent):
            self._services.deliveries.refused(event.context, "an answer that can not be read")

    def _take_slot(self, request: Pdu) -> Slot:
        slot = Slot(request.sequence_number)
        self._slots.append(slot)
        self._waiting += 1
        return slot

    def _admit(self, count: int = 1) -> int:
        """ESME_ROK, or why `count` more messages are not taken now."""
        binds = self.binds
        if binds is None or self._waiting > binds.window or self._owner.is_stopping:
            return _FULL
        if binds.pacer is not None:
            granted = binds.pacer.take(count, self._loop.time() * 1000)
            if granted < count:
                binds.pacer.give_back(granted)
                self._throttles += 1
                if self._throttles >= _THROTTLES_MAX:
                    self._govern_reading()
                return _THROTTLED
        return _OK

    def _submit(self, pdu: SubmitSm, now_ms: int) -> None:
        """A submit_sm."""
        self.counters.submitted += 1
        slot = self._take_slot(pdu)
        refused = self._admit()
        if refused:
            self.answer(slot, SubmitSmResp(0, refused))
            return
        account = self.account
        assert account is not None
        try:
            request = self._reader.read(pdu, account, now_ms)
            done = partial(self._submitted, slot, SubmitSmResp)
            if type(request) is Fault:
                self.answer(slot, SubmitSmResp(0, request.status))
            elif type(request) is Piece:
                self._services.pieces.begin(account, request, done)
            else:
                self._services.submit.begin(request, done)  # type: ignore[arg-type]
        except Exception:
            _log.exception("a message failed unexpectedly", bind=self.number)
            if slot.octets is None:
                self.answer(slot, SubmitSmResp(0, _SYSTEM_ERROR))

    def _submitted(self, slot: Slot, kind: type[Any], end: Submitted | Refused) -> None:
        """A message is on disk, or is not taken."""
        if self._transport is None:
            return
        if type(end) is Submitted:
            self.answer(slot, kind(0, _OK, end.client_ref))
            return
        assert isinstance(end, Refused)
        if end.refusal in LATE_REFUSALS and end.client_ref:
            self.answer(slot, kind(0, _OK, end.client_ref))
            return
        status = SUBMIT_STATUS[end.refusal] or _SYSTEM_ERROR
        self.last_error = end.refusal.value
        self.answer(slot, kind(0, status))

    def _ask(self, pdu: DataSm | SubmitMulti | QuerySm | CancelSm | ReplaceSm) -> None:
        """Requests other than submit_sm."""
        slot = self._take_slot(pdu)
        questions = self._questions
        count = 0
        if isinstance(pdu, SubmitMulti):
            count = max(len(pdu.dest_address), 1)
        elif isinstance(pdu, DataSm):
            count = 1
        refused = self._admit(count)
        if refused or questions is None or self.account is None:
            self.answer(slot, response_to(pdu, refused or _SYSTEM_ERROR))
            return
        done = partial(self._answered, slot)
        now_ms = self._owner.now_ms()
        if isinstance(pdu, DataSm):
            questions.data(pdu, self.account, now_ms, done)
        elif isinstance(pdu, SubmitMulti):
            questions.multi(pdu, self.account, now_ms, done)
        else:
            questions.ask(pdu, self.account, now_ms, done)

    def _answered(self, slot: Slot, response: Pdu) -> None:
        if self._transport is not None:
            self.answer(slot, response)

    # --- binding ----------------------------------------------------------------------------------

    async def _bind(self, request: BindRequest) -> None:
        try:
            binds, status = await self._owner.judge_bind(self, request)
        except Exception:
            _log.exception("a bind failed unexpectedly")
            binds, status = None, _SYSTEM_ERROR
        if self._transport is None or self.session.is_over:
            if binds is not None:
                self._owner.lost(self)
            return
        if binds is None:
            self._deliveries.append(self.session.refuse_bind(request, status))
            self._flush()
            if self.failed_binds >= 3 and self._transport is not None:
                self._transport.close()
            return
        self.kind = type(request)
        self.binds = binds
        self.account = binds.account
        self.since_ms = self._owner.now_ms()
        self._is_latin = request.system_type.upper() == "ISO"
        self._reader = Reader(is_latin=self._is_latin)
        system_id = self._owner.settings.system_id
        self._deliveries.append(self.session.accept_bind(request, system_id))
        self._questions = Questions(
            self._services,
            self._reader,
            timezone_minutes=self._owner.settings.timezone_minutes,
            is_version_5=self.session.interface_version >= VERSION_50,
        )
        self.trace_until(binds.account.smpp_trace_until)
        self._flush()
        if self.kind is not BindTransmitter:
            self._is_attached = True
            self._services.deliveries.attach(binds.account.id, self)

    @property
    def role(self) -> str:
        """``tx``, ``rx`` or ``trx``."""
        return {BindTransmitter: "tx", BindReceiver: "rx"}.get(self.kind, "trx")

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        return self._waiting


def _configure(settings: SmppSettings) -> SessionConfig:
    return SessionConfig(
        interface_version=VERSION_50,
        window_max=settings.deliver_window,
        session_init_s=settings.bind_s,
        enquire_link_s=settings.enquire_link_s,
        inactivity_s=settings.idle_s,
        response_s=settings.response_s,
        max_command_length=settings.max_pdu_bytes,
    )
