"""Retries: the schedule, its end, and the growing pause before a reconnect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.retries import Backoff, RetrySchedule, spread_of


def test_delays_follow_the_schedule_and_the_last_one_repeats() -> None:
    schedule = RetrySchedule(delays_ms=(10, 200, 3_000), jitter=0)
    assert [schedule.delay_ms(n) for n in range(1, 6)] == [10, 200, 3_000, 3_000, 3_000]


def test_the_last_attempt_is_the_last() -> None:
    schedule = RetrySchedule(delays_ms=(10,), max_attempts=3, jitter=0)
    assert schedule.delay_ms(2) == 10
    assert schedule.delay_ms(3) is None


def test_a_short_life_still_gets_its_attempt() -> None:
    schedule = RetrySchedule(delays_ms=(1_000, 60_000), jitter=0)
    assert schedule.delay_ms(2, left_ms=20_000) == 18_000
    assert schedule.delay_ms(2, left_ms=900) is None
    assert schedule.delay_ms(2, left_ms=61_000) == 60_000


@given(attempts=st.integers(1, 40), ticket=st.integers(0, 2**63))
def test_jitter_adds_at_most_its_share(attempts: int, ticket: int) -> None:
    plain = RetrySchedule(jitter=0).delay_ms(attempts)
    jittered = RetrySchedule(jitter=0.25).delay_ms(attempts, ticket=ticket)
    assert plain is not None
    assert jittered is not None
    assert plain <= jittered <= plain * 1.25


@given(failures=st.integers(1, 10_000), ticket=st.integers(0, 1_000))
def test_a_backoff_never_passes_its_maximum(failures: int, ticket: int) -> None:
    backoff = Backoff(first_ms=1_000, max_ms=60_000)
    delay = backoff.delay_ms(failures, ticket=ticket)
    assert min(1_000 << min(failures - 1, 6), 60_000) / 2 <= delay <= 60_000


def test_tickets_spread_over_the_whole_range() -> None:
    spreads = [spread_of(n) for n in range(1, 200)]
    assert min(spreads) < 0.05
    assert max(spreads) > 0.95
    assert all(0 <= s < 1 for s in spreads)


@pytest.mark.parametrize(
    "broken", [{"delays_ms": ()}, {"delays_ms": (0,)}, {"max_attempts": -1}, {"jitter": 2.0}]
)
def test_an_impossible_schedule_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schedule|attempts"):
        RetrySchedule(**broken)  # type: ignore[arg-type]


def test_an_impossible_backoff_is_refused() -> None:
    with pytest.raises(ValueError, match="back-off"):
        Backoff(first_ms=10, max_ms=5)
