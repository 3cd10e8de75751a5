"""Amounts in two currencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.currencies import CURRENCIES, Exchange, check_currency

_rates = st.integers(1, 10**12)


def test_one_to_one_unless_both_rates_are_known() -> None:
    rates = {"RUR": 10**6, "USD": 80 * 10**6}
    assert Exchange.between("RUR", "EUR", rates) == Exchange()
    assert Exchange.between("EUR", "RUR", rates) == Exchange()
    assert Exchange.between("USD", "USD", rates) == Exchange()
    assert Exchange.between("USD", "RUR", rates).taken_for(1_000_000) == 80_000_000
    assert Exchange.between("RUR", "USD", rates).taken_for(100_000_000) == 1_250_000


@given(giver=_rates, taker=_rates, amount=st.integers(-(10**15), 10**15))
def test_nothing_is_made_by_converting(giver: int, taker: int, amount: int) -> None:
    exchange = Exchange(giver, taker)
    taken = exchange.taken_for(amount)
    assert exchange.is_fair(amount, taken)
    assert not exchange.is_fair(amount, taken + 1)
    given_ = exchange.given_for(amount)
    assert exchange.is_fair(given_, amount)
    assert not exchange.is_fair(given_ - 1, amount)
    # There and back never gives more.
    assert Exchange(taker, giver).taken_for(taken) <= amount


@pytest.mark.parametrize("code", ["", "RU", "RUBL", "R0B", "рур"])
def test_codes_that_are_none(code: str) -> None:
    with pytest.raises(ValueError, match="code"):
        check_currency(code)


def test_codes() -> None:
    assert check_currency(" usd ") == "USD"
    assert CURRENCIES[1] == "RUR"
