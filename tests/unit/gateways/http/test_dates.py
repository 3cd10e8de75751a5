"""Days of the data scripts."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gateways.http.dates import day_begins_ms, day_of, format_day, parse_day
from heliograph.gateways.http.status import format_date

MOSCOW = timezone(timedelta(hours=3))


def test_a_day_and_back() -> None:
    day = parse_day("02.04.2024")
    assert day == date(2024, 4, 2)
    assert format_day(date(2024, 4, 2)) == "02.04.2024"
    begins = day_begins_ms(date(2024, 4, 2), MOSCOW)
    assert begins == 1_712_005_200_000
    assert day_of(begins, MOSCOW) == date(2024, 4, 2)
    assert day_of(begins - 1, MOSCOW) == date(2024, 4, 1)
    assert parse_day("") is None


@pytest.mark.parametrize("text", ["2024-04-02", "31.02.2024", "1.4.2024", "01.01.0000", "x"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_day(text)


@given(st.integers(0, 4_000_000_000_999), st.sampled_from([0, 180, -210, 345, 1, -1]))
def test_moments_in_any_zone(time_ms: int, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    expected = datetime.fromtimestamp(time_ms // 1000, zone).strftime("%d.%m.%Y %H:%M:%S")
    assert format_date(time_ms, zone) == expected
