"""One running gateway: storage first, then what sends, then what takes in; ended the other way
round, so that nothing is accepted that can not be stored and nothing is sent whose outcome can not
be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import IO, Any

from heliograph.config import Config
from heliograph.observability import Metrics, compose_health
from heliograph.runtime.doors import Doors
from heliograph.runtime.engine import Engine, build_engine
from heliograph.runtime.foundation import Foundation, lay_foundation, now_ms
from heliograph.runtime.holding import AlreadyRunning, hold_database, hold_folder, keep_database
from heliograph.runtime.obstacles import naming
from heliograph.runtime.services import Services, build_services
from heliograph.runtime.upstreams import Upstreams
from heliograph.services.administration import ensure_first_account
from heliograph.services.directory import Directory
from heliograph.services.dispatch import Dispatch
from heliograph.services.leftovers import Leftovers
from heliograph.services.retention import Retention
from heliograph.storage.batch import Entry
from heliograph.storage.database import Database, make_folder, sqlite_url
from heliograph.storage.migration import upgrade

__all__ = ["AlreadyRunning", "Runtime", "Welcome"]

_PROBE_S = 1.0

# Makes what a new installation shows once, of the first account's password and the HTTP port.
Welcome = Callable[[str, int | None], str]
Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Runtime:
    """`start`, and then `stop`, once each."""

    base: Foundation
    engine: Engine
    services: Services
    doors: Doors

    def __init__(
        self,
        config: Config,
        *,
        announce: Callable[[str], None] = print,
        welcome: Welcome = lambda password, _port: f"first start: password {password}",
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """`announce` shows a line to the person who started the program. `on_loss` is called when
        another server has taken the database: then this one is to be stopped."""
        self.config = config
        self.metrics = Metrics()
        self._announce = announce
        self._welcome = welcome
        self._on_loss = on_loss
        self._lock: IO[str] | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def database(self) -> Database:
        """The open database."""
        return self.base.database

    @property
    def directory(self) -> Directory:
        """The configuration in use."""
        return self.base.directory

    @property
    def dispatch(self) -> Dispatch:
        """What drives the connectors."""
        return self.engine.dispatch

    async def start(self) -> None:
        """Opens everything. Raises OSError (of which StartFailed is one), StorageDown, ConfigError,
        and what SQLAlchemy says of a database that can not be used."""
        config = self.config
        data_dir = config.server.data_dir
        with naming("server.data_dir", str(data_dir)):
            make_folder(data_dir)
            self._lock = await hold_folder(data_dir)
        database = Database(config.database.url or sqlite_url(data_dir))
        with naming("database.url", database.url.set(query={}).render_as_string()):
            await hold_database(database)
            await upgrade(database)
        password = await ensure_first_account(database, now_ms=now_ms())
        self.base = await lay_foundation(config, database, self.metrics, hold=self._lock.fileno())
        self.engine = build_engine(self.base)
        self.doors = Doors(self.base, self._announce)
        self.services = await build_services(self.base, self.engine, self.doors.http_address)
        self._upstreams = Upstreams(self.directory, self.dispatch, drain_s=config.server.drain_s)
        self.directory.on_change(self._upstreams.sync_soon)
        self._watch_queues()
        await self._upstreams.sync()
        await self.services.pieces.load()
        self.engine.start()
        self.services.data.start(self.services.submit)
        await self.services.campaigns.runs.start()
        self._start_upkeep()
        try:
            await self.doors.open(self.services, health=self.health, metrics=self._render_metrics)
        except OSError:
            # Connectors are at work: a plain end would leave what they sent without an answer,
            # once more with every attempt of whoever starts the service again and again.
            await self.stop()
            raise
        (data_dir / "ports.json").write_text(json.dumps(self.doors.ports))
        if password is not None:
            self._announce(self._welcome(password, self.doors.ports["http"]))
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Takes nothing new, waits for what is on its way (server.drain_s), closes."""
        with contextlib.suppress(FileNotFoundError):
            (self.config.server.data_dir / "ports.json").unlink()
        await self.doors.close(self.config.server.drain_s)
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.engine.clockwork.stop()
        await self.services.data.stop()
        await self.services.campaigns.runs.stop()
        await self._upstreams.stop()
        await self.engine.receipts.drain()
        await self.services.data.arrivals.stop()
        await self.services.commands.drain()
        await self.engine.webhooks.stop()
        await self.services.pieces.stop()
        await self.engine.deliveries.stop()
        self.services.authentication.close()
        await self.base.close()
        if self._lock is not None:
            self._lock.close()

    def health(self) -> dict[str, Any]:
        """What /health shows."""
        is_down = self.base.journal.is_down or self.database.is_away
        return compose_health(
            {
                "journal": lambda: "the database can not be written" if is_down else "",
                "connectors": self._upstreams.trouble,
            }
        )

    def _start_upkeep(self) -> None:
        """What runs beside the messages, each until the stop."""
        retention = Retention(database=self.database, directory=self.directory, clock=now_ms)
        leftovers = Leftovers(database=self.database, clock=now_ms)
        upkeep: dict[str, Work] = {
            "probe": self._probe,
            "hold": partial(keep_database, self.database, on_loss=self._on_loss),
            "directory": self.directory.run,
            "registers": self.services.registers.run,
            "request log": self.services.request_log.run,
            "day counts": self.services.day_counts.run,
            "retention": retention.run,
            "leftovers": leftovers.run,
            "groups": self.services.books.contacts.finish_deletions,
        }
        for name, work in upkeep.items():
            self._tasks.append(asyncio.create_task(work(self._stopping), name=name))

    async def _probe(self, stop: asyncio.Event) -> None:
        """Writes a trifle when the database could not be written and nobody tries any more: who
        goes by /health sends nothing until it says that all is well."""
        journal = self.base.journal
        while not stop.is_set():
            if journal.is_down and not journal.depth:
                entry = Entry(now_ms=now_ms())
                entry.counters = [("probe", 1)]
                journal.append(entry)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PROBE_S)

    def _watch_queues(self) -> None:
        queues: dict[str, Callable[[], int]] = {
            "journal": lambda: self.base.journal.depth,
            "dispatch": self.engine.waiting_parts,
            "callbacks": lambda: self.engine.webhooks.depth,
            "deliveries": lambda: self.engine.deliveries.depth,
            "pieces": lambda: self.services.pieces.depth,
            "lists": lambda: self.services.campaigns.runs.depth,
        }
        for name, depth in queues.items():
            self.metrics.watch_queue(name, depth)

    def _render_metrics(self) -> bytes:
        self.metrics.set_binds(self._upstreams.count_binds())
        if (binds := self.doors.count_smpp_binds()) is not None:
            self.metrics.set_smpp_binds(binds)
        return self.metrics.render()
