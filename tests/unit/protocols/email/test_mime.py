"""Mails as libraries and mail programs write them, and as nobody should."""

from __future__ import annotations

import base64
import quopri
import time
from contextlib import suppress
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.email.mime import MailError, decode_text, parse_mail

TEXT = "alex:123::::79161234567:Привет, мир"


@pytest.mark.parametrize(
    "charset",
    ["koi8-r", "windows-1251", "cp1251", "utf-8", "UTF8", "iso-8859-5", "cp866", "mac-cyrillic",
     "utf-16", "koi8-u"],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["", "7bit", "8bit", "binary", "base64", "quoted-printable"])
def test_every_charset_in_every_transfer_encoding(charset: str, encoding: str) -> None:
    body = TEXT.encode(charset)
    if encoding == "base64":
        body = base64.encodebytes(body)
    elif encoding == "quoted-printable":
        body = quopri.encodestring(body)
    elif charset == "utf-16":
        return  # its bytes hold what every parser takes for line breaks
    head = f"Content-Type: text/plain; charset={charset}\r\n"
    if encoding:
        head += f"Content-Transfer-Encoding: {encoding}\r\n"
    assert parse_mail(head.encode() + b"\r\n" + body).text.strip() == TEXT


@pytest.mark.parametrize("charset", ["koi8-r", "utf-8"])
def test_without_a_charset_it_is_koi8_or_plainly_utf8(charset: str) -> None:
    body = TEXT.encode(charset)
    for head in (
        b"",
        b"\r\n",
        b"Content-Type: text/plain\r\n\r\n",
        b"Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        b"Content-Type: text/plain; charset=no-such-thing\r\n\r\n",
        b"Content-Type: text/plain; charset=\r\n\r\n",
        b"\r\n\r\n",
    ):
        assert parse_mail(head + body).text.strip() == TEXT


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "zip", "hex", "rot13", "unicode_escape", "base64", "undefined"]
)
def test_what_is_no_charset_is_none(charset: str) -> None:
    assert decode_text(TEXT.encode(), charset) == TEXT


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_lines_may_end_in_any_way(end: str) -> None:
    mail = parse_mail(f"Subject: x{end}X-Y: z{end} more{end}{end}one{end}two".encode())
    assert mail.text == "one\ntwo"
    assert mail.subject == "x"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n",
        b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0300\r\n",
        b"Received: from a\r\n\tby b; Mon, 1 Jan 2024 00:00:00 +0300\r\nX-Spam: no\r\n",
        b"Return-Path: <a@b.c>\r\nReceived: by b\r\n\r\n",
    ],
)
def test_a_body_is_found_without_headers_and_without_an_empty_line(head: bytes) -> None:
    assert parse_mail(head + TEXT.encode()).text == TEXT
    assert parse_mail(head + b"[text]" + TEXT.encode()).text == "[text]" + TEXT


def test_a_relay_may_put_headers_below_the_body_too() -> None:
    above = b"Received: by relay; Mon, 1 Jan 2024\r\n"
    below = b"\r\nMessage-Id: <1@relay>\r\nDate: Mon, 1 Jan 2024\r\nFrom: a@b.c\r\n\r\n"
    assert parse_mail(above + TEXT.encode() + below).text.strip() == TEXT
    assert parse_mail((above + TEXT.encode() + below)[:-2]).text.strip() == TEXT
    more = parse_mail(above + TEXT.encode() + below + b"more\r\n\r\nFrom: me").text
    assert more == TEXT + "\n\nmore\n\nFrom: me"
    assert parse_mail(TEXT.encode() + b"\r\nFrom: me").text == TEXT + "\nFrom: me"


def test_headers_nobody_knows_are_headers() -> None:
    mail = parse_mail(b"Wonder: 12:30:00\r\nThread-Index: x\r\n\r\nbody")
    assert mail.text == "body"


def test_the_plain_part_is_preferred() -> None:
    message = EmailMessage()
    message["Subject"] = "Тема письма"
    message["From"] = "Анна <anna@example.com>"
    message.set_content("plain Ж")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(b"\x00\x01" * 60, maintype="image", subtype="png", filename="../a.png")
    message.add_attachment("текст", filename="звук.txt")
    mail = parse_mail(bytes(message))
    assert mail.text.strip() == "plain Ж"
    assert not mail.is_html
    assert mail.subject == "Тема письма"
    assert mail.sender == "anna@example.com"
    assert [(f.name, f.content_type) for f in mail.files] == [
        ("a.png", "image/png"),
        ("звук.txt", "text/plain"),
    ]
    assert mail.files[0].content == b"\x00\x01" * 60


def test_html_is_said_to_be_html() -> None:
    message = EmailMessage()
    message.set_content("<p>html</p>", subtype="html")
    mail = parse_mail(bytes(message))
    assert mail.is_html
    assert mail.text.strip() == "<p>html</p>"


def test_soft_breaks_are_joined() -> None:
    head = b"Content-Type: text/plain; format=flowed; charset=utf-8"
    assert parse_mail(head + b"\r\n\r\none \r\ntwo\r\n three\r\n").text == "one two\nthree\n"
    assert parse_mail(head + b"; delsp=yes\r\n\r\none \r\ntwo").text == "onetwo"


@pytest.mark.parametrize(
    ("value", "subject"),
    [
        (b"=?utf-8?B?0JrQvtC0?=", "Код"),
        (b"=?koi8-r?Q?=EB=CF=C4?= 1", "Код 1"),
        ("Код".encode("koi8-r"), "Код"),
        ("Код".encode(), "Код"),
        (b"=?utf-8?B?broken", "=?utf-8?B?broken"),
        (b"=?no-such?Q?Kod?=", "Kod"),
        (b"two\r\n lines", "two lines"),
    ],
)
def test_subjects(value: bytes, subject: str) -> None:
    assert parse_mail(b"Subject: " + value + b"\r\n\r\nx").subject == subject


def test_bytes_are_kept_for_binary_orders() -> None:
    body = bytes(range(128, 256))
    mail = parse_mail(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body)
    assert mail.raw.encode("latin-1") == body


def test_nul_does_not_get_into_texts() -> None:
    assert parse_mail(b"\r\na\0b").text == "ab"


def nested(depth: int) -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)
        for i in range(depth)
    )
    return head + b"Content-Type: text/plain\r\n\r\nx"


@pytest.mark.parametrize(
    "data",
    [nested(21), nested(1500), b"Content-Type: message/rfc822\r\n\r\n" * 2000],
    ids=["21 deep", "1500 deep", "2000 mails in mails"],
)
def test_mails_in_mails_in_mails_are_refused(data: bytes) -> None:
    with pytest.raises(MailError):
        parse_mail(data)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("anna@example.com", "anna@example.com"),
        ("Anna <anna@example.com>", "anna@example.com"),
        ('"anna@other.com" <anna@example.com> (home)', "anna@example.com"),
        ("(comment) anna@example.com", "anna@example.com"),
        ("nobody", ""),
        ("<>", ""),
    ],
)
def test_the_sender(value: str, address: str) -> None:
    assert parse_mail(f"From: {value}\r\n\r\nx".encode()).sender == address


@pytest.mark.parametrize(
    "data",
    [
        nested(20) + b"\r\n--b0" * 15_000,
        b"A: b\r\n" * 16_000,
        b"\r\n" * 50_000,
        b"Subject:" + b" =?utf-8?q?x?=" * 7_000,
        b"Subject:" + b"(" * 100_000,
        b"From:" + b"(" * 100_000,
        b'From: "' + b"\\" * 100_000,
        b"From:" + b"<" * 50_000 + b"@" * 50_000,
        b"Content-Type: text/plain" + b"; a*0=b" * 14_000 + b"\r\n\r\nx",
        b"Content-Type: text/plain; charset=" + b"x" * 100_000 + b"\r\n\r\nx",
        b"Content-Disposition: attachment" + b'; filename*0*="a"' * 6_000 + b"\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 100_000,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 33_000,
    ],
)  # fmt: skip
def test_no_mail_is_slow(data: bytes) -> None:
    began = time.process_time()
    parse_mail(data)
    assert time.process_time() - began < 2.0


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_a_mail_error(data: bytes) -> None:
    with suppress(MailError):
        parse_mail(data)


_PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html",
     b"text/plain; charset=", b"koi8-r", b"utf-7", b"--b", b"--b--", b"Content-Disposition: ",
     b"attachment; filename*=utf-8''%ff", b"Content-Transfer-Encoding: base64", b"message/rfc822",
     b"Content-Transfer-Encoding: x-uuencode", b"begin 644 x", b"Subject: =?x?b?=?=", b"From: <",
     b"\xff", b"\x00", b"a:b:c:d:e:f:g", b"; format=flowed; delsp=yes", b"=?", b" "]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30))
def test_any_pieces_of_mails_are_a_mail_or_a_mail_error(pieces: list[bytes]) -> None:
    with suppress(MailError):
        parse_mail(b"".join(pieces))
