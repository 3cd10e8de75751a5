"""Routing rules: which connectors may carry a message, best first.

A rule fits when every condition it states holds. Fitting rules are tried by `order` (low first:
that is failover); rules of the same order share the traffic by weight, and the rest of that order
stays behind the chosen one as its first fallbacks.
"""

from __future__ import annotations

import bisect
import fnmatch
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
        if not self.takes_sender(sender):
            return f"the sender is not {self.sender}"
        return ""

    def takes_sender(self, sender: str) -> bool:
        """Whether the sender is one of the rule's."""
        return not self.sender or fnmatch.fnmatchcase(sender.lower(), self.sender.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of an explanation: the rule, and why it was passed over (empty: it fits)."""

    route: Route
    misfit: str


class RouteTable:
    """The rules of the installation, with what each connector is able to carry.

    `abilities` maps a connector id to the message types it carries; a connector that is
    absent from it is disabled.

    Ten thousand rules cost a message no more than ten: rules are filed under account, prefix and
    network, and what fits is remembered. For that the longest known prefix of a number stands for
    the number, as all shorter ones that it begins with are prefixes of that one too.
    """

    _CACHE_SIZE = 20_000
    _KEPT_SENDERS = 1_000

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
        # (account, prefix, network) -> places in the row of routes
        self._filed: dict[tuple[int, str, str], list[int]] = {}
        for place, route in enumerate(self._routes):
            key = (route.account_id, route.prefix, route.mccmnc)
            self._filed.setdefault(key, []).append(place)
        self._prefixes = {r.prefix for r in self._routes} | {""}
        self._prefix_lengths = sorted({len(p) for p in self._prefixes}, reverse=True)
        self._network_lengths = sorted({len(r.mccmnc) for r in self._routes} | {0})
        self._cache: dict[tuple[int, int, str, str], _Fitting] = {}

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
        prefix = ""
        for length in self._prefix_lengths:
            prefix = recipient[:length]
            if prefix in self._prefixes:
                break
        key = (account_id, int(type), mccmnc, prefix)
        fitting = self._cache.get(key)
        if fitting is None:
            if len(self._cache) >= self._CACHE_SIZE:
                self._cache.clear()
            fitting = self._cache[key] = self._find(account_id, type, mccmnc, prefix)
        if fitting.by_sender is not None:
            fitting = self._for_sender(fitting, fitting.by_sender, sender)
        return fitting.order(ticket)

    def _find(self, account_id: int, type: MessageType, mccmnc: str, prefix: str) -> _Fitting:
        """What fits such messages, whatever their senders are."""
        accounts = {0, account_id}
        prefixes = {prefix[:n] for n in self._prefix_lengths if n <= len(prefix)}
        networks = {mccmnc[:n] for n in self._network_lengths if n <= len(mccmnc)}
        places = [
            place
            for key in itertools.product(accounts, prefixes, networks)
            for place in self._filed.get(key, ())
        ]
        routes = [self._routes[place] for place in sorted(places)]
        fits = [r for r in routes if self._carries(r, type) and (not r.types or type in r.types)]
        if any(route.sender for route in fits):
            return _Fitting(fits, by_sender={})
        return _Fitting(self._without_sandboxes(fits))

    def _for_sender(self, fitting: _Fitting, known: dict[str, _Fitting], sender: str) -> _Fitting:
        """Those of them that fit this sender; `known` are the answers for other senders."""
        found = known.get(sender)
        if found is None:
            if len(known) >= self._KEPT_SENDERS:
                known.clear()
            fits = [route for route in fitting.routes if route.takes_sender(sender)]
            found = known[sender] = _Fitting(self._without_sandboxes(fits))
        return found

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


class _Fitting:
    """Rules that fit, and the orders in which their connectors are tried."""

    __slots__ = ("_groups", "_only", "_orders", "by_sender", "routes")

    # Combinations of who comes first; with many rules of one weight there are many.
    _KEPT_ORDERS = 1_000

    def __init__(
        self, routes: Sequence[Route], *, by_sender: dict[str, _Fitting] | None = None
    ) -> None:
        """`by_sender`: some of them ask for a sender; here is kept what fits which one."""
        self.routes = routes
        self.by_sender = by_sender
        # Rules of one order: the rules, and their weights added up one by one.
        self._groups = [
            (group, list(itertools.accumulate(route.weight for route in group)))
            for _, rows in itertools.groupby(routes, key=lambda route: route.order)
            for group in [list(rows)]
        ]
        self._orders: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._only = tuple(r.connector_id for r in routes) if len(routes) < 2 else None

    def order(self, ticket: int) -> tuple[int, ...]:
        """Connector ids; the ticket says who comes first among rules of one order."""
        if self._only is not None:
            return self._only
        # Knuth's multiplicative hash: neighbouring ids land far apart.
        share = (ticket * 2654435761) % (1 << 32)
        firsts = tuple(
            [bisect.bisect_right(sums, share * sums[-1] >> 32) for _, sums in self._groups]
        )
        known = self._orders.get(firsts)
        if known is None:
            if len(self._orders) >= self._KEPT_ORDERS:
                self._orders.clear()
            known = self._orders[firsts] = self._put_first(firsts)
        return known

    def _put_first(self, firsts: tuple[int, ...]) -> tuple[int, ...]:
        chosen: dict[int, None] = {}  # a connector counts where it comes first
        for (group, _), first in zip(self._groups, firsts, strict=True):
            # Rules without any weight: none of them is the first by lot.
            at = first if first < len(group) else 0
            for route in [group[at], *group[:at], *group[at + 1 :]]:
                chosen.setdefault(route.connector_id)
        return tuple(chosen)
