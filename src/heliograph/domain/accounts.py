"""Accounts: who may send, from where, at which price, and under which settings.

Passwords come in three forms (plain, lower-case hex MD5, lower-case hex SHA-1; send.php reference,
transport rules), so what is stored is a slow hash of each of the two digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique
from ipaddress import IPv4Network, IPv6Network, ip_address

from heliograph.domain.ledger import ELECTRONIC_TYPES
from heliograph.domain.messages import MessageType
from heliograph.domain.policies import Policy

__all__ = [
    "MAX_LOGIN_CHARS",
    "Account",
    "AccountKind",
    "check_login",
    "check_password",
    "credential_digests",
]

MAX_LOGIN_CHARS = 64
_LOGIN = re.compile(r"[^\s:\x00-\x1f]{1,64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


@unique
class AccountKind(IntEnum):
    """What a sub-client has of its own; the numbers are those of `type` (users.php, section 5)."""

    OWN = 0  # its own tariff plan and balance
    SHARED_PLAN = 1  # its own balance, the plan of the main account
    SHARED = 2  # plan and balance of the main account
    SHARED_BALANCE = 3  # its own plan, the balance of the main account
    LOGIN = 4  # another login of the main account

    @property
    def shares_balance(self) -> bool:
        """Whether the main account pays."""
        return self >= AccountKind.SHARED

    @property
    def shares_plan(self) -> bool:
        """Whether it pays the prices of the main account."""
        return self not in (AccountKind.OWN, AccountKind.SHARED_BALANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A snapshot of one account. Money lives in the ledger, not here.

    `payer_id` is the account whose balance pays (its own id unless the balance is shared).
    `electronic_id` is the payer's electronic purse, 0 when it has none. `networks` empty: any
    address may log in. `parent_id` 0: an account of the operator's own; else that of its main
    account, and `kind` says what it shares with it: `payer_id`, `plan_id` and `currency` are what
    follows from that. `actor_id` is set when somebody with an additional login acts as this
    account: the id of that login. `policy` is what `settings` say about sending, None: nothing.

    `smpp_hash` empty: sessions log in with the account's password. `smpp_binds`, `smpp_window` and
    `smpp_rate` (messages a second) 0: those of the configuration. Until `smpp_trace_until` (epoch
    ms) what sessions exchange is logged.
    `settings` holds what the management scripts set beyond the other members, under their names
    (users.php reference, section 4: ``mph``, ``ph``, ``fl[10]``); what is not set is not there.
    """

    id: int
    login: str
    payer_id: int
    electronic_id: int = 0
    parent_id: int = 0
    kind: AccountKind = AccountKind.OWN
    actor_id: int = 0
    plan_id: int = 0
    currency: str = "RUR"
    credit_micros: int = 0
    default_sender: str = ""
    timezone_minutes: int = 180
    language: str = "ru"
    callback_url: str = ""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    is_blocked: bool = False
    is_test: bool = False
    has_limits: bool = True
    md5_hash: str = field(default="", repr=False)
    sha1_hash: str = field(default="", repr=False)
    smpp_hash: str = field(default="", repr=False)
    smpp_binds: int = 0
    smpp_window: int = 0
    smpp_rate: int = 0
    smpp_trace_until: int = 0
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    policy: Policy | None = None

    @property
    def has_sessions(self) -> bool:
        """Whether it may open SMPP sessions: yes, unless ``fl[2]`` was switched off."""
        return self.settings.get("fl[2]", "1") not in ("", "0")

    def is_on(self, flag: str) -> bool:
        """Whether a flag of the settings, such as ``mfl[5]``, is switched on."""
        return self.settings.get(flag, "0") not in ("", "0")

    @property
    def is_told_statuses(self) -> bool:
        """Whether its handler hears of statuses: yes, unless ``fl[10]`` was switched off."""
        return bool(self.callback_url) and self.settings.get("fl[10]", "1") not in ("", "0")

    @property
    def is_told_incoming(self) -> bool:
        """Whether its handler gets incoming messages: yes, unless ``fl[11]`` was switched off."""
        return bool(self.callback_url) and self.settings.get("fl[11]", "1") not in ("", "0")

    def only_plays(self, type: MessageType) -> bool:
        """Whether messages of a type are neither sent nor paid for: test mode, which knows nothing
        of e-mails (send.php reference, section 8)."""
        return self.is_test and type is not MessageType.EMAIL

    def purse_for(self, type: MessageType) -> int:
        """The purse that pays for messages of a type (see `domain.ledger`)."""
        if self.electronic_id and type in ELECTRONIC_TYPES:
            return self.electronic_id
        return self.payer_id

    def admits(self, address: str) -> bool:
        """True when a request from this address may log in."""
        if not self.networks:
            return True
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        if ip.version == 6 and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.networks)


def check_login(login: str) -> str:
    """The login, checked. Raises ValueError with what is wrong."""
    if not _LOGIN.fullmatch(login):
        raise ValueError("a login has 1 to 64 characters, without spaces and colons")
    return login


def check_password(password: str) -> str:
    """The password, checked by the rule for passwords set through the API (general rules, 4)."""
    kinds = (
        any(c.isdigit() for c in password),
        any(c.isalpha() for c in password),
        any(c.islower() for c in password) and any(c.isupper() for c in password),
        any(not c.isalnum() for c in password),
    )
    if len(password) < 8 or sum(kinds) < 3:
        raise ValueError(
            "a password has at least 8 characters and three of: letters, digits, "
            "letters of both cases, other signs"
        )
    return password


def credential_digests(psw: str) -> list[tuple[str, str]]:
    """What to verify for the `psw` of a request: pairs of (kind ``md5`` | ``sha1``, digest).

    A text that looks like a digest may still be a password, so both readings are returned.
    """
    candidates = [("md5", hashlib.md5(psw.encode(), usedforsecurity=False).hexdigest())]
    if _MD5.fullmatch(psw):
        candidates.insert(0, ("md5", psw))
    elif _SHA1.fullmatch(psw):
        candidates.insert(0, ("sha1", psw))
    return candidates
