"""7-bit alphabets: known encodings, packing, what a receiver shows for odd septets."""

from __future__ import annotations

import gsm0338
import pytest

from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.errors import NotGsm7Error
from heliograph.protocols.sms.national_tables import NationalLanguage

_TURKISH = gsm7.gsm7_table(NationalLanguage.TURKISH, NationalLanguage.TURKISH)
_HINDI = gsm7.gsm7_table(NationalLanguage.HINDI, NationalLanguage.HINDI)


def test_every_octet_pair_decodes_as_the_package_gsm0338_does() -> None:
    codec = gsm0338.Codec()
    for code in range(128):
        for octets in (bytes((code,)), bytes((0x1B, code))):
            try:
                expected = codec.decode(octets)[0]
            except UnicodeDecodeError:
                continue  # escapes without a meaning have a test of their own
            if code != 0x1B:
                assert gsm7.decode(octets) == expected
                assert gsm7.encode(expected) == octets


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("", b""),
        ("@", b"\x00"),
        ("Hello", b"Hello"),
        ("@£$_", b"\x00\x01\x02\x11"),
        ("{€}", b"\x1b(\x1be\x1b)"),
        ("a@{b", b"a\x00\x1b(b"),
        ("\f\r\n", b"\x1b\x0a\x0d\x0a"),
    ],
)
def test_encode_and_decode(text: str, octets: bytes) -> None:
    assert gsm7.encode(text) == octets
    assert gsm7.decode(octets) == text
    assert gsm7.septets(text) == len(octets)
    assert gsm7.is_gsm7(text)


@pytest.mark.parametrize("misfit", ["`", "\t", "\0", "\x1b", "ы", "ç", "😀", "\ud83d", "\ufffe"])
def test_characters_outside_the_alphabet(misfit: str) -> None:
    text = f"ab{misfit}c"
    assert not gsm7.is_gsm7(text)
    assert gsm7.fold(text) is None
    assert gsm7.count_encodable(text) == 2
    with pytest.raises(NotGsm7Error) as raised:
        gsm7.encode(text)
    assert raised.value.position == 2
    with pytest.raises(NotGsm7Error):
        gsm7.septets(text)


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"a\x1bab", "aab"),  # no such extension: the character of the default table
        (b"a\x1b\x1bb", "a b"),  # reserved for further tables: a space
        (b"a\x1b", "a"),
        (b"\x1b\x0d", "\r"),
        (b"\x1b\x1b\x1be", " €"),
    ],
)
def test_escapes_a_receiver_does_not_know(octets: bytes, shown: str) -> None:
    assert gsm7.decode(octets) == shown


@pytest.mark.parametrize(
    ("octets", "position"), [(b"ab\x80", 2), (b"a\x1b\xff", 2), (b"a\x1bebc\x80", 5)]
)
def test_octets_above_7f_are_refused_or_replaced(octets: bytes, position: int) -> None:
    with pytest.raises(NotGsm7Error) as raised:
        gsm7.decode(octets)
    assert raised.value.position == position
    assert gsm7.decode(octets, errors="replace").endswith("\ufffd")


def test_national_tables_shorten_their_texts() -> None:
    assert gsm7.encode("ışĞ", _TURKISH) == b"\x07\x1d\x0b"
    assert gsm7.encode("ç^", _TURKISH) == b"\x60\x1b\x14"
    single = gsm7.gsm7_table(NationalLanguage.DEFAULT, NationalLanguage.TURKISH)
    assert gsm7.encode("ış", single) == b"\x1bi\x1bs"
    assert gsm7.septets("नमस्ते", _HINDI) == 6
    assert gsm7.decode(gsm7.encode("नमस्ते ABC €", _HINDI), _HINDI) == "नमस्ते ABC €"
    assert gsm7.encode("@", _HINDI) == b"\x1b\x00"


def test_a_code_without_a_character_is_replaced() -> None:
    bengali = gsm7.gsm7_table(NationalLanguage.BENGALI, NationalLanguage.BENGALI)
    assert gsm7.decode(b"\x0c\x1b\x0d\x1b\x70", bengali, errors="replace") == "\ufffd\rp"


def test_unknown_languages_mean_the_default_tables() -> None:
    table = gsm7.gsm7_table(77, 78)
    assert gsm7.decode(b"\x00\x1be", table) == "@€"


@pytest.mark.parametrize(
    ("unpacked", "packed"),
    [
        (b"", ""),
        (b"a", "61"),
        (b"hellohello", "e8329bfd4697d9ec37"),
        (b"1234567", "31d98c56b3dd00"),
        (b"12345678", "31d98c56b3dd70"),
    ],
)
def test_pack(unpacked: bytes, packed: str) -> None:
    assert gsm7.pack(unpacked).hex() == packed
    assert gsm7.unpack(bytes.fromhex(packed), len(unpacked)) == unpacked
    assert gsm7.unpack(bytes.fromhex(packed)) == unpacked


def test_fill_bits_bring_the_text_to_a_septet_boundary() -> None:
    assert [gsm7.fill_bits(octets) for octets in range(8)] == [0, 6, 5, 4, 3, 2, 1, 0]
    # A concatenation header of 6 octets leaves one fill bit.
    assert gsm7.pack(b"A", fill=1).hex() == "82"
    assert gsm7.unpack(bytes.fromhex("82"), 1, fill=1) == b"A"


def test_unpack_gives_no_more_than_there_is() -> None:
    assert gsm7.unpack(b"\x61", 100) == b"a"
    assert gsm7.unpack(b"", 1) == b""
    assert gsm7.unpack(b"", None, fill=3) == b""


def test_pack_refuses_octets_that_are_not_septets() -> None:
    with pytest.raises(NotGsm7Error) as raised:
        gsm7.pack(b"ab\xc3")
    assert raised.value.position == 2
