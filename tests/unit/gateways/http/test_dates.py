"""Days of the data scripts."""

from __future__ import annotations

from datetime import date, timedelta, timezone

import pytest

from heliograph.gateways.http.dates import day_begins_ms, day_of, format_day, parse_day

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
