"""Cutting texts: published sample counts, pairs at the edges, national tables, ``maxsms``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heliograph.protocols.sms.data_coding import Alphabet
from heliograph.protocols.sms.errors import UdhError
from heliograph.protocols.sms.national_tables import NationalLanguage
from heliograph.protocols.sms.segmentation import EncodedPart, count_parts, encode_part, segment

_SAMPLES = json.loads(Path(__file__).with_name("segments.json").read_text(encoding="utf-8"))
_ALPHABETS = {"GSM-7": Alphabet.GSM7, "UCS-2": Alphabet.UCS2}
_TURKISH = [NationalLanguage.TURKISH]


@pytest.mark.parametrize("sample", _SAMPLES, ids=lambda sample: sample["name"])
def test_samples(sample: dict[str, Any]) -> None:
    text, alphabet = sample["text"], _ALPHABETS[sample["encoding"]]
    cut = segment(text)
    assert (cut.alphabet, cut.units, len(cut.parts)) == (
        alphabet,
        sample["units"],
        sample["segments"],
    )
    assert count_parts(text) == (alphabet, sample["segments"])
    assert cut.text == text
    assert "".join(cut.parts) == text
    assert not cut.is_cut


def test_an_empty_text_is_one_part() -> None:
    assert count_parts("") == (Alphabet.GSM7, 1)
    assert segment("").parts == ("",)


def test_a_pair_moves_whole_to_the_next_part() -> None:
    escape = segment("a" * 152 + "{" + "b" * 20)
    assert escape.parts == ("a" * 152, "{" + "b" * 20)
    surrogates = segment("ы" * 66 + "😀" + "ы" * 60)
    assert surrogates.parts == ("ы" * 66, "😀" + "ы" * 60)


def test_a_wide_reference_leaves_less_room() -> None:
    assert [len(part) for part in segment("a" * 161, is_wide=True).parts] == [152, 9]
    assert [len(part) for part in segment("ы" * 71, is_wide=True).parts] == [66, 5]
    assert segment("a" * 160, is_wide=True).parts == ("a" * 160,)
    assert count_parts("ы" * 67 * 2, is_wide=True) == (Alphabet.UCS2, 3)


def test_lone_surrogates_are_replaced_and_split_pairs_joined() -> None:
    assert segment("a\ud83d").text == "a\ufffd"
    assert segment("a\ud83d\ude00").text == "a😀"
    assert count_parts("\udfff" * 71) == (Alphabet.UCS2, 2)
    assert segment("\ud800" * 71).text == "\ufffd" * 71


@pytest.mark.parametrize(
    ("text", "max_parts", "sent"),
    [
        ("a" * 161, 1, "a" * 160),
        ("a" * 1000, 2, "a" * 306),
        ("a" * 306, 2, "a" * 306),
        ("ы" * 71, 1, "ы" * 70),
        ("ы" * 1000, 3, "ы" * 201),
        ("ы" * 69 + "😀", 1, "ы" * 69),
        ("a" * 159 + "{}", 1, "a" * 159),
        ("a" * 152 + "{" * 200, 2, "a" * 152 + "{" * 76),
        # The beginning without the Cyrillic end is 7-bit and has more room.
        ("a" * 200 + "ы", 1, "a" * 160),
        ("a" * 100 + "ы" * 100, 1, "a" * 100),
        ("a" * 60 + "ы" * 100, 1, "a" * 60 + "ы" * 10),
        ("a" * 70 + "ы", 1, "a" * 70),
        ("a\ud83d" + "ы" * 100, 1, "a\ufffd" + "ы" * 68),
    ],
)
def test_max_parts_cuts_the_text(text: str, max_parts: int, sent: str) -> None:
    cut = segment(text, max_parts=max_parts)
    assert cut.text == sent
    assert cut.is_cut == (len(sent) < len(text))
    assert len(cut.parts) <= max_parts
    assert count_parts(sent) == (cut.alphabet, len(cut.parts))


def test_max_parts_with_national_tables() -> None:
    cut = segment("ş" * 500, languages=_TURKISH, max_parts=1)
    assert cut.text == "ş" * 155
    assert cut.locking is NationalLanguage.TURKISH
    # The euro is two septets by default and one in the Turkish table, but a text of the
    # default table is never sent with another one.
    assert segment("€" * 500, languages=_TURKISH, max_parts=1).text == "€" * 80


def test_max_parts_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_parts"):
        segment("a", max_parts=0)


def test_national_tables_are_used_when_they_save_parts() -> None:
    text = "ığüşöç " * 20
    assert count_parts(text) == (Alphabet.UCS2, 3)
    assert count_parts(text, languages=_TURKISH) == (Alphabet.GSM7, 1)
    cut = segment(text, languages=_TURKISH)
    assert (cut.locking, cut.single) == (NationalLanguage.TURKISH, NationalLanguage.DEFAULT)
    assert encode_part(cut, 1).udh.hex() == "03250101"
    # A short text is one part either way, and UCS-2 is shown by every handset.
    assert segment("ışık", languages=_TURKISH).alphabet is Alphabet.UCS2
    # A single odd letter is cheaper behind an escape than a table for everything.
    assert segment("á" + "Δ" * 100, languages=[NationalLanguage.SPANISH]).single == 2


def test_room_beside_national_tables() -> None:
    hindi = [NationalLanguage.HINDI]
    assert count_parts("न" * 155, languages=hindi) == (Alphabet.GSM7, 1)
    assert count_parts("न" * 156, languages=hindi) == (Alphabet.GSM7, 2)
    # With the concatenation beside one table 149 septets are left, beside two 146.
    assert [len(part) for part in segment("न" * 300, languages=hindi).parts] == [149, 149, 2]
    both = segment("न" * 290 + "A", languages=hindi)
    assert [len(payload) for payload in both.payloads] == [146, 146]
    first = encode_part(both, 1, reference=0x105)
    assert first.udh.hex() == "0b" + "0003050201" + "240106" + "250106"
    assert len(first.udh) + -(-len(first.payload) * 7 // 8) <= 140


def test_encoded_parts() -> None:
    assert encode_part(segment("@{"), 1) == EncodedPart(b"", b"\x00\x1b\x28", 0)
    assert encode_part(segment("ы"), 1) == EncodedPart(b"", b"\x04\x4b", 8)
    assert encode_part(segment("a"), 1, is_flash=True).data_coding == 0x10
    assert encode_part(segment("ы"), 1, is_flash=True).data_coding == 0x18
    cut = segment("ы" * 80)
    assert encode_part(cut, 2, reference=0x1234) == EncodedPart(
        bytes.fromhex("050003340202"), b"\x04\x4b" * 13, 8
    )
    wide = segment("ы" * 80, is_wide=True)
    assert encode_part(wide, 1, reference=0x1234).udh.hex() == "06080412340201"


def test_packed_parts_fill_140_octets() -> None:
    cut = segment("a" * 306)
    packed = encode_part(cut, 1, is_packed=True)
    assert len(packed.udh) + len(packed.payload) == 140
    assert encode_part(segment("A" * 161), 2, is_packed=True).payload[:1] == b"\x82"
    assert encode_part(segment("ы"), 1, is_packed=True).payload == b"\x04\x4b"


def test_more_than_255_parts_cannot_be_encoded() -> None:
    cut = segment("a" * (153 * 255 + 1))
    assert len(cut.parts) == 256
    with pytest.raises(UdhError):
        encode_part(cut, 1)
