"""Sub-clients: what main accounts may set on them, and what they take from their main account.

Terms and numbers are those of the users.php reference. What follows from the place in the tree is
worked out in two places: who pays, at which plan and in which currency is stored with the account
(`storage.subclients`), as money depends on it; what only a running gateway needs is `share`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.policies import Policy

__all__ = [
    "MAX_DEPTH",
    "PERSONAL_SETTINGS",
    "SubclientChanges",
    "act",
    "is_subclient_login",
    "restrictions_of",
    "share",
]

# Main accounts above a sub-client. Deeper trees are mistakes of programs.
MAX_DEPTH = 16
_LOGIN = re.compile(r"[A-Za-z0-9_\-.@]{3,40}", re.ASCII)

# What an account may change of itself (users.php, 7): who it is, how it is reached, what it gets.
# The rest is between it and whoever pays for it.
PERSONAL_SETTINGS = frozenset(
    ["email", "email2", "phone", "phone2", "fio", "props", "nb", "ph", "answ", "answ_call"]
    + ["mph", "mh1", "mh2", "mlen", *(f"mfl[{n}]" for n in range(32))]
    + [f"fl[{n}]" for n in (1, 5, 8, 9, 10, 11, 16, 23, 30)]
    + [f"fl2[{n}]" for n in (4, 8)]
)


@dataclass(slots=True, kw_only=True)
class SubclientChanges:
    """What is to be set; None stays as it is. `settings`: an empty value clears one.

    `plan_number` is the number of a tariff plan as main accounts know it, from 1.
    """

    kind: AccountKind | None = None
    login: str | None = None
    password: str | None = None
    plan_number: int | None = None
    currency: str | None = None
    timezone_minutes: int | None = None
    sender: str | None = None
    callback_url: str | None = None
    is_blocked: bool | None = None
    is_test: bool | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def is_personal(self) -> bool:
        """Whether an account may ask for these changes of itself."""
        reserved = (self.kind, self.login, self.plan_number, self.currency, self.sender)
        return (
            all(each is None for each in (*reserved, self.is_blocked, self.is_test))
            and self.settings.keys() <= PERSONAL_SETTINGS
        )


def is_subclient_login(login: str) -> bool:
    """Whether a sub-client may have this login (users.php, 7)."""
    return _LOGIN.fullmatch(login) is not None


def share(accounts: Iterable[Account]) -> list[Account]:
    """The accounts with what their main accounts hand down.

    Who spends the main account's balance is blocked together with it, and may do no more with it:
    what is forbidden above (`restrictions_of`) is not to be had by way of a sub-client. Who may use
    the main account's sender names (``fl[29]``) and has no default name of its own gets the main
    account's.
    """
    known = list(accounts)
    by_id = {account.id: account for account in known}
    done: dict[int, Account] = {}
    return [_inherit(account, by_id, done) for account in known]


def _inherit(account: Account, by_id: Mapping[int, Account], done: dict[int, Account]) -> Account:
    chain = [account]  # up to the first account that is settled already
    while chain[-1].parent_id in by_id and chain[-1].id not in done and len(chain) <= MAX_DEPTH:
        chain.append(by_id[chain[-1].parent_id])
    for each in reversed(chain):
        if each.id not in done:
            main = done.get(each.parent_id)
            done[each.id] = each if main is None else _inherit_from(main, each)
    return done[account.id]


def _inherit_from(main: Account, account: Account) -> Account:
    if account.kind.shares_balance:
        account = _restrict(account, main)
    if not account.default_sender and main.default_sender and account.is_on("fl[29]"):
        account = replace(account, default_sender=main.default_sender)
    return account


def restrictions_of(account: Account) -> frozenset[str]:
    """What the account may not do with the balance that it spends, by the flags that forbid it: be
    used at all, send, send to many, send for real, pay."""
    policy = account.policy or Policy()
    found = {
        "fl2[10]": account.is_blocked,
        "fl[6]": not policy.may_send,
        "fl2[23]": not policy.may_send_masses,
        "fl2[27]": account.is_test,
        "fl[28]": account.is_on("fl[28]"),
    }
    return frozenset(flag for flag, is_on in found.items() if is_on)


def _restrict(account: Account, main: Account) -> Account:
    missing = restrictions_of(main) - restrictions_of(account)
    if not missing:
        return account
    policy = account.policy
    if missing & {"fl[6]", "fl2[23]"}:
        policy = policy or Policy()
        policy = replace(
            policy,
            may_send=policy.may_send and "fl[6]" not in missing,
            may_send_masses=policy.may_send_masses and "fl2[23]" not in missing,
        )
    settings = account.settings
    if "fl[28]" in missing:
        settings = {**settings, "fl[28]": "1"}
    return replace(
        account,
        is_blocked=account.is_blocked or "fl2[10]" in missing,
        is_test=account.is_test or "fl2[27]" in missing,
        policy=policy,
        settings=settings,
    )


def act(login: Account, main: Account) -> Account:
    """The account that somebody with an additional login works with (users.php, section 5).

    It is the main account but for its password, its addresses, and what is forbidden to that login
    itself.
    """
    acting = replace(
        main,
        actor_id=login.id,
        md5_hash=login.md5_hash,
        sha1_hash=login.sha1_hash,
        smpp_hash=login.smpp_hash,
        networks=login.networks,
    )
    return _restrict(acting, login)
