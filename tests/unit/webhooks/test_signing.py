"""Settings inside callback addresses, and the hashes; with the worked example of 2.4."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from heliograph.webhooks.signing import hash_text, read_address

STATUS = {"id": "1234", "phone": "79999999999", "status": "1", "ts": "1476794052"}
INCOMING = {"phone": "123", "mes": "text", "to": "234"}
WAITCALL = {"phone": "79261234567", "waitcall": "1", "ts": "1476794052"}


def test_the_worked_example_of_the_reference() -> None:
    address = read_address("http://example.com/h?sha1=zxc")
    assert address.sign("incoming", INCOMING) == [
        ("sha1", "b6f768ce7614d7858cc4a6116f8ffd0dc236a3cd")
    ]


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        ("status", STATUS, "1234:79999999999:1"),
        ("incoming", INCOMING, "123:text:234"),
        ("waitcall", WAITCALL, "79261234567:1476794052"),
    ],
)
def test_what_is_hashed(kind: str, payload: dict[str, str], expected: str) -> None:
    assert hash_text(kind, payload) == expected
    text = f"{expected}:s".encode()
    address = read_address("http://e.com/?md5=s&sha1=s&crc32=s")
    assert address.sign(kind, payload) == [
        ("md5", hashlib.md5(text).hexdigest()),
        ("sha1", hashlib.sha1(text).hexdigest()),
        ("crc32", str(zlib.crc32(text))),
    ]


@pytest.mark.parametrize(("charset", "codec"), [("utf-8", "utf-8"), ("windows-1251", "cp1251")])
def test_hashes_are_over_the_bytes_that_are_sent(charset: str, codec: str) -> None:
    address = read_address(f"http://e.com/?charset={charset}&sha1=zxc")
    payload = {"phone": "123", "mes": "Привет, мир", "to": "234"}
    expected = hashlib.sha1("123:Привет, мир:234:zxc".encode(codec)).hexdigest()
    assert address.sign("incoming", payload) == [("sha1", expected)]


@pytest.mark.parametrize(
    ("address", "url", "codec", "secrets"),
    [
        ("http://e.com/h", "http://e.com/h", "cp1251", ()),
        (" http://e.com/h#top ", "http://e.com/h", "cp1251", ()),
        ("http://e.com/h?charset=utf-8&sha1=a", "http://e.com/h", "utf-8", (("sha1", b"a"),)),
        ("http://e.com/h?a=1&md5=x&b=%20", "http://e.com/h?a=1&b=%20", "cp1251", (("md5", b"x"),)),
        ("http://e.com/h?charset=KOI8_R", "http://e.com/h", "koi8-r", ()),
        ("http://e.com/h?charset=klingon", "http://e.com/h", "cp1251", ()),
        ("http://e.com/h?md5=a%26b+c", "http://e.com/h", "cp1251", (("md5", b"a&b c"),)),
        ("http://e.com/h?md5=", "http://e.com/h", "cp1251", ()),
        ("http://e.com/h?sha1x=1&xmd5=2", "http://e.com/h?sha1x=1&xmd5=2", "cp1251", ()),
        ("http://e.com/h?", "http://e.com/h", "cp1251", ()),
    ],
)
def test_settings_are_taken_out_of_the_address(
    address: str, url: str, codec: str, secrets: tuple[tuple[str, bytes], ...]
) -> None:
    read = read_address(address)
    assert (read.url, read.codec, read.secrets) == (url, codec, secrets)


def test_secrets_are_not_shown() -> None:
    assert "topsecret" not in repr(read_address("http://e.com/?md5=topsecret"))
