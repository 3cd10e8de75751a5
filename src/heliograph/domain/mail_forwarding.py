"""Mail to an account that goes on as a text message: whose phones, which hours, what of the mail.

The rules are settings of the account (users.php reference, section 4, "e-mail to SMS gateway"):
``mph``, ``mh1``, ``mh2``, ``mlen`` and the flags ``mfl[0]`` to ``mfl[6]``; ``mfrom`` is our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph.domain.lists import split_recipients
from heliograph.domain.texts import MAX_TEXT_CHARS

__all__ = ["ForwardingRules", "compose_text", "is_open_at", "read_rules", "take_phones"]

# Phones that one mail may name, in its address or in its body.
MAX_PHONES = 50

_HOUR_MS = 3_600_000
_HOUR = re.compile(r"([01]?\d|2[0-4])(?::00)?", re.ASCII)
_LENGTH = re.compile(r"\d{1,4}", re.ASCII)
_PHONE = re.compile(r"\+?\d[\d ()-]{5,22}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingRules:
    """What happens with mail to an account.

    `phones`: who gets what names nobody. `hours`: (from, to) in which mail is forwarded, in the
    account's zone, equal ones meaning always. `max_chars`: where the text is cut. `trusted`:
    addresses, or `@domain`, whose mail may name phones although it does not log in.
    """

    phones: tuple[str, ...] = ()
    is_off: bool = False
    hours: tuple[int, int] = (0, 0)
    max_chars: int = MAX_TEXT_CHARS
    has_subject: bool = True
    has_text: bool = True
    has_sender: bool = True
    is_translit: bool = False
    takes_body_phones: bool = False
    takes_address_phones: bool = False
    trusted: frozenset[str] = frozenset()

    def trusts(self, sender: str) -> bool:
        """Whether this address may name phones without logging in."""
        sender = sender.lower()
        return sender in self.trusted or sender[sender.rfind("@") :] in self.trusted


def read_rules(settings: Mapping[str, str]) -> ForwardingRules:
    """The rules in an account's settings; what is not valid in them counts as not set."""

    def is_on(number: int) -> bool:
        return settings.get(f"mfl[{number}]", "0") not in ("", "0")

    length = settings.get("mlen", "")
    max_chars = int(length) if _LENGTH.fullmatch(length) else 0
    return ForwardingRules(
        phones=tuple(split_recipients(settings.get("mph", "")))[:MAX_PHONES],
        is_off=is_on(0),
        hours=(_read_hour(settings, "mh1", 0), _read_hour(settings, "mh2", 24)),
        max_chars=min(max_chars or MAX_TEXT_CHARS, MAX_TEXT_CHARS),
        has_subject=not is_on(1),
        has_text=not is_on(2),
        has_sender=not is_on(3),
        is_translit=is_on(4),
        takes_body_phones=is_on(5),
        takes_address_phones=is_on(6),
        trusted=frozenset(
            each for each in split_recipients(settings.get("mfrom", "").lower()) if "@" in each
        ),
    )


def is_open_at(rules: ForwardingRules, now_ms: int, timezone_minutes: int) -> bool:
    """Whether mail is forwarded at this moment: from the first hour on, until the second one.

    A window may go over midnight (21 to 9).
    """
    first, last = (hour % 24 for hour in rules.hours)
    if first == last:
        return True
    hour = (now_ms + timezone_minutes * 60_000) // _HOUR_MS % 24
    if first < last:
        return first <= hour < last
    return hour >= first or hour < last


def take_phones(body: str) -> tuple[list[str], str]:
    """(phones, the rest): of a body whose first line holds phones and nothing else.

    They are divided by commas or semicolons, and a colon may follow. Without such a line: ([],
    the body).
    """
    line, _, rest = body.lstrip().partition("\n")
    phones = split_recipients(line.strip().removesuffix(":"))
    if not phones or not all(_PHONE.fullmatch(phone) for phone in phones):
        return [], body
    return phones[:MAX_PHONES], rest


def compose_text(rules: ForwardingRules, *, sender: str, subject: str, body: str) -> str:
    """The text of the message: return address, subject and text, each on a line of its own.

    White space is cut where nobody sees it; '' when the rules leave nothing.
    """
    pieces = []
    if rules.has_sender and sender:
        pieces.append(sender)
    if rules.has_subject and subject.strip():
        pieces.append(subject.strip())
    if rules.has_text:
        pieces += [line for line in map(str.rstrip, body.strip().split("\n")) if line]
    return "\n".join(pieces)[: rules.max_chars].rstrip()


def _read_hour(settings: Mapping[str, str], name: str, default: int) -> int:
    found = _HOUR.fullmatch(settings.get(name, "").strip())
    return int(found[1]) if found else default
