"""What the mail door needs from the rest of the program, and its own settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from heliograph.domain.accounts import Account
from heliograph.gateways.http.ports import AuthenticationPort, LimitsPort, SubmitPort

__all__ = ["MailServices", "MailSettings"]

MAX_MAIL_BYTES = 100 * 1024


class DirectoryPort(Protocol):
    """Who has which address."""

    def account(self, login: str) -> Account | None:
        """The account with that login."""
        ...


class RequestLogPort(Protocol):
    """Where the owner of an account reads what became of a mail."""

    def note(
        self, account_id: int, *, door: str, what: str, outcome: str, is_trusted: bool = True
    ) -> None:
        """One row; no texts, numbers or secrets in it."""
        ...


class MailServices(Protocol):
    """The services as one object, as the runtime builds it."""

    @property
    def authentication(self) -> AuthenticationPort: ...
    @property
    def directory(self) -> DirectoryPort: ...
    @property
    def submit(self) -> SubmitPort: ...
    @property
    def limits(self) -> LimitsPort: ...
    @property
    def request_log(self) -> RequestLogPort: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """Settings of the door. Times are in seconds.

    `domains` empty: any domain. `hostname` '': made of the first domain. `idle_s`: silence between
    commands; `mail_s`: from DATA to the end of the mail.
    """

    domains: tuple[str, ...] = ()
    hostname: str = ""
    max_mail_bytes: int = MAX_MAIL_BYTES
    max_connections: int = 200
    max_connections_per_address: int = 50
    idle_s: float = 60.0
    mail_s: float = 120.0
