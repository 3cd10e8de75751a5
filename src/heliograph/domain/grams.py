"""What makes a search for any part of a text fast: who holds which grams.

A *gram* is one to four neighbouring signs of a text. Whoever holds a part of a text holds all grams
of that part; who holds these is looked up, and of the few that are left the texts are read. Grams
of four tell what those of three do not: everybody "wholesale" has "ale" and "les", but not "ales".

Contacts stand on *shelves* of 4096 neighbouring ids, and a shelf has a row of *holders* for each
*mark* of grams: a hash, so that the rows have a bound whatever the letters and the length of texts.
A row names places on the shelf: by two octets each while they are few, and by one bit for each
place of the shelf when they are many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from zlib import crc32

__all__ = [
    "MARK_BITS",
    "SHELF_BITS",
    "add_holders",
    "common_holders",
    "gram_of_group",
    "grams_of",
    "grams_to_find",
    "holders_of",
    "mark_of",
]

SHELF_BITS = 12
# A mark is a number of so many bits: there are 65,536 for one or two signs, for beginnings of names
# and for groups, which are looked for alone and must hardly ever meet others, and 4096 for three
# and four signs.
MARK_BITS = 17
_SHORT_MARK_BITS, _LONG_MARK_BITS = 16, 12
_MIX = 0x9E3779B1
_HASH_BITS = 32

_WIDEST = 4
# Stands before a full name, of which so many signs are looked for as its beginning. No line has it.
_BEGIN, _BEGINNING = "\n", 3
# More of what is looked for would sort out little more, and each has a row on every shelf.
_MAX_GRAMS = 6
# So few leave too many whose grams only share a mark: shorter ones help.
_FEW_GRAMS = 2

_BITMAP_OCTETS = (1 << SHELF_BITS) // 8
_EVERYBODY = (1 << (1 << SHELF_BITS)) - 1
# Lists of places, by their length. They are shorter than a bitmap, which tells one from the other.
_LISTS = [Struct(f"<{length}H") for length in range(_BITMAP_OCTETS // 2)]
# The bits that are set, by the value of an octet.
_BITS_SET = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]


def grams_of(text: str, name_key: str = "") -> set[str]:
    """The grams of a text, none of which reaches over the end of a line, and of a full name."""
    lines = text.split("\n")
    grams = {*"".join(lines)}
    for width in range(2, _WIDEST + 1):
        grams.update(
            [line[at : at + width] for line in lines for at in range(len(line) - width + 1)]
        )
    grams.update([_BEGIN + name_key[: 1 + at] for at in range(len(name_key[:_BEGINNING]))])
    return grams


def gram_of_group(group_id: int) -> str:
    """What the members of a group hold beside the grams of their texts."""
    return f"{_BEGIN}{_BEGIN}group {group_id}"


def grams_to_find(part: str, full_name: str = "") -> list[str]:
    """Some grams that every contact holds whose text has `part`, and whose name key begins with
    `full_name`, the words of which are in its text. None: every contact may do."""
    grams = _spread([gram for line in part.split("\n") for gram in _longest_grams(line)])
    if len(full_name) > _BEGINNING:
        grams += _spread([gram for word in full_name.split() for gram in _longest_grams(word)])
    if full_name:
        grams.append(_BEGIN + full_name[:_BEGINNING])
    return list(dict.fromkeys(grams))


def mark_of(gram: str, shelf: int) -> int:
    """The mark of a gram on a shelf. Two grams that share one do not share it on every shelf:
    a rare one must not seem to be wherever a usual one is."""
    # A text may hold half of a surrogate pair: clients send what they like.
    hashed = crc32(gram.encode("utf-8", "surrogatepass"))
    mixed = hashed * _MIX * (2 * shelf + 1) & (1 << _HASH_BITS) - 1
    if 3 <= len(gram) <= _WIDEST and gram[0] != _BEGIN:
        return (1 << _SHORT_MARK_BITS) + (mixed >> _HASH_BITS - _LONG_MARK_BITS)
    return mixed >> _HASH_BITS - _SHORT_MARK_BITS


def add_holders(row: bytes, places: Iterable[int]) -> bytes:
    """A row of holders, b"" for none, with more of them."""
    if len(row) < _BITMAP_OCTETS:
        held = set(_LISTS[len(row) // 2].unpack(row))
        count = len(held)
        held.update(places)
        if len(held) == count:
            return row
        if len(held) < len(_LISTS):
            return _LISTS[len(held)].pack(*held)
        row, places = bytes(_BITMAP_OCTETS), held
    bits = bytearray(row)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)


def holders_of(row: bytes) -> Sequence[int]:
    """The places in a row, in any order."""
    if len(row) < _BITMAP_OCTETS:
        return _LISTS[len(row) // 2].unpack(row)
    return [8 * at + bit for at, octet in enumerate(row) for bit in _BITS_SET[octet]]


def common_holders(rows: Sequence[bytes]) -> list[int]:
    """The places that are in all rows, in their order; there is at least one row."""
    lists = sorted((row for row in rows if len(row) < _BITMAP_OCTETS), key=len)
    bits = _EVERYBODY
    for row in rows:
        if len(row) == _BITMAP_OCTETS:
            bits &= int.from_bytes(row, "little")
    bitmap = bits.to_bytes(_BITMAP_OCTETS, "little")
    if not lists:
        return [*holders_of(bitmap)]
    left = set(_LISTS[len(lists[0]) // 2].unpack(lists[0]))
    if bits != _EVERYBODY:
        left = {place for place in left if bitmap[place >> 3] >> (place & 7) & 1}
    for row in lists[1:]:
        if not left:
            break
        left.intersection_update(_LISTS[len(row) // 2].unpack(row))
    return sorted(left)


def _longest_grams(line: str) -> list[str]:
    grams: list[str] = []
    for width in range(_WIDEST, 1, -1):
        if len(grams) <= _FEW_GRAMS:
            grams += [line[at : at + width] for at in range(len(line) - width + 1)]
    return grams or list(line)


def _spread(grams: list[str]) -> list[str]:
    """No more than are worth it, from everywhere, with the first and the last."""
    if len(grams) <= _MAX_GRAMS:
        return grams
    return [grams[at * (len(grams) - 1) // (_MAX_GRAMS - 1)] for at in range(_MAX_GRAMS)]
