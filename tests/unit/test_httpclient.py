"""The outgoing HTTP client against real sockets: guard, deadline, caps, kept connections, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from heliograph.httpclient import AddressRefused, HttpClient, HttpError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Handler = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server whose answers a test writes byte by byte; it counts what came."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []

    def url(self, host: str = "127.0.0.1", path: str = "/cb") -> str:
        return f"http://{host}:{self.port}{path}"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.handler(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    handler: Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    peer = Peer(handler)
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(peer.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[HttpClient]:
    options = {"allow_private": True, "timeout_s": 5.0, **options}
    client = HttpClient(**options)
    try:
        yield client
    finally:
        await client.close()


def answering(*answers: bytes, closes: bool = False) -> Handler:
    """Gives the answers in turn, the last one for ever."""
    left = list(answers)

    async def handle(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await peer.read(reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
            if closes:
                return

    return handle


async def test_a_form_is_posted_with_its_headers() -> None:
    async with serving(answering(OK)) as peer, calling() as client:
        response = await client.post_form(
            peer.url(path="/h?x=1"), b"id=1&mes=%F2", {"X-Event-Id": "7"}
        )
        assert response == (200, b"ok")
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[0] == b"POST /h?x=1 HTTP/1.1"
        assert f"Host: 127.0.0.1:{peer.port}".encode() in head
        assert b"Content-Type: application/x-www-form-urlencoded" in head
        assert b"X-Event-Id: 7" in head
        assert body == b"id=1&mes=%F2"


async def test_connections_are_kept_and_shared() -> None:
    async with serving(answering(OK)) as peer, calling() as client:
        for _ in range(5):
            assert (await client.post_form(peer.url(), b"a=1")).status == 200
        assert peer.connections == 1
        await asyncio.gather(*(client.post_form(peer.url(), b"a=1") for _ in range(4)))
        assert peer.connections == 4
        assert len(peer.requests) == 9


async def test_connections_to_one_host_are_limited_and_nobody_starves() -> None:
    async with serving(answering(OK)) as peer, calling(per_host=2) as client:
        got = await asyncio.gather(*(client.post_form(peer.url(), b"a=1") for _ in range(40)))
        assert [r.status for r in got] == [200] * 40
        assert peer.connections == 2


async def test_a_limited_host_that_never_answers_fails_everybody_in_time() -> None:
    async def silence(peer: Peer, reader: asyncio.StreamReader, _w: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silence) as peer, calling(per_host=1, timeout_s=0.3) as client:
        calls = [client.post_form(peer.url(), b"") for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(r, HttpError) for r in results)


async def test_a_kept_connection_that_the_server_closed_is_no_failure() -> None:
    async def once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        writer.write(OK)
        # Closes when the next request comes, without an answer: the race of every kept connection.
        await reader.read(1)

    async with serving(once) as peer, calling() as client:
        for _ in range(3):
            assert (await client.post_form(peer.url(), b"a=1")).status == 200
        assert peer.connections == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            (302, b""),
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx", (500, b"x")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
            (200, b"ok!"),
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, (200, b"ok")),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", (200, b"ok")),
        (OK + OK, (200, b"ok")),
        (OK + b"rubbish", (200, b"ok")),
    ],
)
async def test_answers_of_every_shape(answer: bytes, expected: tuple[int, bytes]) -> None:
    async with serving(answering(answer)) as peer, calling() as client:
        for _ in range(2):  # the second call must not meet the rest of the first one's answer
            assert await client.post_form(peer.url(), b"a=1") == expected
        assert len(peer.requests) == 2


async def test_answers_that_end_with_the_connection() -> None:
    close = answering(b"HTTP/1.1 200 OK\r\n\r\nbody", closes=True)
    async with serving(close) as peer, calling() as client:
        assert await client.post_form(peer.url(), b"") == (200, b"body")
        assert await client.get(peer.url(), 100) == (200, b"body")


@pytest.mark.parametrize("step", [1, 7])
async def test_an_answer_in_small_pieces(step: int) -> None:
    async def drip(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read(reader)
        for at in range(0, len(OK), step):
            writer.write(OK[at : at + step])
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with serving(drip) as peer, calling() as client:
        assert await client.post_form(peer.url(), b"") == (200, b"ok")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "not HTTP"),
        (b"", "closed before"),
        (b"HTTP/1.1 2", "closed before"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "head of the answer"),
    ],
)
async def test_answers_that_are_none(answer: bytes, words: str) -> None:
    async with serving(answering(answer, closes=True)) as peer, calling() as client:
        with pytest.raises(HttpError, match=words):
            await client.post_form(peer.url(), b"")


async def test_a_long_answer_to_a_post_is_cut() -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    async with serving(answering(long)) as peer, calling(max_response_bytes=1000) as client:
        response = await client.post_form(peer.url(), b"")
        assert response.status == 200
        assert len(response.body) <= 1000


async def test_an_endless_answer_ends_at_the_deadline() -> None:
    async def endless(
        peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await peer.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(endless) as peer, calling(timeout_s=0.3) as client:
        started = time.monotonic()
        with pytest.raises(HttpError, match="in time"):
            await client.post_form(peer.url(), b"")
        with pytest.raises(HttpError, match="in time"):
            await client.get(peer.url(), 1000)
        assert time.monotonic() - started < 30


async def test_a_file_is_fetched_whole_or_not_at_all() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"
    async with serving(answering(body, body[:-3], closes=True)) as peer, calling() as client:
        with pytest.raises(HttpError, match="longer than 8 bytes"):
            await client.get(peer.url(), 8)
        with pytest.raises(HttpError, match="cut short"):
            await client.get(peer.url(), 9)
    async with serving(answering(body)) as peer, calling() as client:
        assert await client.get(peer.url(path="/f.wav"), 9) == (200, b"123456789")
        assert peer.requests[0].startswith(b"GET /f.wav HTTP/1.1\r\n")


async def test_a_cancelled_call_gives_its_place_free() -> None:
    async def slow(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await peer.read(reader):
            if b"slow" in request:
                await asyncio.sleep(30)
            writer.write(OK)

    async with serving(slow) as peer, calling(per_host=1) as client:
        stuck = asyncio.create_task(client.post_form(peer.url(), b"slow"))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(client.post_form(peer.url(), b"waits"))
        await asyncio.sleep(0.05)
        stuck.cancel()
        assert (await waiting).status == 200


# --- the guard, on the wire


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "user@127.0.0.1",
    ],
)
async def test_no_spelling_of_a_private_address_gets_through(host: str) -> None:
    async with serving(answering(OK)) as peer, calling(allow_private=False) as client:
        with pytest.raises(AddressRefused):
            await client.post_form(peer.url(host), b"a=1")
        with pytest.raises(AddressRefused):
            await client.get(peer.url(host), 100)
        assert peer.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
async def test_the_same_addresses_are_called_when_they_are_allowed(host: str) -> None:
    async with serving(answering(OK)) as peer:
        async with calling(allow_private=False, allowed_networks=["127.0.0.0/8"]) as client:
            assert (await client.post_form(peer.url(host), b"a=1")).status == 200
        async with calling(allow_private=True) as client:
            assert (await client.get(peer.url(host), 100)).status == 200


async def test_only_checked_addresses_of_a_name_are_connected_to() -> None:
    def lookup(host: str) -> list[str]:
        return ["10.255.255.1", "::ffff:127.0.0.1", "127.0.0.1"]

    async with (
        serving(answering(OK)) as peer,
        calling(allow_private=False, allowed_networks=["127.0.0.1/32"], lookup=lookup) as client,
    ):
        assert (await client.post_form(peer.url("mixed.example"), b"")).status == 200


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    answers = [["203.0.113.1"], ["127.0.0.1"], ["127.0.0.1"]]

    def lookup(host: str) -> list[str]:
        return answers.pop(0)

    async with (
        serving(answering(OK)) as peer,
        calling(
            allow_private=False,
            allowed_networks=["203.0.113.0/24"],
            lookup=lookup,
            timeout_s=0.3,
        ) as client,
    ):
        url = peer.url("rebind.example")
        with pytest.raises(HttpError) as first:  # the address that was checked is the one called
            await client.post_form(url, b"")
        assert not isinstance(first.value, AddressRefused)
        client._names.clear()
        with pytest.raises(AddressRefused):  # and a new answer is checked anew
            await client.post_form(url, b"")
        assert peer.connections == 0


async def test_a_name_that_does_not_resolve_and_one_that_hangs() -> None:
    def unknown(host: str) -> list[str]:
        raise OSError(-2, "Name or service not known")

    def slow(host: str) -> list[str]:
        time.sleep(0.6)
        return ["127.0.0.1"]

    async with calling(lookup=unknown) as client:
        with pytest.raises(HttpError, match="does not resolve"):
            await client.post_form("http://none.example/", b"")
    async with calling(lookup=slow, timeout_s=0.2) as client:
        with pytest.raises(HttpError, match="in time"):
            await client.post_form("http://slow.example/", b"")


async def test_names_that_hang_keep_nobody_else_waiting() -> None:
    """Somebody who has as many names as there are threads, and a resolver that is away."""
    ended = threading.Event()
    calls: list[str] = []

    def lookup(host: str) -> list[str]:
        calls.append(host)
        if host.startswith("file"):
            ended.wait(30)
        if calls.count(host) > 1:
            ended.wait(30)
            raise OSError(-3, "Temporary failure in name resolution")
        return ["127.0.0.1"]

    async with serving(answering(OK)) as peer, calling(lookup=lookup, timeout_s=5) as client:
        downloads = [
            asyncio.create_task(client.get(peer.url(f"file{number}.example"), 100))
            for number in range(50)
        ]
        try:
            for at in (0.0, 31.0):
                for host in ("one.example", "two.example"):
                    # As if that time had gone by.
                    for name, known in client._names.items():
                        client._names[name] = known._replace(fresh_until=known.fresh_until - at)
                    for origin in client._origins.values():
                        for connection in list(origin.open):
                            connection.close()
                    assert (await client.post_form(peer.url(host), b"")).status == 200
        finally:
            ended.set()
            await asyncio.gather(*downloads, return_exceptions=True)
    assert calls.count("one.example") == 2


async def test_a_name_that_has_gone_is_not_called_at_its_old_address() -> None:
    answers: list[list[str]] = [["127.0.0.1"]]

    def lookup(host: str) -> list[str]:
        if answers:
            return answers.pop()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with serving(answering(OK)) as peer, calling(lookup=lookup) as client:
        url = peer.url("gone.example")
        assert (await client.get(url, 100)).status == 200
        client._names["gone.example"] = client._names["gone.example"]._replace(fresh_until=0.0)
        with pytest.raises(HttpError, match="does not resolve"):
            await client.get(url, 100)


async def test_an_answer_that_comes_late_is_used_the_next_time() -> None:
    def slow(host: str) -> list[str]:
        time.sleep(0.5)
        return ["127.0.0.1"]

    async with serving(answering(OK)) as peer, calling(lookup=slow, timeout_s=0.2) as client:
        url = peer.url("slow.example")
        with pytest.raises(HttpError, match="in time"):
            await client.get(url, 100)
        async with asyncio.timeout(30):
            while "slow.example" not in client._names:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await client.get(url, 100)).status == 200


async def test_the_next_address_is_tried_when_one_is_dead() -> None:
    async with (
        serving(answering(OK)) as peer,
        calling(lookup=lambda _: ["127.0.0.77", "127.0.0.1"]) as client,
    ):
        assert (await client.post_form(peer.url("two.example"), b"")).status == 200


async def test_a_refused_connection_is_told() -> None:
    async with serving(answering(OK)) as peer:
        url = peer.url()
    async with calling() as client:
        with pytest.raises(HttpError, match="connection refused"):
            await client.post_form(url, b"")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK)) as peer, serving(answering(OK)) as proxy, calling() as client:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(path=""))
        assert (await client.post_form(peer.url(), b"")).status == 200
        assert proxy.connections == 0


async def test_headers_can_not_be_smuggled() -> None:
    async with serving(answering(OK)) as peer, calling() as client:
        with pytest.raises(HttpError, match="header"):
            await client.post_form(peer.url(), b"", {"X": "1\r\nY: 2"})


# --- TLS


async def test_tls_checks_the_name_of_the_certificate() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("good.example").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)
    async with (
        serving(answering(OK), tls=server_side) as peer,
        calling(tls=client_side, lookup=lambda _: ["127.0.0.1"]) as client,
    ):
        for _ in range(2):
            response = await client.post_form(f"https://good.example:{peer.port}/", b"a=1")
            assert response.status == 200
        assert peer.connections == 1
        with pytest.raises(HttpError, match="certificate"):
            await client.post_form(f"https://evil.example:{peer.port}/", b"a=1")


async def test_tls_with_an_unknown_authority_is_refused() -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("good.example").configure_cert(server_side)
    async with (
        serving(answering(OK), tls=server_side) as peer,
        calling(lookup=lambda _: ["127.0.0.1"]) as client,
    ):
        with pytest.raises(HttpError, match="certificate"):
            await client.post_form(f"https://good.example:{peer.port}/", b"a=1")
        assert peer.requests == []
