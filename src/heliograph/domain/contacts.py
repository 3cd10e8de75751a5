"""Contacts: the address book of an account, by phone number or by e-mail address.

Rules of the contacts reference: what counts as a number, how lists of them are written, which
fields a contact has and how they are compared when somebody looks for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, unique

from heliograph.domain.numbering import normalise_recipient

__all__ = [
    "CONTACT_FIELDS",
    "DEFAULT_GROUPS",
    "GROUP_REFERENCE",
    "MAX_FIELD_CHARS",
    "MAX_PAGE",
    "Contact",
    "ContactFilter",
    "ContactKind",
    "Group",
    "name_key",
    "normalise_address",
    "parse_birthday",
    "search_key",
    "split_addresses",
]

# Names of the groups that every account begins with.
DEFAULT_GROUPS = ("Group 1", "Group 2")
# Longest value of one field; longer ones are no names, and every page would carry them.
MAX_FIELD_CHARS = 1000
# Contacts in one reply: ten pages of the usual size.
MAX_PAGE = 10_000
# A group among the recipients of a message (send.php reference, 2.6).
GROUP_REFERENCE = re.compile(r"[Gg](\d{1,18})", re.ASCII)

# Sorts after every other text with the same beginning.
_LAST_SIGN = "\U0010ffff"

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}\.[^@\s,;<>\".]{2,63}")
_BIRTHDAY = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)
_SEPARATORS = re.compile(r"[,;|\r\n\t]+")


@unique
class ContactKind(IntEnum):
    """What the addresses are; the numbers are those of a group's `type`."""

    PHONE = 0
    MAIL = 1


# What a client may set of a contact, in the order of lists.
CONTACT_FIELDS = (
    "name",
    "first_name",
    "last_name",
    "middle_name",
    "birthday",
    "client_ref",
    "comments",
    "tags",
    "other_numbers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact with the ids of its groups."""

    id: int
    address: str
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    middle_name: str = ""
    birthday: str = ""
    client_ref: str = ""
    comments: str = ""
    tags: str = ""
    other_numbers: str = ""
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group. `number` is the client's own, digits or ''; `size`: contacts in it."""

    id: int
    name: str
    number: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFilter:
    """Which contacts to list: all conditions that are set must hold. `full_name` is a prefix,
    `search` any part of a text, both without regard to case."""

    group_id: int | None = None  # 0: those in no group
    address: str = ""
    full_name: str = ""
    search: str = ""
    after_id: int = 0
    limit: int = 1000

    @property
    def name_span(self) -> tuple[str, str]:
        """The first `name_key` with the beginning `full_name`, and one after the last."""
        beginning = " ".join(self.full_name.split()).casefold()
        return beginning, beginning + _LAST_SIGN


def normalise_address(kind: ContactKind, text: str) -> str | None:
    """The address as it is kept, numbers corrected as in sending; None when it is none."""
    if kind is ContactKind.PHONE:
        return normalise_recipient(text)
    address = text.strip()
    return address if _EMAIL.fullmatch(address) else None


def split_addresses(kind: ContactKind, text: str) -> Iterator[str]:
    """Addresses of a list with any separator. Spaces divide only what are addresses by themselves:
    people also write them inside of numbers."""
    for piece in _SEPARATORS.split(text):
        words = piece.split()
        if len(words) > 1 and all(normalise_address(kind, word) is not None for word in words):
            yield from words
        elif words:
            yield piece.strip()


def parse_birthday(text: str) -> str:
    """A birthday ``DD.MM.YYYY``, checked. Raises ValueError."""
    match = _BIRTHDAY.fullmatch(text.strip())
    if match is None:
        raise ValueError("a birthday is DD.MM.YYYY")
    date(int(match[3]), int(match[2]), int(match[1]))
    return match[0]


def name_key(last_name: str, first_name: str, middle_name: str) -> str:
    """What the filter by full name compares."""
    names = (last_name, first_name, middle_name)
    return " ".join(name.strip().casefold() for name in names if name.strip())


def search_key(contact: dict[str, str]) -> str:
    """What the free search looks into: number, names, comments, tags, other numbers."""
    fields = ("address", "name", "last_name", "first_name", "middle_name")
    texts = [contact.get(name, "") for name in (*fields, "comments", "tags", "other_numbers")]
    return "\n".join(text.casefold() for text in texts if text)
