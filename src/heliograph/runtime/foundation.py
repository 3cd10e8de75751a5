"""The foundation: the database, the journal and the configuration, and what everything uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heliograph.config import Config
from heliograph.connectors import registry
from heliograph.httpclient import HttpClient
from heliograph.observability import Metrics
from heliograph.services.changes import Bookkeeping
from heliograph.services.directory import Directory
from heliograph.services.ids import ClientRefs, Ids
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Journal

__all__ = ["Foundation", "lay_foundation", "now_ms"]


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, kw_only=True)
class Foundation:
    """Open, and to be closed by `close` when nothing stands on it any more."""

    config: Config
    metrics: Metrics
    clock: Callable[[], int]
    database: Database
    directory: Directory
    journal: Journal
    ids: Ids
    refs: ClientRefs
    tracker: Tracker
    books: Bookkeeping
    client: HttpClient

    async def close(self) -> None:
        """Writes what waits, then closes."""
        await self.journal.close()
        await self.client.close()
        await self.database.close()


async def lay_foundation(
    config: Config, database: Database, metrics: Metrics, *, hold: int | None = None
) -> Foundation:
    """Opens it on a database whose schema is up to date. Raises StorageDown.

    `hold`: the file descriptor that holds the data folder; None: nobody else can come to it.
    """
    directory = Directory(database, abilities_of=_abilities_of)
    await directory.load()
    ids = Ids()
    journal = Journal(
        database.writer(() if hold is None else (hold,)), take_ids=ids.take, observe=metrics.commit
    )
    await journal.open()
    await ids.open(journal)
    tracker = Tracker()
    return Foundation(
        config=config,
        metrics=metrics,
        clock=now_ms,
        database=database,
        directory=directory,
        journal=journal,
        ids=ids,
        refs=ClientRefs(journal),
        tracker=tracker,
        books=Bookkeeping(
            directory=directory,
            ids=ids,
            tracker=tracker,
            metrics=metrics,
            timezone_minutes=config.sending.timezone_minutes,
        ),
        client=HttpClient.from_config(config.webhooks),
    )


def _abilities_of(kind: str, settings: dict[str, Any]) -> frozenset[Any]:
    return registry.build(id=0, name="", kind=kind, settings=settings).carries
