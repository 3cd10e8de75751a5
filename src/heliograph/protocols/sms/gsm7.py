"""The GSM 7-bit alphabets: telling, counting, encoding, decoding, packing (3GPP TS 23.038).

How it stays fast. One C-level pass of ``codecs.charmap_encode`` folds a text into one octet per
character: 0x00-0x7F is a character of the locking table, 0x80-0xFF one of the single-shift table.
A text without escapes is therefore an ASCII-only ``bytes`` and is already encoded but for one
detail: the compact map of ``charmap_build`` exists only when octet 0 stands for U+0000, so the
character of code 0 (``@``) folds to the free code of the escape, 0x1B, and is moved at the end;
an octet 0 in the folded form then means the text held a NUL, which no table has.

*Unpacked* is one octet per septet (SMPP ``data_coding`` 0), *packed* is eight septets in seven
octets (section 6.1.2.1.1).
"""

from __future__ import annotations

import codecs
import functools
import re
from dataclasses import dataclass
from typing import Any, Literal

from heliograph.protocols.sms.errors import NotGsm7Error
from heliograph.protocols.sms.national_tables import (
    ABSENT,
    ESCAPE,
    LOCKING_TABLES,
    SINGLE_SHIFT_TABLES,
    NationalLanguage,
)

__all__ = [
    "DEFAULT_TABLE",
    "Gsm7Table",
    "count_encodable",
    "count_folded",
    "decode",
    "encode",
    "fill_bits",
    "fold",
    "gsm7_table",
    "is_gsm7",
    "pack",
    "septets",
    "unfold",
    "unpack",
]

_charmap_encode = codecs.charmap_encode
_charmap_decode = codecs.charmap_decode

_LOCKING_OCTETS = bytes(range(128))
_SHIFTED_OCTET = re.compile(rb"[\x80-\xff]")
_ESCAPED = tuple(bytes((ESCAPE, code)) for code in range(128))
_BITS = tuple(f"{septet:07b}" for septet in range(128))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gsm7Table:
    """A locking table with a single-shift table, prepared for both directions."""

    locking: NationalLanguage
    single: NationalLanguage
    fold_map: Any
    """What ``charmap_encode`` takes: text to folded octets."""
    characters: str
    """Code to character, ``ABSENT`` where there is none."""
    shifted: tuple[str, ...]
    """Code after an escape to the text shown for it."""


def gsm7_table(
    locking: int = NationalLanguage.DEFAULT, single: int = NationalLanguage.DEFAULT
) -> Gsm7Table:
    """Return the table for two National Language Identifiers, as found in a header.

    An identifier without a table of that kind (reserved, or Spanish as a locking table) means the
    default table, as TS 23.038 section 6.2.1.2.2 asks of a receiver.
    """
    default = NationalLanguage.DEFAULT
    return _make_table(
        NationalLanguage(locking) if locking in LOCKING_TABLES else default,
        NationalLanguage(single) if single in SINGLE_SHIFT_TABLES else default,
    )


@functools.cache
def _make_table(locking: NationalLanguage, single: NationalLanguage) -> Gsm7Table:
    main = LOCKING_TABLES[locking]
    shift = SINGLE_SHIFT_TABLES[single]
    fold = ["\0", *main[1:ESCAPE], main[0], *main[ESCAPE + 1 :], *[ABSENT] * 128]
    known = set(main)
    for code, character in enumerate(shift):
        if character not in known:  # the one-septet form, or the lower of two codes, is preferred
            known.add(character)
            fold[0x80 | code] = character
    return Gsm7Table(
        locking=locking,
        single=single,
        fold_map=codecs.charmap_build("".join(fold)),
        characters=main,
        shifted=_read_shift(main, shift),
    )


def _read_shift(main: str, shift: str) -> tuple[str, ...]:
    """Lay out what is shown for each code after an escape (TS 23.038 section 6.2.1.1).

    A code without a meaning shows the character of the locking table; a second escape, reserved
    for further tables, shows a space.
    """
    shown = []
    for code in range(128):
        character = shift[code] if shift[code] != ABSENT else main[code]
        shown.append(" " if code == ESCAPE else character if character != ABSENT else "\ufffd")
    return tuple(shown)


DEFAULT_TABLE = gsm7_table()


def fold(text: str, table: Gsm7Table = DEFAULT_TABLE) -> bytes | None:
    """Fold a text to one octet per character (module docstring); None when it does not fit."""
    try:
        folded: bytes = _charmap_encode(text, "strict", table.fold_map)[0]
    except UnicodeEncodeError:
        return None
    return None if 0 in folded else folded


def unfold(folded: bytes) -> bytes:
    """Turn what :func:`fold` gave into unpacked septets."""
    plain = folded.replace(b"\x1b", b"\0")
    if plain.isascii():
        return plain
    return _SHIFTED_OCTET.sub(_escape, plain)


def _escape(match: re.Match[bytes]) -> bytes:
    return _ESCAPED[match[0][0] & 0x7F]


def count_folded(folded: bytes) -> int:
    """Count the septets of what :func:`fold` gave: two for a character behind an escape."""
    if folded.isascii():
        return len(folded)
    return len(folded) + len(folded.translate(None, _LOCKING_OCTETS))


def is_gsm7(text: str, table: Gsm7Table = DEFAULT_TABLE) -> bool:
    """Tell whether every character of the text is in the table."""
    try:
        return 0 not in _charmap_encode(text, "strict", table.fold_map)[0]
    except UnicodeEncodeError:
        return False


def septets(text: str, table: Gsm7Table = DEFAULT_TABLE) -> int:
    """Count the septets of a text; a character of the single-shift table takes two.

    Raises :class:`NotGsm7Error` when a character is not in the table.
    """
    folded = fold(text, table)
    if folded is None:
        raise NotGsm7Error(count_encodable(text, table))
    return count_folded(folded)


def encode(text: str, table: Gsm7Table = DEFAULT_TABLE) -> bytes:
    """Encode to unpacked septets. Raises :class:`NotGsm7Error`."""
    folded = fold(text, table)
    if folded is None:
        raise NotGsm7Error(count_encodable(text, table))
    return unfold(folded)


def count_encodable(text: str, table: Gsm7Table = DEFAULT_TABLE) -> int:
    """Count the characters at the beginning of a text that are in the table."""
    nul = text.find("\0")
    length = len(text) if nul < 0 else nul
    try:
        _charmap_encode(text[:length], "strict", table.fold_map)
    except UnicodeEncodeError as error:
        return error.start
    return length


def decode(
    octets: bytes,
    table: Gsm7Table = DEFAULT_TABLE,
    *,
    errors: Literal["strict", "replace"] = "strict",
) -> str:
    """Decode unpacked septets.

    An octet above 0x7F, or a code that has no character, raises :class:`NotGsm7Error`, or becomes
    U+FFFD with ``errors="replace"``. An escape at the very end shows nothing.
    """
    escape = octets.find(ESCAPE)
    if escape < 0:
        return _decode_plain(octets, table.characters, errors)
    shown = []
    start = 0
    while escape >= 0:
        shown.append(_decode_plain(octets[start:escape], table.characters, errors, start))
        if escape + 1 < len(octets):
            code = octets[escape + 1]
            if code > 0x7F and errors == "strict":
                raise NotGsm7Error(escape + 1)
            shown.append(table.shifted[code] if code <= 0x7F else "\ufffd")
        start = escape + 2
        escape = octets.find(ESCAPE, start)
    shown.append(_decode_plain(octets[start:], table.characters, errors, start))
    return "".join(shown)


def _decode_plain(octets: bytes, characters: str, errors: str, position: int = 0) -> str:
    try:
        return _charmap_decode(octets, errors, characters)[0]
    except UnicodeDecodeError as error:
        raise NotGsm7Error(position + error.start) from None


def fill_bits(header_octets: int) -> int:
    """Return how many fill bits bring the text behind a header to a septet boundary.

    ``header_octets`` counts the whole header with its length octet (TS 23.040 section 9.2.3.24).
    """
    return -8 * header_octets % 7


def pack(unpacked: bytes, *, fill: int = 0) -> bytes:
    """Pack septets into octets, first septet in the low bits, after ``fill`` zero bits.

    TS 23.038 section 6.1.2.1.1; unused bits at the end are zero. Raises :class:`NotGsm7Error`
    when an octet is above 0x7F.
    """
    if not unpacked.isascii():
        raise NotGsm7Error(next(at for at, septet in enumerate(unpacked) if septet > 0x7F))
    if not unpacked:
        return b""
    bits = int("".join([_BITS[septet] for septet in reversed(unpacked)]), 2) << fill
    return bits.to_bytes((len(unpacked) * 7 + fill + 7) // 8, "little")


def unpack(packed: bytes, count: int | None = None, *, fill: int = 0) -> bytes:
    """Unpack ``count`` septets from octets; without it as many as there are whole ones.

    A peer that gives no count leaves it open whether the last septet is ``@`` or padding when
    the text ends seven bits before the end; it is read as padding then. Fewer octets than
    ``count`` needs give fewer septets.
    """
    available = max(0, (len(packed) * 8 - fill) // 7)
    bits = int.from_bytes(packed, "little") >> fill
    if count is None:
        spare_at = 7 * (available - 1)
        is_padding = (len(packed) * 8 - fill) % 7 == 0 and available > 0 and not bits >> spare_at
        count = available - 1 if is_padding else available
    return bytes([bits >> 7 * index & 0x7F for index in range(min(count, available))])
