"""Retention: what an account sent longer ago than its setting `ktm` leaves its history.

Messages are hidden and their texts are emptied; their rows stay, because the ledger is proven by
them. An account without the setting keeps everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from heliograph.domain.accounts import Account
from heliograph.services.directory import Directory
from heliograph.services.upkeep import repeat
from heliograph.storage.database import Database
from heliograph.storage.retention import has_old, hide_page

__all__ = ["Retention"]

_EVERY_S = 600.0
_DAY_MS = 86_400_000
_PAGE = 1_000


class Retention:
    """Looks every ten minutes for what has become too old."""

    def __init__(
        self, *, database: Database, directory: Directory, clock: Callable[[], int]
    ) -> None:
        """`clock()`: epoch milliseconds."""
        self._database = database
        self._directory = directory
        self._clock = clock
        # How far each account has been looked through, so that no pass begins anew.
        self._reached: dict[int, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
        await repeat(self.work, stop, every_s=_EVERY_S, trouble="old messages not removed")

    async def work(self) -> int:
        """One pass over all accounts; how many messages it hid."""
        hidden = 0
        for account in self._directory.accounts():
            days = account.settings.get("ktm", "")
            if days.isdecimal() and int(days):
                hidden += await self._work_on(account, int(days))
        return hidden

    async def _work_on(self, account: Account, days: int) -> int:
        before_ms = self._clock() - days * _DAY_MS
        async with self._database.read() as connection:
            # Nearly always there is nothing to do, and thousands of sub-clients may be asked.
            if not await has_old(
                connection,
                account.id,
                before_ms=before_ms,
                from_bucket=self._reached.get(account.id, 0),
            ):
                return 0
        hidden = 0
        while True:
            async with self._database.write() as connection:
                found, reached = await hide_page(
                    connection,
                    account.id,
                    before_ms=before_ms,
                    from_bucket=self._reached.get(account.id, 0),
                    limit=_PAGE,
                )
            hidden += found
            self._reached[account.id] = reached
            if found < _PAGE:
                return hidden
