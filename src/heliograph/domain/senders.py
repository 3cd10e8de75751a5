"""Sender names: what may stand where the recipient sees who wrote, and who may use which name.

The operator's own accounts may use every valid name; their sub-clients only names that are
registered and active (senders reference, sections 3 and 4; send.php reference, 2.1). The setting
`senders` of an account (``any``, ``registered``) says otherwise for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum, unique

from heliograph.domain.messages import MessageType
from heliograph.domain.requests import SendRequest

__all__ = [
    "MAX_SENDERS",
    "OPERATOR_FLAGS",
    "SENDERS_SETTING",
    "SenderKind",
    "SenderRules",
    "SenderState",
    "is_valid_sender",
    "kind_of_sender",
    "replace_senders",
    "sender_key",
]

# The setting of an account that chooses its policy; '' follows from its parent.
SENDERS_SETTING = "senders"
# Names of one account: all of them are in memory.
MAX_SENDERS = 1000

# Up to 11 signs of the GSM alphabet's ASCII part (3GPP TS 23.040, 9.1.2.5), or up to 15 digits.
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 !\"#$%&'()*+,\-./:;<=>?@_]{1,11}|\+?\d{3,15}")
_NUMBER = re.compile(r"\+?\d{3,15}")
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}\.[^@\s,;<>\".]{2,63}")

# At which operators a name can be asked for (senders reference, operator flags).
OPERATOR_FLAGS = (
    *("mts", "mega", "tele2", "motiv"),
    *("mts_step", "mega_step", "tele2_step", "bee_step", "motiv_step"),
    *("sber_step", "winmob_step", "volnamob_step", "mega_int", "motiv_int", "mts_int"),
    *("ua_reg", "ua_int", "by_reg"),
)


@unique
class SenderKind(IntEnum):
    """What a sender name is."""

    NAME = 0
    NUMBER = 1
    MAIL = 2


@unique
class SenderState(IntEnum):
    """Where a name is on its way to being used; the numbers are those of `status` in lists."""

    MODERATED = 0  # waits for the moderator
    ACTIVE = 1
    REFUSED = 2
    UNCONFIRMED = 3  # a number that waits for its code


def is_valid_sender(sender: str) -> bool:
    """True for a name of up to 11 characters with a letter in it, or a number of 3 to 15 digits."""
    return _NAME.fullmatch(sender) is not None


def kind_of_sender(sender: str, *, is_mail: bool = False) -> SenderKind | None:
    """What a name is; None when it is not valid. `is_mail`: it has to be an e-mail address."""
    if is_mail:
        return SenderKind.MAIL if _EMAIL.fullmatch(sender) else None
    if _NUMBER.fullmatch(sender):
        return SenderKind.NUMBER
    return SenderKind.NAME if is_valid_sender(sender) else None


def sender_key(sender: str) -> str:
    """Names are compared without regard to case, numbers without their plus."""
    return sender.strip().removeprefix("+").casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRules:
    """The names that an account may use, as keys, in several sets (own, shared, everybody's).

    `spare` (setting `sender2`) stands in for a name that is not allowed; '' when there is none or
    such messages are to be refused (`fl2[12]`). Then the name goes in front of the text, unless
    `is_silent` (`fl2[13]`).
    """

    names: tuple[Collection[str], ...]
    spare: str = ""
    is_silent: bool = False

    def allows(self, sender: str) -> bool:
        """Whether the account may use this name."""
        key = sender_key(sender)
        return any(key in each for each in self.names)


def replace_senders(request: SendRequest, rules: SenderRules, default: str) -> SendRequest:
    """The request with the spare name in the place of names that the account may not use.

    `default` is the name of requests without one.
    """
    if not rules.spare or request.type in (MessageType.HLR, MessageType.EMAIL):
        return request
    sender = default if request.sender is None else request.sender
    is_replaced = bool(sender) and not rules.allows(sender)
    entries = []
    for entry in request.entries:
        own = entry.sender
        if own is None and is_replaced:
            text = _sign(entry.text, sender, request.type, rules)
            entries.append(replace(entry, text=text))
        elif own and not rules.allows(own):
            text = _sign(entry.text, own, request.type, rules)
            entries.append(replace(entry, sender=rules.spare, text=text))
        else:
            entries.append(entry)
    return replace(request, sender=rules.spare if is_replaced else request.sender, entries=entries)


def _sign(text: str, sender: str, type: MessageType, rules: SenderRules) -> str:
    """The text with the name that was to be shown; only where it can be read."""
    if rules.is_silent or not text or text.startswith("__"):
        return text
    return f"{sender}: {text}" if type in (MessageType.SMS, MessageType.FLASH) else text
