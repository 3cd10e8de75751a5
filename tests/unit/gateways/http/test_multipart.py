"""Multipart bodies in the shapes of the official libraries and of others, over a real socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gateways.http.fakes import Door

from heliograph.gateways.http.multipart import (
    MAX_PARTS,
    UploadedFile,
    boundary_of,
    parse_multipart,
)

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes, *, filename: str | None = None, headers: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{headers}\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def fields(**values: str) -> list[bytes]:
    return [part(name, value.encode()) for name, value in values.items()]


async def test_the_javascript_library(door: Door) -> None:
    """Every call is a multipart form, its first fields fmt, login, psw, charset."""
    body = form(
        *fields(fmt="3", login="alex", psw="123", charset="utf-8"),
        *fields(phones="79999999999", mes="Привет,\r\nмир = & + %41"),
    )
    reply = await door.post("/sys/send.php", body, KIND)
    assert reply.body == b'{\n"id": 1234,\n"cnt": 1\n}'
    assert door.services.submit.sent[0].entries[0].text == "Привет,\r\nмир = & + %41"
    reply = await door.post(
        "/sys/balance.php", form(*fields(fmt="3", login="alex", psw="123", cur="1")), KIND
    )
    assert reply.body == b'{\n"balance": "100.50",\n"currency": "RUR"\n}'


@pytest.mark.parametrize("charset", ["utf-8", "windows-1251"])
async def test_the_csharp_library(door: Door, charset: str) -> None:
    """Its text parts are percent-encoded once more, and say so by a transfer encoding."""
    headers = (
        f'Content-Type: text/plain; charset="{charset}"\r\nContent-Transfer-Encoding: binary\r\n'
    )
    codec = "cp1251" if charset == "windows-1251" else charset
    escaped = "".join(f"%{octet:02x}" for octet in "Привет".encode(codec)) + "+1%2b1"
    photo = b"\x00\xff\r\n--" * 50
    body = form(
        part("login", b"alex", headers=headers),
        part("psw", b"123", headers=headers),
        part("fmt", b"1", headers=headers),
        part("charset", charset.encode(), headers=headers),
        part("phones", b"%2b79999999999", headers=headers),
        part("mes", escaped.encode(), headers=headers),
        part("subj", b"100% sure", headers=headers),
        part("File1", photo, filename="a.jpg", headers="Content-Type: image/jpeg\r\n"),
    )
    assert (await door.post("/sys/send.php", body, KIND)).body == b"1234,1"
    request = door.services.submit.sent[0]
    assert request.entries[0].text == "Привет 1+1"
    assert request.entries[0].recipients == ["+79999999999"]
    assert request.options["subject"] == "100% sure"
    assert request.options["files"] == [("a.jpg", "image/jpeg", photo)]


async def test_percents_stay_without_the_transfer_encoding(door: Door) -> None:
    body = form(*fields(login="alex", psw="123", phones="7999", mes="%41"))
    await door.post("/sys/send.php", body, KIND)
    assert door.services.submit.sent[0].entries[0].text == "%41"


async def test_the_php_library(door: Door) -> None:
    """Parameters and files in one body; old curl puts a zero byte before a leading @."""
    body = form(
        *fields(login="alex", psw="123", fmt="1", charset="utf-8", cost="3", id="0"),
        *fields(translit="0", phones="79999999999", mes="\0@home", mms="1", subj="Hi"),
        part("file0", b"\xff\xd8" + b"x" * 200, filename="C:\\dir\\a.jpg"),
        part("file1", b"GIF89a", filename="../../b.gif", headers="Content-Type: image/gif\r\n"),
        part("file2", b"", filename=""),
    )
    assert (await door.post("/sys/send.php", body, KIND)).body == b"1234,1,1.40,100.50"
    request = door.services.submit.sent[0]
    assert request.entries[0].text == "@home"
    assert request.options["files"] == [
        ("a.jpg", "", b"\xff\xd8" + b"x" * 200),
        ("b.gif", "image/gif", b"GIF89a"),
    ]


async def test_parameters_in_the_query_and_only_files_in_the_body(door: Door) -> None:
    """Field names may be bare numbers."""
    body = form(part("0", b"RIFF" * 30, filename="a.wav"), part("1", b"ID3", filename="b.mp3"))
    target = "/sys/send.php?login=alex&psw=123&phones=7999&call=1&fmt=1"
    assert (await door.post(target, body, KIND)).body == b"1234,1"
    request = door.services.submit.sent[0]
    assert [each.name for each in request.options["files"]] == ["a.wav", "b.mp3"]
    assert request.entries[0].text == ""


async def test_a_file_as_the_body_itself(door: Door) -> None:
    target = "/sys/send.php?login=alex&psw=123&phones=7999&call=1&fmt=1"
    assert (await door.post(target, b"ID3\x03", "audio/mpeg")).body == b"1234,1"
    assert door.services.submit.sent[0].options["files"] == [("", "audio/mpeg", b"ID3\x03")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (KIND, b""),
        (KIND, b"garbage"),
        (KIND, form(*fields(mes="x"))[:-20]),
        (KIND, f"--{BOUNDARY}\r\nno colon\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()),
        (KIND, form(*[part("a", b"1")] * (MAX_PARTS + 1))),
        (KIND, form(part("a", b"1", headers="X: 1\r\n" * 100))),
        (KIND, form(part("a", b"1", headers="X: " + "1" * 100_000 + "\r\n"))),
        ("multipart/form-data", form(*fields(mes="x"))),
        ("multipart/form-data; boundary=" + "b" * 300, form(*fields(mes="x"))),
        ("multipart/form-data; boundary=other", form(*fields(mes="x"))),
    ],
)
async def test_broken_bodies_are_error_1(door: Door, kind: str, body: bytes) -> None:
    target = "/sys/send.php?login=alex&psw=123&phones=7999&mes=x&fmt=1"
    reply = await door.post(target, body, kind)
    # An empty body is no body, whatever its type says.
    assert reply.body == (b"0,-1" if body else b"1234,1")


async def test_a_large_body_is_read_beside_the_loop(door: Door) -> None:
    content = bytes(range(256)) * 4 * 1024 * 4
    body = form(
        *fields(login="alex", psw="123", phones="7999", mes="x", fmt="1", mms="1", subj="s"),
        part("file", content, filename="a.mp4"),
    )
    assert (await door.post("/sys/send.php", body, KIND)).body == b"1234,1"
    assert door.services.submit.sent[0].options["files"][0].content == content


def test_boundaries() -> None:
    assert boundary_of(KIND.encode()) == BOUNDARY.encode()
    assert boundary_of(b'multipart/form-data; boundary="a b"') == b"a b"
    assert boundary_of(b"multipart/form-data") == b""


@given(st.binary(max_size=200), st.sampled_from([b"--b", b"--b--", b"\r\n", b": "]))
def test_garbage_never_raises(data: bytes, salt: bytes) -> None:
    raw: dict[str, str] = {}
    files: list[UploadedFile] = []
    for body in (data, salt + data, b'--b\r\nContent-Disposition: form-data; name="a"' + data):
        assert parse_multipart(body + salt, b"b", raw, files) in (True, False)
