"""Heliograph on an installation that has grown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.gateway import WINDOW, Gateway
from bench.meters import resident_memory

from heliograph.storage.database import Database, sqlite_url

Grow = Callable[[Database], Awaitable[None]]


class GrownGateway(Gateway):
    """A `Service`. Read after a start: `start_s`, and `idle_mb` when nothing has been sent yet."""

    def __init__(
        self, command: Sequence[str], folder: Path, *, name: str, grow: Grow, stored: int
    ) -> None:
        """`grow` fills the database before the start; `stored` of its rows are messages."""
        self.stored = stored
        super().__init__(command, folder, name=name)
        self._grow = grow
        self._data = folder
        self.start_s = 0.0
        self.idle_mb = 0.0

    def prepare(
        self, *, operator_port: int, callback_url: str | None, window: int = WINDOW
    ) -> None:
        super().prepare(operator_port=operator_port, callback_url=callback_url, window=window)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        database = Database(sqlite_url(self._data))
        try:
            await self._grow(database)
        finally:
            await database.close()

    def start(self, *, smpp: bool) -> None:
        began = time.monotonic()
        super().start(smpp=smpp)
        self.start_s = time.monotonic() - began
        self.idle_mb = resident_memory(self.pid) / 1e6
