"""What the HTTP door needs from the rest of the program, and its own settings.

The door is given one object with the services (`Services`), one observer and its settings; it finds
nothing by itself. Shapes are protocols, so that a test hands in its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

from heliograph.domain.accounts import Account
from heliograph.domain.campaigns import CampaignOrder, CampaignView
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest, StatusAnswer, Submitted
from heliograph.domain.subclients import SubclientChanges
from heliograph.services.books import Books
from heliograph.services.campaigns import Ordered
from heliograph.services.data import DataServices
from heliograph.services.statistics import Selection, SubclientDetail, SubclientSums

__all__ = ["HttpSettings", "NoObserver", "RequestObserver", "Services"]

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_LIST_BYTES = 32 * 1024 * 1024


class AuthenticationPort(Protocol):
    """Who is asking: by login and password, or by key."""

    def is_blocked(self, address: str) -> bool:
        """True when this address is blocked for a while."""
        ...

    def try_login_cached(self, login: str, psw: str, address: str) -> Account | Refusal | None:
        """The answer without waiting; None when `login` must be awaited."""
        ...

    async def login(self, login: str, psw: str, address: str) -> Account | Refusal:
        """The account, or NOT_AUTHORISED or ADDRESS_BLOCKED."""
        ...

    async def api_key(self, key: str, address: str) -> Account | Refusal:
        """The account that the key belongs to, or a refusal."""
        ...


class SubmitPort(Protocol):
    """Sending, and the price of sending."""

    def begin(self, request: SendRequest, done: Callable[[Submitted | Refused], None]) -> None:
        """Tells the end of a request without groups, now or in the moment of the commit."""
        ...

    async def send(self, request: SendRequest) -> Submitted | Refused:
        """Returns after the commit."""
        ...

    async def estimate(self, request: SendRequest) -> Submitted | Refused:
        """The same decisions; stores nothing."""
        ...


class StatusesPort(Protocol):
    """State and deletion of messages, by pairs of (client's id, recipient)."""

    async def find(
        self, account: Account, pairs: list[tuple[str, str]], *, language: str = "ru"
    ) -> list[StatusAnswer]:
        """One answer a pair, in their order."""
        ...

    async def delete(self, account: Account, pairs: list[tuple[str, str]]) -> int:
        """How many were deleted or cancelled."""
        ...


class BalancesPort(Protocol):
    """Money of an account."""

    async def balance(self, account: Account) -> tuple[int, int]:
        """(balance, credit) in micros."""
        ...


class SubclientsPort(Protocol):
    """Accounts below an account."""

    def find(self, main: Account, login: str) -> Account | None:
        """A sub-client by its login."""
        ...

    async def add(self, main: Account, login: str, changes: SubclientChanges) -> int | Refusal:
        """The id of the new sub-client."""
        ...

    async def change(
        self, main: Account, login: str, changes: SubclientChanges, *, present_password: str = ""
    ) -> Refusal | None:
        """None when it was done."""
        ...

    async def pay(
        self, main: Account, login: str, amount_micros: int, *, is_electronic: bool = False
    ) -> Refusal | None:
        """None when it was done."""
        ...


class StatisticsPort(Protocol):
    """What was sent and spent."""

    def today(self) -> int:
        """The present day, counted from 1970."""
        ...

    def names_of(self, mccmnc: str, language: str) -> tuple[str, str]:
        """(country, operator) of a network."""
        ...

    async def subclients(
        self, main: Account, selection: Selection
    ) -> list[SubclientSums] | Refusal:
        """A row for every sub-client that is selected."""
        ...

    async def details(self, main: Account, selection: Selection) -> list[SubclientDetail] | Refusal:
        """A row for every sub-client, day, type and network."""
        ...


class RequestLogPort(Protocol):
    """What accounts asked for."""

    def note(
        self, account_id: int, *, door: str, what: str, outcome: str, is_trusted: bool = True
    ) -> None:
        """One row; no texts, numbers or secrets."""
        ...


class LimitsPort(Protocol):
    """How often, and how many at once."""

    def enter(self, account_id: int) -> bool:
        """False when the account has too many requests going on; then do not `leave`."""
        ...

    def leave(self, account_id: int) -> None:
        """The request that entered is over."""
        ...

    def count(self, account: Account, kind: str, key: str) -> Refusal | None:
        """Counts one request of this kind; a refusal when it is one too many."""
        ...


class CampaignsPort(Protocol):
    """Mailing lists."""

    @property
    def max_recipients(self) -> int:
        """Recipients that one list may have."""
        ...

    async def add(self, order: CampaignOrder) -> Ordered | Refused:
        """Returns after the commit."""
        ...

    async def find(self, account: Account, campaign_id: int) -> CampaignView | None:
        """One list of the account."""
        ...

    async def find_all(
        self, account: Account, *, since_ms: int = 0, until_ms: int | None = None
    ) -> list[CampaignView]:
        """Lists that were ordered in a period, oldest first."""
        ...

    async def template_text(self, account: Account, template_id: int) -> str | None:
        """The text of a template of the account."""
        ...

    async def cancel(self, account: Account, campaign_id: int) -> bool:
        """Stops a list; False: there is nothing to stop."""
        ...

    async def delete(self, account: Account, campaign_id: int) -> bool:
        """Removes a list; False: there is none."""
        ...


class Services(Protocol):
    """The services as one object, as the runtime builds it."""

    @property
    def authentication(self) -> AuthenticationPort: ...
    @property
    def submit(self) -> SubmitPort: ...
    @property
    def statuses(self) -> StatusesPort: ...
    @property
    def balances(self) -> BalancesPort: ...
    @property
    def campaigns(self) -> CampaignsPort: ...
    @property
    def subclients(self) -> SubclientsPort: ...
    @property
    def statistics(self) -> StatisticsPort: ...
    @property
    def data(self) -> DataServices: ...
    @property
    def books(self) -> Books: ...
    @property
    def request_log(self) -> RequestLogPort: ...
    @property
    def limits(self) -> LimitsPort: ...


class RequestObserver(Protocol):
    """Told about every API request that was answered. Never gets a parameter of it."""

    def http_request(self, script: str, error_code: int, seconds: float) -> None:
        """`script` is a name of the route table; `error_code` 0 for a good reply."""
        ...


class NoObserver:
    """Looks away."""

    def http_request(self, script: str, error_code: int, seconds: float) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Settings of the door.

    `zone` is the zone of dates in replies. `trusted_proxies`: peers whose `X-Forwarded-For` is
    believed. `metrics_networks`: who may see `metrics`; empty: everybody. `fetch` gets the file of
    a `fileurl`, None when it can not be had; without it such a request is refused. `health` gives
    what `/health` shows as JSON, `metrics` the text of `/metrics`. `contact_int_id`: whether lists
    of contacts show the server's ids. Requests with more than `max_recipients` are not even looked
    through, as that would hold up everybody else.
    """

    zone: tzinfo = timezone(timedelta(hours=3))
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    metrics_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_body_bytes: int = MAX_BODY_BYTES
    max_list_bytes: int = MAX_LIST_BYTES
    fetch: Callable[[str], Awaitable[bytes | None]] | None = None
    health: Callable[[], dict[str, Any]] | None = None
    metrics: Callable[[], bytes] | None = None
    contact_int_id: bool = True
    max_recipients: int = 30_000
