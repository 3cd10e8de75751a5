"""Routing rules: which connectors may carry a message, best first.

A rule fits when every condition it states holds. Fitting rules are tried by `order` (low first:
that is failover); rules of the same order share the traffic by weight, and the rest of that order
stays behind the chosen one as its first fallbacks.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from heliograph.domain.messages import MessageType

__all__ = ["Decision", "Route", "RouteTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One rule. Empty conditions fit everything.

    `types` are message types; `prefix` leading digits of the recipient; `mccmnc` a network or a
    country (3 digits); `sender` a shell pattern without regard to case; `account_id` 0 is any
    account.
    """

    id: int
    connector_id: int
    order: int = 100
    weight: int = 1
    account_id: int = 0
    types: frozenset[MessageType] = frozenset()
    prefix: str = ""
    mccmnc: str = ""
    sender: str = ""

    def misfit(
        self, *, account_id: int, type: MessageType, recipient: str, mccmnc: str, sender: str
    ) -> str:
        """Why the rule does not fit, in words; an empty text when it fits."""
        if self.account_id and self.account_id != account_id:
            return "it belongs to another account"
        if self.types and type not in self.types:
            return f"it does not carry {type.name}"
        if self.prefix and not recipient.startswith(self.prefix):
            return f"the number does not begin with {self.prefix}"
        if self.mccmnc and not mccmnc.startswith(self.mccmnc):
            return f"the network is {mccmnc or 'not known'}, not {self.mccmnc}"
        if self.sender and not fnmatch.fnmatchcase(sender.lower(), self.sender.lower()):
            return f"the sender is not {self.sender}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of an explanation: the rule, and why it was passed over (empty: it fits)."""

    route: Route
    misfit: str


class RouteTable:
    """The rules of the installation, with what each connector is able to carry.

    `abilities` maps a connector id to the message types it carries; a connector that is
    absent from it is disabled.
    """

    _CACHE_SIZE = 20_000

    def __init__(
        self,
        routes: Iterable[Route],
        abilities: dict[int, frozenset[MessageType]],
        *,
        sandboxes: frozenset[int] = frozenset(),
    ) -> None:
        self._routes = sorted(routes, key=lambda r: (r.order, r.id))
        self._abilities = abilities
        self._sandboxes = sandboxes
        self._simple = not any(r.prefix or r.sender for r in self._routes)
        self._cache: dict[tuple[int, int, str], tuple[Route, ...]] = {}

    def choose(
        self,
        *,
        account_id: int,
        type: MessageType,
        recipient: str,
        mccmnc: str,
        sender: str,
        ticket: int,
    ) -> tuple[int, ...]:
        """Connector ids to try in order; empty when nothing carries the message.

        `ticket` is any number that spreads evenly (the message id): it decides between rules of one
        order in proportion to their weights.
        """
        fitting: Sequence[Route]
        key = (account_id, int(type), mccmnc)
        cached = self._cache.get(key) if self._simple else None
        if cached is None:
            question: dict[str, Any] = {
                "account_id": account_id,
                "type": type,
                "recipient": recipient,
                "mccmnc": mccmnc,
                "sender": sender,
            }
            cached = self._without_sandboxes(
                [r for r in self._routes if self._carries(r, type) and not r.misfit(**question)]
            )
            if self._simple:
                if len(self._cache) >= self._CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = cached
        fitting = cached
        if len(fitting) == 1:
            return (fitting[0].connector_id,)
        return _order(fitting, ticket)

    def explain(
        self, *, account_id: int, type: MessageType, recipient: str, mccmnc: str, sender: str
    ) -> list[Decision]:
        """Every rule in its order with the reason why it does not fit."""
        decisions = []
        for route in self._routes:
            misfit = route.misfit(
                account_id=account_id,
                type=type,
                recipient=recipient,
                mccmnc=mccmnc,
                sender=sender,
            )
            if not misfit and route.connector_id not in self._abilities:
                misfit = "its connector is disabled"
            elif not misfit and not self._carries(route, type):
                misfit = f"its connector does not carry {type.name}"
            decisions.append(Decision(route=route, misfit=misfit))
        fitting = self._without_sandboxes([d.route for d in decisions if not d.misfit])
        return [
            Decision(route=d.route, misfit="a real upstream never falls back to the sandbox")
            if not d.misfit and d.route not in fitting
            else d
            for d in decisions
        ]

    def _without_sandboxes(self, fitting: list[Route]) -> tuple[Route, ...]:
        if not fitting or fitting[0].connector_id in self._sandboxes:
            return tuple(fitting)
        return tuple(r for r in fitting if r.connector_id not in self._sandboxes)

    def _carries(self, route: Route, type: MessageType) -> bool:
        return type in self._abilities.get(route.connector_id, frozenset())


def _order(fitting: Sequence[Route], ticket: int) -> tuple[int, ...]:
    chosen: list[int] = []
    at = 0
    while at < len(fitting):
        group = [r for r in fitting[at:] if r.order == fitting[at].order]
        at += len(group)
        # Knuth's multiplicative hash: neighbouring ids land far apart.
        point = (ticket * 2654435761) % (1 << 32) * sum(r.weight for r in group) >> 32
        first = 0
        for index, route in enumerate(group):
            if point < route.weight:
                first = index
                break
            point -= route.weight
        for route in [group[first], *group[:first], *group[first + 1 :]]:
            if route.connector_id not in chosen:
                chosen.append(route.connector_id)
    return tuple(chosen)
