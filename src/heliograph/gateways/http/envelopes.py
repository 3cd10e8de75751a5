"""A SOAP service as an address of the HTTP door: reading requests, writing answers and faults.

What the operations do is the service's own matter (`soap`, `oms`).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from heliograph.gateways.http.bodies import (
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    client_address,
    is_trusted,
    read_body,
)
from heliograph.gateways.http.errors import SYSTEM_ERROR_NUMBER
from heliograph.gateways.http.failures import log_failure
from heliograph.gateways.http.ports import HttpSettings, RequestObserver
from heliograph.protocols.soap.envelope import (
    SoapError,
    SoapRequest,
    SoapVersion,
    read_envelope,
    write_answer,
    write_fault,
)

__all__ = ["Answer", "Asked", "SoapEndpoint"]

# Parsing more than this is done by a thread.
_LARGE_BODY_BYTES = 128 * 1024
_CHARSET = re.compile(rb"charset\s*=\s*\"?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)
# What may stand in an address that goes into a document.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_SLASHES = re.compile(r"/{2,}")
_PLAIN = b"text/plain; charset=utf-8"


@dataclass(slots=True)
class Asked:
    """A request. `endpoint`: the address at which it came, `address`: that of the client."""

    request: SoapRequest
    endpoint: str
    address: str


@dataclass(slots=True)
class Answer:
    """What goes into the body of the envelope; `error_code` 0 when all is well."""

    content: str
    error_code: int = 0


class SoapPort(Protocol):
    """A service."""

    name: str

    def describe(self, address: str) -> str:
        """The WSDL for the address at which it was asked."""
        ...

    async def carry_out(self, asked: Asked) -> Answer:
        """Raises SoapError for what is no operation."""
        ...


class SoapEndpoint:
    """An ASGI callable for one path. A GET is answered with the WSDL."""

    def __init__(
        self, service: SoapPort, settings: HttpSettings, observer: RequestObserver
    ) -> None:
        self._service = service
        self._settings = settings
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = _Headers(scope)
        endpoint = self._endpoint_of(scope, headers)
        match scope["method"]:
            case "GET" | "HEAD":
                body = self._service.describe(endpoint)
                await _respond(send, 200, b"text/xml; charset=utf-8", body.encode())
            case "POST":
                await self._answer(scope, receive, send, headers, endpoint)
            case _:
                await _respond(send, 405, _PLAIN, b"use POST", (b"allow", b"GET, HEAD, POST"))

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, headers: _Headers, endpoint: str
    ) -> None:
        started = perf_counter()
        if headers.encoding not in (b"", b"identity"):
            await _respond(send, 415, _PLAIN, b"the body must not be compressed")
            return
        try:
            body = await read_body(receive, headers.length, self._settings.max_body_bytes)
        except BodyTooLarge:
            too_large = b"the body is too large"
            await _respond(send, 413, _PLAIN, too_large, (b"connection", b"close"))
            return
        except ClientGone:
            return
        status, code = 200, 0
        version = SoapVersion.V11
        try:
            request = await self._read(body, headers)
            version = request.version
            asked = Asked(request, endpoint, self._address_of(scope, headers))
            answer = await self._service.carry_out(asked)
            text, code = write_answer(version, answer.content), answer.error_code
        except SoapError as error:
            status, code, version = 500, 1, error.version
            text = write_fault(version, str(error))
        except Exception as error:
            log_failure(self._service.name, error)
            status, code = 500, SYSTEM_ERROR_NUMBER
            text = write_fault(version, "system error", is_ours=True)
        await _respond(send, status, version.content_type.encode(), text.encode())
        self._observer.http_request(self._service.name, code, perf_counter() - started)

    async def _read(self, body: bytes, headers: _Headers) -> SoapRequest:
        charset = headers.charset
        if len(body) > _LARGE_BODY_BYTES:
            return await asyncio.to_thread(read_envelope, body, charset)
        return read_envelope(body, charset)

    def _address_of(self, scope: Scope, headers: _Headers) -> str:
        peer = scope["client"][0] if scope["client"] else ""
        return client_address(peer, headers.forwarded, self._settings.trusted_proxies)

    def _endpoint_of(self, scope: Scope, headers: _Headers) -> str:
        """The address at which the client sees this service."""
        scheme = scope.get("scheme", "http")
        peer = scope["client"][0] if scope["client"] else ""
        if headers.scheme in ("http", "https") and is_trusted(peer, self._settings.trusted_proxies):
            scheme = headers.scheme
        host = headers.host if _HOST.fullmatch(headers.host) else "localhost"
        # Clients join a host with a last slash and a path with a first one.
        return f"{scheme}://{host}{_SLASHES.sub('/', scope['path'])}"


class _Headers:
    """The headers of a request that matter here."""

    __slots__ = ("charset", "encoding", "forwarded", "host", "length", "scheme")

    def __init__(self, scope: Scope) -> None:
        self.length = self.encoding = b""
        self.charset = self.host = self.scheme = ""
        self.forwarded: list[bytes] = []
        for name, value in scope["headers"]:
            match name:
                case b"content-length":
                    self.length = value
                case b"content-type":
                    found = _CHARSET.search(value)
                    self.charset = found[1].decode("ascii") if found else ""
                case b"content-encoding":
                    self.encoding = value.strip().lower()
                case b"host":
                    self.host = value.decode("latin-1").strip()
                case b"x-forwarded-for":
                    self.forwarded.append(value)
                case b"x-forwarded-proto":
                    self.scheme = value.decode("latin-1").strip().lower()


async def _respond(
    send: Send, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]
) -> None:
    headers = [
        (b"content-type", kind),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *more,
        (b"content-length", str(len(body)).encode("ascii")),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
