"""The ways in: HTTP, HTTPS, SMPP, SMTP, each opened as the configuration says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta, timezone
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import structlog

from heliograph.config import parse_listen
from heliograph.gateways.http.app import HttpGateway
from heliograph.gateways.http.certificates import TlsFiles
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.protocol import ConnectionLimits
from heliograph.gateways.http.server import HttpServer
from heliograph.gateways.smpp.door import SmppDoor
from heliograph.gateways.smtp.intake import MailIntake
from heliograph.gateways.smtp.ports import MailSettings
from heliograph.gateways.smtp.server import MailServer
from heliograph.httpclient import HttpError
from heliograph.runtime.descriptors import fair_share
from heliograph.runtime.foundation import Foundation
from heliograph.runtime.obstacles import naming
from heliograph.runtime.services import Services

__all__ = ["Doors"]

_THIS_MACHINE = ("127.0.0.0/8", "::1/128")
# Of long bodies that one HTTP door reads at once.
_HELD_BYTES = 256 * 1024 * 1024

_log = structlog.get_logger(__name__)


class Doors:
    """`ports` is filled by `open`: the port of every door, None for one that is closed."""

    def __init__(self, base: Foundation, announce: Callable[[str], None]) -> None:
        """`announce` shows a line to the person who started the program."""
        self._base = base
        self._announce = announce
        self._open: list[HttpServer | MailServer | SmppDoor] = []
        self._smpp: SmppDoor | None = None
        self.ports: dict[str, int | None] = {"http": None, "https": None, "smtp": None}

    async def open(
        self,
        services: Services,
        *,
        health: Callable[[], dict[str, Any]],
        metrics: Callable[[], bytes],
    ) -> None:
        """Listens everywhere. Raises StartFailed."""
        await self._open_http(services, health, metrics)
        await self._open_smpp(services)
        if self._base.config.smtp.listen:
            await self._open_mail(services)

    async def close(self, drain_s: float) -> None:
        """Takes nothing new; requests under way get `drain_s` to finish."""
        await asyncio.gather(*(door.stop(drain_s) for door in self._open))

    def http_address(self) -> str:
        """Address of the HTTP door without a last slash."""
        listen = self._base.config.http.listen
        host = parse_listen(listen)[0] if listen else "localhost"
        return f"http://{host}:{self.ports['http'] or 80}"

    def count_smpp_binds(self) -> Any:
        """Sessions of clients, as the metrics want them; None while the door is closed."""
        return None if self._smpp is None else self._smpp.server.count_binds()

    async def _open_http(
        self,
        services: Services,
        health: Callable[[], dict[str, Any]],
        metrics: Callable[[], bytes],
    ) -> None:
        config = self._base.config
        http = config.http
        gateway = HttpGateway(
            services,
            HttpSettings(
                zone=timezone(timedelta(minutes=config.sending.timezone_minutes)),
                trusted_proxies=tuple(ip_network(n) for n in http.trusted_proxies),
                metrics_networks=tuple(
                    ip_network(n) for n in config.metrics.networks or _THIS_MACHINE
                ),
                max_body_bytes=http.max_body_bytes,
                max_list_bytes=http.max_list_bytes,
                fetch=self._fetch_file,
                health=health,
                metrics=metrics,
                contact_int_id=http.contact_int_id,
                max_recipients=config.sending.max_recipients,
            ),
            observer=self._base.metrics,
        )
        if http.listen:
            with naming("http.listen", http.listen):
                self.ports["http"] = await self._listen_http(gateway, http.listen, None)
        if http.tls_listen:
            files = TlsFiles(certificate=Path(http.tls_certificate), key=Path(http.tls_key))
            with naming("http.tls_listen", http.tls_listen):
                self.ports["https"] = await self._listen_http(gateway, http.tls_listen, files)

    async def _listen_http(self, gateway: HttpGateway, listen: str, tls: TlsFiles | None) -> int:
        host, port = parse_listen(listen)
        http = self._base.config.http
        longest = max(http.max_body_bytes, http.max_list_bytes)
        limits = ConnectionLimits(
            idle_s=http.keep_alive_s,
            # Tiny chunks take more on the wire than in memory.
            max_request_bytes=2 * longest,
            max_held_bytes=max(_HELD_BYTES, 4 * longest),
        )
        server = HttpServer(
            gateway,
            host=host,
            port=port,
            tls=tls,
            limits=limits,
            max_connections=fair_share(http.max_connections),
        )
        bound = await server.start()
        self._open.append(server)
        scheme = "http" if tls is None else "https"
        self._announce(f"listening on {scheme}://{host}:{bound[0][1]}")
        return bound[0][1]

    async def _open_smpp(self, services: Services) -> None:
        door = SmppDoor(
            services,
            self._base.config,
            clock=self._base.clock,
            observer=self._base.metrics,
            announce=self._announce,
        )
        self._base.directory.on_change(door.server.refresh)
        smpp = self._base.config.smpp
        listens = {"smpp.listen": smpp.listen, "smpp.tls_listen": smpp.tls_listen}
        used = {name: listen for name, listen in listens.items() if listen}
        with naming(", ".join(used), ", ".join(used.values())):
            await door.open()
        self._smpp = door
        self._open.append(door)
        self.ports |= door.ports

    async def _open_mail(self, services: Services) -> None:
        smtp = self._base.config.smtp
        host, port = parse_listen(smtp.listen)
        files = None
        if smtp.tls_certificate:
            files = TlsFiles(certificate=Path(smtp.tls_certificate), key=Path(smtp.tls_key))
        settings = MailSettings(
            domains=tuple(domain.lower() for domain in smtp.domains),
            hostname=smtp.hostname,
            max_mail_bytes=smtp.max_mail_bytes,
            max_connections=smtp.max_connections,
            max_connections_per_address=smtp.max_connections_per_address,
            idle_s=smtp.idle_s,
            mail_s=smtp.mail_s,
        )
        intake = MailIntake(services, clock=self._base.clock)
        with naming("smtp.listen", smtp.listen):
            server = MailServer(intake, settings, host=host, port=port, tls=files)
            bound = await server.start()
        self._open.append(server)
        self.ports["smtp"] = bound[0][1]
        self._announce(f"listening on smtp://{host}:{bound[0][1]}")

    async def _fetch_file(self, url: str) -> bytes | None:
        try:
            answer = await self._base.client.get(url, self._base.config.http.max_body_bytes)
        except HttpError as error:
            _log.info("file not fetched", reason=str(error))
            return None
        return answer.body if answer.status == 200 else None
