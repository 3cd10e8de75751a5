"""One connection to an SMSC: the socket, the protocol session on it, and what a read brings.

Everything of one read is handled in one pass: answers, receipts and messages are gathered and
handed over once each, and what has to be written goes out in one write. There is no task and no
timer per message; one slow tick looks after all timeouts.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Protocol, cast

from heliograph.connectors.base import Outcome, OutcomeKind
from heliograph.domain.messages import MessageState, Part
from heliograph.protocols.smpp.constants import CommandStatus, describe_status
from heliograph.protocols.smpp.errors import LocalProtocolError
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
    BindRequest,
    BindResponse,
    DataSm,
    DeliverSm,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    response_to,
)
from heliograph.protocols.smpp.session import EsmeSession, SessionConfig

__all__ = ["Link", "LinkOwner", "Outcomes"]

Outcomes = list[tuple[Part, Outcome]]
Delivery = DeliverSm | DataSm

# Deliveries that wait to be stored before we stop reading. The SMSC's own window is usually far
# smaller; this bounds memory against one that has none.
_UNSTORED_MAX = 2_000
# An SMSC that unbinds has this long to answer what it was sent before.
_GOODBYE_S = 10.0


class LinkOwner(Protocol):
    """The bind that a link belongs to."""

    def judge(self, pdu: Pdu, part: Part) -> Outcome:
        """Outcome of an answer that is not the plain good one."""

    def key_of(self, message_id: str) -> str:
        """External id of a part that was answered with this message_id."""

    def link_bound(self, link: Link) -> None:
        """The SMSC has accepted the bind."""

    def link_answered(self, outcomes: Outcomes, late: Outcomes) -> None:
        """Outcomes of one read; `late` ones were reported as unknown before."""

    def link_delivered(self, link: Link, deliveries: Sequence[Delivery]) -> None:
        """Receipts and messages of one read. Answer them by `acknowledge`."""

    def link_lost(self, link: Link, outcomes: Outcomes, reason: str) -> None:
        """The connection has gone; `outcomes` are those of the parts that were not answered."""


class Link(asyncio.Protocol):
    """One connection, from its making to its end; never used again after."""

    def __init__(self, owner: LinkOwner, request: BindRequest, config: SessionConfig) -> None:
        self._owner = owner
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tick_handle: asyncio.TimerHandle | None = None
        self._tick_s = min(1.0, config.response_s / 4, (config.enquire_link_s or 4) / 4)
        self._is_paused = False
        # The unbind of the SMSC that is not answered yet: sequence_number and when it will be.
        self._goodbye: tuple[int, float] | None = None
        self.session = EsmeSession(self._loop.time(), config)
        self.is_writable = True
        self.reason = ""
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # --- What the bind asks ---------------------------------------------------------------------

    @property
    def may_submit(self) -> bool:
        """Bound, and the SMSC reads what we send."""
        return self.is_writable and self.session.is_bound

    def submit(self, pdus: Sequence[tuple[SubmitSm, Part]]) -> Outcomes:
        """Sends all in one write. Returns outcomes of those that the protocol can not express."""
        session = self.session
        now = self._loop.time()
        refused: Outcomes = []
        octets = []
        for pdu, part in pdus:
            try:
                octets.append(session.send(pdu, now, context=part))
            except LocalProtocolError as error:
                refused.append((part, self._owner.judge(_nack(error), part)))
        self._write(b"".join(octets))
        return refused

    def ask(self, request: Pdu, answer: asyncio.Future[Pdu]) -> None:
        """Sends a request whose response is the result of `answer`. Raises LocalProtocolError."""
        self._write(self.session.send(request, self._loop.time(), context=answer))

    def acknowledge(self, deliveries: Sequence[Delivery], command_status: int = 0) -> None:
        """Answers deliveries in one write; nothing when the connection has gone."""
        session = self.session
        if session.is_over:
            return
        octets = [
            session.respond(response_to(pdu, command_status), pdu.sequence_number)
            for pdu in deliveries
        ]
        self._write(b"".join(octets))
        self._say_goodbye()
        if self._is_paused and session.unanswered <= _UNSTORED_MAX // 2:
            self._is_paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    async def unbind(self, timeout_s: float) -> None:
        """Says goodbye, waits for the answer, and closes."""
        self.reason = self.reason or "we closed the link"
        if self.session.is_bound and self._transport is not None:
            answer: asyncio.Future[Pdu] = self._loop.create_future()
            self.ask(Unbind(), answer)
            waited: list[asyncio.Future[Any]] = [answer, self.closed]
            await asyncio.wait(waited, timeout=timeout_s)
        self.close("we closed the link")
        await asyncio.wait([self.closed], timeout=1)

    def close(self, reason: str) -> None:
        """Ends the connection; `link_lost` follows."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Ends the connection without flushing, for a peer that does not read or answer."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    # --- What the event loop calls --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Binds at once."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._write(self.session.send(self._request, self._loop.time()))
        self._tick_handle = self._loop.call_later(self._tick_s, self._tick)

    def data_received(self, data: bytes) -> None:
        """Handles every PDU of a read in one pass."""
        owner = self._owner
        session = self.session
        key_of = owner.key_of
        outcomes: Outcomes = []
        late: Outcomes = []
        deliveries: list[Delivery] = []
        for event in session.receive(data, self._loop.time()):
            if isinstance(event, ResponseReceived):
                pdu = event.pdu
                if isinstance(pdu, SubmitSmResp) and not pdu.command_status:
                    accepted = Outcome(OutcomeKind.ACCEPTED, external_id=key_of(pdu.message_id))
                    outcomes.append((event.context, accepted))
                    continue
            elif isinstance(event, DeliverSm):
                deliveries.append(event)
                continue
            self._take_other(event, outcomes, late, deliveries)
        output = session.take_output()
        if output:
            self._write(output)
        if outcomes or late:
            owner.link_answered(outcomes, late)
        if deliveries:
            if session.unanswered > _UNSTORED_MAX and self._transport is not None:
                self._is_paused = True
                self._transport.pause_reading()
            owner.link_delivered(self, deliveries)
        self._say_goodbye()

    def pause_writing(self) -> None:
        """The SMSC reads slower than we send."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """The SMSC has caught up."""
        self.is_writable = True
        self._owner.link_answered([], [])

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives every part without an answer back as unknown."""
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._transport = None
        reason = self.reason or (str(exc) if exc else "the SMSC closed the connection")
        outcomes: Outcomes = []
        for abandoned in self.session.close():
            self._give_up(abandoned.context, outcomes, f"link lost: {reason}")
        self._owner.link_lost(self, outcomes, reason)
        if not self.closed.done():
            self.closed.set_result(None)

    # --- Inside ---------------------------------------------------------------------------------

    def _write(self, octets: bytes) -> None:
        if octets and self._transport is not None:
            self._transport.write(octets)

    def _tick(self) -> None:
        self._tick_handle = self._loop.call_later(self._tick_s, self._tick)
        outcomes: Outcomes = []
        for event in self.session.tick(self._loop.time()):
            self._take_other(event, outcomes, [], [])
        self._write(self.session.take_output())
        if outcomes:
            self._owner.link_answered(outcomes, [])
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Answers the unbind of the SMSC when both have answered everything, or it is time."""
        if self._goodbye is None:
            return
        session = self.session
        sequence_number, until = self._goodbye
        if (session.outstanding or session.unanswered) and self._loop.time() < until:
            return
        self._goodbye = None
        self._write(session.respond(UnbindResp(), sequence_number))
        self.close("the SMSC unbound")

    def _take_other(
        self, event: Event, outcomes: Outcomes, late: Outcomes, deliveries: list[Delivery]
    ) -> None:
        match event:
            case ResponseReceived(pdu=pdu, context=context):
                self._take_answer(pdu, context, outcomes)
            case ResponseTimedOut(context=context):
                self._give_up(context, outcomes, "no answer in time")
            case UnexpectedResponse(pdu=SubmitSmResp() as pdu, context=Part() as part):
                if not pdu.command_status:
                    external_id = self._owner.key_of(pdu.message_id)
                    late.append((part, Outcome(OutcomeKind.ACCEPTED, external_id=external_id)))
                elif part.state is MessageState.UNKNOWN:
                    # It was not taken. Of one that has been sent again this would say nothing.
                    late.append((part, self._owner.judge(pdu, part)))
            case PduRejected(is_matched=True, context=context, reason=reason):
                self._give_up(context, outcomes, f"unreadable answer: {reason}")
            case DataSm():
                deliveries.append(event)
            case Unbind():
                self.reason = self.reason or "the SMSC unbound"
                self._goodbye = (event.sequence_number, self._loop.time() + _GOODBYE_S)
            case TimerExpired(timer=timer):
                self.abort(f"timer {timer.value} ran out")
            case FramingFailed(error=error):
                self._write(self.session.take_output())
                self.close(f"not SMPP: {error.reason}")

    def _take_answer(self, pdu: Pdu, context: Any, outcomes: Outcomes) -> None:
        if isinstance(context, Part):
            outcomes.append((context, self._owner.judge(pdu, context)))
        elif isinstance(context, asyncio.Future):
            if not context.done():
                context.set_result(pdu)
        elif isinstance(pdu, BindResponse) and not pdu.command_status:
            self._owner.link_bound(self)
        elif not self.session.is_bound:
            self.close(f"bind refused: {describe_status(pdu.command_status)}")

    def _give_up(self, context: Any, outcomes: Outcomes, reason: str) -> None:
        if isinstance(context, Part):
            outcomes.append((context, Outcome(OutcomeKind.UNKNOWN, reason=reason)))
        elif isinstance(context, asyncio.Future) and not context.done():
            context.cancel()


def _nack(error: LocalProtocolError) -> Pdu:
    """A refusal of our own, in the form in which the SMSC would have told it."""
    return SubmitSmResp(0, error.command_status or CommandStatus.ESME_RUNKNOWNERR.value)
