"""Outgoing HTTP: the only module that opens such connections.

Every address is checked when a connection is opened, after the name was resolved, and the
connection goes to the checked address itself: a name that changes its answer in between gains
nothing. There are no redirects, no proxies taken from the environment, one deadline for a whole
exchange, and a cap on what is read.

The client is a small HTTP/1.1 one on httptools: a callback costs a write, a read and one parse on a
connection that is kept alive. A general client spends several times as much on the same exchange.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, cast

import httptools

from heliograph.config import Webhooks
from heliograph.targets import AddressGuard, AddressRefused, HttpError, Target, is_ip, take_apart

__all__ = ["AddressRefused", "HttpClient", "HttpError", "Response"]

_MAX_HEAD_BYTES = 16 * 1024
_SWEEP_S = 0.25  # grain of deadlines: one timer for all connections instead of one per exchange
_IDLE_S = 15.0  # less than what common servers grant, so that they rarely close under a request
_NAMES_KEPT_S = 30.0
# While the resolver does not answer, or is busy with names that somebody lets hang, addresses that
# were right before are good enough: they are checked as any others. Asked for again now and then.
_NAMES_OLD_S = 3600.0
_ASK_AGAIN_S = 5.0
_PATIENCE_S = 1.0
_NAMES_KEPT = 10_000
_LOOKUP_THREADS = 16
# Of files, which any request may name: they keep no callback waiting.
_FILE_LOOKUP_THREADS = 4
_GONE = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_FIELD = re.compile(r"[\t\x20-\x7e]*")


class _Dropped(HttpError):
    """The far side closed a kept connection before it answered anything."""


class Response(NamedTuple):
    """An answer. `body` is cut at the client's cap."""

    status: int
    body: bytes


class _Name(NamedTuple):
    """Addresses of a name. Times are the loop's."""

    fresh_until: float
    good_until: float
    addresses: list[str]


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self, origin: _Origin | None) -> None:
        self.origin = origin
        self.deadline = 0.0
        self.idle_since = 0.0
        self.is_used = False  # it has carried an exchange already
        self.is_closed = False
        self.waiter: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None
        # Asked for once: in Python 3.11 it costs a system call.
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._begin(0)

    def _begin(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head_bytes = 0
        self._status = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._completed = 0
        self._is_kept = False

    def exchange(self, data: bytes, max_bytes: int, deadline: float) -> asyncio.Future[Response]:
        """Sends a request; the future gets the answer or an HttpError. Raises HttpError."""
        if self.is_closed or self._transport is None:
            raise (_Dropped if self.is_used else HttpError)("the connection was closed")
        self._begin(max_bytes)
        self.deadline = deadline
        self.waiter = waiter = self._loop.create_future()
        self._transport.write(data)
        return waiter

    def close(self, error: HttpError | None = None) -> None:
        """Drops the connection; whoever waits gets the error."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error or HttpError("the connection was closed"))

    # --- called by the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.waiter is None:  # nothing was asked
            self.close()
            return
        if not self._status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._completed:
                self.close(HttpError("the answer is not HTTP"))
                return
            self._completed = 2  # an answer, and rubbish after it
        if self._body_bytes > self._max_bytes:
            self._overflow()
        elif self._completed:
            self._finish(is_kept=self._completed == 1 and self._is_kept)
        elif not self._status and self._head_bytes > _MAX_HEAD_BYTES:
            self.close(HttpError("the head of the answer is too long"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self.waiter is not None:
            self._end_of_input()
        if self.origin is not None:
            self.origin.lose(self)

    # --- called by the parser ---

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._completed:
            self._status = status

    def on_body(self, body: bytes) -> None:
        if self._completed:  # of something behind the answer
            return
        self._body_bytes += len(body)
        if self._body_bytes <= self._max_bytes:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._status:  # interim answers (1xx) have none
            self._completed += 1
            self._is_kept = self._parser.should_keep_alive()  # known in here only

    # --- ends ---

    def _finish(self, *, is_kept: bool) -> None:
        waiter, self.waiter = self.waiter, None
        assert waiter is not None
        body = self._body
        response = Response(self._status, body[0] if len(body) == 1 else b"".join(body))
        if not is_kept or self.origin is None:
            self.close()
        else:
            self.is_used = True
            self.origin.release(self)
        if not waiter.done():
            waiter.set_result(response)

    def _overflow(self) -> None:
        # Who posts an event is told by the status alone: the rest of the body is not worth reading.
        self._finish(is_kept=False)

    def _end_of_input(self) -> None:
        if self._status:
            self._finish(is_kept=False)
            return
        is_silent = self._head_bytes == 0
        text = "the connection was closed before an answer"
        self.close(_Dropped(text) if self.is_used and is_silent else HttpError(text))


class _Download(_Connection):
    """One exchange whose body matters: cut short or too long is an error."""

    def __init__(self) -> None:
        self._has_length = False
        super().__init__(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def _overflow(self) -> None:
        self.close(HttpError(f"the answer is longer than {self._max_bytes} bytes"))

    def _end_of_input(self) -> None:
        if self._status and self._has_length:
            self.close(HttpError("the answer was cut short"))
        else:
            super()._end_of_input()


class _Origin:
    """The connections to one scheme, host and port. `connecting` counts those being opened."""

    __slots__ = ("connecting", "idle", "open", "waiting")

    def __init__(self) -> None:
        self.connecting = 0
        self.open: set[_Connection] = set()
        self.idle: list[_Connection] = []
        self.waiting: deque[asyncio.Future[_Connection | None]] = deque()

    def release(self, connection: _Connection) -> None:
        """Takes a connection back; the request that waited longest gets it."""
        if not self._hand_over(connection):
            connection.idle_since = time.monotonic()
            self.idle.append(connection)

    def lose(self, connection: _Connection) -> None:
        """Forgets a closed connection; the request that waited longest may open another one."""
        self.open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._hand_over(None)

    def give_up(self) -> None:
        """A connection could not be opened; the request that waited longest may try."""
        self.connecting -= 1
        self._hand_over(None)

    def _hand_over(self, connection: _Connection | None) -> bool:
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False


class HttpClient:
    """Keeps connections to the hosts that are called. All methods run in the event loop."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        allowed_networks: Iterable[str] = (),
        timeout_s: float = 10.0,
        max_response_bytes: int = 64 * 1024,
        per_host: int = 256,
        tls: ssl.SSLContext | None = None,
        lookup: Callable[[str], list[str]] | None = None,
    ) -> None:
        """`timeout_s` bounds one exchange from the name's lookup to the end of the answer,
        `per_host` the connections to one host. `tls` and `lookup` (a blocking function from a name
        to addresses, raising OSError) replace the system's. Raises ValueError for what is no
        network."""
        self.guard = AddressGuard(allow_private=allow_private, allowed_networks=allowed_networks)
        self._timeout_s = timeout_s
        self._max_response_bytes = max_response_bytes
        self._per_host = per_host
        self._tls = tls
        self._lookup = lookup or _look_up
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="dns")
        self._file_threads = ThreadPoolExecutor(_FILE_LOOKUP_THREADS, thread_name_prefix="dns-file")
        self._names: dict[str, _Name] = {}
        self._lookups: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._origins: dict[tuple[bool, str, int], _Origin] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    @classmethod
    def from_config(cls, config: Webhooks) -> HttpClient:
        """A client as the settings of `webhooks` say."""
        return cls(
            allow_private=config.allow_private,
            allowed_networks=config.allowed_networks,
            timeout_s=config.timeout_s,
        )

    async def post_form(
        self, url: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Posts an encoded form on a kept connection. Raises HttpError."""
        target = take_apart(url)
        data = (
            b"POST %b HTTP/1.1\r\n%bContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n%b\r\n%b"
            % (target.path, target.head, len(body), _lines(headers) if headers else b"", body)
        )
        deadline = time.monotonic() + self._timeout_s  # the clock of the loop, too
        origin = self._origins.get(target.origin)
        if origin is None:
            origin = self._origins[target.origin] = _Origin()
        while True:
            if origin.idle:
                connection = origin.idle.pop()
            else:
                connection = await self._acquire(origin, target, deadline)
            try:
                return await connection.exchange(data, self._max_response_bytes, deadline)
            except _Dropped:
                # The far side gave the kept connection up in the moment of our request: that is
                # no failure of the receiver. Each turn uses a connection up, so this ends.
                continue
            except BaseException:
                connection.close()
                raise

    async def get(self, url: str, max_bytes: int) -> Response:
        """Fetches a file on a connection of its own. Raises HttpError, also when the body is longer
        than `max_bytes` or cut short."""
        target = take_apart(url)
        data = b"GET %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (target.path, target.head)
        deadline = time.monotonic() + self._timeout_s
        connection = await self._connect(target, deadline, _Download, self._file_threads)
        try:
            async with asyncio.timeout_at(deadline):
                return await connection.exchange(data, max_bytes, deadline)
        except TimeoutError:
            raise HttpError("no answer in time") from None
        finally:
            connection.close()

    async def close(self) -> None:
        """Drops every connection; requests under way fail."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for origin in self._origins.values():
            for connection in list(origin.open):
                connection.close()
        self._origins.clear()
        for threads in (self._threads, self._file_threads):
            threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def _acquire(self, origin: _Origin, target: Target, deadline: float) -> _Connection:
        """A connection that nobody uses: a kept one as soon as there is one, or a new one."""
        while len(origin.open) + origin.connecting >= self._per_host:
            waiter: asyncio.Future[_Connection | None]
            waiter = asyncio.get_running_loop().create_future()
            origin.waiting.append(waiter)
            try:
                async with asyncio.timeout_at(deadline):
                    connection = await waiter
            except BaseException as error:
                if waiter.done() and not waiter.cancelled() and (kept := waiter.result()):
                    origin.release(kept)
                if isinstance(error, TimeoutError):
                    raise HttpError("no connection to the host became free in time") from None
                raise
            if connection is not None and not connection.is_closed:
                return connection
            if origin.idle:
                return origin.idle.pop()
        origin.connecting += 1
        try:
            connection = await self._connect(
                target, deadline, lambda: _Connection(origin), self._threads
            )
        except BaseException:
            origin.give_up()
            raise
        origin.connecting -= 1
        origin.open.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        return connection

    async def _connect(
        self,
        target: Target,
        deadline: float,
        factory: Callable[[], _Connection],
        threads: ThreadPoolExecutor,
    ) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._resolve(target.host, threads)
        except TimeoutError:
            raise HttpError("the name of the host was not resolved in time") from None
        admitted = [address for address in addresses if self.guard.admits(address)]
        if not admitted:
            raise AddressRefused("the address is not one that may be called")
        failure = "no connection in time"
        for index, address in enumerate(admitted):
            # An address that swallows packets must leave time for the next one.
            left = (deadline - loop.time()) / (len(admitted) - index)
            try:
                async with asyncio.timeout(left):
                    _, connection = await loop.create_connection(
                        factory,
                        address,
                        target.port,
                        ssl=self._tls_context() if target.is_tls else None,
                        server_hostname=target.host if target.is_tls else None,
                    )
                return connection
            except TimeoutError:
                continue
            except OSError as error:
                failure = f"no connection: {_reason(error)}"
        raise HttpError(failure)

    async def _resolve(self, host: str, threads: ThreadPoolExecutor) -> list[str]:
        if is_ip(host):
            return [host]
        now = asyncio.get_running_loop().time()
        known = self._names.get(host)
        if known is not None and known.fresh_until > now:
            return known.addresses
        if known is not None and known.good_until <= now:
            known = None
        key = (host, id(threads))
        lookup = self._lookups.get(key) or self._begin_lookup(key, threads)
        try:
            async with asyncio.timeout(None if known is None else _PATIENCE_S):
                return await asyncio.shield(lookup)
        except (OSError, UnicodeError) as error:  # TimeoutError is one of them
            if known is None or (isinstance(error, socket.gaierror) and error.errno in _GONE):
                raise HttpError("the name of the host does not resolve") from None
        self._names[host] = known._replace(fresh_until=now + _ASK_AGAIN_S)
        return known.addresses

    def _begin_lookup(
        self, key: tuple[str, int], threads: ThreadPoolExecutor
    ) -> asyncio.Future[list[str]]:
        """Asks in a thread: one at most waits for one name. The answer is remembered, also when
        nobody waits for it any more."""
        loop = asyncio.get_running_loop()

        def remember(lookup: asyncio.Future[list[str]]) -> None:
            del self._lookups[key]
            if lookup.cancelled() or lookup.exception() is not None:
                return
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            now = loop.time()
            self._names[key[0]] = _Name(now + _NAMES_KEPT_S, now + _NAMES_OLD_S, lookup.result())

        lookup = loop.run_in_executor(threads, self._lookup, key[0])
        lookup.add_done_callback(remember)
        self._lookups[key] = lookup
        return lookup

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _sweep(self) -> None:
        """Ends exchanges that are past their deadline, and connections that were idle for long."""
        now = time.monotonic()
        for key, origin in list(self._origins.items()):
            for connection in list(origin.open):
                if connection.is_closed:
                    origin.lose(connection)
                elif connection.waiter is not None:
                    if connection.deadline <= now:
                        connection.close(HttpError("no answer in time"))
                elif connection in origin.idle and connection.idle_since + _IDLE_S <= now:
                    origin.idle.remove(connection)
                    connection.close()
            if not origin.open and not origin.connecting and not origin.waiting:
                del self._origins[key]
        self._sweeper = None
        if self._origins:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _lines(headers: Mapping[str, str]) -> bytes:
    for name, value in headers.items():
        if not _FIELD.fullmatch(name) or not _FIELD.fullmatch(value):
            raise HttpError("a header holds characters that it may not hold")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    return os.strerror(error.errno).lower() if error.errno else "the connection was closed"
