"""The port through which parts leave: what a connector is given, and what it answers.

A connector never touches storage. It is given parts that are already claimed on disk, and it
answers for every one of them with a decision; what it hears later (receipts, incoming messages)
it hands over and waits until it is stored before it acknowledges.

The life of a slot: `Dispatch` calls `take(n)`, claims as many parts on disk, and calls `submit`.
The slot is free again when the outcome is reported, or by `give_back` when the claim failed. So
there are never more claimed parts than slots, and after a crash never more unknown outcomes than
the windows hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Any, Protocol

from heliograph.domain.messages import MessageState, MessageType, Part

__all__ = [
    "BindStatus",
    "Connector",
    "ConnectorEvents",
    "Incoming",
    "IncomingCall",
    "Outcome",
    "OutcomeKind",
    "ReceiptReport",
    "UnknownPolicy",
]


@unique
class OutcomeKind(IntEnum):
    """What became of a submit."""

    ACCEPTED = 1  # the operator has the part; `external_id` is its name there
    REJECTED = 2  # the operator will never take it; `err` says why
    DEFERRED = 3  # not now: try again after `retry_after_ms`; it was surely not taken
    UNROUTABLE = 4  # this upstream can not carry it: go on with the next one of the route
    UNKNOWN = 5  # sent and never answered: it may have been taken


@unique
class UnknownPolicy(IntEnum):
    """What to do with a part whose outcome is unknown."""

    FAIL = 1  # final state EXPIRED, error 245: its status was not received
    RESEND = 2  # may reach the handset twice
    QUERY = 3  # ask for what has an id; a part that was never answered has none, and ends as FAIL


class Outcome:
    """The answer for one part. `err` is an error code of the API's table (codes, section 4)."""

    __slots__ = ("err", "external_id", "kind", "reason", "retry_after_ms")

    def __init__(
        self,
        kind: OutcomeKind,
        *,
        external_id: str = "",
        err: int = 0,
        reason: str = "",
        retry_after_ms: int = 0,
    ) -> None:
        self.kind = kind
        self.external_id = external_id
        self.err = err
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class ReceiptReport:
    """News about one part from the upstream.

    `candidates`: the external ids that the receipt may mean, most likely first (an operator that
    answers in hexadecimal and reports in decimal gives two). `state` is a final state, or
    SUBMITTED for an intermediate notice. `detail` holds the members of an HLR answer. `phone`: the
    number from which it came, '' when it does not say; it tells parts of one name apart.
    """

    __slots__ = ("candidates", "detail", "done_at", "err", "phone", "state")

    def __init__(
        self,
        *,
        candidates: tuple[str, ...],
        state: MessageState,
        err: int,
        done_at: int,
        detail: dict[str, str] | None = None,
        phone: str = "",
    ) -> None:
        self.candidates = candidates
        self.phone = phone
        self.state = state
        self.err = err
        self.done_at = done_at
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message from a handset."""

    source: str
    destination: str
    text: str
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall:
    """A call from a handset to a number."""

    source: str
    destination: str
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BindStatus:
    """One session with the upstream, for people and metrics.

    `state`: ``bound``, ``connecting``, ``waiting`` (for the next attempt), ``closed``.
    """

    name: str
    state: str
    since_ms: int
    in_flight: int = 0
    submitted: int = 0
    last_error: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class ConnectorEvents(Protocol):
    """What a connector tells the service that drives it. Called in the event loop; never blocks."""

    def report_outcomes(
        self, connector: Connector, outcomes: Sequence[tuple[Part, Outcome]]
    ) -> None:
        """Answers for submitted parts, as many at once as came together.

        One outcome a part, but for this: a part reported UNKNOWN because no answer came in time may
        be reported ACCEPTED later, with the same Part object, when the answer comes after all.
        It counts only while the part is still UNKNOWN.
        """

    def report_receipts(
        self,
        connector: Connector,
        receipts: Sequence[ReceiptReport],
        on_stored: Callable[[bool], None],
    ) -> None:
        """Receipts of one read. `on_stored(True)` once all are on disk: acknowledge then;
        `on_stored(False)` when they could not be stored: refuse, so that the upstream repeats
        them."""

    def report_incoming(
        self, connector: Connector, messages: Sequence[Incoming], on_stored: Callable[[bool], None]
    ) -> None:
        """Messages from handsets; as for receipts."""

    def report_call(self, connector: Connector, call: IncomingCall) -> None:
        """Somebody called a number; the connector does not answer the call."""

    def report_ready(self, connector: Connector) -> None:
        """Slots have come free, or the connector came up."""


class Connector(Protocol):
    """One configured upstream. Made by the registry, started and stopped by the runtime."""

    id: int
    name: str
    kind: str
    carries: frozenset[MessageType]
    unknown_policy: UnknownPolicy
    # True: the receipts that it owes are lost with the process, and `query` can tell them again.
    forgets_receipts: bool

    async def start(self, events: ConnectorEvents) -> None:
        """Begins to connect; returns without waiting for the connection."""

    async def stop(self, drain_s: float) -> None:
        """Waits up to `drain_s` for answers, reports UNKNOWN for the rest, closes."""

    @property
    def is_up(self) -> bool:
        """True while parts can be sent (at least one bind that may transmit)."""

    def take(self, wanted: int) -> int:
        """Takes up to `wanted` slots (window and pacing permit); returns how many."""

    def give_back(self, count: int) -> None:
        """Returns slots that were taken and not used."""

    def submit(self, parts: Sequence[Part]) -> None:
        """Sends parts that are claimed on disk, each on a slot taken before. Every part gets
        exactly one outcome, now or later."""

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        """Asks the upstream about parts with an external id, by part id; None: it does not know."""

    def status(self) -> list[BindStatus]:
        """The sessions, for the command line, /health and /metrics."""
