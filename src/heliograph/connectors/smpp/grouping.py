"""Messages whose parts travel in one PDU (long_messages=payload): one answer speaks for all of
them.

Whichever part comes first leads: its submit carries the whole text, the others wait for its
answer. Every part needs an external id of its own, for a receipt names one part; so the second
part of the message that the SMSC calls ``17`` is ``17/2``, and a receipt for ``17`` is reported
for ``17``, ``17/2`` and so on. How many there are is remembered for the latest messages; after a
restart only the first part is found.
"""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.connectors.base import Outcome, OutcomeKind, ReceiptReport
from heliograph.connectors.smpp.bind import Bind
from heliograph.connectors.smpp.link import Outcomes
from heliograph.domain.messages import MessageState, Part

__all__ = ["Grouping"]

_REMEMBERED = 100_000


class _Group:
    """One message on the wire: its leader, who waits with it, whose slots they hold."""

    __slots__ = ("bind", "followers")

    def __init__(self, bind: Bind) -> None:
        self.bind = bind
        self.followers: list[Part] = []


class Grouping:
    """Keeps parts of one message together, and their ids apart."""

    def __init__(self) -> None:
        self._open: dict[int, _Group] = {}
        self._answered: dict[int, str] = {}
        self._counts: dict[str, int] = {}

    def lead(self, part: Part, bind: Bind) -> bool:
        """True when the part is to be sent; else it waits for the leader, or `settle` knows."""
        message_id = part.message.id
        group = self._open.get(message_id)
        if group is not None:
            group.followers.append(part)
            return False
        if message_id in self._answered:
            return False
        self._open[message_id] = _Group(bind)
        return True

    def settle(self, part: Part) -> Outcome | None:
        """Outcome of a part whose message is answered already; None while it waits."""
        external_id = self._answered.get(part.message.id)
        if external_id is None:
            return None
        return _named(Outcome(OutcomeKind.ACCEPTED, external_id=external_id), part.seq)

    def expand(self, outcomes: Outcomes) -> Outcomes:
        """Adds the outcomes of those who waited with the leaders; frees their slots."""
        whole: Outcomes = []
        for part, outcome in outcomes:
            message = part.message
            group = self._open.pop(message.id, None)
            if message.part_count == 1:
                whole.append((part, outcome))
                continue
            if outcome.kind is OutcomeKind.ACCEPTED:
                self._remember(message.id, outcome.external_id, message.part_count)
            whole.append((part, _named(outcome, part.seq)))
            if group is not None and group.followers:
                group.bind.release(len(group.followers))
                whole += [(p, _named(outcome, p.seq)) for p in group.followers]
        return whole

    def expand_late(self, outcomes: Outcomes) -> Outcomes:
        """The same for answers that came after their parts were reported as unknown."""
        whole: Outcomes = []
        for part, outcome in outcomes:
            message = part.message
            parts = message.parts or [part]
            if outcome.kind is not OutcomeKind.ACCEPTED:
                parts = [p for p in parts if p.state is MessageState.UNKNOWN]
            elif message.part_count > 1:
                self._remember(message.id, outcome.external_id, message.part_count)
            whole += [(p, _named(outcome, p.seq)) for p in parts]
        return whole

    def spread(self, reports: Sequence[ReceiptReport]) -> list[ReceiptReport]:
        """Repeats each receipt for every part of the message that it names."""
        spread: list[ReceiptReport] = []
        for report in reports:
            spread.append(report)
            count = next((n for c in report.candidates if (n := self._counts.get(c))), 1)
            spread += [
                ReceiptReport(
                    candidates=tuple(f"{c}/{seq}" for c in report.candidates),
                    state=report.state,
                    err=report.err,
                    done_at=report.done_at,
                    phone=report.phone,
                )
                for seq in range(2, count + 1)
            ]
        return spread

    def _remember(self, message_id: int, external_id: str, part_count: int) -> None:
        self._answered[message_id] = external_id
        self._counts[external_id] = part_count
        if len(self._counts) > _REMEMBERED:
            del self._counts[next(iter(self._counts))]
            del self._answered[next(iter(self._answered))]


def _named(outcome: Outcome, seq: int) -> Outcome:
    """The same outcome for part `seq` of the message."""
    if outcome.kind is not OutcomeKind.ACCEPTED or seq == 1:
        return outcome
    return Outcome(OutcomeKind.ACCEPTED, external_id=f"{outcome.external_id}/{seq}")
