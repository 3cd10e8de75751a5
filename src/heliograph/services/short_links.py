"""Short links: made in sending, followed by people, counted, told to their owners.

Every recipient gets a code of his own, so a click says which message was read on: its status
becomes "link clicked". A click also proves that the message arrived, so one whose receipt has not
come yet is delivered by it.

Clicks are gathered in memory for a moment and written together; a crash loses that moment's clicks
and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.limits import Window, source_of
from heliograph.domain.messages import Message, MessageState, may_advance
from heliograph.domain.requests import SendRequest
from heliograph.domain.short_links import (
    WITH_LINKS,
    find_links,
    location_of,
    make_code,
    standing_code,
    target_key,
)
from heliograph.domain.texts import split_comment
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.ids import Ids
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import BulkRows, Entry, Journal
from heliograph.storage.messages import load_messages
from heliograph.storage.short_links import (
    COUNT_CLICKS,
    INSERT_CODES,
    INSERT_LINKS,
    MARK_CLICKED,
    drop_links,
    find_code,
    find_link,
)
from heliograph.storage.statements import REVISE_MESSAGES

__all__ = ["LinkBatch", "LinkCounts", "ShortLinks"]

_FLUSH_S = 0.5
_SWEEP_S = 3600.0
_DAY_MS = 86_400_000
# Links of mailings that are being sent: their submissions share them.
_MAX_SHARED = 10_000
# Clicks that wait to be written; a flood beyond it is not counted.
_MAX_WAITING = 100_000
# Codes that do not exist, from one address in a minute: after that it is told nothing.
_MISSES_PER_MINUTE = 30
_PROVEN = frozenset({MessageState.SUBMITTED, MessageState.DELIVERED})

_log = structlog.get_logger(__name__)


class LinkCounts(NamedTuple):
    """A link as its owner sees it, with the clicks of its recipients together."""

    id: str
    clicks: int
    month_clicks: int
    day_clicks: int
    yesterday_clicks: int
    target: str
    address: str


class LinkBatch:
    """The links of one submission: gives every message its own codes and gathers the rows."""

    def __init__(self, base: str, links: dict[str, tuple[int, str]], rows: BulkRows) -> None:
        """`links`: what stands in the text -> (id, first code); `rows`: of new links."""
        self._base = base
        self._links = links
        self._rows = rows
        self._codes: list[tuple[str, int, int, int]] = []
        self._used: set[str] = set()

    def personalise(self, message: Message) -> None:
        """Puts the message's own links into its text."""
        text = message.text
        for standing, (link_id, first_code) in self._links.items():
            if standing not in text:
                continue
            code = make_code() if first_code in self._used else first_code
            self._used.add(first_code)
            text = text.replace(standing, f"{self._base}/{code}")
            self._codes.append((code, link_id, message.id, 0))
        message.own_text = text

    def rows(self) -> BulkRows:
        """What is to be written with the messages."""
        return {**self._rows, INSERT_CODES: self._codes} if self._codes else self._rows


class ShortLinks:
    """Works from `start` to `stop`."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        ids: Ids,
        books: Bookkeeping,
        tracker: Tracker,
        written: Callable[[Changes, Entry], None],
        base: Callable[[], str],
        clock: Callable[[], int],
        days: int,
    ) -> None:
        """`base()`: the address that codes follow, without a slash at its end. `written` takes the
        callbacks of what has been committed. `days`: how long a link lives."""
        self._database = database
        self._journal = journal
        self._ids = ids
        self._books = books
        self._tracker = tracker
        self._written = written
        self._base = base
        self._clock = clock
        self._life_ms = days * _DAY_MS
        self._zone = timezone(timedelta(minutes=books.timezone_minutes))
        self._shared: OrderedDict[tuple[int, str], tuple[int, str]] = OrderedDict()
        self._misses = Window(_MISSES_PER_MINUTE)
        self._clicks: dict[int, int] = {}  # by link
        self._first_clicks: dict[str, int] = {}  # code -> message
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to write clicks and to forget old links."""
        self._tasks = [
            asyncio.create_task(self._run(_FLUSH_S, self.flush), name="link clicks"),
            asyncio.create_task(self._run(_SWEEP_S, self._sweep), name="link sweep"),
        ]

    async def stop(self) -> None:
        """Writes the clicks that wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):  # a database that is away costs the last half second
            await self.flush()

    # --- sending ----------------------------------------------------------------------------------

    def prepare(self, request: SendRequest) -> None:
        """Replaces the addresses in the texts of a request by short ones of the same length as
        those that recipients will get, and notes them in `request.links`."""
        request.options.pop("tinyurl", None)
        if request.type not in WITH_LINKS:
            return
        base = self._base()
        for entry in request.entries:
            text = sent = split_comment(entry.text)[0]
            for target in find_links(sent):
                standing = f"{base}/{standing_code(target)}"
                text = text.replace(target, standing)
                request.links[standing] = target
            # The sender's own comment stays as it is: its short links would lead nowhere.
            entry.text = text + entry.text[len(sent) :]

    def batch(self, request: SendRequest, now_ms: int) -> LinkBatch:
        """The links of a prepared request, for its messages."""
        links: dict[str, tuple[int, str]] = {}
        rows = []
        for standing, target in request.links.items():
            key = (request.campaign_id, target)
            known = self._shared.get(key) if request.campaign_id else None
            if known is None:
                known = (self._ids.take(1), make_code())
                values = (target, target_key(target), now_ms, 0, 0, 0, 0, 0, 0)
                rows.append((known[0], request.account.id, known[1], *values))
            else:
                known = (known[0], make_code())
            if request.campaign_id:
                self._shared[key] = known
                if len(self._shared) > _MAX_SHARED:
                    self._shared.popitem(last=False)
            links[standing] = known
        return LinkBatch(self._base(), links, {INSERT_LINKS: rows} if rows else {})

    # --- clicks -----------------------------------------------------------------------------------

    async def follow(self, code: str, address: str, *, is_person: bool) -> str | None:
        """Where a code leads, as a redirect names it; None: nowhere. A person's visit counts."""
        now_ms = self._clock()
        address = source_of(address)
        if self._misses.is_full(address, now_ms):
            return None
        async with self._database.read() as connection:
            known = await find_code(connection, code)
        if known is None:
            self._misses.admit(address, now_ms)
            return None
        if is_person and len(self._clicks) < _MAX_WAITING:
            self._clicks[known.link_id] = self._clicks.get(known.link_id, 0) + 1
            if not known.is_clicked and known.message_id:
                self._first_clicks[code] = known.message_id
        return location_of(known.target)

    async def flush(self) -> None:
        """Writes the clicks that were gathered. Raises what the journal and the database raise; a
        click that could not be looked at waits for the next time."""
        if not self._clicks:
            return
        wanted = dict(self._first_clicks)
        found: list[Message] = []
        if wanted:
            async with self._database.snapshot() as connection:
                found = await load_messages(connection, set(wanted.values()))
        clicks, self._clicks = self._clicks, {}
        self._first_clicks = {c: id for c, id in self._first_clicks.items() if c not in wanted}
        changes = Changes(self._clock())
        month, day = self._today()
        rows = [(link_id, count, month, day) for link_id, count in clicks.items()]
        changes.rows[COUNT_CLICKS] = rows
        open_ids = set()
        for message in found:
            live = self._tracker.live.get(message.id, message)
            self._click(changes, live)
            if not live.final_at:
                open_ids.add(live.id)
        marked = [(c, changes.now_ms) for c, id in wanted.items() if id not in open_ids]
        if marked:
            changes.rows[MARK_CLICKED] = marked
        entry = await self._journal.write(changes.entry(must_write=True))
        self._written(changes, entry)

    def _click(self, changes: Changes, message: Message) -> None:
        """What somebody's first click does to a message. One whose outcome is still open, though
        somebody has it already, is left to the next click."""
        open_parts = [part for part in message.parts if part.state is MessageState.SUBMITTED]
        if open_parts and all(part.state in _PROVEN for part in message.parts):
            for part in open_parts:
                self._books.end_part(changes, part, MessageState.DELIVERED, 0)
        if not message.final_at or not may_advance(message.state, MessageState.CLICKED):
            return
        message.state, message.err = MessageState.CLICKED, 0
        changes.rows[REVISE_MESSAGES].append(
            (message.id, int(MessageState.CLICKED), 0, changes.now_ms)
        )
        self._books.tell_owner(changes, message)

    # --- for owners -------------------------------------------------------------------------------

    async def describe(
        self, account: Account, *, target: str = "", code: str = ""
    ) -> LinkCounts | None:
        """An account's link by what it leads to (of several the newest) or by one of its codes."""
        async with self._database.read() as connection:
            link = await find_link(connection, account.id, target=target, code=code)
        if link is None:
            return None
        month, day = self._today()
        day_before = {day: link.eve_clicks, day - 1: link.day_clicks}
        return LinkCounts(
            id=link.code,
            clicks=link.clicks,
            month_clicks=link.month_clicks if link.month == month else 0,
            day_clicks=link.day_clicks if link.day == day else 0,
            yesterday_clicks=day_before.get(link.day, 0),
            target=link.target,
            address=f"{self._base()}/{link.code}",
        )

    def _today(self) -> tuple[int, int]:
        """(month, day) counted from 1970, in the zone of replies."""
        now = datetime.fromtimestamp(self._clock() // 1000, self._zone)
        return (now.year - 1970) * 12 + now.month - 1, now.toordinal() - 719_163

    async def _sweep(self) -> None:
        before_ms = self._clock() - self._life_ms
        while True:
            async with self._database.write() as connection:
                if not await drop_links(connection, before_ms):
                    return

    async def _run(self, interval_s: float, work: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                result = work()
                if asyncio.iscoroutine(result):
                    await result
            except Exception:
                _log.exception("short links failed")
                await asyncio.sleep(1)
