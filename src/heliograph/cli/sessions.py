"""What can be set on an account about its SMPP sessions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import Command

if TYPE_CHECKING:
    from heliograph.domain.accounts import Account
    from heliograph.storage.accounts import AccountFields

__all__ = [
    "describe_sessions",
    "make_session_fields",
    "make_session_settings",
    "session_options",
]

_MINUTE_MS = 60_000
# By SMPP 3.4 a password has 8 signs; clients that send more are let in (smpp reference, 1).
_MAX_PASSWORD_CHARS = 64


def session_options(command: Command) -> Command:
    """Adds the options; the command gets them as `smpp`, `smpp_incoming` ..."""
    for option in (
        click.option(
            "--smpp-trace",
            type=click.IntRange(0, 1440),
            metavar="MINUTES",
            help="Log its PDUs, masked, for so long; 0: no more.",
        ),
        click.option(
            "--smpp-rate",
            type=click.IntRange(0, 100_000),
            metavar="N",
            help="Messages a second; 0: the setting's.",
        ),
        click.option(
            "--smpp-window",
            type=click.IntRange(0, 10_000),
            metavar="N",
            help="Requests without an answer a bind may have; 0: the setting's.",
        ),
        click.option(
            "--smpp-binds",
            type=click.IntRange(0, 10_000),
            metavar="N",
            help="Binds at once; 0: the setting's.",
        ),
        click.option(
            "--smpp-password",
            metavar="TEXT",
            help="Password of SMPP binds, at most 8 signs by the standard; empty: the account's.",
        ),
        click.option(
            "--smpp-incoming/--no-smpp-incoming",
            default=None,
            help="Whether messages from handsets go to its SMPP sessions.",
        ),
        click.option("--smpp/--no-smpp", default=None, help="Whether it may bind over SMPP."),
    ):
        command = option(command)
    return command


def make_session_settings(*, smpp: bool | None, smpp_incoming: bool | None) -> dict[str, str]:
    """What was given, as named settings of an account."""
    given = {"fl[2]": smpp, "fl[1]": smpp_incoming}
    return {name: str(int(value)) for name, value in given.items() if value is not None}


def make_session_fields(
    *,
    smpp_password: str | None,
    smpp_binds: int | None,
    smpp_window: int | None,
    smpp_rate: int | None,
    smpp_trace: int | None,
) -> AccountFields:
    """What was given, as fields of an account. Raises UsageError."""
    from heliograph.services.authentication import hash_session_password

    given: dict[str, Any] = {
        "smpp_binds": smpp_binds,
        "smpp_window": smpp_window,
        "smpp_rate": smpp_rate,
    }
    if smpp_trace is not None:
        now_ms = time.time_ns() // 1_000_000
        given["smpp_trace_until"] = now_ms + smpp_trace * _MINUTE_MS if smpp_trace else 0
    if smpp_password is not None:
        if len(smpp_password) > _MAX_PASSWORD_CHARS:
            raise click.UsageError("--smpp-password: it has at most 64 signs")
        given["smpp_hash"] = hash_session_password(smpp_password) if smpp_password else ""
    fields: Any = {name: value for name, value in given.items() if value is not None}
    result: AccountFields = fields
    return result


def describe_sessions(account: Account) -> dict[str, Any]:
    """The same for people."""
    return {
        "smpp": account.has_sessions,
        "smpp_incoming": account.is_on("fl[1]"),
        "smpp_password": "its own" if account.smpp_hash else "the account's",
        "smpp_binds": account.smpp_binds,
        "smpp_window": account.smpp_window,
        "smpp_rate": account.smpp_rate,
        "smpp_trace": account.smpp_trace_until > time.time_ns() // 1_000_000,
    }
