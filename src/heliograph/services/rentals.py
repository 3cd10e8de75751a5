"""Dedicated numbers: rented by the month, paid for ahead, prolonged until somebody says no.

A month is one of the calendar, in the zone of the installation. Whoever rents in the middle of it
pays for the days that are left, the present one included. At its end the next month is charged; a
rent that the balance does not cover ends.
"""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.currencies import Exchange
from heliograph.domain.money import MICROS
from heliograph.domain.numbering import NumberingPlan
from heliograph.domain.refusals import Refusal
from heliograph.services.directory import Directory
from heliograph.storage import ledger, rentals
from heliograph.storage.accounts import NoSuchAccount
from heliograph.storage.database import Database
from heliograph.storage.ledger import NotCovered

__all__ = ["Rental", "Rentals"]

_PASS_S = 60.0
_CENT = MICROS // 100

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """A number as an account sees it. `cost_micros`: monthly, in the account's currency. A number
    that is not the account's can be rented; `paid_until` 0: it was given without rent."""

    number: str
    country: str
    cost_micros: int
    is_mine: bool
    is_ending: bool
    paid_until: int


class Rentals:
    """Works from `start` to `stop`."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        clock: Callable[[], int],
        timezone_minutes: int,
    ) -> None:
        """`timezone_minutes`: of the months, east of UTC."""
        self._database = database
        self._directory = directory
        self._clock = clock
        self._zone = timezone(timedelta(minutes=timezone_minutes))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to prolong."""
        self._task = asyncio.create_task(self._run(), name="rentals")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def list(self, account: Account) -> list[Rental]:
        """The account's numbers, and those that can be rented."""
        async with self._database.read() as connection:
            found = await rentals.list_numbers(connection, account.id)
        numbering: NumberingPlan = self._directory.numbering
        shown = []
        for each in found:
            country = numbering.country_of(each.number)
            name = "" if country is None else country.name
            if country is not None and account.language == "ru":
                name = country.name_ru
            shown.append(
                Rental(
                    number=each.number,
                    country=name,
                    cost_micros=self._in_currency(account, each.rent_micros),
                    is_mine=each.account_id == account.id,
                    is_ending=each.is_ending,
                    paid_until=each.paid_until,
                )
            )
        return shown

    async def rent(
        self, account: Account, number: str, *, is_ending: bool = False
    ) -> Refusal | None:
        """Rents a free number for what is left of the month; None when it was done.

        Refusals: NOT_FOUND, NO_FUNDS (also in test mode, which costs nothing).
        """
        if account.is_test:
            return Refusal.NO_FUNDS
        now_ms = self._clock()
        until_ms, share = self._rest_of_month(now_ms)
        try:
            async with self._database.write() as connection:
                taken = await rentals.take_number(
                    connection,
                    number,
                    account_id=account.id,
                    paid_until=until_ms,
                    is_ending=is_ending,
                )
                if taken is None:
                    return Refusal.NOT_FOUND
                rent = self._in_currency(account, taken.rent_micros)
                amount = -(-rent * share[0] // share[1] // _CENT) * _CENT
                await ledger.charge_rent(
                    connection,
                    account.payer_id,
                    amount,
                    now_ms=now_ms,
                    note=f"rent of {number}",
                )
        except (NotCovered, NoSuchAccount):
            return Refusal.NO_FUNDS
        await self._directory.refresh_if_changed()
        return None

    async def change(self, account: Account, number: str, *, is_ending: bool) -> Refusal | None:
        """Says whether the rent ends with the month; None when it was done, else NOT_FOUND."""
        async with self._database.write() as connection:
            done = await rentals.set_ending(connection, number, account.id, is_ending=is_ending)
        return None if done else Refusal.NOT_FOUND

    async def prolong(self) -> None:
        """Charges the next month for numbers whose month is over, or lets them go."""
        now_ms = self._clock()
        async with self._database.read() as connection:  # nearly always there is nothing to do
            if not await rentals.due_rentals(connection, now_ms):
                return
        async with self._database.write() as connection:
            for each in await rentals.due_rentals(connection, now_ms):
                account = self._directory.account_by_id(each.account_id)
                if account is None or each.is_ending:
                    await rentals.free_number(connection, each.number)
                    continue
                try:
                    async with connection.begin_nested():
                        await ledger.charge_rent(
                            connection,
                            account.payer_id,
                            self._in_currency(account, each.rent_micros),
                            now_ms=now_ms,
                            note=f"rent of {each.number}",
                        )
                except (NotCovered, NoSuchAccount):
                    _log.info("a rent has ended for lack of funds", account=account.id)
                    await rentals.free_number(connection, each.number)
                    continue
                until_ms, _ = self._rest_of_month(now_ms)
                await rentals.prolong(connection, each.number, until_ms)
        await self._directory.refresh_if_changed()

    def _in_currency(self, account: Account, reference_micros: int) -> int:
        """What costs that much in the reference currency, in the account's, rounded up to a
        hundredth."""
        rate = self._directory.currency_rates.get(account.currency, MICROS)
        micros = Exchange(MICROS, rate).taken_for(reference_micros)
        return -(-micros // _CENT) * _CENT

    def _rest_of_month(self, now_ms: int) -> tuple[int, tuple[int, int]]:
        """(where the month ends, (days that are left, days that it has))."""
        now = datetime.fromtimestamp(now_ms // 1000, self._zone)
        days = monthrange(now.year, now.month)[1]
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        ends = first + timedelta(days=days)
        return int(ends.timestamp()) * 1000, (days - now.day + 1, days)

    async def _run(self) -> None:
        while True:
            try:
                await self.prolong()
            except Exception:
                _log.exception("rents were not prolonged")
            await asyncio.sleep(_PASS_S)
