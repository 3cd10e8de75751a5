"""What makes a search for any part of a text fast: signatures of portions of texts.

A *gram* is three neighbouring signs of a text, or four where all of them are digits: three digits
are in every hundred of numbers and would tell nothing. A *signature* is a small bit set of the
grams of many texts (a Bloom filter): when one gram of what is looked for is missing in it, none of
these texts holds it. When all are there, one of them may.

Only six bits of each byte are used, and one is always set: so every byte is an ASCII letter, whose
number the database can tell (SQLite has no other way to look at a bit of a blob).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from zlib import crc32

__all__ = ["ANYTHING", "MAX_MARKS", "add_text", "grams_of", "make_signature", "marks_of"]

# The signature of texts that nothing is known about.
ANYTHING = b"\x7f"
# More of them would not sort out more.
MAX_MARKS = 16

_BITS = 6
_ALWAYS = 0x40
# With two bits set for each of them, one byte a gram leaves some 8% of wrong hits a gram. There is
# room for half as many grams more, which are added later.
_MIN_BYTES, _MAX_BYTES = 32, 960

_NUMBER = re.compile(r"\d{4,}")

Mark = tuple[int, int]


def grams_of(text: str) -> set[str]:
    """The grams of a text; none reaches over the end of a line."""
    grams = {text[at : at + 3] for at in range(len(text) - 2)}
    found = {gram for gram in grams if not gram.isdecimal() and "\n" not in gram}
    for run in _NUMBER.findall(text):
        found.update([run[at : at + 4] for at in range(len(run) - 3)])
    return found


def make_signature(texts: Iterable[str]) -> bytes:
    """The signature of some texts."""
    grams = grams_of("\n".join(texts))
    length = min(max(len(grams) + len(grams) // 2, _MIN_BYTES), _MAX_BYTES)
    return _add(bytes([_ALWAYS]) * length, grams)


def add_text(signature: bytes, text: str) -> bytes:
    """The signature with one more text."""
    return signature if signature == ANYTHING else _add(signature, grams_of(text))


def marks_of(part: str) -> list[Mark]:
    """What the signature of texts that hold `part` shows: (place, mask); the byte at the place
    modulo the length of the signature has the bit of the mask. Empty: `part` is too short."""
    hashes = [each for pair in sorted(map(_hashes, grams_of(part))) for each in pair]
    return [(each >> 4, 1 << each % _BITS) for each in hashes[:MAX_MARKS]]


def _add(signature: bytes, grams: set[str]) -> bytes:
    made = bytearray(signature)
    length = len(made)
    for gram in grams:
        first, second = _hashes(gram)
        made[(first >> 4) % length] |= 1 << first % _BITS
        made[(second >> 4) % length] |= 1 << second % _BITS
    return bytes(made)


def _hashes(gram: str) -> tuple[int, int]:
    # A text may hold half of a surrogate pair: clients send what they like.
    hashed = crc32(gram.encode("utf-8", "surrogatepass"))
    return hashed, hashed * 0x9E3779B1 & 0xFFFFFFFF
