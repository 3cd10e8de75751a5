"""An operator over SMPP: some binds, one way of composing PDUs, one way of reading receipts.

Slots belong to binds. `take` collects them from the binds that have most room, `submit` spends
them in the same order, so that every bind sends its share of a batch in one write.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from heliograph.connectors.base import (
    BindStatus,
    ConnectorEvents,
    Incoming,
    Outcome,
    ReceiptReport,
)
from heliograph.connectors.smpp.bind import Bind
from heliograph.connectors.smpp.composition import Composer
from heliograph.connectors.smpp.delivery import DeliveryReader, Whole
from heliograph.connectors.smpp.grouping import Grouping
from heliograph.connectors.smpp.link import Delivery, Link, Outcomes
from heliograph.connectors.smpp.reassembly import Key
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.connectors.smpp.statuses import UNKNOWN_STATUS, VERDICTS
from heliograph.domain.messages import Part
from heliograph.protocols.smpp.constants import CommandStatus
from heliograph.protocols.smpp.errors import LocalProtocolError
from heliograph.protocols.smpp.pdu import Pdu, QuerySm, QuerySmResp, SubmitSm
from heliograph.protocols.smpp.receipt import is_receipt

__all__ = ["SmppConnector"]

_log = structlog.get_logger(__name__)

_REASSEMBLY_CHECK_S = 10.0
_QUERY_SLOT_POLL_S = 0.05


class SmppConnector:
    """The port `Connector` (see `heliograph.connectors.base`) over SMPP 3.4 sessions."""

    kind = "smpp"

    def __init__(self, *, id: int, name: str, settings: SmppSettings) -> None:
        self.id = id
        self.name = name
        self.carries = settings.types
        self.unknown_policy = settings.policy
        self.forgets_receipts = False
        self._settings = settings
        self._composer = Composer(settings)
        self._reader = DeliveryReader(settings)
        self._grouping = Grouping() if self._composer.is_whole else None
        self._binds: list[Bind] = []
        self._senders: list[Bind] = []
        self._taken: deque[tuple[Bind, int]] = deque()
        self._events: ConnectorEvents | None = None
        self._is_stopping = False
        self._check: asyncio.TimerHandle | None = None
        self._sample_id = ""
        self._unreadable = 0
        self._nameless = 0

    # --- The port -------------------------------------------------------------------------------

    async def start(self, events: ConnectorEvents) -> None:
        """Begins to connect every bind. Raises OSError for TLS files that can not be read."""
        self._events = events
        self._is_stopping = False
        tls = self._make_tls()
        roles = self._settings.bind.split("+")
        self._binds = []
        for number in range(1, self._settings.binds + 1):
            for role in roles:
                suffix = f"-{role}" if len(roles) > 1 else ""
                bind = Bind(
                    self,
                    self._settings,
                    name=f"{self.name}-{number}{suffix}",
                    role=role,
                    number=number,
                    tls=tls,
                )
                self._binds.append(bind)
        self._senders = [bind for bind in self._binds if bind.role != "receiver"]
        for bind in self._binds:
            bind.start()
        self._check = asyncio.get_running_loop().call_later(
            _REASSEMBLY_CHECK_S, self._check_reassembly
        )

    async def stop(self, drain_s: float) -> None:
        """Waits up to `drain_s` for answers, unbinds, reports UNKNOWN for the rest."""
        self._is_stopping = True
        if self._check is not None:
            self._check.cancel()
        deadline = asyncio.get_running_loop().time() + drain_s
        await asyncio.gather(*(bind.stop(deadline) for bind in self._binds))

    @property
    def is_up(self) -> bool:
        """True while at least one bind may submit."""
        return not self._is_stopping and any(bind.is_up for bind in self._senders)

    def take(self, wanted: int) -> int:
        """Takes up to `wanted` slots, most of them where there is most room."""
        if self._is_stopping or wanted <= 0:
            return 0
        granted = 0
        senders = self._senders
        if len(senders) > 1:
            senders = sorted(senders, key=lambda bind: bind.in_flight)
        for bind in senders:
            count = bind.take(wanted - granted)
            if count:
                self._hold(bind, count)
                granted += count
                if granted == wanted:
                    break
        return granted

    def _hold(self, bind: Bind, count: int) -> None:
        """Notes taken slots. Those of one bind stand together: their parts leave in one write."""
        taken = self._taken
        if taken and taken[-1][0] is bind:
            count += taken.pop()[1]
        taken.append((bind, count))

    def give_back(self, count: int) -> None:
        """Returns the slots taken last."""
        while count > 0 and self._taken:
            bind, held = self._taken.pop()
            returned = min(held, count)
            bind.give_back(returned)
            count -= returned
            if held > returned:
                self._taken.append((bind, held - returned))

    def submit(self, parts: Sequence[Part]) -> None:
        """Composes and sends; each bind writes once."""
        at = 0
        failed: Outcomes = []
        while at < len(parts):
            if not self._taken:
                raise RuntimeError("more parts than slots taken")
            bind, held = self._taken.popleft()
            count = min(held, len(parts) - at)
            if held > count:
                self._taken.appendleft((bind, held - count))
            pdus, settled, unsent = self._compose(parts[at : at + count], bind)
            unsent += bind.submit(pdus)
            bind.release(len(settled) + len(unsent))
            failed += settled
            failed += self._grouping.expand(unsent) if self._grouping else unsent
            at += count
        if failed:
            # Later, so that `submit` has returned before its parts are answered.
            asyncio.get_running_loop().call_soon(self._report_failed, failed)

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        """Asks by query_sm; parts about which no answer came are absent from the result."""
        answers = await asyncio.gather(*(self._query_one(part) for part in parts))
        return {
            part.id: report
            for part, (is_answered, report) in zip(parts, answers, strict=True)
            if is_answered
        }

    def status(self) -> list[BindStatus]:
        """The sessions; `extra` of each has the connector's count of unreadable receipts."""
        statuses = [bind.status() for bind in self._binds]
        for status in statuses:
            status.extra["unreadable"] = self._unreadable
        return statuses

    # --- What the binds tell --------------------------------------------------------------------

    def key_of(self, message_id: str) -> str:
        """External id under which a part is stored."""
        key = self._reader.key_of(message_id)
        if not key:
            # Taken, and so to be paid for, though no receipt will ever name it. No two alike, as
            # parts of one name are taken for parts of one message.
            self._nameless += 1
            return f"no-id-{time.time_ns():x}-{self._nameless}"
        self._sample_id = message_id
        return key

    def bind_answered(self, bind: Bind, outcomes: Outcomes, late: Outcomes) -> None:
        """Reports; parts that waited with the answered ones are answered too."""
        if self._events is None:
            return
        if self._grouping is not None:
            outcomes = self._grouping.expand(outcomes)
            late = self._grouping.expand_late(late)
        self._events.report_outcomes(self, outcomes + late if late else outcomes)

    def bind_ready(self, bind: Bind) -> None:
        """Passes on."""
        if self._events is not None and not self._is_stopping:
            self._events.report_ready(self)

    def bind_delivered(self, link: Link, deliveries: Sequence[Delivery]) -> None:
        """Sorts what came; answers the SMSC when it is stored."""
        now_ms = time.time_ns() // 1_000_000
        read = self._reader.read
        reports: list[ReceiptReport] = []
        receipts: list[Delivery] = []
        messages: list[Incoming] = []
        carriers: list[Delivery] = []
        keys: list[Key] = []
        settled: list[Delivery] = []
        for pdu in deliveries:
            found = read(pdu, now_ms)
            if isinstance(found, ReceiptReport):
                reports.append(found)
                receipts.append(pdu)
            elif isinstance(found, Whole):
                messages.append(found.incoming)
                carriers.append(pdu)
                if found.key is not None:
                    keys.append(found.key)
            else:
                settled.append(pdu)
                self._unreadable += is_receipt(pdu)
        if settled:
            link.acknowledge(settled)
        assert self._events is not None
        if reports:
            if self._grouping is not None:
                reports = self._grouping.spread(reports)
            self._events.report_receipts(self, reports, _acknowledger(link, receipts))
        if messages:
            stored = _acknowledger(link, carriers)
            if keys:
                stored = self._forgetter(stored, keys)
            self._events.report_incoming(self, messages, stored)

    # --- Inside ---------------------------------------------------------------------------------

    def _compose(
        self, parts: Sequence[Part], bind: Bind
    ) -> tuple[list[tuple[SubmitSm, Part]], Outcomes, Outcomes]:
        """PDUs to send, outcomes of parts whose message was answered already, refusals."""
        compose = self._composer.compose
        grouping = self._grouping
        now_ms = time.time_ns() // 1_000_000
        pdus: list[tuple[SubmitSm, Part]] = []
        answered: Outcomes = []
        refused: Outcomes = []
        for part in parts:
            if grouping is not None and part.message.part_count > 1:
                settled = grouping.settle(part)
                if settled is not None:
                    answered.append((part, settled))
                    continue
                if not grouping.lead(part, bind):
                    continue
            try:
                pdus.append((compose(part, now_ms), part))
            except LocalProtocolError as error:
                verdict = VERDICTS.get(error.command_status, UNKNOWN_STATUS)
                outcome = Outcome(verdict.kind, err=verdict.err, reason=error.reason)
                refused.append((part, outcome))
        return pdus, answered, refused

    def _report_failed(self, failed: Outcomes) -> None:
        assert self._events is not None
        self._events.report_outcomes(self, failed)
        if not self._is_stopping:
            self._events.report_ready(self)

    async def _query_one(self, part: Part) -> tuple[bool, ReceiptReport | None]:
        """(whether an answer came, what it said)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.response_timeout_s
        bind = None
        while bind is None:
            bind = next((b for b in self._senders if b.take(1)), None)
            if bind is None:
                if loop.time() > deadline or self._is_stopping:
                    return False, None
                await asyncio.sleep(_QUERY_SLOT_POLL_S)
        try:
            answer = await self._ask(bind, part)
        finally:
            bind.release(1)
            self.bind_ready(bind)
        if not isinstance(answer, QuerySmResp):
            return answer is not None, None
        if answer.command_status:
            return answer.command_status == CommandStatus.ESME_RQUERYFAIL, None
        report = self._reader.report_state(
            answer.message_state,
            external_id=part.external_id,
            err=answer.error_code or None,
            done_at=time.time_ns() // 1_000_000,
        )
        return True, report

    async def _ask(self, bind: Bind, part: Part) -> Pdu | None:
        link = bind.link
        if link is None:
            return None
        ton, npi, address = self._composer.source_of(part.message)
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        request = QuerySm(
            message_id=self._original_id(part.external_id),
            source_addr_ton=ton,
            source_addr_npi=npi,
            source_addr=address,
        )
        try:
            link.ask(request, answer)
        except LocalProtocolError:
            return None
        await asyncio.wait([answer])
        return None if answer.cancelled() else answer.result()

    def _original_id(self, external_id: str) -> str:
        """The SMSC's own spelling of an id, as far as its latest answer shows how it spells.

        External ids are kept without leading zeros and in lower case, because receipts differ from
        answers in both; a query has to say the id as the answer did.
        """
        external_id = external_id.partition("/")[0] if self._grouping else external_id
        sample = self._sample_id
        if self._settings.receipt_ids != "auto":
            return external_id
        if sample.isupper():
            external_id = external_id.upper()
        if sample.startswith("0") and len(sample) > len(external_id):
            external_id = external_id.zfill(len(sample))
        return external_id

    def _check_reassembly(self) -> None:
        """Hands over what is left of long messages whose other parts did not come."""
        self._check = asyncio.get_running_loop().call_later(
            _REASSEMBLY_CHECK_S, self._check_reassembly
        )
        ended = self._reader.reassembly.expire(time.time_ns() // 1_000_000)
        if ended and self._events is not None:
            stored = self._forgetter(lambda _: None, [key for key, _ in ended])
            self._events.report_incoming(self, [incoming for _, incoming in ended], stored)

    def _forgetter(
        self, stored: Callable[[bool], None], keys: Sequence[Key]
    ) -> Callable[[bool], None]:
        def forget(is_stored: bool) -> None:
            if is_stored:
                for key in keys:
                    self._reader.reassembly.forget(key)
            stored(is_stored)

        return forget

    def _make_tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if not settings.tls:
            return None
        context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
        if not settings.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if settings.tls_cert_file:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file or None)
        return context


def _acknowledger(link: Link, deliveries: Sequence[Delivery]) -> Callable[[bool], None]:
    """Callback that answers deliveries: good when stored, "temporary error" when not."""

    def acknowledge(is_stored: bool) -> None:
        link.acknowledge(deliveries, 0 if is_stored else CommandStatus.ESME_RX_T_APPN.value)

    return acknowledge
