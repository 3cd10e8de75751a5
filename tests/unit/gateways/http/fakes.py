"""Services that say what a test told them to, and a client that speaks bytes over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Line, Refused, SendRequest, StatusAnswer, Submitted
from heliograph.gateways.http.app import HttpGateway
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.server import ConnectionLimits, HttpServer, TlsFiles

ALEX = Account(id=7, login="alex", payer_id=7)
GOOD_LINE = Line("79999999999", "25001", 1_440_000)
BAD_LINE = Line("123", "", 0, Refusal.BAD_NUMBER)


class FakeAuthentication:
    """Knows alex with password 123 (or a Cyrillic one) and the key K1."""

    def __init__(self) -> None:
        self.account = ALEX
        self.blocked: set[str] = set()
        self.is_warm = True
        self.seen: list[tuple[str, ...]] = []

    def is_blocked(self, address: str) -> bool:
        return address in self.blocked

    def try_login_cached(self, login: str, psw: str, address: str) -> Account | Refusal | None:
        return self._check(login, psw, address) if self.is_warm else None

    async def login(self, login: str, psw: str, address: str) -> Account | Refusal:
        await asyncio.sleep(0)
        return self._check(login, psw, address)

    async def api_key(self, key: str, address: str) -> Account | Refusal:
        self.seen.append((key, address))
        return self.account if key == "K1" else Refusal.NOT_AUTHORISED

    def _check(self, login: str, psw: str, address: str) -> Account | Refusal:
        self.seen.append((login, psw, address))
        known = login == "alex" and psw in ("123", "пароль")
        return self.account if known else Refusal.NOT_AUTHORISED


class FakeSubmit:
    """Answers with `outcome`, or with what `decide` makes of the request."""

    def __init__(self) -> None:
        self.outcome: Submitted | Refused = Submitted(
            "1234", 1, 1_400_000, 100_500_000, [GOOD_LINE]
        )
        self.decide: Callable[[SendRequest], Submitted | Refused] | None = None
        self.sent: list[SendRequest] = []
        self.priced: list[SendRequest] = []

    def begin(self, request: SendRequest, done: Callable[[Submitted | Refused], None]) -> None:
        self.sent.append(request)
        outcome = self.outcome if self.decide is None else self.decide(request)
        asyncio.get_running_loop().call_soon(done, outcome)  # as the commit does

    async def send(self, request: SendRequest) -> Submitted | Refused:
        self.sent.append(request)
        return self.outcome if self.decide is None else self.decide(request)

    async def estimate(self, request: SendRequest) -> Submitted | Refused:
        self.priced.append(request)
        return self.outcome if self.decide is None else self.decide(request)


class FakeStatuses:
    """Has the answers of `known`; everything else is not found."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], StatusAnswer] = {}
        self.asked: list[list[tuple[str, str]]] = []
        self.deleted: list[list[tuple[str, str]]] = []

    async def find(
        self, account: Account, pairs: list[tuple[str, str]], *, language: str = "ru"
    ) -> list[StatusAnswer]:
        self.asked.append(pairs)
        return [self.known.get(pair, StatusAnswer(*pair)) for pair in pairs]

    async def delete(self, account: Account, pairs: list[tuple[str, str]]) -> int:
        self.deleted.append(pairs)
        return sum(pair in self.known for pair in pairs)


class FakeBalances:
    def __init__(self) -> None:
        self.money = (100_500_000, 0)

    async def balance(self, account: Account) -> tuple[int, int]:
        return self.money


class FakeLimits:
    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.room = 15
        self.inside = 0
        self.counted: list[tuple[str, str]] = []

    def enter(self, account_id: int) -> bool:
        if self.inside >= self.room:
            return False
        self.inside += 1
        return True

    def leave(self, account_id: int) -> None:
        self.inside -= 1

    def count(self, account: Account, kind: str, key: str) -> Refusal | None:
        self.counted.append((kind, key))
        return self.refusal


class FakeServices:
    def __init__(self) -> None:
        self.authentication = FakeAuthentication()
        self.submit = FakeSubmit()
        self.statuses = FakeStatuses()
        self.balances = FakeBalances()
        self.subclients: Any = None  # users.php is tested with the real ones
        self.statistics: Any = None
        self.request_log: Any = None
        self.data: Any = None  # so are the data scripts
        self.limits = FakeLimits()

    def be_account(self, **changes: object) -> None:
        self.authentication.account = replace(ALEX, **changes)  # type: ignore[arg-type]


class Observations:
    def __init__(self) -> None:
        self.requests: list[tuple[str, int]] = []

    def http_request(self, script: str, error_code: int, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((script, error_code))


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


async def read_response(reader: asyncio.StreamReader, *, has_body: bool = True) -> Response:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    assert "transfer-encoding" not in headers
    body = await reader.readexactly(int(headers["content-length"])) if has_body else b""
    return Response(int(first.split()[1]), headers, body)


class Door:
    """A running server, and the few ways in which tests ask it."""

    def __init__(
        self,
        address: tuple[str, int],
        services: FakeServices,
        *,
        observer: Observations,
        server: HttpServer,
    ) -> None:
        self.address = address
        self._server = server
        self.services = services
        self.observer = observer
        self.tls: ssl.SSLContext | None = None

    async def stop(self, grace_s: float) -> None:
        await self._server.stop(grace_s)

    def transports(self) -> list[asyncio.BaseTransport]:
        connections = self._server._listener.connections
        return [each.transport for each in connections if each.transport is not None]

    def held_bytes(self) -> int:
        return self._server._listener.held_bytes

    def reload_certificate(self) -> bool:
        certificate = self._server._certificate
        assert certificate is not None
        return certificate.reload()

    @asynccontextmanager
    async def connect(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address, ssl=self.tls)
        try:
            yield reader, writer
        finally:
            writer.close()
            # A server that has had enough resets the connection.
            with suppress(OSError):
                await writer.wait_closed()

    async def exchange(self, data: bytes, *, has_body: bool = True) -> Response:
        async with self.connect() as (reader, writer):
            writer.write(data)
            await writer.drain()
            return await asyncio.wait_for(read_response(reader, has_body=has_body), 30)

    async def raw(self, data: bytes) -> bytes:
        """Everything that the server says until it closes; b'' when it resets the connection."""
        async with self.connect() as (reader, writer):
            try:
                writer.write(data)
                await writer.drain()
                return await asyncio.wait_for(reader.read(), 30)
            except ConnectionError:
                return b""

    async def get(self, target: str | bytes) -> Response:
        path = target.encode() if isinstance(target, str) else target
        return await self.exchange(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

    async def post(self, target: str, body: bytes, kind: str = "") -> Response:
        type_line = f"Content-Type: {kind}\r\n" if kind else ""
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\n{type_line}Content-Length: {len(body)}\r\n"
        return await self.exchange(head.encode() + b"\r\n" + body)

    async def send(self, query: str = "", **fields: str) -> bytes:
        """Body of the reply to a plain send with `query` added."""
        base = "/sys/send.php?login=alex&psw=123&phones=79999999999&mes=Hello&"
        return (await self.get(base + query)).body


@asynccontextmanager
async def open_door(
    *,
    settings: HttpSettings | None = None,
    limits: ConnectionLimits | None = None,
    tls: TlsFiles | None = None,
    max_connections: int = 0,
) -> AsyncIterator[Door]:
    services = FakeServices()
    observer = Observations()
    gateway = HttpGateway(services, settings, observer=observer)
    server = HttpServer(gateway, tls=tls, limits=limits, max_connections=max_connections)
    address, *_ = await server.start()
    try:
        yield Door(address, services, observer=observer, server=server)
    finally:
        await server.stop(1.0)
