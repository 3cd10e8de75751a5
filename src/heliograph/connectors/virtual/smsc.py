"""The built-in carrier as an SMSC: a server that real SMPP clients bind to.

It serves `heliograph simulate smsc` and the tests. A message ends as its number says (`carrier`),
and the server as a whole behaves as its `Chaos` says. Receipts outlive connections: those that
nobody acknowledged go to the next session of the same system_id.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from heliograph.connectors.base import OutcomeKind
from heliograph.connectors.timing import Agenda
from heliograph.connectors.virtual.carrier import Carrier, Plan, PlannedReceipt, read_code
from heliograph.connectors.virtual.chaos import Arrival, Chaos, SmscStats
from heliograph.connectors.virtual.networks import answer_lookup, view_of
from heliograph.connectors.virtual.receipts import STATE_NUMBERS, write_id, write_receipt
from heliograph.connectors.virtual.smsc_session import Delivery, SmscConnection
from heliograph.domain.messages import MessageState
from heliograph.protocols.smpp.constants import CommandStatus, RegisteredDelivery
from heliograph.protocols.smpp.constants import MessageState as SmppState
from heliograph.protocols.smpp.pdu import (
    BindRequest,
    DeliverSm,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
)
from heliograph.protocols.smpp.session import SessionConfig
from heliograph.protocols.smpp.times import format_absolute
from heliograph.protocols.sms.data_coding import decode_text
from heliograph.protocols.sms.errors import UdhError
from heliograph.protocols.sms.udh import parse_udh

__all__ = ["Arrival", "Chaos", "SmscServer", "SmscStats", "serve_smsc"]

_REMEMBERED = 100_000
_HLR = b"__HLR__"
_S = CommandStatus

# What a refused number is told: the command_status that fits the error code best.
_REFUSALS: dict[int, int] = {
    249: _S.ESME_RINVDSTADR,
    254: _S.ESME_RINVSRCADR,
    241: _S.ESME_RINVMSGLEN,
}


class _Answer(NamedTuple):
    connection: SmscConnection
    response: SubmitSmResp


class _Report(NamedTuple):
    system_id: str
    pdu: DeliverSm
    is_receipt: bool = True


class _Known(NamedTuple):
    """What query_sm tells about a message."""

    plan: Plan
    submitted_at: int


class SmscServer:
    """Made by `serve_smsc`. `inbox` holds the latest accepted messages, `stats` the counters.

    `on_arrival` and `on_receipt`, when they are set, are told of every accepted message and of
    every receipt that is sent.
    """

    def __init__(
        self, carrier: Carrier, chaos: Chaos, *, credentials: tuple[str, str], window: int
    ) -> None:
        self.chaos = chaos
        self.stats = SmscStats()
        self.inbox: deque[Arrival] = deque(maxlen=_REMEMBERED)
        self.connections: list[SmscConnection] = []
        self.port = 0
        self.on_arrival: Callable[[Arrival], None] | None = None
        self.on_receipt: Callable[[DeliverSm], None] | None = None
        self._carrier = carrier
        self._credentials = credentials
        self._config = SessionConfig(
            interface_version=0x50, window_max=window, response_s=30, inactivity_s=None
        )
        self._server: asyncio.Server | None = None
        self._agenda: Agenda[_Answer | _Report] = Agenda(
            asyncio.get_running_loop(), self._settle, tick_ms=5
        )
        self._last_id = time.time_ns() // 1_000_000_000
        self._known: dict[str, _Known] = {}
        self._attempts: dict[tuple[str, bytes], int] = {}
        self._orphans: deque[Delivery] = deque()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Opens the port; `port` 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connect, host, port, ssl=tls, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Drops every connection and frees the port."""
        self._agenda.clear()
        if self._server is not None:
            self._server.close()
        closed = [connection.closed for connection in self.connections]
        self.drop_links()
        if closed:
            await asyncio.wait(closed)

    def drop_links(self) -> None:
        """Drops every connection without a word; clients may come back."""
        for connection in list(self.connections):
            connection.drop()

    def deliver(self, pdu: DeliverSm, *, system_id: str = "") -> None:
        """A message from a handset, or anything else, to a receiving session ('': to any)."""
        self._agenda.add(0, _Report(system_id, pdu, is_receipt=False))

    # --- What connections tell ------------------------------------------------------------------

    def judge_bind(self, request: BindRequest) -> int:
        """Empty credentials of the server let everybody in."""
        system_id, password = self._credentials
        if system_id and request.system_id != system_id:
            return _S.ESME_RINVSYSID
        if password and request.password != password:
            return _S.ESME_RINVPASWD
        return _S.ESME_ROK

    def connected(self, connection: SmscConnection) -> None:
        """Somebody has connected."""
        self.connections.append(connection)

    def bound(self, connection: SmscConnection) -> None:
        """Receipts that wait for this client go out."""
        if not connection.may_receive:
            return
        waiting, self._orphans = self._orphans, deque()
        for delivery in waiting:
            self._dispatch(delivery)

    def sent(self, delivery: Delivery) -> None:
        """Counts receipts, and tells who wants to know."""
        if delivery.is_receipt:
            self.stats.receipts_sent += 1
            if self.on_receipt is not None:
                self.on_receipt(delivery.pdu)

    def lost(self, connection: SmscConnection) -> None:
        """What it did not acknowledge finds another session, or waits for one."""
        self.connections.remove(connection)
        for delivery in connection.queue:
            receiver = self._dispatch(delivery)
            if receiver is not None:
                receiver.flush()
        connection.queue.clear()

    def submitted(self, connection: SmscConnection, pdu: SubmitSm) -> None:
        """Decides, and puts the answer and the receipts on the agenda."""
        stats, chaos = self.stats, self.chaos
        stats.submits += 1
        if chaos.disconnect_after and stats.submits % chaos.disconnect_after == 0:
            connection.drop()
            return
        if chaos.throttle_every and stats.submits % chaos.throttle_every == 0:
            stats.throttled += 1
            self._answer(connection, SubmitSmResp(pdu.sequence_number, _S.ESME_RTHROTTLED.value))
            return
        plan = self._plan(pdu)
        message_id = ""
        if plan.kind in {OutcomeKind.ACCEPTED, OutcomeKind.UNKNOWN}:
            message_id = self._accept(connection, pdu, plan)
        if plan.kind is OutcomeKind.UNKNOWN and not plan.answer_after_ms:
            stats.dropped += 1
            return
        if chaos.drop_every and stats.submits % chaos.drop_every == 0:
            stats.dropped += 1
            return
        response = SubmitSmResp(pdu.sequence_number, _status_of(plan), message_id)
        self._answer(connection, response, after_ms=plan.answer_after_ms)

    def queried(self, connection: SmscConnection, pdu: QuerySm) -> Pdu:
        """The present state of a message; ESME_RQUERYFAIL for one that is not known."""
        known = self._known.get(pdu.message_id)
        if known is None:
            return QuerySmResp(pdu.sequence_number, _S.ESME_RQUERYFAIL.value, pdu.message_id)
        now_ms = _now_ms()
        state, err, final_date = SmppState.ENROUTE, 0, ""
        for receipt in known.plan.receipts:
            if known.submitted_at + receipt.after_ms <= now_ms:
                state, err = STATE_NUMBERS[receipt.state], receipt.err
                final_date = format_absolute(known.submitted_at + receipt.after_ms)
        return QuerySmResp(
            pdu.sequence_number, 0, pdu.message_id, final_date, state.value, err & 0xFF
        )

    # --- Inside ---------------------------------------------------------------------------------

    def _connect(self) -> SmscConnection:
        return SmscConnection(self, self._config)

    def _plan(self, pdu: SubmitSm) -> Plan:
        code = read_code(pdu.destination_addr)
        if code[:1] != "4":
            return self._carrier.plan(pdu.destination_addr)
        # Only for these the number of earlier attempts matters, and an SMSC has to count itself.
        key = (pdu.destination_addr, pdu.content)
        attempts = self._attempts.get(key, 0)
        if len(self._attempts) >= _REMEMBERED:
            self._attempts.clear()
        self._attempts[key] = attempts + 1
        return self._carrier.plan(pdu.destination_addr, attempts=attempts)

    def _accept(self, connection: SmscConnection, pdu: SubmitSm, plan: Plan) -> str:
        """Gives the message its id, puts it into the inbox and its receipts on the agenda."""
        now_ms = _now_ms()
        if plan.kind is OutcomeKind.UNKNOWN and not plan.receipts:
            return ""  # it was never taken
        self._last_id += 1
        message_id = write_id(self._last_id, self.chaos.id_base)
        self.stats.accepted += 1
        text = _read_text(pdu)
        arrival = Arrival(
            now_ms,
            connection.system_id,
            message_id,
            pdu.source_addr,
            pdu.destination_addr,
            text,
            pdu,
        )
        self.inbox.append(arrival)
        if self.on_arrival is not None:
            self.on_arrival(arrival)
        self._known[message_id] = _Known(plan, now_ms)
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        if pdu.registered_delivery & RegisteredDelivery.RECEIPT_MASK:
            self._plan_receipts(connection, pdu, plan, number=self._last_id, text=text)
        if plan.reply:
            reply = pdu.content if plan.reply == "=" else plan.reply.encode("ascii")
            self.deliver(_reply(pdu, reply, is_echo=plan.reply == "="))
        return message_id

    def _plan_receipts(
        self, connection: SmscConnection, pdu: SubmitSm, plan: Plan, *, number: int, text: str
    ) -> None:
        chaos = self.chaos
        is_early = chaos.receipt_early or plan.is_receipt_first
        for index, planned in enumerate(plan.receipts):
            report = _Report(
                connection.system_id, self._write(pdu, planned, number=number, text=text)
            )
            if is_early and index == 0:
                early = Delivery(report.pdu, report.system_id, is_receipt=True)
                receiver = self._dispatch(early)
                if receiver is not None:
                    receiver.pump()
                    receiver.flush()
                continue
            after_ms = chaos.latency_ms + plan.answer_after_ms + planned.after_ms
            for _ in range(2 if chaos.receipt_twice else 1):
                self._agenda.add(after_ms, report)

    def _write(
        self, pdu: SubmitSm, planned: PlannedReceipt, *, number: int, text: str
    ) -> DeliverSm:
        chaos = self.chaos
        base = chaos.receipt_id_base or chaos.id_base
        now_ms = _now_ms()
        detail = None
        if pdu.short_message == _HLR and planned.state is MessageState.DELIVERED:
            recipient = pdu.destination_addr
            network = "25001" if recipient.startswith("7") else ""
            detail = answer_lookup(recipient, network, view_of(read_code(recipient)))
        return write_receipt(
            pdu,
            write_id(number + (1 << 40 if planned.is_stray else 0), base),
            state=planned.state,
            err=planned.err,
            submitted_at=now_ms,
            done_at=now_ms + planned.after_ms,
            text=text,
            detail=detail,
            form=chaos.receipt_form,
        )

    def _answer(
        self, connection: SmscConnection, response: SubmitSmResp, *, after_ms: int = 0
    ) -> None:
        after_ms += self.chaos.latency_ms
        if after_ms:
            self._agenda.add(after_ms, _Answer(connection, response))
        else:
            connection.answer(response)

    def _settle(self, entries: list[_Answer | _Report]) -> None:
        touched: dict[SmscConnection, None] = {}
        for entry in entries:
            if isinstance(entry, _Answer):
                entry.connection.answer(entry.response, is_flushed=False)
                touched[entry.connection] = None
            else:
                receiver = self._dispatch(
                    Delivery(entry.pdu, entry.system_id, is_receipt=entry.is_receipt)
                )
                if receiver is not None:
                    touched[receiver] = None
        for connection in touched:
            connection.flush()

    def _dispatch(self, delivery: Delivery) -> SmscConnection | None:
        """Queues a delivery with a session that may have it; it waits when there is none."""
        for connection in self.connections:
            if connection.may_receive and delivery.system_id in {"", connection.system_id}:
                connection.queue.append(delivery)
                return connection
        self._orphans.append(delivery)
        return None


async def serve_smsc(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    system_id: str = "",
    password: str = "",
    carrier: Carrier | None = None,
    chaos: Chaos | None = None,
    window: int = 100,
    tls: ssl.SSLContext | None = None,
) -> SmscServer:
    """Starts an SMSC on `host`:`port` (0: a free one). Close it with `await server.close()`.

    `system_id` and `password` '' accept any. `window`: deliver_sm without an answer. Raises OSError
    when the port is taken.
    """
    server = SmscServer(
        carrier or Carrier(), chaos or Chaos(), credentials=(system_id, password), window=window
    )
    await server.listen(host, port, tls)
    return server


def _status_of(plan: Plan) -> int:
    match plan.kind:
        case OutcomeKind.REJECTED:
            return _REFUSALS.get(plan.err, _S.ESME_RSUBMITFAIL)
        case OutcomeKind.DEFERRED:
            return _S.ESME_RX_T_APPN
        case OutcomeKind.UNROUTABLE:
            return _S.ESME_RINVSERTYP
    return _S.ESME_ROK


def _read_text(pdu: SubmitSm) -> str:
    """The text of a message, or of the fragment that it is."""
    content = pdu.content
    if pdu.has_udh:
        try:
            content = content[parse_udh(content).length :]
        except UdhError:
            return ""
    return decode_text(content, pdu.data_coding)


def _reply(pdu: SubmitSm, content: bytes, *, is_echo: bool) -> DeliverSm:
    return DeliverSm(
        source_addr_ton=pdu.dest_addr_ton,
        source_addr_npi=pdu.dest_addr_npi,
        source_addr=pdu.destination_addr,
        dest_addr_ton=pdu.source_addr_ton,
        dest_addr_npi=pdu.source_addr_npi,
        destination_addr=pdu.source_addr,
        esm_class=pdu.esm_class if is_echo else 0,
        data_coding=pdu.data_coding if is_echo else 0,
        short_message=content[:254],
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
