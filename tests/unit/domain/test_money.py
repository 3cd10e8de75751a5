"""Money as integers of micros."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.ledger import charge_for
from heliograph.domain.messages import MessageState
from heliograph.domain.money import format_micros, parse_micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [("12.5", 12_500_000), ("0", 0), ("-3", -3_000_000), ("0,01", 10_000), ("1e3", 10**9)],
)
def test_amounts_are_read(text: str, micros: int) -> None:
    assert parse_micros(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1.2.3", "nan", "inf", "0.0000001", "1e30", "1e999999", "1_0", "\u0661", "9" * 99],
)
def test_other_texts_are_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_micros(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(1_400_000, "1.40"), (1_234_567, "1.234567"), (0, "0.00"), (-50_000, "-0.05")],
)
def test_amounts_are_written(micros: int, text: str) -> None:
    assert format_micros(micros) == text


@given(st.integers(-(10**15), 10**15), st.integers(0, 6))
def test_writing_and_reading_loses_nothing(micros: int, decimals: int) -> None:
    assert parse_micros(format_micros(micros, decimals=decimals)) == micros


def test_only_parts_that_the_operator_took_are_paid_for() -> None:
    delivered, rejected = (MessageState.DELIVERED, True), (MessageState.REJECTED, False)
    expired = (MessageState.EXPIRED, True)
    assert charge_for(300, 3, [delivered, rejected, expired]) == 200
    assert charge_for(300, 3, [rejected] * 3) == 0
    assert charge_for(300, 3, [delivered] * 3) == 300
    assert charge_for(0, 0, []) == 0
