"""Limits of requests with a clock that the test moves."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.config import Limits
from heliograph.domain.accounts import Account
from heliograph.domain.limits import Row, Window, source_of
from heliograph.domain.refusals import Refusal
from heliograph.services.limits import RequestLimits

ALEX = Account(id=1, login="alex", payer_id=1)
BORIS = Account(id=2, login="boris", payer_id=2)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RequestLimits:
    return RequestLimits(Limits(), clock=clock)


def test_the_same_request_twice_a_minute(limits: RequestLimits, clock: Clock) -> None:
    assert not limits.duplicate(1, 100, False)
    clock.now_ms += 59_999
    assert limits.duplicate(1, 100, False)
    assert not limits.duplicate(1, 101, False)
    assert not limits.duplicate(2, 100, False)
    assert not limits.duplicate(1, 100, True), "estimates are counted apart"
    clock.now_ms += 1
    assert not limits.duplicate(1, 100, False), "a refused one does not prolong the minute"


def test_five_equal_estimates_a_minute(limits: RequestLimits, clock: Clock) -> None:
    told = []
    for _ in range(7):
        told.append(limits.duplicate(1, 100, True))
        clock.now_ms += 10_000
    assert told == [False] * 5 + [True, False]


def test_a_request_that_failed_through_no_fault_of_its_own(limits: RequestLimits) -> None:
    assert not limits.duplicate(1, 100, False)
    limits.forget(1, 100)
    limits.forget(1, 100)
    assert not limits.duplicate(1, 100, False)
    assert limits.duplicate(1, 100, False)


@pytest.mark.parametrize(("kind", "most"), [("status", 5), ("status-many", 1), ("balance", 10)])
def test_requests_a_minute(limits: RequestLimits, clock: Clock, kind: str, most: int) -> None:
    told = [limits.count(ALEX, kind, "5:7999") for _ in range(most + 2)]
    assert told == [None] * most + [Refusal.TOO_MANY_REQUESTS] * 2
    assert limits.count(ALEX, kind, "6:7999") is None
    assert limits.count(BORIS, kind, "5:7999") is None
    assert limits.count(replace(ALEX, has_limits=False), kind, "5:7999") is None
    clock.now_ms += 60_000
    assert limits.count(ALEX, kind, "5:7999") is None


def test_fifteen_at_once_are_one_too_many(limits: RequestLimits) -> None:
    assert [limits.enter(1) for _ in range(15)] == [True] * 14 + [False]
    assert limits.enter(2)
    limits.leave(1)
    assert limits.enter(1)
    assert not limits.enter(1)
    for _ in range(14):
        limits.leave(1)
    limits.leave(2)
    assert limits._at_once == {}


def test_switches(clock: Clock) -> None:
    free = RequestLimits(Limits(enforce=False), clock=clock)
    assert all(free.enter(1) for _ in range(100))
    assert all(free.count(ALEX, "status-many", "") is None for _ in range(10))
    assert not free.duplicate(1, 1, False)
    assert free.duplicate(1, 1, False), "duplicates have their own switch"
    repeating = RequestLimits(Limits(duplicates=False), clock=clock)
    assert not any(repeating.duplicate(1, 1, False) for _ in range(10))


@given(
    limit=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90_000)), max_size=120),
)
def test_a_window_is_exact(limit: int, steps: list[tuple[int, int]]) -> None:
    """Compared with the plain way: a list of all times of each key."""
    window = Window(limit)
    admitted: dict[int, deque[int]] = defaultdict(deque)
    now_ms = 1_000_000
    for key, pause_ms in steps:
        now_ms += pause_ms
        times = admitted[key]
        while times and times[0] <= now_ms - 60_000:
            times.popleft()
        expected = len(times) < limit
        assert window.admit(key, now_ms) is expected
        if expected:
            times.append(now_ms)


def test_fifty_in_a_row_to_one_number(limits: RequestLimits, clock: Clock) -> None:
    for _ in range(50):
        assert not limits.is_pestered(1, "79161234567")
        clock.now_ms += 29_999
    assert limits.is_pestered(1, "79161234567")
    assert not limits.is_pestered(1, "79161234568")
    assert not limits.is_pestered(2, "79161234567")
    clock.now_ms += 29_000
    assert limits.is_pestered(1, "79161234567")  # there was no pause
    clock.now_ms += 30_000
    assert not limits.is_pestered(1, "79161234567")


def test_a_row_has_a_bound_on_its_memory() -> None:
    row = Row(2, gap_ms=30_000, max_keys=10)
    for number in range(1000):
        assert row.admit(number, 1)
    assert len(row) <= 20
    assert row.admit(999, 2)
    assert not row.admit(999, 3)
    assert row.admit(999, 1)  # the clock was set back


def test_a_window_forgets_what_has_expired() -> None:
    window = Window(1)
    for second in range(600):
        for key in range(100):
            assert window.admit((second, key), second * 1000)
        assert len(window) <= 2 * 100 * 60


def test_a_window_has_a_bound_on_its_memory() -> None:
    window = Window(1, max_keys=1000)
    for key in range(10_000):
        assert window.admit(key, 5)
    assert len(window) <= 2000
    assert not window.admit(9_999, 5)
    assert window.admit(1, 5), "forgotten too soon: it may pass, nobody is refused wrongly"


def test_a_clock_set_back_refuses_nobody_for_long() -> None:
    window = Window(1)
    assert window.admit("a", 10_000_000)
    assert window.admit("a", 1_000_000)
    assert not window.admit("a", 1_000_001)
    assert window.admit("a", 1_060_000)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("account: 7", "account: 7"),
    ],
)
def test_who_is_counted_for_an_address(address: str, source: str) -> None:
    assert source_of(address) == source
