"""A SOAP service as an address of the HTTP door: reading requests, writing answers and faults.

What the operations do is the service's own matter (`soap`, `oms`).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from heliograph.gateways.http.addresses import client_address, is_trusted
from heliograph.gateways.http.errors import SYSTEM_ERROR_NUMBER
from heliograph.gateways.http.exchanges import PLAIN, Request, Respond, header_block
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
_GUARDS = header_block((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


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
    """A service at one path. A GET is answered with the WSDL."""

    def __init__(
        self, service: SoapPort, settings: HttpSettings, observer: RequestObserver
    ) -> None:
        self._service = service
        self._settings = settings
        self._observer = observer

    async def answer(self, request: Request, respond: Respond) -> None:
        """Answers one request."""
        headers = _Headers(request)
        endpoint = self._endpoint_of(request, headers)
        match request.method:
            case "GET" | "HEAD":
                body = self._service.describe(endpoint)
                respond(200, _head_of("text/xml; charset=utf-8"), body.encode())
            case "POST":
                await self._carry_out(request, respond, headers, endpoint)
            case _:
                allowed = header_block((b"allow", b"GET, HEAD, POST"))
                respond(405, PLAIN + allowed, b"use POST")

    async def _carry_out(
        self, request: Request, respond: Respond, headers: _Headers, endpoint: str
    ) -> None:
        started = perf_counter()
        if headers.encoding not in (b"", b"identity"):
            respond(415, PLAIN, b"the body must not be compressed")
            return
        status, code = 200, 0
        version = SoapVersion.V11
        try:
            envelope = await self._read(request.body, headers)
            version = envelope.version
            settings = self._settings
            address = client_address(request.peer, headers.forwarded, settings.trusted_proxies)
            answer = await self._service.carry_out(Asked(envelope, endpoint, address))
            text, code = write_answer(version, answer.content), answer.error_code
            if code == SYSTEM_ERROR_NUMBER:  # a bug of ours is a fault, not a result
                status, text = 500, write_fault(version, "system error", is_ours=True)
        except SoapError as error:
            status, code, version = 500, 1, error.version
            text = write_fault(version, str(error))
        except Exception as error:
            log_failure(self._service.name, error)
            status, code = 500, SYSTEM_ERROR_NUMBER
            text = write_fault(version, "system error", is_ours=True)
        respond(status, _head_of(version.content_type), text.encode())
        self._observer.http_request(self._service.name, code, perf_counter() - started)

    async def _read(self, body: bytes, headers: _Headers) -> SoapRequest:
        charset = headers.charset
        if len(body) > _LARGE_BODY_BYTES:
            return await asyncio.to_thread(read_envelope, body, charset)
        return read_envelope(body, charset)

    def _endpoint_of(self, request: Request, headers: _Headers) -> str:
        """The address at which the client sees this service."""
        scheme = "https" if request.is_tls else "http"
        trusted = self._settings.trusted_proxies
        if headers.scheme in ("http", "https") and is_trusted(request.peer, trusted):
            scheme = headers.scheme
        host = headers.host if _HOST.fullmatch(headers.host) else "localhost"
        # Clients join a host with a last slash and a path with a first one.
        return f"{scheme}://{host}{_SLASHES.sub('/', request.path)}"


class _Headers:
    """The headers of a request that matter here."""

    __slots__ = ("charset", "encoding", "forwarded", "host", "scheme")

    def __init__(self, request: Request) -> None:
        self.encoding = b""
        self.charset = self.host = self.scheme = ""
        self.forwarded: list[bytes] = []
        for name, value in request.headers:
            match name:
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


def _head_of(content_type: str) -> bytes:
    return header_block((b"content-type", content_type.encode())) + _GUARDS
