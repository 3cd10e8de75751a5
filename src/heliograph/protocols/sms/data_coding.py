"""What the coding octet of a message says, and how its text is read.

Two octets look alike and are not the same. The *data coding scheme* of the radio side (3GPP TS
23.038 section 4) is a set of bit groups. SMPP's ``data_coding`` (SMPP 3.4 section 5.2.19) numbers
alphabets 0-14 and takes the bit groups over from 0x10 on, where 0x10 and 0x18 are in wide use as
the flash variants of 0 and 8.

Incoming text is often not what its octet claims, so :func:`decode_text` never fails: what cannot
be read becomes U+FFFD. Parts of one message must be joined as octets before they are decoded
(:func:`decode_parts`), because peers cut surrogate pairs and escapes between parts.
"""

from __future__ import annotations

import enum
import itertools
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.gsm7 import DEFAULT_TABLE, Gsm7Table

__all__ = [
    "Alphabet",
    "DataCodingScheme",
    "DefaultAlphabet",
    "MessageClass",
    "MessageWaiting",
    "SmppCoding",
    "build_dcs",
    "choose_data_coding",
    "decode_parts",
    "decode_text",
    "parse_data_coding",
    "parse_dcs",
]

DefaultAlphabet = Literal["gsm7", "latin-1", "ascii", "utf-8", "cp1251"]
"""What an upstream or a client means by ``data_coding`` 0 (``system_type`` ISO: Latin-1)."""


class Alphabet(enum.IntEnum):
    """Alphabet of the user data, by its two bits in the data coding scheme."""

    GSM7 = 0
    OCTETS = 1
    UCS2 = 2


class MessageClass(enum.IntEnum):
    """TS 23.038 section 4: where the message goes on arrival. ``FLASH`` is shown at once."""

    FLASH = 0
    PHONE = 1
    SIM = 2
    TERMINAL = 3


class MessageWaiting(enum.IntEnum):
    """Kind of waiting message that an indication announces."""

    VOICEMAIL = 0
    FAX = 1
    EMAIL = 2
    OTHER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCodingScheme:
    """Meaning of a TP-DCS octet; ``waiting`` is set for message waiting indications only."""

    alphabet: Alphabet = Alphabet.GSM7
    message_class: MessageClass | None = None
    is_compressed: bool = False
    is_deleted_after_reading: bool = False
    waiting: MessageWaiting | None = None
    is_waiting_active: bool = False
    is_text_stored: bool = True
    """False when the text of a waiting indication may be discarded."""


def _read_dcs(octet: int) -> DataCodingScheme:
    group = octet >> 4
    if group < 8:
        bits = octet >> 2 & 3
        return DataCodingScheme(
            alphabet=Alphabet.GSM7 if bits == 3 else Alphabet(bits),
            message_class=MessageClass(octet & 3) if octet & 0x10 else None,
            is_compressed=bool(octet & 0x20),
            is_deleted_after_reading=bool(octet & 0x40),
        )
    if group == 0xF:
        return DataCodingScheme(
            alphabet=Alphabet.OCTETS if octet & 4 else Alphabet.GSM7,
            message_class=MessageClass(octet & 3),
        )
    if group >= 0xC:
        return DataCodingScheme(
            alphabet=Alphabet.UCS2 if group == 0xE else Alphabet.GSM7,
            waiting=MessageWaiting(octet & 3),
            is_waiting_active=bool(octet & 8),
            is_text_stored=group != 0xC,
        )
    # Reserved groups: the receiving entity assumes the default alphabet.
    return DataCodingScheme()


_SCHEMES = tuple(_read_dcs(octet) for octet in range(256))


def parse_dcs(octet: int) -> DataCodingScheme:
    """Return the meaning of a TP-DCS octet. Reserved values mean the default alphabet."""
    return _SCHEMES[octet & 0xFF]


def build_dcs(scheme: DataCodingScheme) -> int:
    """Return the octet of a scheme: the general group, or the waiting groups for indications."""
    if scheme.waiting is None:
        octet = scheme.alphabet << 2 | scheme.is_compressed << 5
        octet |= scheme.is_deleted_after_reading << 6
        if scheme.message_class is not None:
            octet |= 0x10 | scheme.message_class
        return octet
    group = 0xD0 if scheme.is_text_stored else 0xC0
    if scheme.alphabet is Alphabet.UCS2:
        group = 0xE0
    return group | scheme.is_waiting_active << 3 | scheme.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppCoding:
    """Meaning of an SMPP ``data_coding``: ``codec`` is None for octets that are not text.

    ``codec`` is ``"default"`` for the default alphabet of the bind, otherwise a Python codec name.
    """

    alphabet: Alphabet
    codec: str | None
    is_flash: bool = False


# SMPP 3.4 section 5.2.19. Pictograms (9) have no standard meaning and are taken as octets.
_NUMBERED = {
    0: (Alphabet.GSM7, "default"),
    1: (Alphabet.OCTETS, "ascii"),
    2: (Alphabet.OCTETS, None),
    3: (Alphabet.OCTETS, "latin-1"),
    4: (Alphabet.OCTETS, None),
    5: (Alphabet.OCTETS, "shift_jis"),
    6: (Alphabet.OCTETS, "iso8859-5"),
    7: (Alphabet.OCTETS, "iso8859-8"),
    8: (Alphabet.UCS2, "utf-16-be"),
    9: (Alphabet.OCTETS, None),
    10: (Alphabet.OCTETS, "iso2022_jp"),
    13: (Alphabet.OCTETS, "euc_jp"),
    14: (Alphabet.OCTETS, "euc_kr"),
}


def _read_data_coding(octet: int) -> SmppCoding:
    if octet in _NUMBERED:
        alphabet, codec = _NUMBERED[octet]
        return SmppCoding(alphabet=alphabet, codec=codec)
    scheme = _SCHEMES[octet]
    if scheme.alphabet is Alphabet.UCS2:
        codec = "utf-16-be"
    else:
        codec = "default" if scheme.alphabet is Alphabet.GSM7 else None
    return SmppCoding(
        alphabet=scheme.alphabet,
        codec=None if scheme.is_compressed else codec,
        is_flash=scheme.message_class is MessageClass.FLASH,
    )


_SMPP_CODINGS = tuple(_read_data_coding(octet) for octet in range(256))


def parse_data_coding(data_coding: int) -> SmppCoding:
    """Return the meaning of an SMPP ``data_coding`` octet."""
    return _SMPP_CODINGS[data_coding & 0xFF]


def choose_data_coding(alphabet: Alphabet, *, is_flash: bool = False) -> int:
    """Return the SMPP ``data_coding`` to send: 0, 4, 8, and 0x10, 0x14, 0x18 for flash."""
    return alphabet << 2 | (0x10 if is_flash else 0)


def decode_text(
    payload: bytes,
    data_coding: int,
    *,
    default_alphabet: DefaultAlphabet = "gsm7",
    table: Gsm7Table = DEFAULT_TABLE,
) -> str:
    """Decode a whole incoming text (without its header); never fails.

    Binary codings are shown as Latin-1. Claims are checked against the octets: UTF-8 under the
    default alphabet, and UTF-16LE, UTF-8 or Windows-1251 under UCS-2, are recognised when the
    claimed reading makes no sense. Zeros, which some programs end their texts with, are no letters.
    """
    codec = _SMPP_CODINGS[data_coding & 0xFF].codec
    if codec == "default":
        text = _decode_default(payload, default_alphabet, table)
    elif codec == "utf-16-be":
        text = _decode_ucs2(payload)
    else:
        text = payload.decode(codec or "latin-1", "replace")
    return text.replace("\0", "")


def decode_parts(
    parts: Iterable[tuple[bytes, int]],
    *,
    default_alphabet: DefaultAlphabet = "gsm7",
    table: Gsm7Table = DEFAULT_TABLE,
) -> str:
    """Decode the ordered parts, ``(payload, data_coding)``, of one message into its text."""
    texts = []
    for data_coding, run in itertools.groupby(parts, key=lambda part: part[1]):
        payload = b"".join(part[0] for part in run)
        texts.append(
            decode_text(payload, data_coding, default_alphabet=default_alphabet, table=table)
        )
    return "".join(texts)


def _decode_default(payload: bytes, default_alphabet: DefaultAlphabet, table: Gsm7Table) -> str:
    if payload.isascii():
        if default_alphabet == "gsm7":
            return gsm7.decode(payload, table, errors="replace")
        return payload.decode("ascii")
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        # Octets above 0x7F are in no 7-bit alphabet: the peer meant its own 8-bit one.
        codec = "latin-1" if default_alphabet in {"gsm7", "ascii", "utf-8"} else default_alphabet
        return payload.decode(codec, "replace")


def _decode_ucs2(payload: bytes) -> str:
    try:
        text = payload.decode("utf-16-be")
    except UnicodeDecodeError:
        text = ""
    if text and text[0] != "\ufeff" and not _is_suspicious(text):
        return text
    if payload[:2] == b"\xff\xfe":
        return payload[2:].decode("utf-16-le", "replace")
    if payload[:2] == b"\xfe\xff":
        return payload[2:].decode("utf-16-be", "replace")
    return _read_false_ucs2(payload) or payload.decode("utf-16-be", "replace")


# Characters of everyday messages in the scripts whose users meet broken gateways: Latin,
# Cyrillic, and the general punctuation, currency and letter-like signs.
_EVERYDAY = frozenset(
    chr(point)
    for span in ((0x0A, 0x0B), (0x0D, 0x0E), (0x20, 0x7F), (0xA0, 0x180), (0x400, 0x530))
    for point in range(*span)
) | frozenset("–—‘’‚“”„•…‹›€₽№™")
_MIN_GUESSED_UNITS = 4
_MIN_GUESSED_ASCII_UNITS = 8


def _is_suspicious(text: str) -> bool:
    """Tell whether a UCS-2 reading has not one everyday character.

    Texts in other scripts are suspicious too; they stay as they are unless another reading of the
    same octets is convincing.
    """
    return len(text) >= _MIN_GUESSED_UNITS and _EVERYDAY.isdisjoint(text)


def _read_false_ucs2(payload: bytes) -> str | None:
    """Read octets that claim to be UCS-2 as what they may be instead, or None.

    The thresholds keep real Chinese, Japanese and Korean texts safe: their octets may be printable
    in another encoding, but hardly everyday characters, mostly small letters, and with spaces.
    """
    units = len(payload) // 2
    for codec in ("utf-16-le", "utf-8", "cp1251"):
        try:
            text = payload.decode(codec)
        except UnicodeDecodeError:
            continue
        if not text or not _EVERYDAY.issuperset(text):
            continue
        if codec == "utf-16-le":
            return text
        small = sum(character == " " or character.islower() for character in text)
        if small * 2 < len(text):
            continue
        if text.isascii():
            is_convincing = units >= _MIN_GUESSED_ASCII_UNITS and " " in text
        else:
            is_convincing = codec == "utf-8" or _is_implausible(payload)
        if is_convincing:
            return text
    return None


def _is_implausible(payload: bytes) -> bool:
    """Tell whether octets as UCS-2 have unassigned or private-use characters, or do not decode.

    Small Cyrillic letters of Windows-1251 (0xE0-0xFF) land in the private-use area.
    """
    try:
        text = payload.decode("utf-16-be")
    except UnicodeDecodeError:
        return True
    return any(unicodedata.category(character) in {"Cn", "Co"} for character in text)
