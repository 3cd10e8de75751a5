"""The most telling rate wins."""

from __future__ import annotations

from heliograph.domain.messages import MessageType
from heliograph.domain.tariffs import Rate, TariffPlan

SMS, HLR, VIBER = MessageType.SMS, MessageType.HLR, MessageType.VIBER


def test_network_then_prefix_then_country_then_default() -> None:
    plan = TariffPlan(
        id=1,
        name="p",
        rates=[
            Rate(price_micros=1, type=SMS, mccmnc="25001"),
            Rate(price_micros=2, type=SMS, prefix="7903"),
            Rate(price_micros=3, type=SMS, mccmnc="250"),
            Rate(price_micros=4, type=SMS),
            Rate(price_micros=5),
        ],
    )
    assert plan.price(SMS, "25001", "79031234567") == 1
    assert plan.price(SMS, "25002", "79031234567") == 2
    assert plan.price(SMS, "25002", "79201234567") == 3
    assert plan.price(SMS, "25501", "380501234567") == 4
    assert plan.price(HLR, "25001", "79161234567") == 5


def test_a_plan_does_not_sell_what_it_has_no_rate_for() -> None:
    plan = TariffPlan(id=1, name="p", rates=[Rate(price_micros=7, type=SMS, mccmnc="250")])
    assert plan.price(VIBER, "25001", "79161234567") is None
    assert plan.price(SMS, "", "999") is None
    assert [plan.price(SMS, "25099", "7909") for _ in range(3)] == [7, 7, 7]


def test_longest_prefix() -> None:
    plan = TariffPlan(
        id=1,
        name="p",
        rates=[Rate(price_micros=1, prefix="7"), Rate(price_micros=2, prefix="77")],
    )
    assert plan.price(SMS, "40101", "77011234567") == 2
    assert plan.price(SMS, "25001", "79161234567") == 1


def test_where_counts_more_than_which_type() -> None:
    plan = TariffPlan(
        id=1,
        name="p",
        rates=[
            Rate(price_micros=1, type=SMS),
            Rate(price_micros=2, prefix="7"),
            Rate(price_micros=3, mccmnc="25002"),
            Rate(price_micros=4, type=SMS, prefix="7"),
        ],
    )
    assert plan.price(SMS, "25001", "79161234567") == 4
    assert plan.price(VIBER, "25001", "79161234567") == 2
    assert plan.price(SMS, "25002", "79201234567") == 3
    assert plan.price(SMS, "25501", "380501234567") == 1
