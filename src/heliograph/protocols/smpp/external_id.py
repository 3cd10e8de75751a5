"""Message ids of operators, made comparable.

An operator names a message in submit_sm_resp and again in the receipt, and the two texts need not
be the same: ``0000004A3F`` and ``4a3f``, or hex in one and decimal in the other. This module turns
an id into keys. Store the first key; to find a message, look for each key in turn and take the
first that is there. It works both ways round, so a receipt that overtakes its response is stored
and found by the same rule.

The rule of ``auto`` (a wrong match pays for the wrong message, so it is careful):

* Surrounding blanks and NULs go. A decimal number (at most 20 digits, which holds 64 bits) and a
  hex number (at most 16 digits, at least one letter, letters of one case, maybe after ``0x``)
  lose leading zeros and letter case. A UUID loses case. **Anything else stays as it is**: ids in
  base 64 differ by case alone, and ids of digits and dashes by a zero alone.
* A hex number *with a letter* gets its decimal form as second key, and a decimal number its hex
  form when that has a letter. ``4660`` does not get ``1234``: digits alone do not tell that they
  are hex, and ``1234`` may well be another message.

What ``auto`` therefore misses is an id that is hex but happens to be all digits (one in 43 of 8
digits). For an operator known to answer in hex and report in decimal use ``hex-to-dec``, which
reads every response as hex; ``dec-to-hex`` is its mirror. ``exact`` compares texts as they are.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal, TypeAlias

IdPolicy: TypeAlias = Literal["exact", "auto", "hex-to-dec", "dec-to-hex"]


class IdOrigin(Enum):
    """Where an id was read."""

    RESPONSE = "response"
    RECEIPT = "receipt"


_DECIMAL = re.compile(r"[0-9]{1,20}")
_HEX_WITH_LETTER = re.compile(r"(?:0[xX])?(?=[0-9]*[a-fA-F])(?:[0-9a-f]{1,16}|[0-9A-F]{1,16})")
_HEX_PREFIXED = re.compile(r"0[xX][0-9]{1,16}")
_HEX_ANY = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,16}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def normalise_external_id(
    text: str, policy: IdPolicy = "auto", *, origin: IdOrigin = IdOrigin.RESPONSE
) -> tuple[str, ...]:
    """Keys of an operator's message id, best first; no keys for an empty id.

    ``origin`` matters to ``hex-to-dec`` and ``dec-to-hex`` only. Raises ValueError for an unknown
    policy.
    """
    text = text.strip(" \t\r\n\0")
    if not text:
        return ()
    match policy:
        case "exact":
            return (text,)
        case "auto":
            return _guess(text)
        case "hex-to-dec" | "dec-to-hex":
            is_hex = (origin is IdOrigin.RESPONSE) == (policy == "hex-to-dec")
            return (_read_as(text, is_hex=is_hex),)
    raise ValueError(f"unknown id policy {policy!r}")


def _guess(text: str) -> tuple[str, ...]:
    if _DECIMAL.fullmatch(text):
        own = text.lstrip("0") or "0"
        number = int(own)
        other = f"{number:x}"
        if len(other) <= 16 and not other.isdigit():
            return (own, other)
        return (own,)
    if _HEX_WITH_LETTER.fullmatch(text) or _HEX_PREFIXED.fullmatch(text):
        number = int(text, 16)
        own = f"{number:x}"
        # "0x1234" says itself that it is hex, so its decimal form is the one key.
        return (str(number),) if own.isdigit() else (own, str(number))
    if _UUID.fullmatch(text):
        return (text.lower(),)
    return (text,)


def _read_as(text: str, *, is_hex: bool) -> str:
    """The decimal form of a number; other texts as ``auto`` has them."""
    if is_hex and _HEX_ANY.fullmatch(text):
        return str(int(text, 16))
    if _DECIMAL.fullmatch(text):
        return text.lstrip("0") or "0"
    if _HEX_ANY.fullmatch(text):
        # Letters where decimal was promised: it can only be hex.
        return str(int(text, 16))
    return _guess(text)[0]
