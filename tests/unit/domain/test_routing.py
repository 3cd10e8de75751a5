"""Which connectors may carry a message, in which order."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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


_PREFIXES = st.sampled_from(["", "7", "79", "7916", "7917", "38", "79161234567"])
_NETWORKS = st.sampled_from(["", "250", "25001", "25002", "255"])
_ROUTES = st.lists(
    st.builds(
        Route,
        id=st.integers(1, 50),
        connector_id=st.integers(1, 5),
        order=st.integers(1, 3),
        weight=st.integers(0, 3),
        account_id=st.integers(0, 2),
        types=st.sampled_from([frozenset(), SMS, frozenset({MessageType.HLR})]),
        prefix=_PREFIXES,
        mccmnc=_NETWORKS,
        sender=st.sampled_from(["", "Sh*", "Bank"]),
    ),
    max_size=12,
    unique_by=lambda route: route.id,
)


def order_one_by_one(fitting: list[Route], ticket: int) -> tuple[int, ...]:
    """The order in words: by order; in each, one by lot in front, the others behind it."""
    chosen: list[int] = []
    for order in sorted({route.order for route in fitting}):
        group = [route for route in fitting if route.order == order]
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


@given(
    routes=_ROUTES,
    sandboxes=st.frozensets(st.integers(1, 5), max_size=2),
    recipient=st.sampled_from(["79161234567", "79170000000", "380501112233", "7", "a@b.example"]),
    account_id=st.integers(0, 2),
    mccmnc=st.sampled_from(["", "25001", "25002", "25501"]),
    sender=st.sampled_from(["", "shop", "bank"]),
    ticket=st.integers(0, 10**9),
)
def test_what_is_chosen_is_what_is_explained(
    routes: list[Route], sandboxes: frozenset[int], ticket: int, **question: Any
) -> None:
    table = RouteTable(routes, {1: ALL, 2: ALL, 3: SMS, 4: ALL}, sandboxes=sandboxes)
    question["type"] = MessageType.SMS
    fitting = [d.route for d in table.explain(**question) if not d.misfit]
    for _ in range(2):  # the second time from what is remembered
        assert choose(table, **question, ticket=ticket) == order_one_by_one(fitting, ticket)


def test_ten_thousand_rules_cost_a_message_no_more_than_ten() -> None:
    def least_s(count: int) -> float:
        own = Route(id=1, connector_id=1, order=2)
        others = [
            Route(id=n + 2, connector_id=2, order=1, prefix=f"8{n:05d}") for n in range(count)
        ]
        table = RouteTable([own, *others], {1: ALL, 2: ALL})
        tries = []
        for _ in range(5):
            began = time.process_time()
            for ticket in range(300):
                assert choose(table, ticket=ticket) == (1,)
            tries.append(time.process_time() - began)
        return min(tries)

    assert least_s(10_000) < 5 * least_s(10)
