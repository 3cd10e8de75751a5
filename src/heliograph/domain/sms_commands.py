"""Orders by text message: a person sends one from a phone of its own and so starts a mailing.

::

    <login> <password> <phones>: <text>

The phone must be one of the account's setting ``ph``, or in one of the groups that it names
(users.php reference, section 4; the form is ours: soap reference, part 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from heliograph.domain.lists import split_recipients
from heliograph.domain.numbering import normalise_recipient

__all__ = ["SmsCommand", "commanding_groups", "hide_password", "may_command", "read_command"]

_COMMAND = re.compile(r"\s*([^\s:]{1,64})\s+(\S{1,256})\s+([^:]{1,1000}?)\s*:\s*(.*)", re.DOTALL)
_GROUP = re.compile(r"[Gg]\d+", re.ASCII)
_PHONE = re.compile(r"\+?[\d() -]{3,24}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsCommand:
    """An order. `recipients` are as they were written: phones and groups (`G` and a number)."""

    login: str
    password: str = field(repr=False)
    recipients: tuple[str, ...]
    text: str = field(repr=False)


def read_command(text: str) -> SmsCommand | None:
    """The order in a message; None when it is an ordinary one."""
    found = _COMMAND.fullmatch(text)
    if found is None:
        return None
    recipients = split_recipients(found[3])
    if not recipients or not all(_PHONE.fullmatch(r) or _GROUP.fullmatch(r) for r in recipients):
        return None
    return SmsCommand(
        login=found[1], password=found[2], recipients=tuple(recipients), text=found[4].rstrip()
    )


def hide_password(text: str) -> str:
    """An order as it may be kept and shown."""
    found = _COMMAND.fullmatch(text)
    if found is None or read_command(text) is None:
        return text
    return f"{text[: found.start(2)]}********{text[found.end(2) :]}"


def commanding_groups(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Numbers of the groups whose phones an account with these settings takes orders from."""
    listed = split_recipients(settings.get("ph", ""))
    return tuple([each[1:] for each in listed if _GROUP.fullmatch(each)])


def may_command(settings: Mapping[str, str], phone: str) -> bool:
    """Whether an account with these settings names a phone itself as one that may order."""
    wanted = normalise_recipient(phone)
    listed = split_recipients(settings.get("ph", ""))
    return wanted is not None and any(normalise_recipient(each) == wanted for each in listed)
