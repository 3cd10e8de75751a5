"""Pacing: the promise ``rate * seconds + burst`` holds for every span and every way of asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.pacing import Pacer


def test_without_a_rate_everything_is_granted() -> None:
    pacer = Pacer(0)
    assert pacer.take(100_000, 5) == 100_000
    assert pacer.allowance(5) is None
    assert pacer.wait_ms(5) == 0


def test_a_burst_leaves_at_once_and_then_the_rate_holds() -> None:
    pacer = Pacer(10, burst=3)
    assert pacer.take(5, 1_000) == 3
    assert pacer.take(5, 1_000) == 0
    assert pacer.wait_ms(1_000) == pytest.approx(100)
    assert pacer.take(5, 1_099) == 0
    assert pacer.take(5, 1_100) == 1
    assert pacer.take(5, 60_000) == 3  # idleness saves up no more than the burst


def test_the_default_burst_is_twenty_milliseconds_of_parts() -> None:
    assert Pacer(1).burst == 1
    assert Pacer(30).burst == 1
    assert Pacer(1_000).burst == 20


def test_what_is_given_back_can_be_taken_again() -> None:
    pacer = Pacer(10, burst=2)
    assert pacer.take(2, 0) == 2
    pacer.give_back(2)
    assert pacer.take(3, 0) == 2


def test_a_hold_stops_everything_until_its_end() -> None:
    for rate in (0, 50):
        pacer = Pacer(rate)
        pacer.hold(2_000)
        pacer.hold(1_500)  # a shorter one does not shorten it
        assert pacer.take(1, 1_999) == 0
        assert pacer.wait_ms(1_000) == 1_000
        assert pacer.take(1, 2_000) == 1


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (1, -1)])
def test_negative_values_are_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        Pacer(rate, burst=burst)


@given(
    rate=st.floats(0.1, 20_000),
    burst=st.integers(1, 500),
    steps=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 800)), min_size=1, max_size=60),
)
def test_no_span_sees_more_than_its_share(
    rate: float, burst: int, steps: list[tuple[int, int]]
) -> None:
    pacer = Pacer(rate, burst=burst)
    now, taken = 0, []
    for gap, wanted in steps:
        now += gap
        granted = pacer.take(wanted, now)
        assert 0 <= granted <= wanted
        taken.append((now, granted))
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            seconds = (taken[last][0] - taken[first][0]) / 1_000
            assert sum(n for _, n in taken[first : last + 1]) <= rate * seconds + burst + 1e-3


@given(rate=st.floats(0.5, 5_000), burst=st.integers(1, 50))
def test_who_waits_as_told_gets_a_part_and_loses_no_rate(rate: float, burst: int) -> None:
    pacer = Pacer(rate, burst=burst)
    now, count = 0.0, 0
    while count < burst + 20:
        now += pacer.wait_ms(now)
        granted = pacer.take(1, now + 1e-6)
        assert granted == 1
        count += granted
    assert now == pytest.approx(20_000 / rate, rel=0.01)
