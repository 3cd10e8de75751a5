"""What makes a search for any part of a text fast: signatures of portions of texts.

A *gram* is three neighbouring signs of a text, or four where all of them are digits: three digits
are in every hundred of numbers and would tell nothing. A *signature* is a small bit set of the
grams of many texts (a Bloom filter): when one gram of what is looked for is missing in it, none of
these texts holds it. When all are there, one of them may.

Only six bits of each byte are used, and one is always set: so every byte is an ASCII letter, whose
number the database can tell (SQLite has no other way to look at a bit of a blob).
"""

from __future__ import annotations

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

Mark = tuple[int, int]


def grams_of(text: str) -> set[str]:
    """The grams of a text; none reaches over the end of a line."""
    found: set[str] = set()
    for at in range(len(text) - 2):
        gram = text[at : at + 3]
        if gram.isdecimal():
            gram = text[at : at + 4]
            if len(gram) == 4 and gram.isdecimal():
                found.add(gram)
        elif "\n" not in gram:
            found.add(gram)
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
    grams = sorted(grams_of(part), key=_hash)
    return [mark for gram in grams for mark in _marks(gram)][:MAX_MARKS]


def _add(signature: bytes, grams: set[str]) -> bytes:
    made = bytearray(signature)
    length = len(made)
    for gram in grams:
        for place, mask in _marks(gram):
            made[place % length] |= mask
    return bytes(made)


def _marks(gram: str) -> tuple[Mark, Mark]:
    hashed = _hash(gram)
    second = hashed * 0x9E3779B1 & 0xFFFFFFFF
    return (hashed >> 4, 1 << hashed % _BITS), (second >> 4, 1 << second % _BITS)


def _hash(gram: str) -> int:
    # A text may hold half of a surrogate pair: clients send what they like.
    return crc32(gram.encode(errors="surrogatepass"))
