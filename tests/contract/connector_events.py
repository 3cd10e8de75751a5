"""What connector tests share: a recorder of everything a connector says, and messages to send."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from heliograph.connectors.base import (
    Connector,
    Incoming,
    IncomingCall,
    Outcome,
    OutcomeKind,
    ReceiptReport,
)
from heliograph.domain.messages import Message, MessageState, MessageType, Part, Submission

_ids = itertools.count(1_000)


class Recorder:
    """`ConnectorEvents` that keeps everything. Storing succeeds unless `is_storing` is False.

    `held`: with `hold_stored`, callbacks wait here until a test calls them.
    """

    def __init__(self) -> None:
        self.outcomes: list[tuple[Part, Outcome]] = []
        self.receipts: list[ReceiptReport] = []
        self.incoming: list[Incoming] = []
        self.rings: list[IncomingCall] = []
        self.calls: Counter[str] = Counter()
        self.is_storing = True
        self.hold_stored = False
        self.held: list[Callable[[bool], None]] = []
        self.ready = 0
        self._changed = asyncio.Event()

    def report_outcomes(
        self, connector: Connector, outcomes: Sequence[tuple[Part, Outcome]]
    ) -> None:
        for part, outcome in outcomes:
            if outcome.kind is OutcomeKind.ACCEPTED:
                part.external_id = outcome.external_id
            if outcome.kind is not OutcomeKind.UNKNOWN:
                part.attempts += 1
        self.outcomes += outcomes
        self._note("outcomes")

    def report_receipts(
        self,
        connector: Connector,
        receipts: Sequence[ReceiptReport],
        on_stored: Callable[[bool], None],
    ) -> None:
        self._store(on_stored)
        if self.is_storing:
            self.receipts += receipts
        self._note("receipts")

    def report_incoming(
        self, connector: Connector, messages: Sequence[Incoming], on_stored: Callable[[bool], None]
    ) -> None:
        self._store(on_stored)
        if self.is_storing:
            self.incoming += messages
        self._note("incoming")

    def report_call(self, connector: Connector, call: IncomingCall) -> None:
        self.rings.append(call)
        self._note("call")

    def report_ready(self, connector: Connector) -> None:
        self.ready += 1
        self._note("ready")

    def kinds(self) -> list[OutcomeKind]:
        """Kinds of outcomes in the order in which they came."""
        return [outcome.kind for _, outcome in self.outcomes]

    def outcomes_of(self, part: Part) -> list[Outcome]:
        """Outcomes of one part."""
        return [outcome for each, outcome in self.outcomes if each is part]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 30) -> None:
        """Waits until `condition` holds; it is looked at after every event."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _store(self, on_stored: Callable[[bool], None]) -> None:
        if self.hold_stored:
            self.held.append(on_stored)
        else:
            on_stored(self.is_storing)

    def _note(self, what: str) -> None:
        self.calls[what] += 1
        self._changed.set()


def make_message(
    recipient: str = "79991112233",
    text: str = "Hello",
    *,
    part_count: int = 1,
    type: MessageType = MessageType.SMS,
    sender: str = "ivan",
    options: dict[str, Any] | None = None,
) -> Message:
    """A message whose parts are claimed."""
    now_ms = time.time_ns() // 1_000_000
    number = next(_ids)
    submission = Submission(
        id=number,
        account_id=1,
        payer_id=1,
        client_ref=str(number),
        type=type,
        sender=sender,
        text=text,
        created_at=now_ms,
        options=options,
    )
    message = Message(
        id=number,
        submission=submission,
        recipient=recipient,
        mccmnc="25001",
        state=MessageState.QUEUED,
        part_count=part_count,
        price_micros=0,
        created_at=now_ms,
        expires_at=now_ms + 86_400_000,
    )
    message.parts = [
        Part(message, seq, MessageState.SUBMITTING, 1) for seq in range(1, part_count + 1)
    ]
    return message


def make_parts(count: int, recipient: str = "79991112233") -> list[Part]:
    """Parts of as many messages of one part."""
    return [make_message(recipient).parts[0] for _ in range(count)]


async def send(connector: Connector, recorder: Recorder, parts: Sequence[Part]) -> None:
    """Submits all parts, slot by slot as they come free."""
    at = 0
    while at < len(parts):
        granted = connector.take(len(parts) - at)
        if granted:
            connector.submit(parts[at : at + granted])
            at += granted
            continue
        seen = recorder.ready
        await recorder.until(lambda seen=seen: recorder.ready > seen)


async def poll(condition: Callable[[], Any], timeout_s: float = 30) -> None:
    """Waits for what no event tells, such as a counter of the far side."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
