"""The built-in network as a connector: no socket, every message type, thousands of parts a second.

Everything that happens to a part is an entry of one agenda: its answer, each of its receipts, the
reply of the handset. Entries that fall due together are reported together, so the service sees
batches here as it does from a busy operator.

What is on its way is kept in memory only: receipts that are due when the process ends never come,
as from an operator that lost its queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from heliograph.connectors.base import (
    BindStatus,
    ConnectorEvents,
    Incoming,
    Outcome,
    OutcomeKind,
    ReceiptReport,
)
from heliograph.connectors.timing import Agenda
from heliograph.connectors.virtual.carrier import Carrier, Plan, PlannedReceipt, read_code
from heliograph.connectors.virtual.networks import answer_lookup, view_of
from heliograph.connectors.virtual.settings import VirtualSettings
from heliograph.domain.messages import MessageState, MessageType, Part
from heliograph.domain.pacing import Pacer

__all__ = ["HandsetMessage", "VirtualConnector"]

_REDELIVERY_MS = 1_000


class HandsetMessage(NamedTuple):
    """What a handset shows; `received_at` is epoch milliseconds."""

    received_at: int
    sender: str
    recipient: str
    type: MessageType
    text: str


class _Answer(NamedTuple):
    part: Part
    plan: Plan
    external_id: str
    is_late: bool = False  # the outcome was already reported as unknown


class _Receipt(NamedTuple):
    part: Part
    planned: PlannedReceipt
    external_id: str
    is_early: bool = False  # to be reported before the answers of the same moment


_Entry = _Answer | _Receipt | Incoming


class VirtualConnector:
    """The port `Connector` (see `heliograph.connectors.base`) without a network behind it."""

    kind = "virtual"

    def __init__(self, *, id: int, name: str, settings: VirtualSettings) -> None:
        self.id = id
        self.name = name
        self.carries = settings.types
        self.unknown_policy = settings.policy
        self.forgets_receipts = True
        self.handsets: deque[HandsetMessage] = deque(maxlen=settings.handset_memory)
        self._settings = settings
        self._carrier = Carrier(
            receipt_delay_ms=settings.receipt_delay_ms,
            undeliverable_share=settings.undeliverable_share,
            is_magic=settings.magic,
        )
        self._pacer = Pacer(settings.parts_per_second)
        self._free = settings.window
        self._is_up = False
        self._submitted = 0
        self._since_ms = 0
        # Starts at the time, so that ids of an earlier run are not given twice.
        self._last_id = time.time_ns() // 1_000
        self._events: ConnectorEvents | None = None
        self._agenda: Agenda[_Entry] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._settled: asyncio.Event | None = None

    async def start(self, events: ConnectorEvents) -> None:
        """Opens for business at once."""
        loop = asyncio.get_running_loop()
        self._events = events
        self._agenda = Agenda(loop, self._settle)
        self._is_up = True
        self._since_ms = _now_ms()
        loop.call_soon(self._say_ready)

    async def stop(self, drain_s: float) -> None:
        """Answers what is due within `drain_s`; the rest is UNKNOWN, receipts to come are lost."""
        self._is_up = False
        if self._agenda is None or self._events is None:
            return
        if self._free < self._settings.window and drain_s > 0:
            self._settled = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), drain_s)
        if self._wake is not None:
            self._wake.cancel()
        left = [e.part for e in self._agenda.clear() if isinstance(e, _Answer) and not e.is_late]
        if left:
            lost = Outcome(OutcomeKind.UNKNOWN, reason="the network was switched off")
            self._free += len(left)
            self._events.report_outcomes(self, [(part, lost) for part in left])

    @property
    def is_up(self) -> bool:
        """True between start and stop."""
        return self._is_up

    def take(self, wanted: int) -> int:
        """Takes up to `wanted` slots."""
        if not self._is_up:
            return 0
        now_ms = asyncio.get_running_loop().time() * 1_000
        granted = self._pacer.take(min(wanted, self._free), now_ms)
        self._free -= granted
        if granted < wanted and self._free:
            self._wake_later(now_ms)
        return granted

    def give_back(self, count: int) -> None:
        """Returns slots that were taken and not used."""
        self._free += count
        self._pacer.give_back(count)

    def submit(self, parts: Sequence[Part]) -> None:
        """Decides the fate of every part; answers come in a later turn of the loop."""
        agenda = self._agenda
        if agenda is None:
            raise RuntimeError("the connector is not started")
        if not self._is_up:
            asyncio.get_running_loop().call_soon(self._put_off, list(parts))
            return
        latency_ms = self._settings.latency_ms
        plan_for = self._carrier.plan
        for part in parts:
            plan = plan_for(part.message.recipient, attempts=part.attempts)
            self._last_id += 1
            external_id = str(self._last_id)
            if plan.is_receipt_first:
                early = _Receipt(part, plan.receipts[0], external_id, is_early=True)
                agenda.add(latency_ms, early)
            agenda.add(latency_ms, _Answer(part, plan, external_id))
        self._submitted += len(parts)

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        """The fate of parts, known without memory because it depends on the number alone."""
        known: dict[int, ReceiptReport | None] = {}
        for part in parts:
            receipts = self._carrier.plan(part.message.recipient, attempts=part.attempts).receipts
            known[part.id] = None
            if part.external_id and receipts:
                known[part.id] = self._report(_Receipt(part, receipts[-1], part.external_id))
        return known

    def status(self) -> list[BindStatus]:
        """One line."""
        return [
            BindStatus(
                name=self.name,
                state="bound" if self._is_up else "closed",
                since_ms=self._since_ms,
                in_flight=self._settings.window - self._free,
                submitted=self._submitted,
                extra={"waiting": len(self._agenda) if self._agenda else 0},
            )
        ]

    def receive(self, source: str, destination: str, text: str) -> None:
        """A handset writes to a service number (for people who try things out, and tests)."""
        if self._agenda is None:
            raise RuntimeError("the connector is not started")
        incoming = Incoming(
            source=source, destination=destination, text=text, received_at=_now_ms()
        )
        self._agenda.add(0, incoming)

    def _settle(self, entries: list[_Entry]) -> None:
        """Reports what is due, as few calls as possible: early receipts, answers, the rest."""
        answers = [e for e in entries if isinstance(e, _Answer)]
        if not answers:
            self._report_receipts([e for e in entries if isinstance(e, _Receipt)])
        else:
            receipts = [e for e in entries if isinstance(e, _Receipt)]
            self._report_receipts([r for r in receipts if r.is_early])
            self._report_answers(answers)
            self._report_receipts([r for r in receipts if not r.is_early])
        self._report_incoming([e for e in entries if isinstance(e, Incoming)])
        if self._settled is not None and self._free >= self._settings.window:
            self._settled.set()

    def _report_answers(self, answers: list[_Answer]) -> None:
        assert self._events is not None
        outcomes = []
        for answer in answers:
            part, plan, external_id, is_late = answer
            if is_late or plan.kind is OutcomeKind.ACCEPTED:
                outcomes.append((part, Outcome(OutcomeKind.ACCEPTED, external_id=external_id)))
                self._follow_up(answer)
            else:
                outcomes.append((part, _refusal(plan)))
                if plan.kind is OutcomeKind.UNKNOWN:
                    self._follow_silence(answer)
            self._free += not is_late
        self._events.report_outcomes(self, outcomes)
        if self._is_up:
            self._events.report_ready(self)

    def _put_off(self, parts: list[Part]) -> None:
        """Answers parts that were claimed while the network was switched off: never sent."""
        assert self._events is not None
        gone = Outcome(OutcomeKind.DEFERRED, reason="the network is off", retry_after_ms=1_000)
        self._free += len(parts)
        self._events.report_outcomes(self, [(part, gone) for part in parts])

    def _follow_up(self, answer: _Answer) -> None:
        """After a part was taken: its receipts, the handset that shows it and may write back."""
        assert self._agenda is not None
        part, plan, external_id, _ = answer
        for planned in plan.receipts[plan.is_receipt_first :]:
            self._agenda.add(planned.after_ms, _Receipt(part, planned, external_id))
        message = part.message
        if part.seq != 1 or message.submission.type is MessageType.HLR:
            return
        if plan.receipts and plan.receipts[0].state is MessageState.DELIVERED:
            self.handsets.append(
                HandsetMessage(
                    _now_ms(),
                    message.sender,
                    message.recipient,
                    message.submission.type,
                    message.text,
                )
            )
        if plan.reply:
            text = message.text if plan.reply == "=" else plan.reply
            self.receive(message.recipient, message.sender, text)

    def _follow_silence(self, answer: _Answer) -> None:
        """After a part that was not answered: a late answer, or a receipt for an unknown id."""
        assert self._agenda is not None
        if answer.plan.answer_after_ms:
            self._agenda.add(answer.plan.answer_after_ms, answer._replace(is_late=True))
            return
        for planned in answer.plan.receipts:
            self._agenda.add(planned.after_ms, _Receipt(answer.part, planned, answer.external_id))

    def _report_receipts(self, receipts: list[_Receipt]) -> None:
        if not receipts:
            return
        assert self._events is not None

        def repeat_unless_stored(is_stored: bool) -> None:
            if is_stored or self._agenda is None or not self._is_up:
                return
            for receipt in receipts:
                self._agenda.add(_REDELIVERY_MS, receipt)

        reports = [self._report(receipt) for receipt in receipts]
        self._events.report_receipts(self, reports, repeat_unless_stored)

    def _report(self, receipt: _Receipt) -> ReceiptReport:
        part, planned, external_id, _ = receipt
        message = part.message
        detail = None
        if message.submission.type is MessageType.HLR and planned.state is MessageState.DELIVERED:
            view = view_of(read_code(message.recipient))
            detail = answer_lookup(message.recipient, message.mccmnc, view)
        return ReceiptReport(
            candidates=(f"stray-{external_id}" if planned.is_stray else external_id,),
            state=planned.state,
            err=planned.err,
            done_at=_now_ms(),
            detail=detail,
        )

    def _report_incoming(self, messages: list[Incoming]) -> None:
        if not messages:
            return
        assert self._events is not None

        def repeat_unless_stored(is_stored: bool) -> None:
            if is_stored or self._agenda is None or not self._is_up:
                return
            for message in messages:
                self._agenda.add(_REDELIVERY_MS, message)

        self._events.report_incoming(self, messages, repeat_unless_stored)

    def _wake_later(self, now_ms: float) -> None:
        """Says that slots are free once the pacing allows it; one timer at a time."""
        if self._wake is None:
            delay_s = max(self._pacer.wait_ms(now_ms), 1.0) / 1_000
            self._wake = asyncio.get_running_loop().call_later(delay_s, self._say_ready)

    def _say_ready(self) -> None:
        self._wake = None
        if self._is_up and self._events is not None:
            self._events.report_ready(self)


def _refusal(plan: Plan) -> Outcome:
    return Outcome(plan.kind, err=plan.err, reason=plan.reason, retry_after_ms=plan.retry_after_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
