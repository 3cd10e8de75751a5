"""The object graph: every object is built once, here, and handed what it needs.

`Runtime` starts storage first, then what sends, then what takes in; it stops in the opposite order,
so that nothing is accepted that can not be stored and nothing is sent whose outcome can not be
written.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta, timezone
from ipaddress import ip_network
from pathlib import Path
from typing import IO, Any

import structlog

from heliograph.config import Config, parse_listen
from heliograph.connectors import registry
from heliograph.connectors.base import Connector
from heliograph.connectors.settings import SettingsError
from heliograph.gateways.http.app import HttpGateway
from heliograph.gateways.http.certificates import TlsFiles
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.protocol import ConnectionLimits
from heliograph.gateways.http.server import HttpServer
from heliograph.gateways.smpp.door import SmppDoor
from heliograph.gateways.smtp.intake import MailIntake
from heliograph.gateways.smtp.ports import MailSettings
from heliograph.gateways.smtp.server import MailServer
from heliograph.httpclient import HttpClient, HttpError
from heliograph.observability import Metrics, compose_health, set_up_logging
from heliograph.services.administration import ensure_first_account
from heliograph.services.authentication import Authentication
from heliograph.services.balances import Balances
from heliograph.services.books import Books, open_books
from heliograph.services.campaigns import Campaigns, open_campaigns
from heliograph.services.changes import Bookkeeping
from heliograph.services.clockwork import Clockwork
from heliograph.services.commands import SmsCommands
from heliograph.services.contacts import Groups
from heliograph.services.data import DataServices, open_data
from heliograph.services.day_counts import DayCounts
from heliograph.services.deliveries import Deliveries
from heliograph.services.directory import ConnectorConfig, Directory
from heliograph.services.dispatch import Dispatch
from heliograph.services.ids import ClientRefs, Ids
from heliograph.services.limits import RequestLimits
from heliograph.services.pieces import Pieces
from heliograph.services.receipts import Receipts
from heliograph.services.references import References
from heliograph.services.registers import Registers
from heliograph.services.request_log import RequestLog
from heliograph.services.retention import Retention
from heliograph.services.statistics import Statistics
from heliograph.services.statuses import Statuses
from heliograph.services.subclients import Subclients
from heliograph.services.submit import Submit
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.deliveries import Deliveries as DeliveryRows
from heliograph.storage.journal import Journal, StorageDown
from heliograph.storage.migration import upgrade
from heliograph.storage.outbox import Outbox
from heliograph.webhooks.dispatcher import WebhookDispatcher

__all__ = ["AlreadyRunning", "Runtime", "Services", "now_ms", "serve"]

_log = structlog.get_logger(__name__)

# The journal's thread wants the interpreter for some microseconds many times a second; with the
# usual 5 ms it would wait for the event loop each time and every acknowledgement with it.
_SWITCH_INTERVAL_S = 0.0005
# Messages on their way are linked in circles (message and parts) and live long: collecting them
# often costs much and finds nothing.
_GC_THRESHOLDS = (100_000, 50, 100)


Welcome = Callable[[str, int | None], str]


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


class AlreadyRunning(OSError):
    """Another server works in this data folder."""


@dataclass(slots=True, kw_only=True)
class Services:
    """The use cases, as the doors are given them."""

    directory: Directory
    authentication: Authentication
    submit: Submit
    statuses: Statuses
    balances: Balances
    campaigns: Campaigns
    subclients: Subclients
    statistics: Statistics
    data: DataServices
    books: Books
    limits: RequestLimits
    request_log: RequestLog
    pieces: Pieces
    references: References
    deliveries: Deliveries


class Runtime:
    """One running gateway. `ports` is filled by `start`."""

    def __init__(
        self,
        config: Config,
        *,
        announce: Callable[[str], None] = print,
        welcome: Welcome = lambda password, _port: f"first start: password {password}",
    ) -> None:
        """`announce` shows a line to the person who started the program; `welcome` makes what a
        new installation shows once, of the first account's password and the HTTP port."""
        self.config = config
        self.ports: dict[str, int | None] = {"http": None, "https": None, "smtp": None}
        self.metrics = Metrics()
        self._announce = announce
        self._welcome = welcome
        self._lock: IO[str] | None = None
        self._connectors: dict[int, ConnectorConfig] = {}
        self._syncing = asyncio.Lock()
        self._tasks: list[asyncio.Task[Any]] = []
        self._stop_refresh = asyncio.Event()
        self._servers: list[HttpServer | MailServer | SmppDoor] = []

    async def start(self) -> None:
        """Opens everything. Raises OSError, StorageDown, ConfigError."""
        config = self.config
        data_dir = config.server.data_dir
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_folder(data_dir)
        self.database = Database(config.database.url or sqlite_url(data_dir))
        await upgrade(self.database)
        password = await ensure_first_account(self.database, now_ms=now_ms())
        await self._build()
        await self._sync_connectors()
        self.webhooks.start()
        self.deliveries.start()
        await self.services.pieces.load()
        self.clockwork.start()
        self.data.start()
        await self.services.campaigns.runs.start()
        self._tasks.append(
            asyncio.create_task(self.directory.run(self._stop_refresh), name="directory")
        )
        self._tasks.append(
            asyncio.create_task(self.registers.run(self._stop_refresh), name="registers")
        )
        self._tasks.append(
            asyncio.create_task(
                self.services.request_log.run(self._stop_refresh), name="request log"
            )
        )
        retention = Retention(database=self.database, directory=self.directory, clock=now_ms)
        for name, work in (("day counts", self.day_counts.run), ("retention", retention.run)):
            self._tasks.append(asyncio.create_task(work(self._stop_refresh), name=name))
        await self._open_doors()
        (data_dir / "ports.json").write_text(json.dumps(self.ports))
        if password is not None:
            self._announce(self._welcome(password, self.ports["http"]))
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Takes nothing new, waits for what is on its way (server.drain_s), closes."""
        drain_s = self.config.server.drain_s
        with contextlib.suppress(FileNotFoundError):
            (self.config.server.data_dir / "ports.json").unlink()
        await asyncio.gather(*(server.stop(drain_s) for server in self._servers))
        self._stop_refresh.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.clockwork.stop()
        await self.data.stop()
        await self.services.campaigns.runs.stop()
        await asyncio.gather(
            *(self.dispatch.detach(i, drain_s) for i in list(self.dispatch.upstreams))
        )
        await self.receipts.drain()
        await self.commands.drain()
        await self.webhooks.stop()
        await self.services.pieces.stop()
        await self.deliveries.stop()
        self.authentication.close()
        await self.journal.close()
        await self.client.close()
        await self.database.close()
        if self._lock is not None:
            self._lock.close()

    async def _build(self) -> None:
        config, metrics = self.config, self.metrics
        self.directory = Directory(self.database, abilities_of=_abilities_of)
        await self.directory.load()
        ids = Ids()
        self.journal = Journal(self.database.writer(), take_ids=ids.take, observe=metrics.commit)
        await self.journal.open()
        await ids.open(self.journal)
        tracker = Tracker()
        books = Bookkeeping(
            directory=self.directory,
            ids=ids,
            tracker=tracker,
            metrics=metrics,
            timezone_minutes=config.sending.timezone_minutes,
        )
        self.client = HttpClient.from_config(config.webhooks)
        self.webhooks = WebhookDispatcher(
            Outbox(self.database, self.journal, ids.take),
            self.client,
            self.directory,
            clock=now_ms,
            config=config.webhooks,
            metrics=metrics,
        )
        self.deliveries = Deliveries(
            rows=DeliveryRows(self.database), journal=self.journal, clock=now_ms
        )
        self.receipts = Receipts(
            journal=self.journal,
            database=self.database,
            tracker=tracker,
            books=books,
            ids=ids,
            clock=now_ms,
            metrics=metrics,
            offer=self.webhooks.offer,
            offer_sessions=self.deliveries.offer,
            owner_of=self.directory.owner_of_number,
            has_incoming_sessions=self._has_incoming_sessions,
        )
        self.dispatch = Dispatch(
            journal=self.journal,
            database=self.database,
            tracker=tracker,
            books=books,
            receipts=self.receipts,
            clock=now_ms,
            metrics=metrics,
        )
        limits = RequestLimits(config.limits, clock=now_ms)
        refs = ClientRefs(self.journal)
        self.registers = Registers(
            self.database, self.directory, common_sender=config.sending.common_sender
        )
        await self.registers.refresh()
        groups = Groups(
            self.database,
            account_by_id=self.directory.account_by_id,
            max_recipients=config.sending.max_recipients,
        )
        self.day_counts = DayCounts(database=self.database, clock=now_ms)
        await self.day_counts.load()
        self.data = open_data(
            config,
            database=self.database,
            journal=self.journal,
            directory=self.directory,
            ids=ids,
            books=books,
            tracker=tracker,
            written=self.receipts.written,
            http_address=self._http_address,
            clock=now_ms,
        )
        submit = Submit(
            config=config,
            directory=self.directory,
            limits=limits,
            registers=self.registers,
            expand_groups=groups.expand,
            journal=self.journal,
            ids=ids,
            refs=refs,
            books=books,
            dispatch=self.dispatch,
            day_counts=self.day_counts,
            links=self.data.short_links,
            written=self.receipts.written,
            clock=now_ms,
            metrics=metrics,
        )
        statuses = Statuses(
            database=self.database,
            journal=self.journal,
            directory=self.directory,
            tracker=tracker,
            books=books,
            receipts=self.receipts,
            clock=now_ms,
        )
        self.clockwork = Clockwork(
            config=config,
            journal=self.journal,
            database=self.database,
            tracker=tracker,
            books=books,
            dispatch=self.dispatch,
            receipts=self.receipts,
            clock=now_ms,
        )
        self.authentication = Authentication(self.directory, config.limits, clock=now_ms)
        self.services = Services(
            directory=self.directory,
            authentication=self.authentication,
            submit=submit,
            statuses=statuses,
            balances=Balances(self.database),
            campaigns=open_campaigns(
                config,
                database=self.database,
                journal=self.journal,
                directory=self.directory,
                submit=submit,
                dispatch=self.dispatch,
                tracker=tracker,
                books=books,
                find_group=groups.find,
                written=self.receipts.written,
                clock=now_ms,
            ),
            subclients=Subclients(
                database=self.database,
                directory=self.directory,
                authentication=self.authentication,
                clock=now_ms,
                has_strict_passwords=config.limits.strict_passwords,
            ),
            data=self.data,
            statistics=Statistics(
                database=self.database,
                directory=self.directory,
                clock=now_ms,
                timezone_minutes=config.sending.timezone_minutes,
            ),
            books=open_books(
                config, self.database, registers=self.registers, submit=submit, clock=now_ms
            ),
            limits=limits,
            request_log=RequestLog(
                journal=self.journal,
                database=self.database,
                ids=ids,
                clock=now_ms,
                days=config.sending.request_log_days,
            ),
            pieces=Pieces(
                submit=submit,
                journal=self.journal,
                database=self.database,
                ids=ids,
                refs=refs,
                books=books,
                account_of=self.directory.account_by_id,
                written=self.receipts.written,
                clock=now_ms,
                wait_ms=round(config.smpp.join_s * 1000),
            ),
            references=References(
                database=self.database,
                journal=self.journal,
                tracker=tracker,
                books=books,
                receipts=self.receipts,
                submit=submit,
                clock=now_ms,
            ),
            deliveries=self.deliveries,
        )
        self.receipts.commands = self.commands = SmsCommands(
            directory=self.directory,
            authentication=self.authentication,
            submit=submit,
            limits=limits,
            request_log=self.services.request_log,
        )
        metrics.watch_queue("journal", lambda: self.journal.depth)
        metrics.watch_queue("dispatch", self._waiting_parts)
        metrics.watch_queue("callbacks", lambda: self.webhooks.depth)
        metrics.watch_queue("deliveries", lambda: self.deliveries.depth)
        metrics.watch_queue("pieces", lambda: self.services.pieces.depth)
        metrics.watch_queue("lists", lambda: self.services.campaigns.runs.depth)
        self.directory.on_change(self._configuration_changed)

    def _http_address(self) -> str:
        host = parse_listen(self.config.http.listen)[0] if self.config.http.listen else "localhost"
        return f"http://{host}:{self.ports['http'] or 80}"

    def _has_incoming_sessions(self, account_id: int) -> bool:
        account = self.directory.account_by_id(account_id)
        return account is not None and account.is_on("fl[1]")

    # --- connectors -------------------------------------------------------------------------------

    def _configuration_changed(self) -> None:
        self._tasks.append(asyncio.create_task(self._sync_connectors(), name="connectors"))
        self._tasks = [task for task in self._tasks if not task.done()]

    async def _sync_connectors(self) -> None:
        """Makes the running connectors those of the configuration."""
        async with self._syncing:
            wanted = {c.id: c for c in self.directory.connectors.values() if not c.is_disabled}
            for connector_id in list(self._connectors):
                if wanted.get(connector_id) != self._connectors[connector_id]:
                    del self._connectors[connector_id]
                    await self.dispatch.detach(connector_id, self.config.server.drain_s)
            for connector_id, settings in wanted.items():
                if connector_id in self._connectors:
                    continue
                self._connectors[connector_id] = settings
                if (connector := _build_connector(settings)) is not None:
                    await self.dispatch.attach(connector)
            await self.dispatch.adopt()

    def _waiting_parts(self) -> int:
        return sum(len(u.lanes) for u in self.dispatch.upstreams.values())

    # --- doors ------------------------------------------------------------------------------------

    async def _open_doors(self) -> None:
        http = self.config.http
        self.smpp = SmppDoor(
            self.services,
            self.config,
            clock=now_ms,
            observer=self.metrics,
            announce=self._announce,
        )
        self.directory.on_change(self.smpp.server.refresh)
        gateway = HttpGateway(
            self.services,
            HttpSettings(
                zone=timezone(timedelta(minutes=self.config.sending.timezone_minutes)),
                trusted_proxies=tuple(ip_network(n) for n in http.trusted_proxies),
                max_body_bytes=http.max_body_bytes,
                max_list_bytes=http.max_list_bytes,
                fetch=self._fetch_file,
                health=self.health,
                metrics=self._render_metrics,
                contact_int_id=http.contact_int_id,
            ),
            observer=self.metrics,
        )
        if http.listen:
            self.ports["http"] = await self._open(gateway, http.listen, None)
        if http.tls_listen:
            files = TlsFiles(certificate=Path(http.tls_certificate), key=Path(http.tls_key))
            self.ports["https"] = await self._open(gateway, http.tls_listen, files)
        await self.smpp.open()
        self._servers.append(self.smpp)
        self.ports |= self.smpp.ports
        if self.config.smtp.listen:
            self.ports["smtp"] = await self._open_mail_door()

    async def _open(self, gateway: HttpGateway, listen: str, tls: TlsFiles | None) -> int:
        host, port = parse_listen(listen)
        http = self.config.http
        limits = ConnectionLimits(
            idle_s=http.keep_alive_s,
            # Tiny chunks take more on the wire than in memory.
            max_request_bytes=2 * max(http.max_body_bytes, http.max_list_bytes),
        )
        server = HttpServer(gateway, host=host, port=port, tls=tls, limits=limits)
        bound = await server.start()
        self._servers.append(server)
        scheme = "http" if tls is None else "https"
        self._announce(f"listening on {scheme}://{host}:{bound[0][1]}")
        return bound[0][1]

    async def _fetch_file(self, url: str) -> bytes | None:
        try:
            answer = await self.client.get(url, self.config.http.max_body_bytes)
        except HttpError as error:
            _log.info("file not fetched", reason=str(error))
            return None
        return answer.body if answer.status == 200 else None

    async def _open_mail_door(self) -> int:
        smtp = self.config.smtp
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
        intake = MailIntake(self.services, clock=now_ms)
        server = MailServer(intake, settings, host=host, port=port, tls=files)
        bound = await server.start()
        self._servers.append(server)
        self._announce(f"listening on smtp://{host}:{bound[0][1]}")
        return bound[0][1]

    # --- for people -------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """What /health shows."""
        return compose_health(
            {
                "journal": lambda: (
                    "the database can not be written" if self.journal.is_down else ""
                ),
                "connectors": self._check_connectors,
            }
        )

    def _check_connectors(self) -> str:
        down = [u.connector.name for u in self.dispatch.upstreams.values() if not u.connector.is_up]
        return f"not connected: {', '.join(sorted(down))}" if down else ""

    def _render_metrics(self) -> bytes:
        counts: dict[tuple[str, str], int] = {}
        for upstream in self.dispatch.upstreams.values():
            for bind in upstream.connector.status():
                key = (upstream.connector.name, bind.state)
                counts[key] = counts.get(key, 0) + 1
        self.metrics.set_binds(counts)
        self.metrics.set_smpp_binds(self.smpp.server.count_binds())
        return self.metrics.render()


def _abilities_of(kind: str, settings: dict[str, Any]) -> frozenset[Any]:
    connector = registry.build(id=0, name="", kind=kind, settings=settings)
    return connector.carries


def _build_connector(settings: ConnectorConfig) -> Connector | None:
    try:
        return registry.build(
            id=settings.id, name=settings.name, kind=settings.kind, settings=settings.settings
        )
    except SettingsError as error:
        _log.error("connector not started", connector=settings.name, reason=str(error))
        return None


def _lock_folder(data_dir: Path) -> IO[str]:
    """Holds the data folder: two servers on one SQLite file would both claim its parts."""
    handle = (data_dir / "lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise AlreadyRunning(
            f"another heliograph serves from {data_dir}; stop it or choose another --data"
        ) from error
    return handle


async def serve(config: Config, announce: Callable[[str], None], welcome: Welcome) -> int:
    """Runs a gateway until SIGINT or SIGTERM; a second signal ends at once. Returns the exit code.
    Raises OSError when it could not start."""
    set_up_logging(config.log.level, config.log.format)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_GC_THRESHOLDS)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    runtime = Runtime(config, announce=announce, welcome=welcome)
    try:
        await runtime.start()
    except StorageDown as error:
        raise OSError(str(error)) from error
    await stopping.wait()
    announce("stopping: what has begun is finished first; a second signal ends at once")
    await runtime.stop()
    return 0
