"""The SMPP listeners, and what all connections share.

One `SmppServer` has any number of plain and TLS listeners. It knows the binds of every account,
tells failed ones apart, and ticks once a second for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from heliograph.domain.accounts import Account
from heliograph.gateways.http.certificates import Certificate, TlsFiles
from heliograph.gateways.smpp.accounts import AccountBinds, FailedLogins
from heliograph.gateways.smpp.connection import Connection
from heliograph.gateways.smpp.errors import SESSION_STATUS
from heliograph.gateways.smpp.ports import NoObserver, Observer, Services, SmppSettings
from heliograph.gateways.smpp.turns import Turns
from heliograph.protocols.smpp.constants import (
    CommandStatus,
    describe_status,
)
from heliograph.protocols.smpp.pdu import BindRequest
from heliograph.services.authentication import SessionRefusal

__all__ = ["SmppServer"]

_BACKLOG = 1024
_TICK_S = 1.0
_TICKS_BETWEEN_RELOADS = 3
_FAILURES_KEPT = 100
_SHORT_STOP_S = 2.0

_log = structlog.get_logger(__name__)


class SmppServer:
    """The door. `listen` as often as wanted, then `start`."""

    def __init__(
        self,
        services: Services,
        settings: SmppSettings,
        *,
        clock: Callable[[], int],
        observer: Observer | None = None,
    ) -> None:
        """`clock()`: epoch milliseconds."""
        self.services = services
        self.settings = settings
        self.is_stopping = False
        self.now_ms = clock
        self.turns = Turns()
        self._observer = observer or NoObserver()
        self._failed = FailedLogins(
            settings.failure_pause_s,
            asyncio.get_running_loop().time,
            # A client that waits for its answer must not be closed for its silence.
            most_s=settings.idle_s / 2,
        )
        self._servers: list[asyncio.Server] = []
        self._certificates: list[Certificate] = []
        self._connections: dict[int, Connection] = {}
        self._accounts: dict[int, AccountBinds] = {}
        self._failures: deque[dict[str, Any]] = deque(maxlen=_FAILURES_KEPT)
        self._numbers = 0
        self._ticking: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, tls: TlsFiles | None = None) -> int:
        """Opens a listener; `port` 0 takes a free one. Returns the port. Raises OSError."""
        context: ssl.SSLContext | None = None
        if tls is not None:
            certificate = Certificate(tls, protocols=())
            self._certificates.append(certificate)
            context = certificate.context
        server = await asyncio.get_running_loop().create_server(
            partial(self._make, is_tls=tls is not None),
            host or None,
            port,
            ssl=context,
            backlog=_BACKLOG,
            reuse_address=True,
            # Until TLS is there nobody counts the connection: who says nothing must not stay.
            ssl_handshake_timeout=None if context is None else self.settings.bind_s,
        )
        self._servers.append(server)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick(), name="smpp door")
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_s: float = 10.0) -> None:
        """Takes nothing new, unbinds everybody, waits a little for their answers, closes."""
        self.is_stopping = True
        for server in self._servers:
            server.close()
        open_ = list(self._connections.values())
        for connection in open_:
            connection.unbind()
        if open_:
            await asyncio.wait([c.closed for c in open_], timeout=min(grace_s, _SHORT_STOP_S))
        for connection in list(self._connections.values()):
            connection.drop("stopping", "the gateway stops")
        if open_:
            await asyncio.wait([c.closed for c in open_], timeout=_SHORT_STOP_S)
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        self._collect()
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), _SHORT_STOP_S)

    def refresh(self) -> None:
        """Accounts have been changed: binds of those that may not be here any more are ended."""
        for binds in list(self._accounts.values()):
            for connection in list(binds.connections):
                old = connection.account or binds.account
                now = self._renew(old, connection.address)
                if now is None:
                    connection.last_error = "the account may not be bound any more"
                    connection.unbind()
                elif now is not old:
                    connection.account = now
                    connection.trace_until(now.smpp_trace_until)
                    binds.renew(now, self.settings)

    def _renew(self, old: Account, address: str) -> Account | None:
        """The account as it is now, or None when who has bound as it may not be here any more."""
        directory = self.services.directory
        now = directory.still_acting(old.id, old.actor_id)
        # Whether there may be sessions is a matter of the login itself.
        login = directory.account_by_id(old.actor_id or old.id)
        if now is None or login is None or now.is_blocked or not login.has_sessions:
            return None
        same = (now.smpp_hash or now.md5_hash) == (old.smpp_hash or old.md5_hash)
        return now if same and now.admits(address) else None

    # --- what connections tell --------------------------------------------------------------------

    def connected(self, connection: Connection) -> bool:
        """Somebody has connected."""
        if len(self._connections) >= self.settings.max_connections or self.is_stopping:
            self.refused("too_many_connections")
            return False
        self._connections[connection.number] = connection
        return True

    async def judge_bind(
        self, connection: Connection, request: BindRequest
    ) -> tuple[AccountBinds | None, int]:
        """Who binds, and whether it may. What fails is answered late, and later every time."""
        address = connection.address
        found = await self.services.authentication.open_session(
            request.system_id, request.password, address
        )
        word, reason = "too_many_binds", "too many binds of the account"
        status = CommandStatus.ESME_RBINDFAIL.value
        if isinstance(found, SessionRefusal):
            word, reason, status = found.name.lower(), found.value, SESSION_STATUS[found]
        elif self.is_stopping:
            word, reason = "stopping", "the gateway stops"
        else:
            binds = self._accounts.get(found.id)
            if binds is None:
                binds = self._accounts[found.id] = AccountBinds(found, self.settings)
            elif binds.account is not found:
                binds.renew(found, self.settings)
            most = found.smpp_binds or self.settings.max_binds
            if len(binds.connections) < most:
                self._failed.forget(address)
                binds.connections.append(connection)
                return binds, 0
        connection.failed_binds += 1
        connection.last_error = reason
        self.refused(word)
        self._failures.append(
            {
                "at_ms": self.now_ms(),
                "login": request.system_id[:15],
                "address": address,
                "reason": reason,
            }
        )
        await asyncio.sleep(self._failed.note(address))
        return None, status

    def lost(self, connection: Connection) -> None:
        """The connection has gone, or its bind came too late."""
        connection.counters.tell(self._observer)
        self._connections.pop(connection.number, None)
        for account_id, binds in list(self._accounts.items()):
            if connection in binds.connections:
                binds.connections.remove(connection)
                if not binds.connections and binds.pacer is None:
                    del self._accounts[account_id]
                break

    def refused(self, reason: str) -> None:
        """Counts what was ended or refused."""
        self._observer.session_refused(reason)

    # --- for people -------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Binds with their counters and last errors, and the latest failed binds."""
        return {
            "at_ms": self.now_ms(),
            "binds": [_describe(c) for c in self._connections.values() if c.binds is not None],
            "unbound": sum(c.binds is None for c in self._connections.values()),
            "failures": list(self._failures),
        }

    def count_binds(self) -> dict[str, int]:
        """Binds by their role."""
        counts = {"tx": 0, "rx": 0, "trx": 0}
        for connection in self._connections.values():
            if connection.session.is_bound:
                counts[connection.role] += 1
        return counts

    # --- time -------------------------------------------------------------------------------------

    def _make(self, *, is_tls: bool) -> Connection:
        self._numbers += 1
        return Connection(self, self._numbers, is_tls=is_tls)

    async def _tick(self) -> None:
        ticks = 0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            ticks += 1
            now = loop.time()
            for connection in list(self._connections.values()):
                try:
                    connection.tick(now)
                except Exception:
                    _log.exception("a connection's tick failed", bind=connection.number)
            self._collect()
            if ticks % _TICKS_BETWEEN_RELOADS == 0:
                for certificate in self._certificates:
                    certificate.reload()

    def _collect(self) -> None:
        for connection in self._connections.values():
            connection.counters.tell(self._observer)


def _describe(connection: Connection) -> dict[str, Any]:
    counters = connection.counters
    return {
        "number": connection.number,
        "login": connection.account.login if connection.account else "",
        "role": connection.role,
        "address": connection.address,
        "tls": connection.is_tls,
        "version": f"{connection.session.interface_version >> 4}."
        f"{connection.session.interface_version & 0xF}",
        "state": connection.session.state.value,
        "since_ms": connection.since_ms,
        "waiting": connection.waiting,
        "submitted": counters.submitted,
        "accepted": counters.accepted,
        "refused": {
            describe_status(status): sum(
                count for (_, each), count in counters.statuses.items() if each == status
            )
            for status in sorted({each for _, each in counters.statuses if each})
        },
        "delivered": counters.delivered,
        "deliveries_refused": counters.refused,
        "deliveries_unanswered": counters.unanswered,
        "in_flight": connection.session.outstanding,
        "last_error": connection.last_error,
    }
