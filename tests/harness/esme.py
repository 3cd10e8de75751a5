"""An SMPP client for tests: raw where a test wants to be rude, quick where it wants many."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from heliograph.protocols.smpp import (
    BindReceiver,
    BindRequest,
    BindTransceiver,
    BindTransmitter,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    FrameBuffer,
    Pdu,
    SubmitSm,
    decode,
    encode,
)

__all__ = ["PHONE", "Esme", "eventually", "message", "receipt_of"]

PHONE = "79161234567"

_BINDS: dict[str, type[Any]] = {
    "trx": BindTransceiver,
    "tx": BindTransmitter,
    "rx": BindReceiver,
}


def _encode_bind(pdu: Any, sequence: int) -> bytes:
    """A bind with a password that is longer than the standard's, as many clients send it."""
    body = b"".join(
        text.encode("latin-1") + b"\0" for text in (pdu.system_id, pdu.password, pdu.system_type)
    )
    body += bytes((pdu.interface_version, pdu.addr_ton, pdu.addr_npi)) + b"\0"
    return struct.pack("!IIII", 16 + len(body), pdu.command_id, 0, sequence) + body


class Esme:
    """One connection. Deliveries are answered at once unless `answers` is off.

    `inbox` holds every delivery; `log` every PDU that came, in order.
    """

    def __init__(self) -> None:
        self.answers: bool | int = True  # a number: the status of the answers
        self.inbox: list[DeliverSm] = []
        self.log: list[Pdu] = []
        self.is_closed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._sequence = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls, port: int, *, tls: ssl.SSLContext | None = None, reads: bool = True
    ) -> Esme:
        """A connection that is not bound. `reads` False: what comes is left in the socket, which
        takes little then."""
        self = cls()
        sock = socket.socket()
        sock.setblocking(False)
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            self._reader, self._writer = await asyncio.open_connection(
                sock=sock,
                ssl=tls,
                limit=1 << (22 if reads else 10),
                server_hostname="127.0.0.1" if tls else None,
            )
        except BaseException:
            sock.close()
            raise
        if reads:
            self._task = asyncio.create_task(self._read())
        return self

    @classmethod
    async def bind(
        cls,
        port: int,
        login: str,
        password: str,
        *,
        kind: str = "trx",
        tls: ssl.SSLContext | None = None,
        **fields: Any,
    ) -> Esme:
        """A bound connection. Raises AssertionError with the status when it is refused."""
        self = await cls.connect(port, tls=tls)
        try:
            answer = await self.ask(_BINDS[kind](system_id=login, password=password, **fields))
            assert answer.command_status == 0, hex(answer.command_status)
        except BaseException:
            await self.close()
            raise
        return self

    def peer_certificate(self) -> bytes:
        """What the server showed, as DER."""
        assert self._writer is not None
        shown: bytes = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown

    def write(self, octets: bytes) -> None:
        """Anything."""
        assert self._writer is not None
        self._writer.write(octets)

    async def drain(self) -> None:
        """Waits until the socket has taken what was written."""
        assert self._writer is not None
        await self._writer.drain()

    def send(self, pdu: Pdu) -> int:
        """Sends a request; its sequence number."""
        self._sequence += 1
        long = isinstance(pdu, BindRequest) and len(pdu.password) > 8
        self.write(_encode_bind(pdu, self._sequence) if long else encode(pdu, self._sequence))
        return self._sequence

    async def ask(self, pdu: Pdu, timeout_s: float = 30.0) -> Any:
        """The answer to a request (or generic_nack)."""
        sequence = self.send(pdu)
        return await self.find(
            lambda p: p.is_response and p.sequence_number == sequence, timeout_s=timeout_s
        )

    async def find(self, wanted: Callable[[Pdu], bool], *, timeout_s: float = 30.0) -> Any:
        """The first PDU that came which is `wanted`, waiting for it."""
        async with asyncio.timeout(timeout_s):
            at = 0
            while True:
                for pdu in self.log[at:]:
                    if wanted(pdu):
                        return pdu
                at = len(self.log)
                self._arrived.clear()
                if len(self.log) == at:
                    if self.is_closed.is_set():
                        raise ConnectionError("closed by the server")
                    await self._arrived.wait()

    async def deliveries(self, count: int, timeout_s: float = 30.0) -> list[DeliverSm]:
        """Waits until so many deliveries have come."""
        async with asyncio.timeout(timeout_s):
            while len(self.inbox) < count:
                self._arrived.clear()
                if len(self.inbox) < count:
                    await self._arrived.wait()
        return self.inbox

    async def closed(self, timeout_s: float = 30.0) -> None:
        """Waits for the server to close."""
        async with asyncio.timeout(timeout_s):
            await self.is_closed.wait()

    async def close(self) -> None:
        """Drops the connection."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        assert self._writer is not None
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        assert self._reader is not None
        buffer = FrameBuffer(1 << 20)
        try:
            while data := await self._reader.read(1 << 16):
                for frame in buffer.feed(data):
                    self._take(decode(frame))
                self._arrived.set()
        except OSError:
            pass
        finally:
            self.is_closed.set()
            self._arrived.set()

    def _take(self, pdu: Pdu) -> None:
        self.log.append(pdu)
        if isinstance(pdu, DeliverSm):
            self.inbox.append(pdu)
            if self.answers is not False:
                status = 0 if self.answers is True else self.answers
                self.write(encode(DeliverSmResp(0, status), pdu.sequence_number))
        elif isinstance(pdu, EnquireLink):
            self.write(encode(EnquireLinkResp(), pdu.sequence_number))


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 60.0
) -> None:
    """Waits until a condition holds, plain or to be awaited. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


def message(text: str = "Hello", phone: str = PHONE, **fields: Any) -> SubmitSm:
    """A submit_sm that wants its receipt."""
    fields = {"source_addr": "ivan", "source_addr_ton": 5, "registered_delivery": 1} | fields
    if "short_message" not in fields:
        fields["short_message"] = text.encode("latin-1")
    return SubmitSm(dest_addr_ton=1, dest_addr_npi=1, destination_addr=phone, **fields)


async def receipt_of(esme: Esme, message_id: str, timeout_s: float = 30.0) -> DeliverSm:
    """The receipt of a message, waiting for it."""
    found: DeliverSm = await esme.find(
        lambda p: isinstance(p, DeliverSm) and p.tlvs.text(0x001E) == message_id,
        timeout_s=timeout_s,
    )
    return found
