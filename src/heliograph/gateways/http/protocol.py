"""One HTTP connection: requests out of a parser, responses in one write each.

The parser is httptools; between it and the application there is nothing, because a plain send is
the hot path of the whole program. What a door that stands open to strangers needs is here:

- a response leaves in one write, its head together with its body: one system call instead of two,
  and some clients take the first piece they read for the whole reply;
- requests of one connection are answered one after the other, in their order;
- heads, header counts, bodies and requests have sizes, and reading has deadlines: without them one
  endless header fills the memory, and a slow one holds a connection for ever;
- deadlines are looked at by one sweep over all connections, not by a timer for each request;
- no line is logged about what strangers send, and never a URL: it holds passwords.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools

from heliograph.gateways.http.exchanges import PLAIN, Application, Request
from heliograph.gateways.http.failures import log_failure

__all__ = ["Connection", "ConnectionLimits", "Listener"]

_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_STATUS_LINES = {each.value: f"HTTP/1.1 {each} {each.phrase}\r\n".encode() for each in HTTPStatus}
_CLOSE = b"connection: close\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {
    408: b"the request took too long",
    413: b"the body is too large",
    431: b"the head of the request is too large",
    503: b"too much is being read at the moment",
}
# Bodies up to this length are not counted: there is room for those of all connections together.
_SMALL_BODY_BYTES = 16 * 1024
# When there are too many connections, one of so many makes room: then it is not done for each one.
_ROOM_SHARE = 32

# How long a connection that was told to close may go on sending what nobody reads. Closing at once
# would reset it, and the client might never see the answer.
_LINGER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection may do. Times are in seconds.

    `max_head_bytes`: request line and headers; clients send URLs of a few thousand characters.
    `max_request_bytes`: everything on the wire of one request: its body may be in tiny chunks.
    `max_held_bytes`: long bodies of all connections that are being read or wait to be looked at;
    beyond it a long body is told 503. Anybody can send one, and it is in memory until its end.
    `idle_s`: silence between requests; `head_s` and `body_s`: from the first byte of a request
    to the end of its head, to its end; `stall_s`: a client that does not read its reply.
    """

    max_head_bytes: int = 64 * 1024
    max_headers: int = 100
    max_request_bytes: int = 24 * 1024 * 1024
    max_held_bytes: int = 256 * 1024 * 1024
    idle_s: float = 30.0
    head_s: float = 10.0
    body_s: float = 120.0
    stall_s: float = 60.0


@dataclass(slots=True, kw_only=True)
class Listener:
    """What all connections of a listener share.

    `max_connections` 0: no limit; for those beyond it the longest idle ones are closed, and they
    are told 503 while all the others are busy; `newcomers` are such connections of this turn.
    `held_bytes`: see `ConnectionLimits.max_held_bytes`. `date` is the header line of the present
    second. `is_stopping`: every answer is the last one of its connection; `emptied` is set when
    the last of them has gone.
    """

    app: Application
    limits: ConnectionLimits
    max_connections: int = 0
    held_bytes: int = 0
    date: bytes = b""
    is_stopping: bool = False
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[Connection] = field(default_factory=set)
    newcomers: set[Connection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def welcome(self, connection: Connection) -> None:
        """A new connection. When it is one too many, others make room in the next turn."""
        self.connections.add(connection)
        if 0 < self.max_connections < len(self.connections):
            if not self.newcomers:
                asyncio.get_running_loop().call_soon(self._make_room)
            self.newcomers.add(connection)

    def has_room(self) -> bool:
        """Makes room at once; False when all connections are busy."""
        self.newcomers.clear()
        self._make_room()
        return len(self.connections) <= self.max_connections

    def _make_room(self) -> None:
        """Closes those that have been silent for longest: strangers may open any number."""
        newcomers, self.newcomers = self.newcomers, set()
        there = [each for each in self.connections if each.is_there()]
        if len(there) > self.max_connections:
            surplus = max(len(there) - self.max_connections, self.max_connections // _ROOM_SHARE)
            # Not one that has just come: when all others are busy, it is to be told.
            idle = [each for each in there if each not in newcomers and not each.is_answering()]
            for connection in sorted(idle, key=Connection.silence)[:surplus]:
                connection.abort()
                self.connections.discard(connection)


def _escape_request_line(data: bytes) -> bytes:
    """`data` with the letters of its first line percent-encoded.

    Old clients write texts into the URL as they are, and common web servers take that; the parser
    does not.
    """
    line, end, rest = data.partition(b"\n")
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest


class Connection(asyncio.Protocol):
    """A connection. `sweep` must be called about once a second."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # What comes after a last request is thrown away, and is no fault of that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.transport: asyncio.Transport | None = None
        self._peer = ""
        self._is_tls = False
        # The request that is being read.
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._declared_bytes = 0
        self._request: Request | None = None
        self._body: list[bytes] = []
        self._body_bytes = self._body_limit = 0
        self._request_bytes = 0
        self._is_in_head = True
        self._expects_continue = False
        self._fault = 400
        # Those that have been read: the one that is being answered, and what waits behind it.
        self._running: Request | None = None
        self._waiting: deque[Request] = deque()
        self._is_pumping = self._is_reading_paused = self._is_writing_paused = False
        self._is_lingering = False
        # Loop times; 0 when the thing is not going on.
        self._began_at = 0.0
        self._idle_since = self._loop.time()
        self._stalled_since = 0.0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes its place among the listener's connections."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._is_tls = transport.get_extra_info("sslcontext") is not None
        self._listener.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """What is being answered goes on; its reply has nowhere to go."""
        listener = self._listener
        listener.connections.discard(self)
        if listener.is_stopping and not listener.connections:
            listener.emptied.set()
        self._forget_waiting()
        self._running = None
        self.transport = None

    def eof_received(self) -> bool:
        """A client that has said all it wants may still be waiting for its replies."""
        if self._is_lingering or (self._running is None and not self._waiting):
            return False
        (self._waiting[-1] if self._waiting else cast("Request", self._running)).keep_alive = False
        return not self._is_tls

    def pause_writing(self) -> None:
        """The client does not read: nothing more is answered until it does."""
        self._is_writing_paused = True
        self._stalled_since = self._loop.time()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_writing_paused = False
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, within the limits on sizes."""
        if self._is_lingering:
            return
        if self._is_in_head and not self._request_bytes and not data.isascii():
            data = _escape_request_line(data)
        self._request_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing to upgrade to. The request was answered as an ordinary one, and its
            # connection is closed after that.
            return
        except httptools.HttpParserError:
            self._refuse(self._fault)
            return
        if self._is_in_head:
            if self._request_bytes > self._listener.limits.max_head_bytes:
                self._refuse(431)
        elif self._request_bytes > self._listener.limits.max_request_bytes:
            self._refuse(413)

    # The parser's side

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._url = b""
        self._headers = []
        self._declared_bytes = 0
        self._expects_continue = False
        self._began_at = self._loop.time()
        self._request_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those after the body (trailers) are ignored."""
        if not self._is_in_head:
            return
        name = name.lower()
        if name == b"content-length":
            self._declared_bytes = int(value)
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Checks the head. Raises ValueError, with `_fault` set, when it is above the limits."""
        self._is_in_head = False
        headers, limits, parser = self._headers, self._listener.limits, self._parser
        size = len(self._url) + sum([len(name) + len(value) for name, value in headers])
        if size > limits.max_head_bytes or len(headers) > limits.max_headers:
            self._fault = 431
            raise ValueError("the head of the request is too large")
        path, _, query = self._target().partition(b"?")
        self._request = request = Request(
            parser.get_method().decode("ascii"),
            path.decode("latin-1"),
            query,
            headers,
            peer=self._peer,
            is_tls=self._is_tls,
            keep_alive=(
                parser.should_keep_alive()
                and not parser.should_upgrade()
                and parser.get_http_version() != "1.0"
            ),
        )
        self._body_limit = self._listener.app.body_limit(request.path)
        self._body_bytes = 0
        if self._declared_bytes > self._body_limit:
            self._fault = 413
            raise ValueError("the body of the request is too large")
        if self._expects_continue and self._running is None and self.transport is not None:
            self._expects_continue = False
            self.transport.write(_CONTINUE)

    def _target(self) -> bytes:
        """Path and query of the request's target, which a proxy's client writes with a host."""
        target = self._url.partition(b"#")[0] if b"#" in self._url else self._url
        if target[:1] != b"/" and b"://" in target[:8]:
            host_and_path = target.partition(b"://")[2]
            start = host_and_path.find(b"/")
            return host_and_path[start:] if start >= 0 else b"/"
        return target

    def on_body(self, body: bytes) -> None:
        """A piece of the body. Raises ValueError, with `_fault` set, when there is too much."""
        self._body_bytes += len(body)
        if self._body_bytes > self._body_limit:
            self._fault = 413
            raise ValueError("the body of the request is too large")
        if self._body_bytes > _SMALL_BODY_BYTES:
            self._hold(len(body))
        self._body.append(body)

    def _hold(self, size: int) -> None:
        """Counts a piece of a long body. Raises ValueError, with `_fault` set, when all of them
        together are too long."""
        listener, request = self._listener, cast("Request", self._request)
        if listener.held_bytes + size > listener.limits.max_held_bytes:
            self._fault = 503
            raise ValueError("the bodies of all requests are too large")
        listener.held_bytes += size
        request.held_bytes += size

    def _let_go(self, request: Request) -> None:
        """A request whose body nobody needs any more."""
        self._listener.held_bytes -= request.held_bytes
        request.held_bytes = 0

    def _forget_waiting(self) -> None:
        """Drops what was read and will not be answered."""
        if self._request is not None:
            self._let_go(self._request)
        self._body = []
        for request in self._waiting:
            self._let_go(request)
        self._waiting.clear()

    def on_message_complete(self) -> None:
        """The end of a request; the next one starts with a head again."""
        request, self._request = self._request, None
        assert request is not None
        if self._body:
            request.body = b"".join(self._body)
            self._body = []
        self._is_in_head = True
        self._request_bytes = 0
        self._began_at = 0.0
        self._waiting.append(request)
        self._pump()

    # Answering

    def _pump(self) -> None:
        """Begins to answer what waits, one after the other."""
        if self._is_pumping:
            return
        self._is_pumping = True
        waiting = self._waiting
        while waiting and self._running is None and not self._is_writing_paused:
            self._start(waiting.popleft())
        self._is_pumping = False
        # Not before all that came in one piece have had their turn: the queue would have no limit.
        if bool(waiting) is not self._is_reading_paused and self.transport is not None:
            self._is_reading_paused = bool(waiting)
            if self._is_reading_paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _start(self, request: Request) -> None:
        self._running = request
        listener = self._listener
        is_full = 0 < listener.max_connections < len(listener.connections)
        if is_full and not listener.has_room():
            request.keep_alive = False
            self._let_go(request)
            self.respond(503, PLAIN, b"too many connections")
            return
        try:
            work = listener.app.begin(request, self.respond)
        except Exception as error:
            self._let_go(request)
            self._fail(request, error)
            return
        if work is None:
            if request.held_bytes:
                self._let_go(request)
        else:
            task = self._loop.create_task(work)
            listener.tasks.add(task)
            task.add_done_callback(partial(self._worked, request))

    def _worked(self, request: Request, task: asyncio.Task[None]) -> None:
        self._listener.tasks.discard(task)
        self._let_go(request)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(request, error)

    def _fail(self, request: Request, error: BaseException) -> None:
        """A bug of the application: this request ends, and nothing else."""
        log_failure("http", error)
        if self._running is request:
            self.respond(500, PLAIN, b"system error")

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        """The whole response to the running request; the next one has its turn."""
        request, transport = self._running, self.transport
        if request is None or transport is None or transport.is_closing():
            return  # the client has gone
        self._running = None
        is_last = not request.keep_alive or self._listener.is_stopping
        transport.write(
            b"%b%b%bcontent-length: %d\r\n%b\r\n%b"
            % (
                _STATUS_LINES[status],
                self._listener.date,
                head,
                len(body),
                _CLOSE if is_last else b"",
                b"" if request.method == "HEAD" else body,
            )
        )
        self._idle_since = self._loop.time()
        if is_last:
            self._forget_waiting()
            if self._is_lingering:
                self._close_gently()
            else:
                transport.close()
            return
        if self._expects_continue and not (self._waiting or self._is_in_head):
            self._expects_continue = False
            transport.write(_CONTINUE)
        if self._waiting:
            self._pump()

    def _refuse(self, status: int) -> None:
        """Ends a connection whose bytes make no request, with an answer if it is their turn."""
        self._forget_waiting()
        self._is_lingering = True
        self._idle_since = self._loop.time()
        if self._running is not None:
            # An earlier request is still being answered: its reply is the last one.
            self._running.keep_alive = False
            return
        if self.transport is None or self.transport.is_closing():
            return
        body = _REASONS.get(status, b"this is no request that can be read")
        length = b"content-length: %d\r\n" % len(body)
        head = _STATUS_LINES[status] + PLAIN + length + _CLOSE
        self.transport.write(head + b"\r\n" + body)
        self._close_gently()

    def _close_gently(self) -> None:
        """Closes our side; the other side's bytes are thrown away for a while."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self._is_lingering = True
        self._idle_since = self._loop.time()
        if transport.can_write_eof():
            if self._is_reading_paused:
                self._is_reading_paused = False
                transport.resume_reading()
            transport.write_eof()
        else:
            transport.close()

    # Deadlines

    def sweep(self, now: float) -> None:
        """Ends what has taken too long by the loop's time `now`."""
        limits, transport = self._listener.limits, self.transport
        if transport is None:
            return
        # Also of a connection that is idle or being closed: its reply would stay in memory.
        if self._is_writing_paused:
            if now - self._stalled_since > limits.stall_s:
                transport.abort()
            return
        if transport.is_closing() or self._running is not None or self._waiting:
            return
        if self._is_lingering:
            if now - self._idle_since > _LINGER_S:
                transport.abort()
        elif not self._began_at:
            if now - self._idle_since > limits.idle_s:
                transport.close()
        elif now - self._began_at > (limits.head_s if self._is_in_head else limits.body_s):
            self._refuse(408)

    def is_there(self) -> bool:
        """Whether it is open, and not about to be closed."""
        return self.transport is not None and not self.transport.is_closing()

    def is_answering(self) -> bool:
        """Whether somebody waits for an answer that is being made."""
        return self._running is not None or bool(self._waiting)

    def silence(self) -> tuple[bool, float]:
        """What sorts connections by who may be closed first: no body is being read, and idle for
        longest."""
        return self._body_bytes > 0 and not self._is_in_head, self._idle_since

    def finish(self) -> None:
        """Closes when nothing is being answered; else the reply that goes on is the last one."""
        if self._running is None and self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Ends the connection without waiting for anything."""
        if self.transport is not None:
            self.transport.abort()
