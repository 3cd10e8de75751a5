"""The HTTP door: routes, and the walk that every API request takes.

Check the address, authenticate, take a place among the account's requests, call the script's
handler, write the reply in the client's form and character set. API paths answer with status 200
whatever happened: clients read anything else as a broken line (send.php reference, 1).

A plain send is the hot path of the whole program, and everything here runs once a message: what can
be done in the turn in which a request was read is done in it, and only what has to wait becomes
work of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from functools import partial
from time import perf_counter
from typing import Any

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.domain.short_links import CODE_CHARS
from heliograph.gateways.http.addresses import client_address
from heliograph.gateways.http.authentication import authenticate, authenticate_cached
from heliograph.gateways.http.balance import balance
from heliograph.gateways.http.calls import Call, Document, Handler, Reply, Tell, refuse
from heliograph.gateways.http.contacts import mails, phones
from heliograph.gateways.http.documents import documents
from heliograph.gateways.http.envelopes import SoapEndpoint
from heliograph.gateways.http.exchanges import PLAIN, Request, Respond, Work, header_block
from heliograph.gateways.http.failures import log_failure, refusal_for
from heliograph.gateways.http.get import get
from heliograph.gateways.http.info import get_mnp, info
from heliograph.gateways.http.jobs import jobs
from heliograph.gateways.http.links import find_location
from heliograph.gateways.http.oms import OmsService
from heliograph.gateways.http.pages import PAGES, may_see_metrics
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
_GUARDS = header_block(
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cache-control", b"no-store"),
)
# Where somebody came from is no business of the target, and a robot need not keep the way.
_LINK_HEADERS = header_block((b"referrer-policy", b"no-referrer"), (b"x-robots-tag", b"noindex"))

_REPLY_HEADERS = {
    (int(fmt), charset.wire_name): header_block(
        (b"content-type", f"{_CONTENT_TYPES[fmt]}; charset={charset.wire_name}".encode())
    )
    + _GUARDS
    for fmt in Format
    for charset in (WINDOWS_1251, UTF_8, KOI8_R)
}


class HttpGateway:
    """The application of the HTTP listeners. Safe for any number of requests at once."""

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

    def body_limit(self, path: str) -> int:
        """The longest body of a request to `path`: lists may be longer than messages."""
        route = _ROUTES.get(path) or _ROUTES.get(_SLASHES.sub("/", path))
        settings = self._settings
        is_list = route is not None and route[0] == "jobs"
        return settings.max_list_bytes if is_list else settings.max_body_bytes

    def begin(self, request: Request, respond: Respond) -> Work | None:
        """Begins to answer; see `exchanges`."""
        route = _ROUTES.get(request.path)
        if route is None:
            # Clients join a host with a last slash and a path with a first one.
            path = _SLASHES.sub("/", request.path)
            route = _ROUTES.get(path)
            if route is None:
                endpoint = self._endpoints.get(path)
                if endpoint is not None:
                    return endpoint.answer(request, respond)
                return self._show_page(path, request, respond)
        if request.method not in ("GET", "POST"):
            respond(405, PLAIN + header_block((b"allow", b"GET, POST")), b"use GET or POST")
            return None
        started = perf_counter()
        script, is_rest = route
        kind = b""
        forwarded: list[bytes] = []
        for name, value in request.headers:
            if name == b"content-type":
                kind = value
            elif name == b"x-forwarded-for":
                forwarded.append(value)
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                # A small compressed body can be a very large one: nobody needs them here.
                respond(415, PLAIN, b"the body must not be compressed")
                return None
        address = request.peer
        if forwarded:
            address = client_address(address, forwarded, self._settings.trusted_proxies)
        exchange = _Exchange(
            script,
            is_rest=is_rest,
            address=address,
            respond=respond,
            observer=self._observer,
            started=started,
        )
        if len(request.body) > _LARGE_BODY_BYTES:
            return self._read_and_go_on(request, kind, exchange)
        parameters = read_parameters(request.query, request.body, kind, is_rest=is_rest)
        return self._go_on(exchange, parameters)

    async def _read_and_go_on(self, request: Request, kind: bytes, exchange: _Exchange) -> None:
        parameters = await asyncio.to_thread(
            read_parameters, request.query, request.body, kind, is_rest=exchange.is_rest
        )
        work = self._go_on(exchange, parameters)
        if work is not None:
            await work

    def _go_on(self, exchange: _Exchange, parameters: Parameters) -> Work | None:
        """Answers once the parameters are known."""
        default = Format.JSON if exchange.is_rest else Format.TEXT
        fmt = find_format(parameters.fields.get("fmt", ""), default)
        tell = partial(exchange.tell, parameters, fmt)
        return self._carry_out(exchange.script, parameters, fmt, exchange.address, tell)

    async def answer(self, script: str, parameters: Parameters, fmt: Format, address: str) -> Reply:
        """The reply of a script to these parameters from this address."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        work = self._carry_out(
            script,
            parameters,
            fmt,
            address,
            lambda reply: None if future.done() else future.set_result(reply),
        )
        if work is not None:
            await work
        return await future

    def _carry_out(
        self, script: str, parameters: Parameters, fmt: Format, address: str, tell: Tell
    ) -> Work | None:
        """Calls the script for the account that asks; `tell` is called once with its reply."""
        authentication = self._services.authentication
        account = authenticate_cached(authentication, parameters.fields, address)
        if account is None:
            return self._authenticate(script, parameters, fmt, address, tell)
        return self._run(script, parameters, fmt, account, tell)

    async def _authenticate(
        self, script: str, parameters: Parameters, fmt: Format, address: str, tell: Tell
    ) -> None:
        try:
            authentication = self._services.authentication
            account = await authenticate(authentication, parameters.fields, address)
        except Exception as error:
            account = refusal_for(script, error)
        work = self._run(script, parameters, fmt, account, tell)
        if work is not None:
            await work

    def _run(
        self,
        script: str,
        parameters: Parameters,
        fmt: Format,
        account: Account | Refusal,
        tell: Tell,
    ) -> Work | None:
        if isinstance(account, Refusal):
            tell(refuse(script, account, fmt))
            return None
        call = Call(
            script,
            parameters,
            fmt=fmt,
            account=account,
            services=self._services,
            settings=self._settings,
            tell=tell,
        )
        if account.settings and account.is_on("fl[30]"):
            call.tell = partial(self._note_and_tell, call, tell)
        if account.has_limits:
            if not self._services.limits.enter(account.id):
                call.tell(call.refuse(Refusal.TOO_MANY_AT_ONCE))
                return None
            call.tell = partial(self._leave_and_tell, account.id, call.tell)
        try:
            work = SCRIPTS[script](call)
        except Exception as error:
            call.tell(call.refuse(refusal_for(script, error)))
            return None
        return None if work is None else _finish(call, work)

    def _leave_and_tell(self, account_id: int, tell: Tell, reply: Reply) -> None:
        self._services.limits.leave(account_id)
        tell(reply)

    def _note_and_tell(self, call: Call, tell: Tell, reply: Reply) -> None:
        """Also puts a line into the account's log of requests."""
        account = call.account
        outcome = f"error {reply.error_code}" if reply.error_code else "done"
        self._services.request_log.note(
            account.actor_id or account.id, door="http", what=_describe(call), outcome=outcome
        )
        tell(reply)

    async def _show_page(self, path: str, request: Request, respond: Respond) -> None:
        page = PAGES.get(path)
        if path == "/metrics" and not may_see_metrics(request, self._settings):
            page = None
        if page is None:
            is_link = len(path) == CODE_CHARS + 1
            if not (is_link and await self._follow_link(path, request, respond)):
                respond(404, PLAIN, b"there is nothing here")
        elif request.method not in ("GET", "HEAD"):
            respond(405, PLAIN + header_block((b"allow", b"GET, HEAD")), b"use GET")
        else:
            try:
                status, kind, body = page(self._settings)
            except Exception as error:
                log_failure(path, error)
                respond(500, PLAIN, b"system error")
                return
            respond(status, header_block((b"content-type", kind)) + _GUARDS, body)

    async def _follow_link(self, path: str, request: Request, respond: Respond) -> bool:
        """Redirects when the path is a short link; True when it was."""
        try:
            links = self._services.data.short_links
            location = await find_location(path, request, links, self._settings)
        except Exception as error:
            log_failure("short link", error)
            return False
        if location is None:
            return False
        where = header_block((b"location", location.encode("ascii")))
        respond(302, where + _LINK_HEADERS + _GUARDS, b"")
        return True


class _Exchange:
    """A request to a script, until its reply has gone out."""

    __slots__ = ("_observer", "_respond", "_started", "address", "is_rest", "script")

    def __init__(
        self,
        script: str,
        *,
        is_rest: bool,
        address: str,
        respond: Respond,
        observer: RequestObserver,
        started: float,
    ) -> None:
        self.script = script
        self.is_rest = is_rest
        self.address = address
        self._respond = respond
        self._observer = observer
        self._started = started

    def tell(self, parameters: Parameters, fmt: Format, reply: Reply) -> None:
        """Writes the reply in the client's form and character set."""
        if reply.document is not None:
            content, head = reply.document.content, _document_headers(reply.document)
        else:
            content = encode_reply(reply.text, fmt, parameters.charset)
            head = _REPLY_HEADERS[fmt, parameters.charset.wire_name]
        self._respond(200, head, content)
        self._observer.http_request(self.script, reply.error_code, perf_counter() - self._started)


async def _finish(call: Call, work: Coroutine[Any, Any, Reply]) -> None:
    try:
        reply = await work
    except Exception as error:
        reply = call.refuse(refusal_for(call.script, error))
    call.tell(reply)


def _document_headers(document: Document) -> bytes:
    disposition = f'attachment; filename="{document.name}"'
    about = header_block(
        (b"content-type", document.content_type.encode("ascii")),
        (b"content-disposition", disposition.encode("ascii")),
    )
    return about + _GUARDS


def _describe(call: Call) -> str:
    """A request for its log: the script and the names of its parameters, not what they hold."""
    return f"{call.script}: {' '.join(name for name in call.fields if name.isprintable())}"
