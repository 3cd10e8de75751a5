"""In what an installation grows, and how far. A new one is a function of `rows` and a line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.grown import rows
from bench.grown.gateway import GrownGateway
from bench.peers.gateways import Choice
from bench.scenarios import Way

from heliograph.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """`add(database, count)` makes it so large; the first of `counts` is what others are held
    against."""

    name: str
    counts: tuple[int, ...]
    add: Callable[[Database, int], Awaitable[None]]

    def choices(self, scale: float) -> list[Choice]:
        """A gateway for each size; all but the first are scaled."""
        first, *others = self.counts
        sizes = [first, *(max(first + 1, round(count * scale)) for count in others)]
        return [self._choice(size) for size in sizes]

    def _choice(self, size: int) -> Choice:
        name = f"{size:,}"

        async def grow(database: Database) -> None:
            await self.add(database, size)

        return Choice(
            name=name,
            about=f"{self.name}: {name}",
            build=partial(
                GrownGateway,
                name=name,
                grow=grow,
                stored=size if self.add is rows.add_messages else 0,
            ),
            ways=frozenset(Way),
        )


DIMENSIONS = (
    Dimension(name="stored", counts=(0, 1_000_000, 10_000_000), add=rows.add_messages),
    Dimension(name="accounts", counts=(0, 10_000), add=rows.add_accounts),
    Dimension(name="connectors", counts=(1, 100), add=rows.add_connectors),
    Dimension(name="routes by prefix", counts=(0, 10_000), add=rows.add_routes_by_prefix),
    Dimension(name="routes by network", counts=(0, 10_000), add=rows.add_routes_by_network),
    Dimension(name="tariff", counts=(0, 10_000), add=rows.add_rates),
)
