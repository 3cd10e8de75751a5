"""What stands in for the ends of the gateway: a valve before the journal, an obedient upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from heliograph.connectors.base import (
    BindStatus,
    ConnectorEvents,
    Outcome,
    OutcomeKind,
    ReceiptReport,
    UnknownPolicy,
)
from heliograph.domain.messages import MessageType, Part
from heliograph.storage.journal import Entry, Journal


class Valve:
    """A hand on a running journal.

    *open*: entries go to the disk. *shut*: accepted messages gather in `held`, everything else goes
    on. *instant*: accepted messages are told at once that they are on disk, and never are.
    """

    def __init__(self, journal: Journal) -> None:
        self._pass_on = journal.append
        self.mode = "open"
        self.held: list[Entry] = []
        self.under_way = 0
        self._drained = asyncio.Event()
        vars(journal)["append"] = self.append

    def append(self, entry: Entry) -> None:
        """As the journal's, but for the mode."""
        if self.mode == "open" or not entry.payer_id:
            self._pass(entry)
        elif self.mode == "shut":
            self.held.append(entry)
        else:
            asyncio.get_running_loop().call_soon(_tell, entry)

    async def release(self, count: int) -> None:
        """Lets so many of the held through together, and waits until they are told."""
        batch, self.held = self.held[:count], self.held[count:]
        for entry in batch:
            self._pass(entry)
        await self.drained()

    async def drained(self) -> None:
        """Waits until everything that went through is on disk and told."""
        while self.under_way:
            self._drained.clear()
            await self._drained.wait()
        await asyncio.sleep(0)  # what was told goes on at the end of this turn

    def _pass(self, entry: Entry) -> None:
        done = entry.done
        self.under_way += 1

        def settled(written: Entry) -> None:
            self.under_way -= 1
            self._drained.set()
            if done is not None:
                done(written)

        entry.done = settled
        self._pass_on(entry)


def _tell(entry: Entry) -> None:
    entry.is_funded = True
    if entry.done is not None:
        entry.done(entry)


class Upstream:
    """A connector without a wire: parts gather in `sent`, and are answered when it is told to."""

    kind = "virtual"
    carries = frozenset(MessageType)
    unknown_policy = UnknownPolicy.FAIL
    forgets_receipts = False

    def __init__(self, id: int) -> None:
        self.id = id
        self.name = f"upstream{id}"
        self.is_up = True
        self.free = 0
        self.sent: list[Part] = []
        self.events: ConnectorEvents | None = None

    async def start(self, events: ConnectorEvents) -> None:
        self.events = events

    async def stop(self, drain_s: float) -> None:
        self.sent = []

    def take(self, wanted: int) -> int:
        taken = min(wanted, self.free)
        self.free -= taken
        return taken

    def give_back(self, count: int) -> None:
        self.free += count

    def submit(self, parts: Sequence[Part]) -> None:
        self.sent += parts

    def answer(self, parts: Sequence[Part]) -> None:
        """Tells that the operator has them; their external ids are their own in decimal."""
        assert self.events is not None
        accepted = [(p, Outcome(OutcomeKind.ACCEPTED, external_id=str(p.id))) for p in parts]
        self.events.report_outcomes(self, accepted)

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        return dict.fromkeys((p.id for p in parts), None)

    def status(self) -> list[BindStatus]:
        return [BindStatus(name=self.name, state="bound", since_ms=0)]
