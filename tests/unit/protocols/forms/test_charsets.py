"""Spellings of the character sets."""

from __future__ import annotations

import pytest

from heliograph.protocols.forms.charsets import (
    KOI8_R,
    UTF_8,
    WINDOWS_1251,
    Charset,
    find_charset,
)


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("utf-8", UTF_8),
        ("UTF-8", UTF_8),
        ("utf8", UTF_8),
        ("Utf_8", UTF_8),
        ("koi8-r", KOI8_R),
        ("koi8_r", KOI8_R),
        ("koi-8r", KOI8_R),
        ("KOI8R", KOI8_R),
        ("windows-1251", WINDOWS_1251),
        ("Windows_1251", WINDOWS_1251),
        ("cp1251", WINDOWS_1251),
        ("CP-1251", WINDOWS_1251),
        ("", WINDOWS_1251),
        ("utf-16", WINDOWS_1251),
        ("no such thing", WINDOWS_1251),
    ],
)
def test_spellings(name: str, charset: Charset) -> None:
    assert find_charset(name) is charset


def test_another_default_counts_only_without_a_known_name() -> None:
    assert find_charset("", UTF_8) is UTF_8
    assert find_charset("cp1251", UTF_8) is WINDOWS_1251


@pytest.mark.parametrize("charset", [UTF_8, WINDOWS_1251, KOI8_R])
def test_every_byte_decodes(charset: Charset) -> None:
    assert charset.decode("Привет".encode(charset.codec)) == "Привет"
    text = charset.decode(bytes(range(256)))
    assert text[:128] == "".join(map(chr, range(128)))
