"""Coding octets and the reading of texts that are not what their octet claims."""

from __future__ import annotations

import pytest

from heliograph.protocols.sms.data_coding import (
    Alphabet,
    DataCodingScheme,
    MessageClass,
    MessageWaiting,
    build_dcs,
    choose_data_coding,
    decode_parts,
    decode_text,
    parse_data_coding,
    parse_dcs,
)

_CYRILLIC = "Ваш код: 482913"


@pytest.mark.parametrize(
    ("octet", "scheme"),
    [
        (0x00, DataCodingScheme()),
        (0x04, DataCodingScheme(alphabet=Alphabet.OCTETS)),
        (0x08, DataCodingScheme(alphabet=Alphabet.UCS2)),
        (0x10, DataCodingScheme(message_class=MessageClass.FLASH)),
        (0x18, DataCodingScheme(alphabet=Alphabet.UCS2, message_class=MessageClass.FLASH)),
        (0x1B, DataCodingScheme(alphabet=Alphabet.UCS2, message_class=MessageClass.TERMINAL)),
        (0x20, DataCodingScheme(is_compressed=True)),
        (0x48, DataCodingScheme(alphabet=Alphabet.UCS2, is_deleted_after_reading=True)),
        (
            0xC8,
            DataCodingScheme(
                waiting=MessageWaiting.VOICEMAIL, is_waiting_active=True, is_text_stored=False
            ),
        ),
        (0xD2, DataCodingScheme(waiting=MessageWaiting.EMAIL)),
        (
            0xE9,
            DataCodingScheme(
                alphabet=Alphabet.UCS2, waiting=MessageWaiting.FAX, is_waiting_active=True
            ),
        ),
    ],
)
def test_scheme_octets(octet: int, scheme: DataCodingScheme) -> None:
    assert parse_dcs(octet) == scheme
    assert build_dcs(scheme) == octet


@pytest.mark.parametrize(
    ("octet", "alphabet", "message_class"),
    [
        (0xF0, Alphabet.GSM7, MessageClass.FLASH),
        (0xF5, Alphabet.OCTETS, MessageClass.PHONE),
        (0xF6, Alphabet.OCTETS, MessageClass.SIM),
        (0x0C, Alphabet.GSM7, None),
        (0x80, Alphabet.GSM7, None),
        (0xB7, Alphabet.GSM7, None),
    ],
)
def test_scheme_octets_with_another_spelling(
    octet: int, alphabet: Alphabet, message_class: MessageClass | None
) -> None:
    scheme = parse_dcs(octet)
    assert (scheme.alphabet, scheme.message_class) == (alphabet, message_class)
    assert parse_dcs(build_dcs(scheme)) == scheme


def test_every_octet_survives_parse_and_build() -> None:
    for octet in range(256):
        scheme = parse_dcs(octet)
        assert parse_dcs(build_dcs(scheme)) == scheme


@pytest.mark.parametrize(
    ("data_coding", "codec", "is_flash"),
    [
        (0, "default", False),
        (1, "ascii", False),
        (2, None, False),
        (3, "latin-1", False),
        (4, None, False),
        (6, "iso8859-5", False),
        (8, "utf-16-be", False),
        (0x10, "default", True),
        (0x11, "default", False),
        (0x14, None, True),
        (0x18, "utf-16-be", True),
        (0xF0, "default", True),
        (0xF1, "default", False),
        (0xF5, None, False),
        (0xE0, "utf-16-be", False),
        (0x20, None, False),
    ],
)
def test_smpp_data_coding(data_coding: int, codec: str | None, is_flash: bool) -> None:
    coding = parse_data_coding(data_coding)
    assert (coding.codec, coding.is_flash) == (codec, is_flash)


def test_data_coding_to_send() -> None:
    sent = [(choose_data_coding(a), choose_data_coding(a, is_flash=True)) for a in Alphabet]
    assert sent == [(0, 0x10), (4, 0x14), (8, 0x18)]


@pytest.mark.parametrize(
    ("payload", "data_coding", "text"),
    [
        (b"Hello \x00\x1be", 0, "Hello @€"),
        (b"Hello", 1, "Hello"),
        (b"caf\xe9", 3, "café"),
        ("Привет".encode("iso8859-5"), 6, "Привет"),
        (_CYRILLIC.encode("utf-16-be"), 8, _CYRILLIC),
        (_CYRILLIC.encode("utf-16-be"), 0x18, _CYRILLIC),
        ("😀".encode("utf-16-be"), 8, "😀"),
        (b"\x01\xff", 4, "\x01ÿ"),
        (b"", 8, ""),
        (b"", 0, ""),
    ],
)
def test_text_as_claimed(payload: bytes, data_coding: int, text: str) -> None:
    assert decode_text(payload, data_coding) == text


def test_default_alphabet_of_the_bind() -> None:
    assert decode_text(b"a@b_$", 0, default_alphabet="latin-1") == "a@b_$"
    assert decode_text(b"caf\xe9", 0, default_alphabet="latin-1") == "café"
    assert decode_text("код".encode("cp1251"), 0, default_alphabet="cp1251") == "код"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (_CYRILLIC.encode("utf-16-le"), _CYRILLIC),
        ("Your code".encode("utf-16-le"), "Your code"),
        (("\ufeff" + _CYRILLIC).encode("utf-16-be"), _CYRILLIC),
        (("\ufeff" + _CYRILLIC).encode("utf-16-le"), _CYRILLIC),
        ("Привет, это код".encode(), "Привет, это код"),
        ("Привет, это код".encode("cp1251"), "Привет, это код"),
        (b"your code is here, ", "your code is here, "),
        (b"\xd8\x3d" + "АБ".encode("utf-16-be"), "\ufffdАБ"),
        ("АБ".encode("utf-16-be") + b"\x04", "АБ\ufffd"),
    ],
)
def test_false_ucs2_is_recognised(payload: bytes, text: str) -> None:
    assert decode_text(payload, 8) == text


@pytest.mark.parametrize(
    "text",
    [
        "你好，世界朋友们",
        "七一一七",
        "安全提醒您的验证码请勿泄露",
        "안녕하세요 여러분",
        "한국어텍스트입니다",
        "こんにちは世界",
        "ありがとうございます",
        "مرحبا",
        "გამარჯობა",
        "สวัสดีครับ",
        "नमस्ते",
        "שלום לכם",
        "😀😀😀😀",
        "Ελληνικά",
        "Բարեւ ձեզ",
        "ы",
    ],
)
def test_true_ucs2_is_left_alone(text: str) -> None:
    assert decode_text(text.encode("utf-16-be"), 8) == text


def test_eight_bit_text_under_the_default_alphabet() -> None:
    assert decode_text("Привет".encode(), 0) == "Привет"
    assert decode_text(b"caf\xe9", 0) == "café"


def test_parts_are_joined_before_they_are_decoded() -> None:
    emoji = "a😀b".encode("utf-16-be")
    assert decode_parts([(emoji[:4], 8), (emoji[4:], 8)]) == "a😀b"
    assert decode_parts([(b"a\x1b", 0), (b"eb", 0)]) == "a€b"
    assert decode_parts([(b"abc ", 0), ("где".encode("utf-16-be"), 8)]) == "abc где"
    assert decode_parts([]) == ""


@pytest.mark.parametrize(
    ("payload", "data_coding", "text"),
    [("one\0".encode("utf-16-be"), 8, "one"), (b"o\0ne", 3, "one"), (b"one\0", 0, "one@")],
)
def test_zero_octets_are_no_characters(payload: bytes, data_coding: int, text: str) -> None:
    assert decode_text(payload, data_coding) == text


def test_no_octets_make_it_fail() -> None:
    for data_coding in range(256):
        for payload in (
            b"\x1b",
            b"\xff\xff\xff",
            b"\xd8\x00",
            b"\xfe\xff",
            b"\xff\xfe\x00",
            b"\x80",
        ):
            assert isinstance(decode_text(payload, data_coding), str)
