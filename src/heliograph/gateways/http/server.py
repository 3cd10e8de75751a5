"""The HTTP listener: uvicorn inside the program's own event loop.

uvicorn wants to own the process (signals, sockets, logging); here it owns connections and nothing
else. One `HttpServer` is one listener; the plain and the TLS one share the same application.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from heliograph.gateways.http.certificates import Certificate, TlsFiles
from heliograph.gateways.http.protocol import ApiProtocol, ConnectionLimits, DoorConfig

__all__ = ["ConnectionLimits", "HttpServer", "TlsFiles"]

_BACKLOG = 2048
_TICK_S = 1.0
_TICKS_BETWEEN_RELOADS = 3


class _Server(uvicorn.Server):
    """uvicorn without its hands on the process, and with a clock of ours."""

    def __init__(self, config: DoorConfig, certificate: Certificate | None) -> None:
        super().__init__(config)
        self.certificate = certificate
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not self.should_exit:
            # Sets the Date header of the next second.
            await self.on_tick(0)
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, ApiProtocol):
                    connection.sweep(now)
            ticks += 1
            if self.certificate is not None and ticks % _TICKS_BETWEEN_RELOADS == 0:
                self.certificate.reload()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _TICK_S)


class HttpServer:
    """A listener. `port` 0 takes a free one; `start` tells which.

    `limit_concurrency`: connections beyond it are told 503, which clients take for a broken line.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: TlsFiles | None = None,
        limits: ConnectionLimits | None = None,
        limit_concurrency: int | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._certificate = Certificate(tls) if tls is not None else None
        self._config = DoorConfig(
            app,
            http=ApiProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limit_concurrency,
            backlog=_BACKLOG,
        )
        self._config.limits = limits or ConnectionLimits()
        self._config.load()
        if self._certificate is not None:
            self._config.ssl = self._certificate.context
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> list[tuple[str, int]]:
        """Listens. Returns the addresses; raises OSError when one cannot be had."""
        sockets = _bind(self._host, self._port)
        addresses = [each.getsockname()[:2] for each in sockets]
        self._server = _Server(self._config, self._certificate)
        self._task = asyncio.create_task(self._server.serve(sockets=sockets))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait([self._task, ready], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            for each in sockets:
                each.close()
            await self._task
            raise OSError("the HTTP server did not start")
        return addresses

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stops listening, lets requests that go on finish for `grace_s`, then ends them."""
        if self._server is None or self._task is None:
            return
        # uvicorn's own type is whole seconds, but it only hands the value to `wait_for`.
        self._config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]
        self._server.should_exit = True
        self._server.stopping.set()
        await self._task
        for connection in list(self._server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self._server = self._task = None


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
