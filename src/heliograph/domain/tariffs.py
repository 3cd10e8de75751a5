"""Tariffs: the price of one part by message type and network.

A plan is a set of rates. The most telling rate wins: a rate for the exact network (``25001``), then
for a number prefix (longest first), then for the country (``250``), then the plan's default for the
type, and last the plan's default for any type. A plan without a fitting rate does not sell that
message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from heliograph.domain.messages import MessageType

__all__ = ["Rate", "TariffPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Price of one part, in micros. `type` None: every type. At most one of `mccmnc`, `prefix` is
    set.

    `mccmnc` is a network (5-6 digits) or a country (3 digits); `prefix` is leading digits of a
    number.
    """

    price_micros: int
    type: MessageType | None = None
    mccmnc: str = ""
    prefix: str = ""


class TariffPlan:
    """Rates made ready for lookup. `price` answers in under a microsecond for networks seen
    before."""

    __slots__ = ("_by_network", "_by_prefix", "_cache", "_prefix_lengths", "currency", "id", "name")

    # Enough for every network of every type; the cache is dropped whole when it is full.
    _CACHE_SIZE = 20_000

    def __init__(self, *, id: int, name: str, rates: Iterable[Rate], currency: str = "RUR") -> None:
        self.id = id
        self.name = name
        self.currency = currency
        self._by_network: dict[tuple[int, str], int] = {}
        self._by_prefix: dict[tuple[int, str], int] = {}
        for rate in rates:
            kind = -1 if rate.type is None else int(rate.type)
            if rate.prefix:
                self._by_prefix[kind, rate.prefix] = rate.price_micros
            else:
                self._by_network[kind, rate.mccmnc] = rate.price_micros
        self._prefix_lengths = sorted({len(p) for _, p in self._by_prefix}, reverse=True)
        self._cache: dict[tuple[int, str], int | None] = {}

    def converted(self, currency: str, convert: Callable[[int], int]) -> TariffPlan:
        """The same plan with every price told in another currency."""
        made = TariffPlan(id=self.id, name=self.name, rates=(), currency=currency)
        made._by_network = {key: convert(price) for key, price in self._by_network.items()}
        made._by_prefix = {key: convert(price) for key, price in self._by_prefix.items()}
        made._prefix_lengths = self._prefix_lengths
        return made

    def places(self) -> tuple[list[str], list[str]]:
        """What has rates of its own: (networks and countries, prefixes), each in order."""
        networks = sorted({network for _, network in self._by_network if network})
        return networks, sorted({prefix for _, prefix in self._by_prefix})

    def price(self, type: MessageType, mccmnc: str, recipient: str) -> int | None:
        """Micros for one part, or None when the plan has no rate for it."""
        if self._prefix_lengths:
            return self._find(int(type), mccmnc, recipient)
        key = (int(type), mccmnc)
        try:
            return self._cache[key]
        except KeyError:
            if len(self._cache) >= self._CACHE_SIZE:
                self._cache.clear()
            found = self._cache[key] = self._find(int(type), mccmnc, recipient)
            return found

    def _find(self, type: int, mccmnc: str, recipient: str) -> int | None:
        kinds = (type, -1)
        if mccmnc:
            for kind in kinds:
                if (price := self._by_network.get((kind, mccmnc))) is not None:
                    return price
        for length in self._prefix_lengths:
            for kind in kinds:
                if (price := self._by_prefix.get((kind, recipient[:length]))) is not None:
                    return price
        for place in (mccmnc[:3], "") if mccmnc else ("",):
            for kind in kinds:
                if (price := self._by_network.get((kind, place))) is not None:
                    return price
        return None
