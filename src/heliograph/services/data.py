"""What stands beside sending, as one object: history, sums, links, numbers, documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heliograph.config import Config
from heliograph.services.arrivals import Arrivals
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.directory import Directory
from heliograph.services.documents import Documents
from heliograph.services.history import History
from heliograph.services.ids import Ids
from heliograph.services.lookups import Lookups
from heliograph.services.notices import BalanceNotices
from heliograph.services.rentals import Rentals
from heliograph.services.short_links import ShortLinks
from heliograph.services.submit import Submit
from heliograph.services.summaries import Summaries
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry, Journal

__all__ = ["DataServices", "open_data"]


@dataclass(slots=True, kw_only=True)
class DataServices:
    """The use cases of the data scripts. Those that work by themselves do from `start` to
    `stop`; arrivals are stopped by themselves, when nothing more can come in."""

    history: History
    summaries: Summaries
    lookups: Lookups
    short_links: ShortLinks
    rentals: Rentals
    arrivals: Arrivals
    documents: Documents
    notices: BalanceNotices

    def start(self, submit: Submit) -> None:
        """Begins what happens without being asked; `submit` takes what is sent."""
        self.short_links.start()
        self.rentals.start()
        self.documents.start()
        self.arrivals.start(submit)
        self.notices.start(submit)

    async def stop(self) -> None:
        """Ends it, and writes what is in memory only."""
        await self.notices.stop()
        await self.documents.stop()
        await self.rentals.stop()
        await self.short_links.stop()


def open_data(
    config: Config,
    *,
    database: Database,
    journal: Journal,
    directory: Directory,
    ids: Ids,
    books: Bookkeeping,
    tracker: Tracker,
    written: Callable[[Changes, Entry], None],
    wake_sessions: Callable[[int], None],
    http_address: Callable[[], str],
    clock: Callable[[], int],
) -> DataServices:
    """Builds them. `wake_sessions`: see Arrivals. `http_address()`: of the HTTP door, once it is
    open, without a last slash."""
    links = ShortLinks(
        database=database,
        journal=journal,
        ids=ids,
        books=books,
        tracker=tracker,
        written=written,
        base=lambda: config.links.url or http_address(),
        clock=clock,
        days=config.links.days,
    )
    return DataServices(
        history=History(database=database, directory=directory, clock=clock),
        summaries=Summaries(database=database, directory=directory),
        lookups=Lookups(database=database, directory=directory, clock=clock),
        short_links=links,
        rentals=Rentals(
            database=database,
            directory=directory,
            clock=clock,
            timezone_minutes=books.timezone_minutes,
        ),
        documents=Documents(
            database=database,
            directory=directory,
            company=config.company,
            clock=clock,
            timezone_minutes=books.timezone_minutes,
        ),
        arrivals=Arrivals(
            database=database,
            journal=journal,
            directory=directory,
            ids=ids,
            books=books,
            written=written,
            wake_sessions=wake_sessions,
            numbers=config.calls.numbers,
            clock=clock,
        ),
        notices=BalanceNotices(
            database=database, directory=directory, common_sender=config.sending.common_sender
        ),
    )
