"""Leftovers: what comes back to a balance that its sub-client has given up.

Messages that were under way when an account became one that shares its main account's balance are
settled on the balance that they were accepted on. What they do not cost after all comes back there,
where nobody could spend it; from there it goes to whoever pays for the account now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from heliograph.services.upkeep import repeat
from heliograph.storage import subclients
from heliograph.storage.database import Database
from heliograph.storage.subclients import InDebt

__all__ = ["Leftovers"]

_EVERY_S = 60.0


class Leftovers:
    """Looks once a minute."""

    def __init__(self, *, database: Database, clock: Callable[[], int]) -> None:
        """`clock()`: epoch milliseconds."""
        self._database = database
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set."""
        await repeat(self.work, stop, every_s=_EVERY_S, trouble="leftovers not collected")

    async def work(self) -> None:
        """One pass; each account in a transaction of its own."""
        async with self._database.read() as connection:
            found = await subclients.list_leftovers(connection)
        for account_id in found:
            with contextlib.suppress(InDebt):  # the other balance is being spent: another minute
                async with self._database.write() as connection:
                    await subclients.collect_leftovers(connection, account_id, now_ms=self._clock())
