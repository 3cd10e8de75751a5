"""The listener against its enemies: smuggling, slowness, size, garbage; and its own life."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme
from tests.unit.gateways.http.fakes import Door, FakeServices, open_door, read_response

from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.http import server as server_module
from heliograph.gateways.http.app import SCRIPTS, HttpGateway
from heliograph.gateways.http.calls import Reply
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.server import ConnectionLimits, HttpServer, TlsFiles

SEND = "/sys/send.php?login=alex&psw=123&phones=79999999999&mes=Hello"
GET = f"GET {SEND} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
OK = b"OK - 1 SMS, ID - 1234"


async def test_a_reply_is_one_piece(door: Door) -> None:
    """Head and body arrive by one read of the socket."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(door.address) as client:
        client.setblocking(False)
        for _ in range(20):
            await loop.sock_sendall(client, GET)
            piece = await loop.sock_recv(client, 65536)
            assert piece.endswith(b"\r\n\r\n" + OK)


async def test_keep_alive_and_pipelining(door: Door) -> None:
    async with door.connect() as (reader, writer):
        writer.write(GET * 500)
        for _ in range(500):
            assert (await read_response(reader)).body == OK
        writer.write(GET.replace(b"Host", b"Connection: close\r\nHost"))
        reply = await read_response(reader)
        assert reply.headers["connection"] == "close"
        assert await reader.read() == b""


async def test_what_comes_behind_a_last_request_is_thrown_away(door: Door) -> None:
    last = b"DELETE /sys/send.php HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = await door.raw(GET + last + GET * 5)
    assert said.count(b"HTTP/1.1 ") == 2
    assert said.endswith(b"use GET or POST")
    assert len(door.services.submit.sent) == 1


async def test_a_client_that_has_said_all_gets_its_replies(door: Door) -> None:
    async with door.connect() as (reader, writer):
        writer.write(GET * 3)
        writer.write_eof()
        assert (await asyncio.wait_for(reader.read(), 10)).count(OK) == 3


async def test_http_1_0_closes(door: Door) -> None:
    said = await door.raw(f"GET {SEND} HTTP/1.0\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n" + OK)


async def test_one_byte_at_a_time(door: Door) -> None:
    body = b"mes=Hi&fmt=1"
    data = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with door.connect() as (reader, writer):
        for octet in data + body:
            writer.write(bytes([octet]))
            await writer.drain()
        assert (await read_response(reader)).body == b"1234,1"


async def test_expect_100_continue(door: Door) -> None:
    head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    async with door.connect() as (reader, writer):
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"fmt=1")
        assert (await read_response(reader)).body == b"1234,1"


async def test_an_upgrade_is_not_taken(door: Door) -> None:
    for protocol in ("h2c", "websocket"):
        line = f"Connection: Upgrade\r\nUpgrade: {protocol}\r\nHost"
        reply = await door.exchange(GET.replace(b"Host", line.encode()))
        assert (reply.status, reply.body, reply.headers["connection"]) == (200, OK, "close")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
        "X: a\rContent-Length: 5\r\n",
        "X: a\nY\r\n",
        "X: \0\r\n",
    ],
)
async def test_smuggling(door: Door, head: str) -> None:
    """One request and one answer at most, and then the connection is closed."""
    data = f"POST {SEND} HTTP/1.1\r\nHost: x\r\n{head}\r\n0\r\n\r\n".encode() + GET
    said = await door.raw(data)
    assert said.count(b"HTTP/1.1 ") <= 1
    assert said.startswith(b"HTTP/1.1 400 ")
    assert len(door.services.submit.sent) == 0


async def test_a_broken_chunk_ends_the_request(door: Door) -> None:
    head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for chunk in (b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"3\r\nfmt=1\r\n"):
        assert (await door.raw(head + chunk)).startswith(b"HTTP/1.1 400 ")
    assert door.services.submit.sent == []


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"\x00\x00\x00\x10\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01",
        b"EHLO mail.example\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a b c HTTP/1.1\r\n\r\n",
        b"\x80" * 1000 + b"\r\n\r\n",
        b"GET " + b"\xff" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_noise(door: Door, noise: bytes) -> None:
    said = await door.raw(noise + b"\r\n\r\n")
    assert said == b"" or said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404")
    assert (await door.get(SEND)).body == OK


async def test_random_garbage_never_hurts_the_next(door: Door) -> None:
    dice = random.Random(7)
    for _ in range(60):
        data = bytearray(GET)
        for _ in range(dice.randrange(1, 12)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        async with door.connect() as (reader, writer):
            writer.write(bytes(data))
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 30)
    assert (await door.get(SEND)).body == OK


async def test_sizes_of_heads(door: Door) -> None:
    big = "x" * 70_000
    assert (await door.raw(f"GET /?{big} HTTP/1.1\r\n\r\n".encode())).startswith(b"HTTP/1.1 431")
    assert (await door.raw(f"GET / HTTP/1.1\r\nA: {big}\r\n\r\n".encode()))[9:12] == b"431"
    many = "A: 1\r\n" * 101
    assert (await door.raw(f"GET / HTTP/1.1\r\n{many}\r\n".encode()))[9:12] == b"431"
    fits = SEND + "x" * 30_000
    assert (await door.get(fits)).body.startswith(b"ERROR = 1 ")


async def test_a_head_without_an_end_is_cut(door: Door) -> None:
    async with door.connect() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nA: ")
        read = asyncio.create_task(reader.read())
        for _ in range(1000):
            writer.write(b"x" * 4096)
            await asyncio.sleep(0)
            if read.done():
                break
        assert (await asyncio.wait_for(read, 30)).startswith(b"HTTP/1.1 431")


async def test_bodies_above_the_limit() -> None:
    async with open_door(settings=HttpSettings(max_body_bytes=100_000)) as door:
        head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\n"
        said = await door.raw(f"{head}Content-Length: 100001\r\n\r\n".encode() + b"x" * 100_001)
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in said
        chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        said = await door.raw(chunked + b"8000\r\n" + (b"x" * 32768 + b"\r\n8000\r\n") * 5)
        assert said.startswith(b"HTTP/1.1 413 ")
        body = b"a=" + b"x" * 90_000
        assert (await door.post(SEND, body)).body == OK
        assert len(door.services.submit.sent) == 1


async def test_a_body_of_tiny_chunks_has_a_limit_on_the_wire() -> None:
    async with open_door(limits=ConnectionLimits(max_request_bytes=100_000)) as door:
        head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with door.connect() as (reader, writer):
            writer.write(head.encode())
            for _ in range(40):
                writer.write(b"1;" + b"e" * 4000 + b"\r\nx\r\n")
                await asyncio.sleep(0)
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")


async def test_compressed_bodies_are_not_opened(door: Door) -> None:
    data = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
    assert (await door.exchange(data.encode() + b"\x1f\x8b\x08")).status == 415


async def test_slow_clients() -> None:
    limits = ConnectionLimits(idle_s=1, head_s=1, body_s=1)
    async with open_door(limits=limits) as door:
        post = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfm".encode()
        said = await asyncio.gather(
            door.raw(b""),
            door.raw(b"\r\n"),
            door.raw(GET),
            door.raw(b"GET / HT"),
            door.raw(post),
        )
        assert [each[9:12] for each in said] == [b"", b"", b"200", b"408", b"408"]
        assert len(door.services.submit.sent) == 1


async def test_a_fault_after_a_good_request_does_not_spoil_its_reply(door: Door) -> None:
    said = await door.raw(GET + b"\x00garbage\r\n\r\n" + GET)
    assert said.count(b"HTTP/1.1 ") == 1
    assert said.endswith(OK)
    assert len(door.services.submit.sent) == 1


async def test_a_client_that_never_reads() -> None:
    """Its replies fill the socket; nobody else waits, and the connection ends."""
    async with open_door(limits=ConnectionLimits(stall_s=0.5)) as door:
        loop = asyncio.get_running_loop()
        with socket.create_connection(door.address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)

            async def flood() -> None:
                while True:
                    await loop.sock_sendall(client, GET * 100)

            task = asyncio.create_task(flood())
            while not task.done():
                assert (await door.get(SEND)).body == OK
                await asyncio.sleep(0.05)
            assert isinstance(task.exception(), ConnectionError)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_client_that_never_reads_its_only_reply(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an idle connection nor one that is to be closed keeps a large reply for ever."""

    async def answer(_: object) -> Reply:
        return Reply("x" * 20_000_000)

    monkeypatch.setitem(SCRIPTS, "balance", answer)
    async with open_door(limits=ConnectionLimits(idle_s=0.2, stall_s=1.0)) as door:
        with socket.create_connection(door.address) as client:
            path = "/sys/balance.php?login=alex&psw=123"
            client.sendall(f"GET {path} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
            for is_there in (True, False):
                for _ in range(600):
                    if bool(door.transports()) is is_there:
                        break
                    await asyncio.sleep(0.05)
                assert bool(door.transports()) is is_there


async def until_answered(door: Door, status: int) -> None:
    """Connections begin and end at the server a little after they do here."""
    async with asyncio.timeout(30):
        while (await door.get(SEND)).status != status:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_more_connections_than_allowed_while_all_are_busy() -> None:
    async with open_door(max_connections=3) as door:
        submit, begin = door.services.submit, door.services.submit.begin
        going_on: list[Callable[[Submitted | Refused], None]] = []
        submit.begin = (  # type: ignore[method-assign]
            lambda request, done: going_on.append(done)
        )
        async with door.connect() as (_, a), door.connect() as (_, b), door.connect() as (_, c):
            for writer in (a, b, c):
                writer.write(GET)
            async with asyncio.timeout(30):
                while len(going_on) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            submit.begin = begin  # type: ignore[method-assign]
            await until_answered(door, 503)
            for done in going_on:
                done(submit.outcome)
        await until_answered(door, 200)


async def test_idle_connections_make_room_for_new_ones() -> None:
    """Somebody who opens connections and says nothing, or little, keeps nobody out."""
    async with open_door(max_connections=10) as door, AsyncExitStack() as stack:
        post = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfm".encode()
        for said in (b"", b"GET / HT", post) * 10:
            _, writer = await stack.enter_async_context(door.connect())
            writer.write(said)
        for _ in range(5):
            assert (await door.get(SEND)).body == OK
        async with asyncio.timeout(30):
            while len(door.transports()) > 10:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_long_bodies_together_have_a_limit() -> None:
    """Also of those that are read whole and wait; and the room is free again afterwards."""
    limits = ConnectionLimits(max_held_bytes=1_000_000)
    head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n".encode()
    body = b"a=" + b"x" * 399_998
    async with open_door(limits=limits) as door:
        for _ in range(3):
            async with door.connect() as (a, one), door.connect() as (_, two):
                for writer in (one, two):
                    writer.write(head + body[:-1])
                    await writer.drain()
                async with asyncio.timeout(30):
                    while door.held_bytes() < 700_000:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                assert (await door.exchange(head + body)).status == 503
                assert (await door.post(SEND, b"a=" + b"x" * 10_000)).body == OK
                one.write(body[-1:])
                assert (await read_response(a)).body == OK
            async with asyncio.timeout(30):
                while door.held_bytes():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_start_says_where_and_fails_where_it_cannot(door: Door) -> None:
    taken = HttpServer(HttpGateway(door.services), host=door.address[0], port=door.address[1])
    with pytest.raises(OSError, match="in use"):
        await taken.start()
    await taken.stop()


async def test_stop_lets_requests_finish_and_closes_the_others() -> None:
    async with open_door() as door:
        going_on = asyncio.Event()
        submit = door.services.submit

        def slow(request: SendRequest, done: Callable[[Submitted | Refused], None]) -> None:
            going_on.set()
            asyncio.get_running_loop().call_later(0.3, done, submit.outcome)

        submit.begin = slow  # type: ignore[method-assign]
        async with door.connect() as (idle, _), door.connect() as (reader, writer):
            writer.write(GET)
            await going_on.wait()
            await door.stop(5)
            assert (await read_response(reader)).body == OK
            assert await idle.read() == b""


async def test_stop_ends_what_takes_too_long() -> None:
    async with open_door() as door:
        going_on = asyncio.Event()
        door.services.submit.begin = (  # type: ignore[method-assign]
            lambda request, done: going_on.set()
        )
        async with door.connect() as (reader, writer):
            writer.write(GET)
            await going_on.wait()
            loop = asyncio.get_running_loop()
            began = loop.time()
            await door.stop(0.2)
            assert loop.time() - began < 30
            assert await reader.read() == b""


async def test_signals_stay_with_their_owner(door: Door) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with open_door():
        assert signal.getsignal(signal.SIGTERM) is before


async def test_sockets_have_no_delay(door: Door) -> None:
    await door.get(SEND)
    async with door.connect() as (reader, writer):
        writer.write(GET)
        await read_response(reader)
        transports = door.transports()
        assert transports
        for transport in transports:
            accepted = transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# TLS


def write_pair(authority: trustme.CA, folder: Path, name: str = "localhost") -> TlsFiles:
    pair = authority.issue_cert(name, "127.0.0.1")
    files = TlsFiles(certificate=folder / "cert.pem", key=folder / "key.pem")
    for path, blobs in (
        (files.certificate, pair.cert_chain_pems),
        (files.key, [pair.private_key_pem]),
    ):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(blob.bytes() for blob in blobs))
        os.replace(fresh, path)
    return files


async def test_tls_and_a_certificate_replaced_alive(tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    files = write_pair(old, tmp_path)
    contexts = []
    for authority in (old, new):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        contexts.append(context)
    async with open_door(tls=files) as door:
        door.tls = contexts[0]
        assert (await door.get(SEND)).body == OK
        door.tls = contexts[1]
        with pytest.raises(ssl.SSLError):
            await door.get(SEND)
        # A broken pair is not taken, and the old one goes on.
        files.key.write_bytes(b"not a key")
        assert not door.reload_certificate()
        door.tls = contexts[0]
        assert (await door.get(SEND)).body == OK
        write_pair(new, tmp_path)
        assert door.reload_certificate()
        assert not door.reload_certificate()
        door.tls = contexts[1]
        assert (await door.get(SEND)).body == OK
        assert (await door.raw(GET.replace(b"Host", b"Connection: close\r\nHost"))).endswith(OK)


async def test_tls_noise_and_plain_http_on_the_tls_port(tmp_path: Path) -> None:
    authority = trustme.CA()
    async with open_door(tls=write_pair(authority, tmp_path)) as door:
        assert OK not in await door.raw(GET)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        door.tls = context
        oversized = b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n"
        assert (await door.raw(oversized))[9:12] in (b"431", b"")
        assert (await door.get(SEND)).body == OK


async def test_a_handshake_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is not among those that are counted and swept."""
    monkeypatch.setattr(server_module, "_HANDSHAKE_S", 0.3)
    async with open_door(tls=write_pair(trustme.CA(), tmp_path)) as door:
        for said in (b"", b"\x16\x03\x01"):
            assert await door.raw(said) == b""


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    files = TlsFiles(certificate=tmp_path / "none.pem", key=tmp_path / "none.pem")
    with pytest.raises(OSError, match=r"none\.pem"):
        HttpServer(HttpGateway(FakeServices()), tls=files)


async def test_json_survives_a_thousand_sends_at_once(door: Door) -> None:
    door.services.limits.room = 10_000
    replies = await asyncio.gather(*(door.get(SEND + "&fmt=3") for _ in range(200)))
    assert {json.loads(reply.body)["cnt"] for reply in replies} == {1}
    assert door.services.limits.inside == 0
