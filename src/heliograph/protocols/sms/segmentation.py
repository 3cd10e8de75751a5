"""Cutting a text into the segments that short messages carry, and counting them for billing.

A single message carries 140 octets: 160 septets or 70 UTF-16 units. In a message of several, each
segment gives 6 octets to the concatenation header: 153 septets or 67 units (3GPP TS 23.040
section 9.2.3.24.1; with a 16-bit reference, 7 octets: 152 or 66). A segment never ends inside a
surrogate pair nor between an escape and its character: the pair moves whole to the next one.

``count_parts`` is the cheap path: it makes no strings and no objects for ordinary texts.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.data_coding import Alphabet, choose_data_coding
from heliograph.protocols.sms.gsm7 import DEFAULT_TABLE, Gsm7Table, gsm7_table
from heliograph.protocols.sms.national_tables import ESCAPE, LOCKING_TABLES, NationalLanguage
from heliograph.protocols.sms.udh import (
    MAX_USER_DATA_OCTETS,
    InformationElement,
    build_concatenation,
    build_language,
    build_udh,
)

__all__ = [
    "MAX_PARTS",
    "EncodedPart",
    "Segmentation",
    "count_parts",
    "encode_part",
    "segment",
]

MAX_PARTS = 255
"""The part number is one octet."""

_SINGLE_SEPTETS = 160
_PART_SEPTETS = 153
_SINGLE_UNITS = 70
_PART_UNITS = 67

_charmap_encode = codecs.charmap_encode
_DEFAULT_FOLD_MAP = DEFAULT_TABLE.fold_map


class Segmentation(NamedTuple):
    """A text cut into segments; a tuple because one is made for every message.

    ``units`` counts septets or UTF-16 units of the whole text; ``payloads`` are the segments as
    sent without header: one octet per septet, or UTF-16BE.
    """

    alphabet: Alphabet
    units: int
    parts: tuple[str, ...]
    payloads: tuple[bytes, ...]
    locking: NationalLanguage = NationalLanguage.DEFAULT
    single: NationalLanguage = NationalLanguage.DEFAULT
    is_wide: bool = False
    """True when room is left for a 16-bit reference."""
    is_cut: bool = False
    """True when text was dropped to keep to ``max_parts``."""

    @property
    def text(self) -> str:
        """The text that is sent."""
        return self.parts[0] if len(self.parts) == 1 else "".join(self.parts)


class EncodedPart(NamedTuple):
    """User data of one part; the header, when not empty, goes first and sets ``esm_class`` 0x40."""

    udh: bytes
    payload: bytes
    data_coding: int


class _Plan(NamedTuple):
    """An encoded text with the places where its segments end, in octets of ``data``."""

    alphabet: Alphabet
    table: Gsm7Table
    data: bytes
    ends: Sequence[int]


def count_parts(
    text: str, *, languages: Sequence[NationalLanguage] = (), is_wide: bool = False
) -> tuple[Alphabet, int]:
    """Count the segments of a text, as :func:`segment` would cut it. An empty text is one."""
    if languages or is_wide:
        plan = _plan(text, languages, is_wide)
        return plan.alphabet, len(plan.ends)
    try:
        folded = _charmap_encode(text, "strict", _DEFAULT_FOLD_MAP)[0]
    except UnicodeEncodeError:
        return Alphabet.UCS2, _count_ucs2(text)
    if 0 in folded:
        return Alphabet.UCS2, _count_ucs2(text)
    length = len(folded)
    if folded.isascii():
        return Alphabet.GSM7, 1 if length <= _SINGLE_SEPTETS else -(-length // _PART_SEPTETS)
    length = gsm7.count_folded(folded)
    if length <= _SINGLE_SEPTETS:
        return Alphabet.GSM7, 1
    return Alphabet.GSM7, len(_cut_septets(gsm7.unfold(folded), _PART_SEPTETS))


def _count_ucs2(text: str) -> int:
    data = _encode_ucs2(text)
    units = len(data) // 2
    if units <= _SINGLE_UNITS:
        return 1
    if units == len(text):  # no pairs, so no pair can fall on a boundary
        return -(-units // _PART_UNITS)
    return len(_cut_units(data, _PART_UNITS))


def segment(
    text: str,
    *,
    languages: Sequence[NationalLanguage] = (),
    max_parts: int | None = None,
    is_wide: bool = False,
) -> Segmentation:
    """Cut a text into segments.

    ``languages`` are national shift tables the far side is known to support; one is used only
    when it needs fewer segments than UCS-2. ``is_wide`` leaves room for a 16-bit reference.
    ``max_parts`` drops the end of a longer text (``send.php`` reference, ``maxsms``): what is sent
    is the longest beginning of the text that fits. Lone surrogates become U+FFFD.
    Raises ``ValueError`` for ``max_parts`` below 1.
    """
    if max_parts is not None and max_parts < 1:
        raise ValueError("max_parts is less than 1")
    if not languages:
        single = _segment_single(text, is_wide)
        if single is not None:
            return single
    plan = _plan(text, languages, is_wide)
    is_cut = max_parts is not None and len(plan.ends) > max_parts
    if max_parts is not None and is_cut:
        text = _cut_text(text, languages, max_parts, is_wide)
        plan = _plan(text, languages, is_wide)
    if len(plan.ends) == 1:
        payloads: tuple[bytes, ...] = (plan.data,)
    else:
        starts = (0, *plan.ends[:-1])
        payloads = tuple([plan.data[a:b] for a, b in zip(starts, plan.ends, strict=True)])
    if plan.alphabet is Alphabet.UCS2:
        units = len(plan.data) // 2
        parts = tuple([payload.decode("utf-16-be") for payload in payloads])
    else:
        units = len(plan.data)
        parts = (
            (text,)
            if len(payloads) == 1
            else tuple([gsm7.decode(payload, plan.table) for payload in payloads])
        )
    return Segmentation(
        alphabet=plan.alphabet,
        units=units,
        parts=parts,
        payloads=payloads,
        locking=plan.table.locking,
        single=plan.table.single,
        is_wide=is_wide,
        is_cut=is_cut,
    )


def _segment_single(text: str, is_wide: bool) -> Segmentation | None:
    """Take the short way for a text that fits into one message, which most do."""
    folded = gsm7.fold(text)
    if folded is not None:
        data = gsm7.unfold(folded)
        units, alphabet = len(data), Alphabet.GSM7
        if units > _SINGLE_SEPTETS:
            return None
    else:
        try:
            data = text.encode("utf-16-be")
        except UnicodeEncodeError:
            return None
        units, alphabet = len(data) // 2, Alphabet.UCS2
        if units > _SINGLE_UNITS:
            return None
    return Segmentation(alphabet, units, (text,), (data,), is_wide=is_wide)


def encode_part(
    segmentation: Segmentation,
    number: int,
    *,
    reference: int = 0,
    is_flash: bool = False,
    is_packed: bool = False,
) -> EncodedPart:
    """Encode part ``number``, counted from 1, for SMPP ``short_message``.

    ``reference`` must be the same for all parts of a message; its low 8 or 16 bits are used.
    ``is_packed`` packs septets behind the header with fill bits, for upstreams that want the
    user data as it goes over the air; ordinary SMPP carries one octet per septet.
    Raises :class:`UdhError` for a message of more than 255 parts.
    """
    payload = segmentation.payloads[number - 1]
    data_coding = choose_data_coding(segmentation.alphabet, is_flash=is_flash)
    elements: tuple[InformationElement, ...] = ()
    total = len(segmentation.payloads)
    if total > 1:
        elements = (
            build_concatenation(reference, total, number=number, is_wide=segmentation.is_wide),
        )
    if segmentation.locking or segmentation.single:
        elements += build_language(segmentation.locking, segmentation.single)
    udh = build_udh(elements)
    if is_packed and segmentation.alphabet is Alphabet.GSM7:
        payload = gsm7.pack(payload, fill=gsm7.fill_bits(len(udh)))
    return EncodedPart(udh, payload, data_coding)


def _plan(text: str, languages: Sequence[NationalLanguage], is_wide: bool) -> _Plan:
    folded = gsm7.fold(text)
    if folded is not None:
        return _plan_septets(gsm7.unfold(folded), DEFAULT_TABLE, is_wide)
    data = _encode_ucs2(text)
    ends = _cut_units(data, _SINGLE_UNITS)
    if len(ends) > 1:
        ends = _cut_units(data, _PART_UNITS - is_wide)
    best = _Plan(Alphabet.UCS2, DEFAULT_TABLE, data, ends)
    for table in _list_tables(languages):
        folded = gsm7.fold(text, table)
        if folded is None:
            continue
        plan = _plan_septets(gsm7.unfold(folded), table, is_wide)
        # UCS-2 is shown by every handset, a shift table only by some: a tie goes to UCS-2.
        if len(plan.ends) < len(best.ends):
            best = plan
    return best


def _cut_text(
    text: str, languages: Sequence[NationalLanguage], max_parts: int, is_wide: bool
) -> str:
    """Find the longest beginning of a text that fits, whatever alphabet that beginning needs.

    The beginning may be in the 7-bit alphabet although the text is not, and then has more room.
    """
    data = _encode_ucs2(text)
    text = data.decode("utf-16-be")
    size = _SINGLE_UNITS if max_parts == 1 else _PART_UNITS - is_wide
    lengths = {len(data[: _cut_units(data, size)[:max_parts][-1]].decode("utf-16-be"))}
    for table in (DEFAULT_TABLE, *_list_tables(languages)):
        encodable = gsm7.encode(text[: gsm7.count_encodable(text, table)], table)
        size = _count_room(table, is_single=max_parts == 1, is_wide=is_wide)
        end = _cut_septets(encodable, size)[:max_parts][-1]
        lengths.add(len(gsm7.decode(encodable[:end], table)))
    # A shift table may promise more than the plan of that very beginning then keeps, because
    # texts in the default alphabet are never sent with one.
    for length in sorted(lengths, reverse=True):
        if len(_plan(text[:length], languages, is_wide).ends) <= max_parts:
            return text[:length]
    raise AssertionError("the shortest beginning fits by construction")


def _list_tables(languages: Sequence[NationalLanguage]) -> list[Gsm7Table]:
    """List the table pairs to try, those with the shortest header first."""
    if not languages:
        return []
    default = NationalLanguage.DEFAULT
    locking = [language for language in languages if language in LOCKING_TABLES]
    return [
        *[gsm7_table(default, language) for language in languages],
        *[gsm7_table(language, default) for language in locking],
        *[gsm7_table(language, language) for language in locking],
    ]


def _plan_septets(data: bytes, table: Gsm7Table, is_wide: bool) -> _Plan:
    if len(data) <= _count_room(table, is_single=True, is_wide=is_wide):
        return _Plan(Alphabet.GSM7, table, data, (len(data),))
    room = _count_room(table, is_single=False, is_wide=is_wide)
    return _Plan(Alphabet.GSM7, table, data, _cut_septets(data, room))


def _count_room(table: Gsm7Table, *, is_single: bool, is_wide: bool) -> int:
    """Count the septets that fit into one segment behind its header.

    Each shift table named takes 3 octets, the concatenation 5 or 6, and the length octet is there
    when any of them is.
    """
    octets = 3 * (bool(table.locking) + bool(table.single)) + (0 if is_single else 5 + is_wide)
    return (MAX_USER_DATA_OCTETS - (octets + 1 if octets else 0)) * 8 // 7


def _cut_septets(data: bytes, size: int) -> list[int]:
    """Find where segments of unpacked septets end. The escape octet occurs only as an escape."""
    ends = []
    end = 0
    length = len(data)
    while length - end > size:
        end += size
        if data[end - 1] == ESCAPE:
            end -= 1
        ends.append(end)
    ends.append(length)
    return ends


def _cut_units(data: bytes, size: int) -> list[int]:
    """Find where segments of UTF-16BE end."""
    ends = []
    end = 0
    length = len(data)
    while length - end > 2 * size:
        end += 2 * size
        if data[end - 2] & 0xFC == 0xD8:  # a high surrogate: its low half comes next
            end -= 2
        ends.append(end)
    ends.append(length)
    return ends


def _encode_ucs2(text: str) -> bytes:
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError:
        joined = text.encode("utf-16-be", "surrogatepass")
        return joined.decode("utf-16-be", "replace").encode("utf-16-be")
