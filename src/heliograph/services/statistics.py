"""Statistics about sub-clients, from the running totals."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.accounts import Account
from heliograph.domain.currencies import Exchange
from heliograph.domain.refusals import Refusal
from heliograph.services.directory import Directory
from heliograph.storage import subclients, totals
from heliograph.storage.database import Database
from heliograph.storage.deltas import first_day, third_of
from heliograph.storage.subclients import Child
from heliograph.storage.totals import DaySums

__all__ = ["Selection", "Statistics", "SubclientDetail", "SubclientSums"]

_DAY_MS = 86_400_000
# Rows of one detailed answer: a year of a thousand sub-clients' days.
_MAX_DETAILS = 200_000
# More of them are made into an answer by a thread.
_MANY_ROWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sub-clients, and which days.

    `days`: first and last one, counted from 1970 in the zone of the installation. `has_balance`:
    those with a balance of their own, else those that use the main account's; None, and with
    `login` or `account_id` given: both. `is_electronic`: about the second balance.
    `in_mains_currency`: amounts in the main account's currency.
    """

    days: tuple[int, int]
    has_balance: bool | None = None
    login: str = ""
    account_id: int = 0
    is_electronic: bool = False
    in_mains_currency: bool = False


# A thousand and more of each are made for an answer: tuples, which are made four times as fast.
class SubclientSums(NamedTuple):
    """One sub-client: messages sent, what they cost, what was paid in (less what was taken back),
    all amounts in micros of `currency`."""

    account: Child
    currency: str
    sent: int
    spent_micros: int
    paid_micros: int


class SubclientDetail(NamedTuple):
    """The messages of one sub-client on one day, of one type, to one network."""

    account: Child
    currency: str
    day: int
    type: int
    mccmnc: str
    sent: int
    spent_micros: int


class Statistics:
    """The use cases of `users.php` that only read."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        clock: Callable[[], int],
        timezone_minutes: int,
    ) -> None:
        """`timezone_minutes`: zone of the days, that of the installation."""
        self._database = database
        self._directory = directory
        self._clock = clock
        self._zone_ms = timezone_minutes * 60_000
        self._countries: tuple[object, dict[str, tuple[str, str]]] = (None, {})

    def today(self) -> int:
        """The present day, as in `Selection.days`."""
        return (self._clock() + self._zone_ms) // _DAY_MS

    def names_of(self, mccmnc: str, language: str) -> tuple[str, str]:
        """(country, operator) of a network; empty when not known."""
        numbering = self._directory.numbering
        if self._countries[0] is not numbering:
            names = {
                mcc: (country.name, country.name_ru)
                for country in numbering.iter_countries()
                for mcc in country.mccs
            }
            self._countries = (numbering, names)
        is_russian = language == "ru"
        country = self._countries[1].get(mccmnc[:3], ("", ""))[is_russian]
        network = numbering.network(mccmnc)
        if network is None:
            return country, ""
        return country, network.name_ru if is_russian else network.name

    async def subclients(
        self, main: Account, selection: Selection
    ) -> list[SubclientSums] | Refusal:
        """A row for every sub-client that is selected, also without messages.

        Refusals: NO_SUCH_ACCOUNT (the login), NOT_FOUND (the id; no sub-clients at all).
        """
        span_ms = tuple(day * _DAY_MS - self._zone_ms for day in _after_last(selection.days))
        days = _to_the_end(selection.days, self.today())
        async with self._database.snapshot() as connection:
            found = await _select(connection, main.id, selection)
            if isinstance(found, Refusal):
                return found
            child_id = found[0].id if len(found) == 1 else 0
            sums = await totals.sum_by_account(
                connection,
                main.id,
                child_id=child_id,
                days=days,
                is_electronic=selection.is_electronic,
            )
            paid = await totals.paid_in(
                connection,
                main.id,
                child_id=child_id,
                span_ms=(span_ms[0], span_ms[1]),
                is_electronic=selection.is_electronic,
            )
        currency_of = self._currencies(main, found, selection)
        convert = self._converter()
        sent: dict[int, int] = defaultdict(int)
        spent: dict[int, int] = defaultdict(int)
        paid_in: dict[int, int] = defaultdict(int)
        for account_id, currency, count, micros in sums:
            shown = currency_of.get(account_id)
            if shown is not None:
                sent[account_id] += count
                spent[account_id] += convert(micros, currency, shown)
        for account_id, currency, micros in paid:
            shown = currency_of.get(account_id)
            if shown is not None:
                paid_in[account_id] += convert(micros, currency, shown)
        return [
            SubclientSums(each, currency_of[id], sent[id], spent[id], paid_in[id])
            for each in found
            for id in (each.id,)
        ]

    async def details(self, main: Account, selection: Selection) -> list[SubclientDetail] | Refusal:
        """A row for every sub-client, day, type and network with messages.

        Refusals: NO_SUCH_ACCOUNT, NOT_FOUND (also when there are no messages), NOT_ALLOWED (more
        rows than one answer may have: ask for fewer days).
        """
        async with self._database.snapshot() as connection:
            found = await _select(connection, main.id, selection)
            if isinstance(found, Refusal):
                return found
            rows = await totals.detail(
                connection,
                main.id,
                child_id=found[0].id if len(found) == 1 else 0,
                days=selection.days,
                is_electronic=selection.is_electronic,
                limit=_MAX_DETAILS + 1,
            )
        if len(rows) > _MAX_DETAILS:
            return Refusal.NOT_ALLOWED
        if len(rows) > _MANY_ROWS:  # by a thread: it would hold up everybody else's requests
            details = await asyncio.to_thread(self._build_details, main, found, selection, rows)
        else:
            details = self._build_details(main, found, selection, rows)
        return details or Refusal.NOT_FOUND

    def _build_details(
        self, main: Account, found: Iterable[Child], selection: Selection, rows: list[DaySums]
    ) -> list[SubclientDetail]:
        by_id = {child.id: child for child in found}
        currency_of = self._currencies(main, found, selection)
        convert = self._converter()
        details: list[SubclientDetail] = []
        last: tuple[int, int, int, str] | None = None
        for account_id, day, type, mccmnc, currency, count, micros in rows:
            account = by_id.get(account_id)
            if account is None:
                continue
            shown = currency_of[account_id]
            key = (account_id, day, type, mccmnc)
            sent, spent = count, convert(micros, currency, shown)
            if key == last:  # on the day on which its currency was changed
                before = details.pop()
                sent, spent = sent + before.sent, spent + before.spent_micros
            last = key
            details.append(SubclientDetail(account, shown, day, type, mccmnc, sent, spent))
        return details

    @staticmethod
    def _currencies(main: Account, found: Iterable[Child], selection: Selection) -> dict[int, str]:
        is_mains = selection.in_mains_currency
        return {each.id: main.currency if is_mains else each.currency for each in found}

    def _converter(self) -> Callable[[int, str, str], int]:
        """(micros, from the currency that something was paid in, to the one that is shown) ->
        micros, at the rates of now."""
        rates = self._directory.currency_rates
        known: dict[tuple[str, str], Callable[[int], int]] = {}

        def convert(micros: int, paid: str, shown: str) -> int:
            if paid == shown:
                return micros
            if (paid, shown) not in known:
                known[paid, shown] = Exchange.between(paid, shown, rates).taken_for
            return known[paid, shown](micros)

        return convert


def _to_the_end(days: tuple[int, int], today: int) -> tuple[int, int]:
    """The same days for messages, which nobody has sent in the days to come: when today is among
    them, to the end of its third of a month, so that no part of one is at the end."""
    if not days[0] <= today <= days[1]:
        return days
    return days[0], first_day(third_of(today + 1) - 1) - 1


def _after_last(days: tuple[int, int]) -> tuple[int, int]:
    return days[0], days[1] + 1


async def _select(
    connection: AsyncConnection, main_id: int, selection: Selection
) -> list[Child] | Refusal:
    if selection.login:
        found = await subclients.list_children(connection, main_id, login=selection.login)
        return found or Refusal.NO_SUCH_ACCOUNT
    if selection.account_id:
        found = await subclients.list_children(connection, main_id, account_id=selection.account_id)
        return found or Refusal.NOT_FOUND
    found = [
        each
        for each in await subclients.list_children(connection, main_id)
        if selection.has_balance is None or each.kind.shares_balance is not selection.has_balance
    ]
    return found or Refusal.NOT_FOUND
