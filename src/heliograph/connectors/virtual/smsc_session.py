"""One client's connection to the simulated SMSC."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Protocol, cast

from heliograph.connectors.virtual.chaos import Chaos, SmscStats
from heliograph.protocols.smpp.constants import CommandStatus
from heliograph.protocols.smpp.events import (
    Event,
    FramingFailed,
    PduRejected,
    ResponseReceived,
    ResponseTimedOut,
    TimerExpired,
)
from heliograph.protocols.smpp.pdu import (
    BindReceiver,
    BindRequest,
    BindTransmitter,
    DeliverSm,
    EnquireLink,
    Pdu,
    QuerySm,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    response_to,
)
from heliograph.protocols.smpp.session import SessionConfig, SmscSession

__all__ = ["Delivery", "SmscConnection", "SmscOwner"]

_REDELIVERY_S = 1.0
_TICK_S = 1.0


class Delivery:
    """A deliver_sm that stays ours until somebody acknowledges it."""

    __slots__ = ("is_receipt", "pdu", "system_id")

    def __init__(self, pdu: DeliverSm, system_id: str, *, is_receipt: bool) -> None:
        self.pdu = pdu
        self.system_id = system_id
        self.is_receipt = is_receipt


class SmscOwner(Protocol):
    """The server that a connection belongs to."""

    chaos: Chaos
    stats: SmscStats

    def judge_bind(self, request: BindRequest) -> int:
        """command_status of a bind."""

    def connected(self, connection: SmscConnection) -> None:
        """Somebody has connected (and, on a TLS port, speaks TLS)."""

    def bound(self, connection: SmscConnection) -> None:
        """A client has bound."""

    def submitted(self, connection: SmscConnection, pdu: SubmitSm) -> None:
        """A client submits; answer by `SmscConnection.answer`."""

    def queried(self, connection: SmscConnection, pdu: QuerySm) -> Pdu:
        """The answer to a query_sm."""

    def sent(self, delivery: Delivery) -> None:
        """A deliver_sm goes out."""

    def lost(self, connection: SmscConnection) -> None:
        """The connection has gone."""


class SmscConnection(asyncio.Protocol):
    """Answers of one read leave in one write, deliveries as the window allows."""

    def __init__(self, owner: SmscOwner, config: SessionConfig) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._answers: list[bytes] = []
        self._is_reading = False
        self._tick_handle: asyncio.TimerHandle | None = None
        self.session = SmscSession(self._loop.time(), config)
        self.queue: deque[Delivery] = deque()
        self.system_id = ""
        self.bind_kind: type[BindRequest] = BindRequest
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.waiting = 0  # submits without an answer

    @property
    def may_receive(self) -> bool:
        """Bound as receiver or transceiver."""
        return self.session.is_bound and self.bind_kind is not BindTransmitter

    @property
    def may_submit(self) -> bool:
        """Bound as transmitter or transceiver."""
        return self.session.is_bound and self.bind_kind is not BindReceiver

    def answer(self, response: Pdu, *, is_flushed: bool = True) -> None:
        """Answers a request; answers of one read, or not flushed, leave together."""
        if self.session.is_over:
            return
        self.waiting -= isinstance(response, SubmitSmResp)
        self._answers.append(self.session.respond(response, response.sequence_number))
        if is_flushed:
            self.flush()

    def deliver(self, delivery: Delivery) -> None:
        """Queues a deliver_sm and sends what the window allows."""
        self.queue.append(delivery)
        self.flush()

    def pump(self) -> None:
        """Puts queued deliveries, as many as the window allows, before the answers to come."""
        now = self._loop.time()
        self._output += self._answers
        self._answers.clear()
        while self.queue and self.may_receive and self.session.window_room > 0:
            delivery = self.queue.popleft()
            self._output.append(self.session.send(delivery.pdu, now, context=delivery))
            self._owner.sent(delivery)

    def flush(self) -> None:
        """Writes what has gathered, unless a read is being handled or the server plays dead."""
        if self._is_reading or self._transport is None:
            return
        if self._owner.chaos.shuffle_answers:
            self._answers.reverse()
        self.pump()
        if self._owner.chaos.is_deaf:
            self._output.clear()
            return
        octets = b"".join([*self._output, self.session.take_output()])
        self._output.clear()
        if octets:
            self._transport.write(octets)

    def drop(self) -> None:
        """Ends the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the bind."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.connected(self)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tick_handle = self._loop.call_later(_TICK_S, self._tick)

    def data_received(self, data: bytes) -> None:
        """Handles every PDU of a read in one pass."""
        if self._owner.chaos.is_deaf:
            return
        self._is_reading = True
        for event in self.session.receive(data, self._loop.time()):
            self._take(event)
        self._is_reading = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Deliveries without an answer go back to the server."""
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._transport = None
        unanswered = [
            entry.context for entry in self.session.close() if isinstance(entry.context, Delivery)
        ]
        self.queue.extendleft(reversed(unanswered))
        self._owner.lost(self)
        self.closed.set_result(None)

    def _tick(self) -> None:
        self._tick_handle = self._loop.call_later(_TICK_S, self._tick)
        for event in self.session.tick(self._loop.time()):
            self._take(event)
        self.flush()

    def _take(self, event: Event) -> None:
        stats = self._owner.stats
        match event:
            case SubmitSm():
                self.waiting += 1
                stats.window_max = max(stats.window_max, self.waiting)
                self._owner.submitted(self, event)
            case ResponseReceived(pdu=pdu, context=Delivery() as delivery):
                self._settle(delivery, pdu.command_status)
            case ResponseTimedOut(context=Delivery() as delivery):
                self.queue.append(delivery)
            case QuerySm():
                stats.queries += 1
                self.answer(self._owner.queried(self, event))
            case BindRequest():
                self._bind(event)
            case Unbind():
                self.answer(UnbindResp(event.sequence_number))
                self._is_reading = False
                self.flush()
                if self._transport is not None:
                    self._transport.close()
            case FramingFailed() | TimerExpired():
                self._is_reading = False
                self.flush()
                self.drop()
            case PduRejected():
                stats.refused_pdus += 1
            case EnquireLink() | ResponseReceived() | ResponseTimedOut():
                pass  # answered by the session, or an answer to our own unbind
            case Pdu():
                self.answer(response_to(event, CommandStatus.ESME_RINVCMDID.value))

    def _bind(self, request: BindRequest) -> None:
        status = self._owner.judge_bind(request)
        if status:
            self._owner.stats.bind_refusals += 1
            self._answers.append(self.session.refuse_bind(request, status))
            return
        self._owner.stats.binds += 1
        self.system_id = request.system_id
        self.bind_kind = type(request)
        self._output.append(self.session.accept_bind(request, "heliograph"))
        self._owner.bound(self)

    def _settle(self, delivery: Delivery, command_status: int) -> None:
        stats = self._owner.stats
        if not command_status:
            stats.receipts_acknowledged += delivery.is_receipt
            stats.incoming_acknowledged += not delivery.is_receipt
            return
        stats.receipts_refused += delivery.is_receipt
        self._loop.call_later(_REDELIVERY_S, self.deliver, delivery)
