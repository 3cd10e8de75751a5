"""What the SMPP door needs from the rest of the program, and its own settings.

Shapes are protocols, so that a test hands in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from heliograph.domain.accounts import Account
from heliograph.domain.events import OutboxEvent
from heliograph.domain.messages import Message
from heliograph.domain.pieces import Piece
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.smpp.turns import Turns
from heliograph.protocols.smpp.pdu import BindRequest
from heliograph.services.authentication import SessionRefusal
from heliograph.services.deliveries import Receiver

if TYPE_CHECKING:
    from heliograph.gateways.smpp.accounts import AccountBinds
    from heliograph.gateways.smpp.connection import Connection

__all__ = ["Done", "NoObserver", "Observer", "Owner", "Services", "SmppSettings"]

Done = Callable[[Submitted | Refused], None]


class DirectoryPort(Protocol):
    """Accounts as they are now."""

    def account_by_id(self, id: int, /) -> Account | None:
        """The account, or None when it is gone."""
        ...

    def still_acting(self, account_id: int, actor_id: int, /) -> Account | None:
        """The account as a login that acts as it (0: its own) may use it, or None."""
        ...


class AuthenticationPort(Protocol):
    """Who binds."""

    async def open_session(
        self, login: str, password: str, address: str, /
    ) -> Account | SessionRefusal:
        """The account, or why not."""
        ...


class SubmitPort(Protocol):
    """Sending."""

    def begin(self, request: SendRequest, done: Done) -> None:
        """`done` is told the end in the moment of the commit."""
        ...


class PiecesPort(Protocol):
    """Joining."""

    def begin(self, account: Account, piece: Piece, done: Done) -> None:
        """`done` is told the end in the moment of the commit."""
        ...


class ReferencesPort(Protocol):
    """Messages by their ids."""

    async def find(self, account: Account, client_ref: str) -> list[Message] | None:
        """Messages; [] for a piece that waits; None: no such id."""
        ...

    async def cancel(self, account: Account, client_ref: str, recipient: str = "") -> bool:
        """True when something that waited was cancelled."""
        ...

    async def replace(
        self, account: Account, client_ref: str, change: Callable[[Message], SendRequest | None]
    ) -> Submitted | Refused:
        """Another message in the place of one that waits."""
        ...


class DeliveriesPort(Protocol):
    """Receipts and incoming messages."""

    def attach(self, account_id: int, receiver: Receiver) -> None: ...
    def detach(
        self, account_id: int, receiver: Receiver, unanswered: Iterable[OutboxEvent]
    ) -> None: ...
    def ready(self, account_id: int) -> None: ...
    def delivered(self, event: OutboxEvent) -> None: ...
    def refused(self, event: OutboxEvent, reason: str) -> None: ...


class Services(Protocol):
    """The services as one object, as the runtime builds it."""

    @property
    def directory(self) -> DirectoryPort: ...
    @property
    def authentication(self) -> AuthenticationPort: ...
    @property
    def submit(self) -> SubmitPort: ...
    @property
    def pieces(self) -> PiecesPort: ...
    @property
    def references(self) -> ReferencesPort: ...
    @property
    def deliveries(self) -> DeliveriesPort: ...


class Observer(Protocol):
    """Told what happened at the door, in sums."""

    def session_requests(self, command: str, status: str, count: int) -> None:
        """So many requests of this kind were answered with this status."""
        ...

    def session_deliveries(self, result: str, count: int) -> None:
        """So many deliveries were ``done``, ``refused`` or ``unanswered``."""
        ...

    def session_refused(self, reason: str) -> None:
        """A connection ended or a bind failed for this reason."""
        ...


class NoObserver:
    """Looks away."""

    def session_requests(self, command: str, status: str, count: int) -> None:
        """Does nothing."""

    def session_deliveries(self, result: str, count: int) -> None:
        """Does nothing."""

    def session_refused(self, reason: str) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppSettings:
    """Settings of the door; meanings as in the configuration. Times in seconds.

    `max_binds`, `window` and `messages_per_second` hold for accounts that have none of their own.
    """

    system_id: str = "smsc"
    timezone_minutes: int = 180
    max_connections: int = 2000
    max_binds: int = 10
    window: int = 300
    deliver_window: int = 10
    messages_per_second: int = 0
    idle_s: float = 120.0
    enquire_link_s: float = 60.0
    bind_s: float = 30.0
    response_s: float = 60.0
    max_pdu_bytes: int = 73_728
    # A failed bind is answered after this pause, doubled with every failure of the address.
    failure_pause_s: float = 0.5


class Owner(Protocol):
    """The server that a connection belongs to."""

    settings: SmppSettings
    services: Services
    is_stopping: bool
    turns: Turns

    def now_ms(self) -> int:
        """Epoch milliseconds."""

    def connected(self, connection: Connection) -> bool:
        """Somebody has connected; False: there are too many."""

    async def judge_bind(
        self, connection: Connection, request: BindRequest
    ) -> tuple[AccountBinds | None, int]:
        """The account's binds, this one among them; or None and the status to answer."""

    def lost(self, connection: Connection) -> None:
        """The connection has gone."""

    def refused(self, reason: str) -> None:
        """A connection was ended for this reason, a word for the metrics."""
