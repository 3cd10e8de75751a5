"""Which connectors may carry a message, in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

from heliograph.domain.messages import MessageType
from heliograph.domain.routing import Route, RouteTable

SMS = frozenset({MessageType.SMS})
ALL = frozenset(MessageType)


def choose(table: RouteTable, **changes: Any) -> tuple[int, ...]:
    question: dict[str, Any] = {
        "account_id": 1,
        "type": MessageType.SMS,
        "recipient": "79161234567",
        "mccmnc": "25001",
        "sender": "Shop",
        "ticket": 1,
    }
    return table.choose(**(question | changes))


def test_low_order_first_and_the_rest_as_failover() -> None:
    table = RouteTable(
        [Route(id=1, connector_id=10, order=200), Route(id=2, connector_id=20, order=100)],
        {10: ALL, 20: ALL},
    )
    assert choose(table) == (20, 10)


def test_conditions() -> None:
    table = RouteTable(
        [
            Route(id=1, connector_id=1, order=1, account_id=2),
            Route(id=2, connector_id=2, order=2, types=frozenset({MessageType.HLR})),
            Route(id=3, connector_id=3, order=3, prefix="7916"),
            Route(id=4, connector_id=4, order=4, mccmnc="250"),
            Route(id=5, connector_id=5, order=5, sender="sh*"),
            Route(id=6, connector_id=6, order=6),
        ],
        dict.fromkeys(range(1, 7), ALL),
    )
    assert choose(table) == (3, 4, 5, 6)
    assert choose(table, account_id=2) == (1, 3, 4, 5, 6)
    assert choose(table, type=MessageType.HLR, sender="") == (2, 3, 4, 6)
    assert choose(table, recipient="380501234567", mccmnc="25501", sender="x") == (6,)


def test_a_connector_carries_only_what_it_can_and_not_when_disabled() -> None:
    table = RouteTable(
        [Route(id=1, connector_id=1), Route(id=2, connector_id=2), Route(id=3, connector_id=3)],
        {1: SMS, 2: ALL},
    )
    assert set(choose(table)) == {1, 2}
    assert choose(table, type=MessageType.VIBER) == (2,)
    reasons = {
        d.route.id: d.misfit
        for d in table.explain(
            account_id=1, type=MessageType.VIBER, recipient="7916", mccmnc="", sender=""
        )
    }
    assert reasons == {
        1: "its connector does not carry VIBER",
        2: "",
        3: "its connector is disabled",
    }


def test_rules_of_one_order_share_by_weight() -> None:
    table = RouteTable(
        [Route(id=1, connector_id=1, weight=3), Route(id=2, connector_id=2, weight=1)],
        {1: ALL, 2: ALL},
    )
    firsts = Counter(choose(table, ticket=n)[0] for n in range(4000))
    assert 2800 < firsts[1] < 3200
    assert all(len(choose(table, ticket=n)) == 2 for n in range(10))


def test_the_sandbox_never_stands_in_for_a_real_upstream() -> None:
    routes = [Route(id=1, connector_id=1, order=100), Route(id=2, connector_id=2, order=1000)]
    abilities = {1: SMS, 2: ALL}
    table = RouteTable(routes, abilities, sandboxes=frozenset({2}))
    assert choose(table) == (1,)
    assert choose(table, type=MessageType.HLR) == (2,)
    own = Route(id=3, connector_id=2, order=1, account_id=7)
    table = RouteTable([*routes, own], abilities, sandboxes=frozenset({2}))
    assert choose(table, account_id=7)[0] == 2
