"""The HTTP listener: connections in the program's own event loop, and the clock that watches them.

One `HttpServer` is one listener; the plain and the TLS one share the same application.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email.utils import formatdate

from heliograph.gateways.http.certificates import Certificate, TlsFiles
from heliograph.gateways.http.exchanges import Application
from heliograph.gateways.http.protocol import Connection, ConnectionLimits, Listener

__all__ = ["ConnectionLimits", "HttpServer", "TlsFiles"]

_BACKLOG = 2048
_TICK_S = 1.0
_TICKS_BETWEEN_RELOADS = 3
# How long cancelled work may take to end.
_CANCEL_S = 1.0
# From the connection to the end of its TLS handshake.
_HANDSHAKE_S = 10.0


class HttpServer:
    """A listener. `port` 0 takes a free one; `start` tells which.

    `max_connections`: for those beyond it the longest idle ones are closed; while all are busy they
    are told 503, which clients take for a broken line. 0: any number.
    """

    def __init__(
        self,
        app: Application,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: TlsFiles | None = None,
        limits: ConnectionLimits | None = None,
        max_connections: int = 0,
    ) -> None:
        self._host = host
        self._port = port
        self._certificate = Certificate(tls) if tls is not None else None
        self._listener = Listener(
            app=app, limits=limits or ConnectionLimits(), max_connections=max_connections
        )
        self._servers: list[asyncio.Server] = []
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> list[tuple[str, int]]:
        """Listens. Returns the addresses; raises OSError when one cannot be had."""
        loop = asyncio.get_running_loop()
        sockets = _bind(self._host, self._port)
        addresses = [each.getsockname()[:2] for each in sockets]
        self._set_date()
        tls = None if self._certificate is None else self._certificate.context
        for each in sockets:
            server = await loop.create_server(
                lambda: Connection(self._listener),
                sock=each,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else _HANDSHAKE_S,
                backlog=_BACKLOG,
            )
            self._servers.append(server)
        self._clock = loop.create_task(self._keep_time())
        return addresses

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stops listening, lets requests that go on finish for `grace_s`, then ends them."""
        listener = self._listener
        for server in self._servers:
            server.close()
        self._servers = []
        listener.is_stopping = True
        for connection in list(listener.connections):
            connection.finish()
        if listener.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(listener.emptied.wait(), grace_s)
        for task in listener.tasks:
            task.cancel()
        for connection in list(listener.connections):
            connection.abort()
        if listener.tasks:
            await asyncio.wait(listener.tasks, timeout=_CANCEL_S)
        if self._clock is not None:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock
            self._clock = None

    async def _keep_time(self) -> None:
        """The date header, the deadlines of connections, and new certificates."""
        ticks = 0
        while True:
            await asyncio.sleep(_TICK_S)
            self._set_date()
            now = asyncio.get_running_loop().time()
            for connection in list(self._listener.connections):
                connection.sweep(now)
            ticks += 1
            if self._certificate is not None and ticks % _TICKS_BETWEEN_RELOADS == 0:
                self._certificate.reload()

    def _set_date(self) -> None:
        self._listener.date = b"date: " + formatdate(usegmt=True).encode("ascii") + b"\r\n"


def _bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of `host`; '' is every address of this machine."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted connections inherit it: a small reply must not wait for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets
