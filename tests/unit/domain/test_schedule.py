"""The forms of the time of sending (send.php reference, 2.3), and spreading."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from heliograph.domain.schedule import MAX_AHEAD_MS, parse_time, portion_delay_ms

MOSCOW = 180


def ms(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


NOW = ms(2026, 11, 22, 12, 0)  # 15:00 in Moscow


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("", MOSCOW, 0),
        ("0", MOSCOW, 0),
        ("2311260930", MOSCOW, ms(2026, 11, 23, 6, 30)),
        ("23.11.26 09:30", MOSCOW, ms(2026, 11, 23, 6, 30)),
        ("23.11.26 09:30", 0, ms(2026, 11, 23, 9, 30)),
        ("23.11.26 09:30", 600, ms(2026, 11, 22, 23, 30)),
        ("01.01.12 00:00", MOSCOW, 0),  # past
        ("10-18", MOSCOW, 0),  # inside
        ("16-18", MOSCOW, ms(2026, 11, 22, 13, 0)),  # before
        ("9-11", MOSCOW, ms(2026, 11, 23, 6, 0)),  # after: tomorrow
        ("9-11", -180, 0),  # 9:00 there
        ("22-6", MOSCOW, ms(2026, 11, 22, 19, 0)),  # over midnight, before
        ("14-6", MOSCOW, 0),  # over midnight, inside
        ("+30", MOSCOW, NOW + 1_800_000),
        (" 30", MOSCOW, NOW + 1_800_000),  # a bare plus that arrived as a space
        (f"0{NOW // 1000 + 60}", MOSCOW, NOW + 60_000),
        (f"0{NOW // 1000 - 60}", MOSCOW, 0),
    ],
)
def test_forms_of_time(text: str, zone: int, expected: int) -> None:
    assert parse_time(text, zone, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        *["tomorrow", "3213260000", "10-10", "25-26", "+", "-5", "1", "12:00", "01.01.2027"],
        *["2311260960", "32.01.27 10:00", "29.02.27 10:00", "01.01.2027 10:00"],
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text, MOSCOW, NOW)


def test_more_than_a_year_ahead_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="more than a year ahead"):
        parse_time(f"0{(NOW + MAX_AHEAD_MS) // 1000 + 60}", MOSCOW, NOW)


def test_spreading_starts_at_once_and_ends_within_the_period() -> None:
    hour, step = 3_600_000, 600_000
    delays = [portion_delay_ms(i, 100, period_ms=hour, step_ms=step) for i in range(100)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] < hour
    sizes = {d: delays.count(d) for d in delays}
    assert set(sizes) == {k * step for k in range(6)}
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_spreading_few_recipients_over_many_steps() -> None:
    assert [portion_delay_ms(i, 3, period_ms=36_000_000, step_ms=60_000) for i in range(3)] == [
        0,
        60_000,
        120_000,
    ]
