"""The SMTP listener, inside the program's own event loop.

aiosmtpd wants a thread and a loop for itself; here it is a protocol like any other, and this is the
one place (with `session`) that knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter

from heliograph.gateways.http.certificates import Certificate, TlsFiles
from heliograph.gateways.smtp.intake import MailIntake
from heliograph.gateways.smtp.ports import MailSettings
from heliograph.gateways.smtp.session import MailHandler, MailSession

__all__ = ["MailServer"]

_BACKLOG = 256
_RELOAD_EVERY_S = 3.0
_TOO_MANY = "421 4.7.0 Too many connections, try again later"


class MailServer:
    """A listener. `port` 0 takes a free one; `start` tells which. `tls`: STARTTLS is offered."""

    def __init__(
        self,
        intake: MailIntake,
        settings: MailSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: TlsFiles | None = None,
    ) -> None:
        """Raises OSError when the certificate can not be loaded."""
        self._settings = settings = settings or MailSettings()
        self._handler = MailHandler(intake, settings)
        self._host = host
        self._port = port
        self._certificate = None if tls is None else Certificate(tls)
        self._looked_at = 0.0
        domain = settings.domains[0] if settings.domains else ""
        self._hostname = settings.hostname or domain or "localhost"
        self._server: asyncio.Server | None = None
        self._sessions: dict[MailSession, str] = {}
        self._per_address: Counter[str] = Counter()
        # It logs every command, with addresses in it.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)

    async def start(self) -> list[tuple[str, int]]:
        """Listens. Returns the addresses; raises OSError when one can not be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._make_session, self._host or None, self._port, backlog=_BACKLOG
        )
        return [each.getsockname()[:2] for each in self._server.sockets]

    async def stop(self, grace_s: float = 10.0) -> None:
        """Stops listening, lets mails that have come finish for `grace_s`, then ends sessions."""
        if self._server is None:
            return
        self._server.close()
        if self._handler.tasks:
            await asyncio.wait(self._handler.tasks, timeout=grace_s)
            await asyncio.sleep(0.01)  # the replies to them are written now
        for session in list(self._sessions):
            session.end("421 4.3.2 Closing down")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_gone(), min(grace_s, 1.0))
        for session in list(self._sessions):
            session.abort()
        self._server = None

    async def _all_gone(self) -> None:
        while self._sessions:  # noqa: ASYNC110  the sessions end one by one, within a second
            await asyncio.sleep(0.01)

    def _make_session(self) -> MailSession:
        context = None
        if self._certificate is not None:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at > _RELOAD_EVERY_S:
                self._looked_at = now
                self._certificate.reload()
            context = self._certificate.context
        return MailSession(
            self._handler,
            self._settings,
            hostname=self._hostname,
            tls=context,
            on_made=self._admit,
            on_lost=self._forget,
        )

    def _admit(self, session: MailSession, address: str) -> str:
        """Counts a connection; the reply that refuses it, or ''."""
        settings = self._settings
        is_full = (
            len(self._sessions) >= settings.max_connections
            or self._per_address[address] >= settings.max_connections_per_address
        )
        self._sessions[session] = address
        self._per_address[address] += 1
        return _TOO_MANY if is_full else ""

    def _forget(self, session: MailSession) -> None:
        address = self._sessions.pop(session, None)
        if address is None:
            return
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
