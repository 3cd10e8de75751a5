"""Keeps the running connectors those of the configuration."""

from __future__ import annotations

import asyncio

import structlog

from heliograph.connectors import registry
from heliograph.connectors.base import Connector
from heliograph.connectors.settings import SettingsError
from heliograph.services.directory import ConnectorConfig, Directory
from heliograph.services.dispatch import Dispatch

__all__ = ["Upstreams"]

_log = structlog.get_logger(__name__)


class Upstreams:
    """`sync` after a start and after every change of the configuration."""

    def __init__(self, directory: Directory, dispatch: Dispatch, *, drain_s: float) -> None:
        """`drain_s`: how long a connector that is taken away may wait for answers."""
        self._directory = directory
        self._dispatch = dispatch
        self._drain_s = drain_s
        self._running: dict[int, ConnectorConfig] = {}
        self._syncing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def sync(self) -> None:
        """Takes away what is gone or changed, adds what is new."""
        async with self._syncing:
            wanted = {c.id: c for c in self._directory.connectors.values() if not c.is_disabled}
            for connector_id in list(self._running):
                if wanted.get(connector_id) != self._running[connector_id]:
                    del self._running[connector_id]
                    await self._dispatch.detach(connector_id, self._drain_s)
            for connector_id, settings in wanted.items():
                if connector_id in self._running:
                    continue
                self._running[connector_id] = settings
                if (connector := _build(settings)) is not None:
                    await self._dispatch.attach(connector)
            await self._dispatch.adopt()

    def sync_soon(self) -> None:
        """As `sync`, beside what is going on."""
        task = asyncio.create_task(self.sync(), name="connectors")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Takes all of them away."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        running = list(self._dispatch.upstreams)
        await asyncio.gather(*(self._dispatch.detach(i, self._drain_s) for i in running))

    def trouble(self) -> str:
        """Which connectors are not connected, and why, in words; empty: all are."""
        upstreams = self._dispatch.upstreams.values()
        down = sorted(_describe(u.connector) for u in upstreams if not u.connector.is_up)
        return f"not connected: {', '.join(down)}" if down else ""

    def count_binds(self) -> dict[tuple[str, str], int]:
        """Sessions by (connector, state)."""
        counts: dict[tuple[str, str], int] = {}
        for upstream in self._dispatch.upstreams.values():
            for bind in upstream.connector.status():
                key = (upstream.connector.name, bind.state)
                counts[key] = counts.get(key, 0) + 1
        return counts


def _describe(connector: Connector) -> str:
    errors = [bind.last_error for bind in connector.status() if bind.last_error]
    return f"{connector.name} ({errors[0]})" if errors else connector.name


def _build(settings: ConnectorConfig) -> Connector | None:
    try:
        return registry.build(
            id=settings.id, name=settings.name, kind=settings.kind, settings=settings.settings
        )
    except SettingsError as error:
        _log.error("connector not started", connector=settings.name, reason=str(error))
        return None
