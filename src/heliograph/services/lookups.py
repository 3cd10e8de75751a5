"""Lookups: whose a number is, what messages cost, which numbers were ported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import Country, NumberingPlan, normalise_recipient
from heliograph.services.directory import Directory
from heliograph.storage.database import Database
from heliograph.storage.numbering import read_ported

__all__ = ["Lookups", "NumberInfo", "PriceZone"]

_MOSCOW_S = 3 * 3600
# Ported numbers that are read and written in one go.
_PAGE = 2_000
# In the order in which prices are told. There is no price of its own for mass mailings.
_KINDS = (
    MessageType.SMS,
    MessageType.SMS,
    MessageType.MMS,
    MessageType.HLR,
    MessageType.CALL,
)
_REST = ("Other countries", "Остальные страны")


class NumberInfo(NamedTuple):
    """Whose a number is, in the account's language. `tz`: hours from Moscow, as text."""

    phone: str
    country: str
    operator: str
    region: str
    mcc: str
    mnc: str
    tz: str


class PriceZone(NamedTuple):
    """Micros of a part by kind of traffic (api, mass, mms, hlr, call); None: not sold.

    `zone` is a calling code, a network (``25001``), leading digits, or ``0`` for the rest.
    """

    zone: str
    name: str
    prices: tuple[int | None, ...]


class Lookups:
    """Answers from the directory, and from the table of ported numbers."""

    def __init__(
        self, *, database: Database, directory: Directory, clock: Callable[[], int]
    ) -> None:
        """`clock()`: epoch milliseconds."""
        self._database = database
        self._directory = directory
        self._clock = clock

    def number(self, account: Account, phone: str) -> NumberInfo | None:
        """Whose a number is now; None when that is not known."""
        number = normalise_recipient(phone)
        origin = None if number is None else self._directory.numbering.lookup(number)
        if number is None or origin is None:
            return None
        is_russian = account.language == "ru"
        return NumberInfo(
            phone=number,
            country=origin.country_ru if is_russian else origin.country,
            operator=origin.operator_ru if is_russian else origin.operator,
            region=origin.region_ru if is_russian else origin.region,
            mcc=origin.mcc,
            mnc=origin.mnc,
            tz=_hours_from_moscow(origin.time_zones, self._clock()),
        )

    def prices(self, account: Account) -> list[PriceZone]:
        """The account's prices: countries, then networks, then prefixes with a price of their own,
        then the rest. Empty when nothing is sold to it."""
        plan = self._directory.plan_of(account)
        if plan is None:
            return []
        numbering = self._directory.numbering
        by_mcc = {mcc: country for country in numbering.iter_countries() for mcc in country.mccs}
        russian = account.language == "ru"
        networks, prefixes = plan.places()
        places: list[tuple[str, str, str, str]] = []  # zone, name, network, prefix
        for network in networks:
            country = by_mcc.get(network[:3])
            name = _name_of(country, russian=russian)
            if len(network) > 3:
                operator = numbering.network(network)
                called = operator and (operator.name_ru if russian else operator.name)
                name = f"{name}, {called or network}"
                places.append((network, name, network, country.prefixes[0] if country else ""))
            elif country is not None:
                places.append((country.prefixes[0], name, network, country.prefixes[0]))
        places.sort(key=lambda place: (len(place[2]), place[1]))
        for prefix in prefixes:
            country = numbering.country_of(prefix)
            places.append((prefix, _name_of(country, russian=russian), "", prefix))
        places.append(("0", _REST[russian], "", ""))
        zones = [
            PriceZone(zone, name, tuple(plan.price(kind, network, prefix) for kind in _KINDS))
            for zone, name, network, prefix in places
        ]
        # A country with several codes is one zone; what is not sold at all is none.
        return list(
            dict.fromkeys(zone for zone in zones if any(p is not None for p in zone.prices))
        )

    async def ported(self, day: int | None = None) -> AsyncIterator[list[tuple[str, str]]]:
        """All ported numbers with their present networks, in order, page by page: a million of them
        at once would hold up everybody else's requests.

        `day`: only what changed on it (since 1970, in the zone of replies). A number that went back
        has the network that it was first given to.
        """
        after = ""
        while True:
            async with self._database.read() as connection:
                page = await read_ported(connection, day=day, after=after, limit=_PAGE)
            if not page:
                return
            after = page[-1][0]
            yield [(number, mccmnc or self._first_network(number)) for number, mccmnc in page]

    def _first_network(self, number: str) -> str:
        numbering: NumberingPlan = self._directory.numbering
        origin = numbering.lookup_original(number)
        return "" if origin is None else origin.mccmnc


def _name_of(country: Country | None, *, russian: bool) -> str:
    if country is None:
        return ""
    return country.name_ru if russian else country.name


def _hours_from_moscow(time_zones: tuple[str, ...], now_ms: int) -> str:
    if not time_zones:
        return "0"
    try:
        zone = ZoneInfo(time_zones[0])
    except (ZoneInfoNotFoundError, ValueError):
        return "0"
    offset = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return f"{(offset.total_seconds() - _MOSCOW_S) / 3600:g}"
