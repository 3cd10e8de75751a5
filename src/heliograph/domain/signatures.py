"""What makes a search for any part of a text fast: signatures of portions of texts.

A *gram* is some neighbouring signs of a text. A *signature* is a small bit set of the grams of many
texts (a Bloom filter): when one gram of what is looked for is missing in it, none of these texts
holds it. When all are there, one of them may.

Texts have a signature for each *width* of grams, and a search uses the widest that fits into what
is looked for: longer grams tell more, since words that nobody has are made of syllables that many
have. One set of all grams would be too full to tell anything.

Only six bits of each byte are used, and one is always set: so every byte is an ASCII letter, whose
number the database can tell (SQLite has no other way to look at a bit of a blob).
"""

from __future__ import annotations

import re
from zlib import crc32

__all__ = [
    "WIDTHS",
    "Gram",
    "add_text",
    "grams_of",
    "make_signature",
    "marks_of",
    "shows",
]

# 8, 5, 3: so many signs, not all of them digits. 4: three or four digits; one of three would be in
# every hundred of numbers. 2: one or two signs. In the order in which a search takes them.
WIDTHS = (8, 5, 3, 4, 2)

_DIGITS = 4
_BITS = 6
_MASKS = [1 << bit for bit in range(_BITS)]
_ALWAYS = 0x40
# With two bits set for each of them, one byte a gram leaves some 8% of wrong hits a gram. There is
# room for half as many grams more, which are added later.
_MIN_BYTES, _MAX_BYTES = 32, 960
# Signatures get different lengths by chance: otherwise two grams that share their bits in one of
# them would share them in all, and a rare one would seem to be wherever a usual one is.
_LENGTHS = 127
_MIX = 0x9E3779B1
# More of what is looked for would not sort out more.
_MAX_GRAMS = 24

_RUN = re.compile(r"\d{3,}")

# Places are taken modulo the length of a signature; the mask has one bit.
Mark = tuple[int, int]
# The two marks of one.
Gram = tuple[Mark, Mark]


def grams_of(text: str, width: int) -> set[str]:
    """The grams of a text; none reaches over the end of a line."""
    grams: set[str] = set()
    if width == _DIGITS:
        for run in set(_RUN.findall(text)):
            grams.update([run[at : at + 4] for at in range(len(run) - 3)])
            grams.update([run[at : at + 3] for at in range(len(run) - 2)])
        return grams
    for line in set(text.split("\n")):
        grams.update([line[at : at + width] for at in range(len(line) - width + 1)])
        if width == 2:
            grams.update(line)
    return grams if width == 2 else {gram for gram in grams if not gram.isdecimal()}


def make_signature(texts: str, width: int) -> bytes:
    """The signature of some texts, each in lines of its own."""
    grams = grams_of(texts, width)
    length = min(max(len(grams) + len(grams) // 2, _MIN_BYTES), _MAX_BYTES)
    if length > 2 * _LENGTHS:
        length -= crc32(_octets(texts)) % _LENGTHS
    return _add(bytes([_ALWAYS]) * length, grams)


def add_text(signature: bytes, text: str, width: int) -> bytes:
    """The signature with one more text."""
    return _add(signature, grams_of(text, width))


def marks_of(part: str) -> tuple[int, list[Gram]]:
    """(the widest grams that `part` has, what the signature of texts that hold it shows of each);
    none when it is empty, or nothing but ends of lines."""
    for width in WIDTHS:
        grams = sorted(grams_of(part, width), key=len, reverse=True)
        if grams:
            return width, [_marks(gram) for gram in grams[:_MAX_GRAMS]]
    return WIDTHS[-1], []


def shows(signature: bytes, gram: Gram) -> bool:
    """Whether a signature has the marks of a gram."""
    length = len(signature)
    return all(signature[place % length] & mask for place, mask in gram)


def _add(signature: bytes, grams: set[str]) -> bytes:
    made = bytearray(signature)
    length = len(made)
    for gram in grams:  # as in _marks
        first = crc32(gram.encode("utf-8", "surrogatepass"))
        second = first * _MIX & 0xFFFFFFFF
        made[(first >> 4) % length] |= _MASKS[first % _BITS]
        made[(second >> 4) % length] |= _MASKS[second % _BITS]
    return bytes(made)


def _marks(gram: str) -> Gram:
    first = crc32(_octets(gram))
    second = first * _MIX & 0xFFFFFFFF
    return (first >> 4, _MASKS[first % _BITS]), (second >> 4, _MASKS[second % _BITS])


def _octets(text: str) -> bytes:
    # A text may hold half of a surrogate pair: clients send what they like.
    return text.encode("utf-8", "surrogatepass")
