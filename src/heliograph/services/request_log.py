"""The request log of accounts: for doors whose protocol has no room for an answer.

A mail is taken with `250` whatever became of the order in it, so its owner reads the outcome here.
Nothing waits for these rows: they go with the next commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from heliograph.domain.limits import Window
from heliograph.services.changes import Changes
from heliograph.services.ids import Ids, IdsExhausted
from heliograph.services.upkeep import repeat
from heliograph.storage.database import Database
from heliograph.storage.journal import Journal
from heliograph.storage.request_log import purge_requests
from heliograph.storage.statements import INSERT_REQUESTS

__all__ = ["RequestLog"]

_PURGE_EVERY_S = 3600.0
_DAY_MS = 86_400_000
# Strangers who only know a login can make rows too; more of them in a minute say nothing new.
_FAILURES_PER_MINUTE = 20
_MAX_TEXT = 200


class RequestLog:
    """Notes requests, and forgets them after `days`."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        ids: Ids,
        clock: Callable[[], int],
        days: int,
    ) -> None:
        """`clock()`: epoch milliseconds."""
        self._journal = journal
        self._database = database
        self._ids = ids
        self._clock = clock
        self._span_ms = days * _DAY_MS
        self._failures = Window(_FAILURES_PER_MINUTE)

    def note(
        self, account_id: int, *, door: str, what: str, outcome: str, is_trusted: bool = True
    ) -> None:
        """One row of the account's log. `what` and `outcome` hold no texts, numbers or secrets.

        `is_trusted` False: the request did not prove whose it is; only some a minute are noted.
        """
        now_ms = self._clock()
        if not is_trusted and not self._failures.admit(account_id, now_ms):
            return
        changes = Changes(now_ms)
        try:
            id = self._ids.take(1)
        except IdsExhausted:
            return  # the database is away, and this row is not worth more than a message
        row = (id, account_id, now_ms, door, what[:_MAX_TEXT], outcome[:_MAX_TEXT])
        changes.rows[INSERT_REQUESTS].append(row)
        self._journal.append(changes.entry(must_write=False))

    async def run(self, stop: asyncio.Event) -> None:
        """Deletes old rows once an hour until `stop` is set."""
        await repeat(self._purge, stop, every_s=_PURGE_EVERY_S, trouble="request log not purged")

    async def _purge(self) -> None:
        async with self._database.write() as connection:
            await purge_requests(connection, self._clock() - self._span_ms)
