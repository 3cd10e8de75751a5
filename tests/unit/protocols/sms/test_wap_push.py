"""WAP-push: the bytes of the reference, other links, titles and lengths."""

from __future__ import annotations

import pytest

from heliograph.protocols.sms.binary import encode_binary_parts, parse_binary
from heliograph.protocols.sms.wap_push import build_wap_push, parse_wap_push_text

_REFERENCE = (
    b"0605040B8423F0DC0601AE02056A0045C60C037761702E72752F0001037761702E7275000101"  # "wap.ru"
)


def test_bytes_of_the_reference() -> None:
    message = build_wap_push("http://wap.ru/", "wap.ru")
    assert message == parse_binary(_REFERENCE, is_hex=True)
    [part] = encode_binary_parts(message)
    assert part.udh + part.payload == bytes.fromhex(_REFERENCE.decode())


@pytest.mark.parametrize(
    ("link", "token", "rest"),
    [
        ("http://a.example", 0x0C, b"a.example"),
        ("http://www.a.example", 0x0D, b"a.example"),
        ("https://a.example", 0x0E, b"a.example"),
        ("https://www.a.example", 0x0F, b"a.example"),
        ("a.example", 0x0B, b"a.example"),
        ("ftp://a.example", 0x0B, b"ftp://a.example"),
    ],
)
def test_beginning_of_the_link_is_a_token(link: str, token: int, rest: bytes) -> None:
    payload = build_wap_push(link, "t").payload
    assert payload[10:] == bytes((token, 0x03)) + rest + b"\0\x01\x03t\0\x01\x01"


def test_title_is_utf8_without_nul() -> None:
    payload = build_wap_push("http://a", "При\0вет").payload
    assert payload.endswith(b"\x03" + "Привет".encode() + b"\0\x01\x01")


def test_long_push_is_split_with_ports_in_every_part() -> None:
    parts = encode_binary_parts(build_wap_push("http://a/" + "x" * 300, "title"))
    assert [part.udh.hex()[-12:] for part in parts] == ["05040b8423f0"] * len(parts)
    assert len(parts) == 3


@pytest.mark.parametrize(
    ("text", "link", "title"),
    [
        ("http://wap.ru\nWAP.RU", "http://wap.ru", "WAP.RU"),
        ("http://wap.ru\r\nTwo\nlines ", "http://wap.ru", "Two\nlines"),
        (" http://wap.ru ", "http://wap.ru", "http://wap.ru"),
    ],
)
def test_text_of_the_api(text: str, link: str, title: str) -> None:
    assert parse_wap_push_text(text) == (link, title)
