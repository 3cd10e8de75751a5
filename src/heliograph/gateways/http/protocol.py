"""One HTTP connection: uvicorn's httptools protocol with the limits that it leaves to others.

What is different here, and why:

- a response leaves in one write, its head together with its body: one system call instead of two,
  and some clients take the first piece they read for the whole reply;
- heads, header counts and requests have sizes, and reading has deadlines: without them one endless
  header fills the memory, and a slow one holds a connection for ever;
- deadlines are looked at by one sweep over all connections, not by a timer for each request;
- no line is logged about what strangers send, and never a URL: it holds passwords.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, service_unavailable
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from heliograph.gateways.http.failures import log_failure

__all__ = ["ApiProtocol", "ConnectionLimits", "DoorConfig"]

_NOT_ASCII = re.compile(rb"[\x80-\xff]")

# How long a connection that was told to close may go on sending what nobody reads. Closing at once
# would reset it, and the client might never see the answer.
_LINGER_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection may do. Times are in seconds.

    `max_head_bytes`: request line and headers; clients send URLs of a few thousand characters.
    `max_request_bytes`: everything on the wire of one request: its body may be in tiny chunks.
    `idle_s`: silence between requests; `head_s` and `body_s`: from the first byte of a request
    to the end of its head, to its end; `stall_s`: a client that does not read its reply.
    """

    max_head_bytes: int = 64 * 1024
    max_headers: int = 100
    max_request_bytes: int = 24 * 1024 * 1024
    idle_s: float = 30.0
    head_s: float = 10.0
    body_s: float = 120.0
    stall_s: float = 60.0


def _escape_request_line(data: bytes) -> bytes:
    """`data` with the letters of its first line percent-encoded.

    Old clients write texts into the URL as they are, and common web servers take that; the parser
    does not.
    """
    line, end, rest = data.partition(b"\n")
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest


class DoorConfig(Config):
    """uvicorn's configuration with our limits, which its protocol objects find here."""

    limits: ConnectionLimits = ConnectionLimits()


class ApiCycle(RequestResponseCycle):
    """One request and its response."""

    on_unread: Callable[[], None]
    head: dict[str, Any] | None = None

    async def run_asgi(self, app: Any) -> None:
        """Runs the application; a failure of it ends the connection and nothing else."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception as error:
            log_failure("http", error)
        finally:
            # A connection that is being refused closes by itself, after its client has read why.
            if not (self.response_complete or self.disconnected or self.transport.is_closing()):
                self.transport.close()
            self.on_response = lambda: None

    async def send(self, message: Any) -> None:
        """Keeps the head until the body is there, and writes both at once.

        A body must come whole: no endpoint here streams.
        """
        if message["type"] == "http.response.start":
            self.response_started = True
            self.waiting_for_100_continue = False
            self.head = message
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or self.transport.is_closing() or self.head is None:
            return
        content = [STATUS_LINE[self.head["status"]]]
        for name, value in self.default_headers:
            content += (name, b": ", value, b"\r\n")
        for name, value in self.head["headers"]:
            content += (name, b": ", value, b"\r\n")
            if name == b"connection":
                self.keep_alive = False
        if not self.keep_alive and (b"connection", b"close") not in self.head["headers"]:
            content.append(b"connection: close\r\n")
        content.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            content.append(message.get("body", b""))
        self.transport.write(b"".join(content))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            if self.more_body:
                self.on_unread()
            else:
                self.transport.close()
        self.on_response()


class ApiProtocol(HttpToolsProtocol):
    """A connection. `sweep` must be called about once a second."""

    config: DoorConfig

    def __init__(self, config: DoorConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.limits = config.limits
        self._is_in_head = True
        self._is_lingering = False
        self._request_bytes = 0
        self._fault = 400
        # Loop times; 0 when the thing is not going on.
        self._began_at = 0.0
        self._idle_since = self.loop.time()
        self._stalled_since = 0.0
        self._running: ApiCycle | None = None

    # Reading

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, within the limits on sizes."""
        if self._is_lingering:
            return
        if self._is_in_head and not self._request_bytes and not data.isascii():
            data = _escape_request_line(data)
        self._request_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing to upgrade to. The request was answered as an ordinary one, and its
            # connection is closed after that.
            return
        except httptools.HttpParserError:
            self._refuse(self._fault)
            return
        if self._is_in_head:
            if self._request_bytes > self.limits.max_head_bytes:
                self._refuse(431)
        elif self._request_bytes > self.limits.max_request_bytes:
            self._refuse(413)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._began_at = self.loop.time()
        self._request_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those after the body (trailers) are ignored."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Starts the application, or lets the request wait for those before it."""
        self._is_in_head = False
        self._check_head()
        version = self.parser.get_http_version()
        path, _, query = self._target().partition(b"?")
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "scheme": self.scheme or "http",
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state,
        }
        app = self.app
        limit = self.limit_concurrency
        if limit is not None and max(len(self.connections), len(self.tasks)) > limit:
            app = service_unavailable
        self.cycle = cycle = ApiCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=(
                version != "1.0"
                and self.parser.should_keep_alive()
                and not self.parser.should_upgrade()
            ),
            on_response=self.on_response_complete,
        )
        cycle.on_unread = self._close_gently
        if self._running is None:
            self._start(cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def _check_head(self) -> None:
        """Raises ValueError, with `_fault` set, when the head is above the limits."""
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > self.limits.max_head_bytes or len(self.headers) > self.limits.max_headers:
            self._fault = 431
            raise ValueError("the head of the request is too large")

    def _target(self) -> bytes:
        """Path and query of the request's target, which a proxy's client writes with a host."""
        target = self.url.partition(b"#")[0] if b"#" in self.url else self.url
        if target[:1] != b"/" and b"://" in target[:8]:
            host_and_path = target.partition(b"://")[2]
            start = host_and_path.find(b"/")
            return host_and_path[start:] if start >= 0 else b"/"
        return target

    def on_body(self, body: bytes) -> None:
        """A piece of the body, for the request that is being read."""
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The end of a request; the next one starts with a head again."""
        self._is_in_head = True
        self._request_bytes = 0
        self._began_at = 0.0
        self.cycle.more_body = False
        self.cycle.message_event.set()

    # Answering

    def _start(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        self._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Goes on to the next request of the connection."""
        self.server_state.total_requests += 1
        self._running = None
        self._idle_since = self.loop.time()
        if self.transport.is_closing() or self._is_lingering:
            return
        if self.pipeline:
            self._start(*self.pipeline.pop())
        # Not before all that came in one piece have had their turn: the queue would have no limit.
        if not self.pipeline:
            self.flow.resume_reading()

    def _refuse(self, status: int) -> None:
        """Ends a connection whose bytes make no request, with an answer if it is their turn."""
        running = self._running
        self.pipeline.clear()
        if running is not None and not running.more_body:
            # An earlier request is still being answered: its reply is the last one.
            running.keep_alive = False
            self._is_lingering = True
            self._idle_since = self.loop.time()
            return
        if running is not None:
            running.disconnected = True
            running.message_event.set()
        self.transport.write(
            STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self._close_gently()

    def _close_gently(self) -> None:
        """Closes our side; the other side's bytes are thrown away for a while."""
        self._is_lingering = True
        self._idle_since = self.loop.time()
        if self.transport.can_write_eof():
            self.flow.resume_reading()
            self.transport.write_eof()
        else:
            self.transport.close()

    # Deadlines

    def timeout_keep_alive_handler(self) -> None:
        """Not used: `sweep` looks after idle connections."""

    def sweep(self, now: float) -> None:
        """Ends what has taken too long by the loop's time `now`."""
        limits = self.limits
        running = self._running
        if self.transport is None:
            return
        # Also of a connection that is idle or being closed: its reply would stay in memory.
        if self.flow.write_paused:
            self._stalled_since = self._stalled_since or now
            if now - self._stalled_since > limits.stall_s:
                self.transport.abort()
            return
        self._stalled_since = 0.0
        if self.transport.is_closing() or (running is not None and not running.more_body):
            return
        if self._is_lingering:
            if now - self._idle_since > _LINGER_S:
                self.transport.abort()
        elif not self._began_at:
            if now - self._idle_since > limits.idle_s:
                self.transport.close()
        elif now - self._began_at > (limits.head_s if self._is_in_head else limits.body_s):
            self._refuse(408)
