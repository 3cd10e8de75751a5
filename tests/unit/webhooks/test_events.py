"""Bodies of calls, read back by the standard library's form parser."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from heliograph.domain.events import OutboxEvent
from heliograph.webhooks.events import write_body, write_headers
from heliograph.webhooks.signing import read_address


def event(payload: dict[str, str], *, kind: str = "status", attempts: int = 0) -> OutboxEvent:
    return OutboxEvent(
        id=5,
        account_id=1,
        message_id=9,
        kind=kind,
        payload=payload,
        created_at=0,
        attempts=attempts,
    )


def test_the_body_of_the_reference() -> None:
    payload = {
        "id": "1234",
        "phone": "79999999999",
        "status": "1",
        "time": "18.10.2016 15:34:12",
        "ts": "1476794052",
        "err": "0",
    }
    assert write_body(event(payload), read_address("http://e.com/")) == (
        b"id=1234&phone=79999999999&status=1&time=18.10.2016+15%3A34%3A12&ts=1476794052&err=0"
    )


@pytest.mark.parametrize("codec", ["utf-8", "windows-1251", "koi8-r"])
@pytest.mark.parametrize(
    "text",
    ["", "a b+c", "&=%", "Привет", "line\r\nbreak\x00", "a@b.example", "²½", "٣٤", "18.10 15:34"],
)
def test_every_text_comes_back(text: str, codec: str) -> None:
    body = write_body(
        event({"phone": "1", "mes": text, "to": "2"}, kind="incoming"),
        read_address(f"http://e.com/?charset={codec}"),
    )
    got = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding=codec))
    assert got == {"phone": "1", "mes": text.encode(codec, "replace").decode(codec), "to": "2"}


def test_hashes_follow_the_values() -> None:
    body = write_body(
        event({"phone": "123", "mes": "text", "to": "234"}, kind="incoming"),
        read_address("http://e.com/?sha1=zxc"),
    )
    assert body.endswith(b"&sha1=b6f768ce7614d7858cc4a6116f8ffd0dc236a3cd")


def test_headers_tell_a_repeated_call() -> None:
    assert write_headers(event({}, attempts=2)) == {"X-Event-Id": "5", "X-Event-Attempt": "3"}
