"""The HTTP door as one ASGI callable: routes, and the walk that every API request takes.

Check the address, authenticate, take a place among the account's requests, call the script's
handler, write the reply in the client's form and character set. API paths answer with status 200
whatever happened: clients read anything else as a broken line (send.php reference, 1).

There is no framework between the server and the handlers. A plain send is the hot path of the whole
program, and everything here runs once a message.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from time import perf_counter

from heliograph.domain.refusals import Refusal
from heliograph.domain.short_links import CODE_CHARS
from heliograph.gateways.http.authentication import authenticate, authenticate_cached
from heliograph.gateways.http.balance import balance
from heliograph.gateways.http.bodies import (
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    client_address,
    read_body,
)
from heliograph.gateways.http.calls import Call, Document, Reply, refuse
from heliograph.gateways.http.contacts import mails, phones
from heliograph.gateways.http.documents import documents
from heliograph.gateways.http.envelopes import SoapEndpoint
from heliograph.gateways.http.failures import log_failure
from heliograph.gateways.http.get import get
from heliograph.gateways.http.info import get_mnp, info
from heliograph.gateways.http.jobs import jobs
from heliograph.gateways.http.links import find_location
from heliograph.gateways.http.oms import OmsService
from heliograph.gateways.http.pages import PAGES
from heliograph.gateways.http.parameters import Parameters, read_parameters
from heliograph.gateways.http.ping import ping
from heliograph.gateways.http.ports import (
    HttpSettings,
    NoObserver,
    RequestObserver,
    Services,
)
from heliograph.gateways.http.receive_phones import receive_phones
from heliograph.gateways.http.send import send
from heliograph.gateways.http.senders import senders
from heliograph.gateways.http.soap import SoapService
from heliograph.gateways.http.status import status
from heliograph.gateways.http.templates import op_templates, templates
from heliograph.gateways.http.tinyurls import tinyurls
from heliograph.gateways.http.users import users
from heliograph.gateways.http.wait_call import wait_call
from heliograph.protocols.forms.charsets import KOI8_R, UTF_8, WINDOWS_1251
from heliograph.protocols.forms.replies import Format, encode_reply, find_format

__all__ = ["SCRIPTS", "HttpGateway"]

Handler = Callable[[Call], Awaitable[Reply]]
Headers = list[tuple[bytes, bytes]]

# A new endpoint is one line here, its handler, its errors and its page of documentation.
SCRIPTS: dict[str, Handler] = {
    "send": send,
    "status": status,
    "balance": balance,
    "get": get,
    "info": info,
    "get_mnp": get_mnp,
    "tinyurls": tinyurls,
    "receive_phones": receive_phones,
    "wait_call": wait_call,
    "documents": documents,
    "users": users,
    "phones": phones,
    "mails": mails,
    "templates": templates,
    "op_templates": op_templates,
    "senders": senders,
    "ping": ping,
    "jobs": jobs,
}


def _build_routes() -> dict[str, tuple[str, bool]]:
    """Path -> (script, whether it is the JSON form of it)."""
    routes: dict[str, tuple[str, bool]] = {}
    for name in SCRIPTS:
        routes[f"/sys/{name}.php"] = (name, False)
        routes[f"/rest/{name}/"] = (name, True)
        routes[f"/rest/{name}"] = (name, True)
    return routes


_ROUTES = _build_routes()
_SLASHES = re.compile(r"/{2,}")
# Parsing more than this is done by a thread: it would hold up everybody else's requests.
_LARGE_BODY_BYTES = 128 * 1024
_CONTENT_TYPES = {
    Format.TEXT: "text/html",
    Format.NUMBERS: "text/html",
    Format.XML: "text/xml",
    Format.JSON: "application/json",
}
# Replies may hold texts that other people wrote. A browser must not run them, nor keep the reply.
_GUARDS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cache-control", b"no-store"),
]
# Where somebody came from is no business of the target, and a robot need not keep the way.
_LINK_HEADERS: Headers = [(b"referrer-policy", b"no-referrer"), (b"x-robots-tag", b"noindex")]
_PLAIN: Headers = [(b"content-type", b"text/plain; charset=utf-8")]

_REPLY_HEADERS: dict[tuple[int, str], Headers] = {
    (int(fmt), charset.wire_name): [
        (b"content-type", f"{_CONTENT_TYPES[fmt]}; charset={charset.wire_name}".encode()),
        *_GUARDS,
    ]
    for fmt in Format
    for charset in (WINDOWS_1251, UTF_8, KOI8_R)
}


class HttpGateway:
    """The ASGI callable. Safe for any number of requests at once."""

    def __init__(
        self,
        services: Services,
        settings: HttpSettings | None = None,
        *,
        observer: RequestObserver | None = None,
    ) -> None:
        self._services = services
        self._settings = settings or HttpSettings()
        self._observer = observer or NoObserver()
        # Addresses that are not scripts with parameters but speak a protocol of their own.
        soap = SoapEndpoint(SoapService(self.answer), self._settings, self._observer)
        oms_service = OmsService(self.answer, services.authentication)
        oms = SoapEndpoint(oms_service, self._settings, self._observer)
        self._endpoints: dict[str, SoapEndpoint] = {
            "/sys/soap.php": soap,
            "/sys/oms.php": oms,
            "/oms/": oms,
            "/oms": oms,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Other kinds of scopes than `http` are left alone."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        route = _ROUTES.get(path)
        if route is None:
            # Clients join a host with a last slash and a path with a first one.
            path = _SLASHES.sub("/", path)
            route = _ROUTES.get(path)
            if route is None:
                endpoint = self._endpoints.get(path)
                if endpoint is not None:
                    await endpoint(scope, receive, send)
                else:
                    await self._show_page(path, scope, send)
                return
        method = scope["method"]
        if method not in ("GET", "POST"):
            await _respond(send, 405, b"use GET or POST", [*_PLAIN, (b"allow", b"GET, POST")])
            return
        started = perf_counter()
        script, is_rest = route
        try:
            parameters, address = await self._read(scope, receive, script, is_rest=is_rest)
        except BodyTooLarge:
            await _respond(
                send, 413, b"the body is too large", [*_PLAIN, (b"connection", b"close")]
            )
            return
        except _BadEncoding:
            await _respond(send, 415, b"the body must not be compressed", _PLAIN)
            return
        except ClientGone:
            return
        default = Format.JSON if is_rest else Format.TEXT
        fmt = find_format(parameters.fields.get("fmt", ""), default)
        try:
            reply = await self.answer(script, parameters, fmt, address)
        except Exception as error:
            log_failure(script, error)
            reply = refuse(script, Refusal.SYSTEM_ERROR, fmt)
        if reply.document is not None:
            content, headers = reply.document.content, _document_headers(reply.document)
        else:
            content = encode_reply(reply.text, fmt, parameters.charset)
            headers = _REPLY_HEADERS[fmt, parameters.charset.wire_name]
        await _respond(send, 200, content, headers)
        self._observer.http_request(script, reply.error_code, perf_counter() - started)

    async def _read(
        self, scope: Scope, receive: Receive, script: str, *, is_rest: bool
    ) -> tuple[Parameters, str]:
        """The parameters of a request, and its client's address."""
        length = kind = b""
        has_body = False
        forwarded: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
                has_body = value != b"0"
            elif name == b"content-type":
                kind = value
            elif name == b"transfer-encoding":
                has_body = True
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                # A small compressed body can be a very large one: nobody needs them here.
                raise _BadEncoding
            elif name == b"x-forwarded-for":
                forwarded.append(value)
        settings = self._settings
        peer = scope["client"][0] if scope["client"] else ""
        address = client_address(peer, forwarded, settings.trusted_proxies) if forwarded else peer
        query = scope["query_string"]
        if not has_body:
            return read_parameters(query, is_rest=is_rest), address
        most = settings.max_list_bytes if script == "jobs" else settings.max_body_bytes
        body = await read_body(receive, length, most)
        if len(body) > _LARGE_BODY_BYTES:
            parameters = await asyncio.to_thread(
                read_parameters, query, body, kind, is_rest=is_rest
            )
        else:
            parameters = read_parameters(query, body, kind, is_rest=is_rest)
        return parameters, address

    async def answer(self, script: str, parameters: Parameters, fmt: Format, address: str) -> Reply:
        """The reply of a script to these parameters from this address."""
        services = self._services
        fields = parameters.fields
        account = authenticate_cached(services.authentication, fields, address)
        if account is None:
            account = await authenticate(services.authentication, fields, address)
        if isinstance(account, Refusal):
            return refuse(script, account, fmt)
        call = Call(
            script,
            parameters,
            fmt=fmt,
            account=account,
            services=services,
            settings=self._settings,
        )
        reply = await self._run(call)
        if account.settings and account.is_on("fl[30]"):
            outcome = f"error {reply.error_code}" if reply.error_code else "done"
            services.request_log.note(
                account.actor_id or account.id, door="http", what=_describe(call), outcome=outcome
            )
        return reply

    @staticmethod
    async def _run(call: Call) -> Reply:
        """The script's reply, given that not too many requests of the account are under way."""
        account, limits = call.account, call.services.limits
        if not account.has_limits:
            return await SCRIPTS[call.script](call)
        if not limits.enter(account.id):
            return call.refuse(Refusal.TOO_MANY_AT_ONCE)
        try:
            return await SCRIPTS[call.script](call)
        finally:
            limits.leave(account.id)

    async def _show_page(self, path: str, scope: Scope, send: Send) -> None:
        page = PAGES.get(path)
        if page is None:
            if len(path) == CODE_CHARS + 1 and await self._follow_link(path, scope, send):
                return
            await _respond(send, 404, b"there is nothing here", _PLAIN)
        elif scope["method"] not in ("GET", "HEAD"):
            await _respond(send, 405, b"use GET", [*_PLAIN, (b"allow", b"GET, HEAD")])
        else:
            try:
                status, kind, body = page(self._settings)
            except Exception as error:
                log_failure(path, error)
                await _respond(send, 500, b"system error", _PLAIN)
                return
            await _respond(send, status, body, [(b"content-type", kind), *_GUARDS])

    async def _follow_link(self, path: str, scope: Scope, send: Send) -> bool:
        """Redirects when the path is a short link; True when it was."""
        try:
            links = self._services.data.short_links
            location = await find_location(path, scope, links, self._settings)
        except Exception as error:
            log_failure("short link", error)
            return False
        if location is None:
            return False
        headers = [(b"location", location.encode("ascii")), *_LINK_HEADERS, *_GUARDS]
        await _respond(send, 302, b"", headers)
        return True


def _document_headers(document: Document) -> Headers:
    disposition = f'attachment; filename="{document.name}"'
    return [
        (b"content-type", document.content_type.encode("ascii")),
        (b"content-disposition", disposition.encode("ascii")),
        *_GUARDS,
    ]


def _describe(call: Call) -> str:
    """A request for its log: the script and the names of its parameters, not what they hold."""
    return f"{call.script}: {' '.join(name for name in call.fields if name.isprintable())}"


class _BadEncoding(Exception):
    pass


async def _respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Sends the whole response: one body with its length, never in chunks."""
    length = (b"content-length", str(len(body)).encode("ascii"))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
