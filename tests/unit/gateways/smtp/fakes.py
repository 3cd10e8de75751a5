"""Services for the mail door that say what a test told them to, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.unit.gateways.http.fakes import (
    ALEX,
    FakeAuthentication,
    FakeLimits,
    FakeSubmit,
)

from heliograph.domain.accounts import Account
from heliograph.gateways.http.certificates import TlsFiles
from heliograph.gateways.smtp.intake import MailIntake
from heliograph.gateways.smtp.ports import MailSettings
from heliograph.gateways.smtp.server import MailServer

# Thursday, 10:00 in Moscow.
TEN_MS = 1_700_118_000_000


class FakeDirectory:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {"alex": ALEX}

    def account(self, login: str) -> Account | None:
        return self.accounts.get(login)


class FakeRequestLog:
    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str]] = []
        self.untrusted = 0

    def note(
        self, account_id: int, *, door: str, what: str, outcome: str, is_trusted: bool = True
    ) -> None:
        assert door == "smtp"
        self.rows.append((account_id, what, outcome))
        self.untrusted += not is_trusted


class FakeServices:
    def __init__(self) -> None:
        self.authentication = FakeAuthentication()
        self.directory = FakeDirectory()
        self.submit = FakeSubmit()
        self.limits = FakeLimits()
        self.request_log = FakeRequestLog()

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, _, outcome in self.request_log.rows]


class Client:
    """One connection to the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def reply(self) -> str:
        """The next reply, its lines joined; '' when the server has closed."""
        lines = []
        while line := await asyncio.wait_for(self.reader.readline(), 30):
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                break
        return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        """Sends a line; the reply to it."""
        data = line.encode() if isinstance(line, str) else line
        self.writer.write(data + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    async def begin(self, recipient: str = "send@example.com") -> str:
        """From EHLO to the reply to DATA."""
        await self.say("EHLO client")
        await self.say("MAIL FROM:<api@smsc.ru>")
        await self.say(f"RCPT TO:<{recipient}>")
        return await self.say("DATA")

    async def mail(self, body: str | bytes, recipient: str = "send@example.com") -> str:
        """Sends a mail; the reply to its end."""
        assert (await self.begin(recipient)).startswith("354")
        data = body.encode() if isinstance(body, str) else body
        return await self.say(data + b"\r\n.")


class Door:
    """A listening mail door with its fakes."""

    def __init__(self, services: FakeServices, server: MailServer, port: int) -> None:
        self.services = services
        self.server = server
        self.port = port
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        """A connection that has read the greeting."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20))
        self._clients.append(client)
        client.greeting = await client.reply()  # type: ignore[attr-defined]
        return client

    async def close(self) -> None:
        """Ends everything."""
        for client in self._clients:
            client.writer.close()
            with suppress(OSError):
                await client.writer.wait_closed()
        await self.server.stop(1.0)


@asynccontextmanager
async def open_door(
    *, tls: TlsFiles | None = None, services: FakeServices | None = None, **settings: Any
) -> AsyncIterator[Door]:
    """A door on a free port."""
    services = services or FakeServices()
    settings.setdefault("domains", ("example.com",))
    intake = MailIntake(services, clock=lambda: TEN_MS)
    server = MailServer(intake, MailSettings(**settings), tls=tls)
    addresses = await server.start()
    door = Door(services, server, addresses[0][1])
    try:
        yield door
    finally:
        await door.close()
