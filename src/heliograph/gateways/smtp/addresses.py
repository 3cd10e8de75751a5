"""Which addresses the door takes mail for, and what each of them means.

``send@<domain>``
    an order in the body.
``<phone>@sms.<domain>``
    the mail as a message to that phone, by the account that logged in.
``<login>@sms.<domain>``
    the mail as a message to the phones of that account's settings.
``<login>+<phone>[+<phone>]@sms.<domain>``
    the same, to these phones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Addressee", "OrderAddress", "read_address"]

_ORDER_NAME = "send"
_FORWARD_LABEL = "sms."
_PHONE = re.compile(r"\+?\d{7,16}", re.ASCII)
_PHONES = re.compile(r"(?:\+\d{7,16})+", re.ASCII)
_MAX_ADDRESS_CHARS = 1000


@dataclass(frozen=True, slots=True)
class OrderAddress:
    """The mail holds an order."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """The mail is to be forwarded. `login` '': by the account that logged in."""

    login: str
    phones: tuple[str, ...] = ()


def read_address(address: str, domains: Sequence[str]) -> OrderAddress | Addressee | None:
    """What an address means; None when the door takes no mail for it.

    `domains` are in lower case; empty: any domain will do.
    """
    name, at, domain = address.rpartition("@")
    domain = domain.lower().rstrip(".")
    if not at or not name or not domain or len(address) > _MAX_ADDRESS_CHARS:
        return None
    name = name.strip('"')
    if name.lower() == _ORDER_NAME:
        is_ours = not domains or domain in domains or domain.removeprefix("send.") in domains
        return OrderAddress() if is_ours else None
    host = domain.removeprefix(_FORWARD_LABEL)
    if host == domain or (domains and host not in domains):
        return None
    return _read_addressee(name)


def _read_addressee(name: str) -> Addressee:
    if _PHONE.fullmatch(name):
        return Addressee("", (name.removeprefix("+"),))
    phones = _PHONES.search(name)
    if phones is None or phones.start() == 0 or phones.end() < len(name):
        return Addressee(name)
    return Addressee(name[: phones.start()], tuple(phones[0].split("+")[1:]))
