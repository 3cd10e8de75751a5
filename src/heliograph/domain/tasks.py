"""Task groups: whom an outside system lets the gateway notify, and by which text (ping.php)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph.domain.messages import MessageType

__all__ = ["DEFAULT_TASK", "MAX_RECIPIENTS", "TaskGroup", "fill_in"]

# People to notify: more of them are a mailing list.
MAX_RECIPIENTS = 100
_PLACE = re.compile(r"\{(NAME|HOST|INFO)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """One group. No phones and no mails: the account's own phone. `type`: of the messages to
    phones. `sender` '': the account's usual name."""

    number: int
    failure_text: str = "{NAME} {HOST} {INFO}"
    recovery_text: str = "OK {NAME} {HOST} {INFO}"
    name: str = ""
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    sender: str = ""
    type: MessageType = MessageType.SMS


# The group of accounts that have set up none.
DEFAULT_TASK = TaskGroup(number=1)


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """A template with `{NAME}`, `{HOST}` and `{INFO}` replaced, once: what is put in stays as it
    is. Gaps of values that are not there close."""
    text = _PLACE.sub(lambda match: values.get(match[1].lower(), ""), template)
    return re.sub(r" {2,}", " ", text).strip()
