"""Days as few rows of running totals: whole thirds of months and what is left of them."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph.storage.deltas import first_day, make_rows, month_name, name_of, spans_of, third_of

# The last third of November 2026; the second one is this and 1, the first one this and 2.
NOVEMBER = -(3 * (2026 * 12 + 10) + 2)
EPOCH = date(1970, 1, 1)
NOV_1 = (date(2026, 11, 1) - EPOCH).days


def day(year: int, month: int, number: int) -> int:
    return (date(year, month, number) - EPOCH).days


@pytest.mark.parametrize(
    ("first", "last", "spans"),
    [
        ((2026, 11, 1), (2026, 11, 30), [(NOVEMBER, NOVEMBER + 2, 1)]),
        ((2026, 9, 1), (2026, 11, 30), [(NOVEMBER, NOVEMBER + 8, 1)]),
        ((2026, 11, 1), (2026, 11, 10), [(NOVEMBER + 2, NOVEMBER + 2, 1)]),
        ((2026, 11, 21), (2026, 11, 30), [(NOVEMBER, NOVEMBER, 1)]),
        # A third less what was before and after.
        ((2026, 11, 2), (2026, 11, 30), [(NOVEMBER, NOVEMBER + 2, 1), (NOV_1, NOV_1, -1)]),
        (
            (2026, 11, 3),
            (2026, 11, 9),
            [(NOVEMBER + 2, NOVEMBER + 2, 1), (NOV_1, NOV_1 + 1, -1), (NOV_1 + 9, NOV_1 + 9, -1)],
        ),
        # Up to half of a third is its days.
        ((2026, 11, 7), (2026, 11, 7), [(NOV_1 + 6, NOV_1 + 6, 1)]),
        ((2026, 11, 3), (2026, 11, 7), [(NOV_1 + 2, NOV_1 + 6, 1)]),
        (
            (2026, 10, 31),
            (2026, 12, 1),
            [(NOVEMBER, NOVEMBER + 2, 1), (NOV_1 - 1, NOV_1 - 1, 1), (NOV_1 + 30, NOV_1 + 30, 1)],
        ),
        (
            (2026, 10, 23),
            (2026, 12, 9),
            [
                (NOVEMBER - 1, NOVEMBER + 3, 1),
                (NOV_1 - 11, NOV_1 - 10, -1),
                (NOV_1 + 39, NOV_1 + 39, -1),
            ],
        ),
        # Some days of two neighbours are one span.
        ((2026, 10, 31), (2026, 11, 1), [(NOV_1 - 1, NOV_1, 1)]),
        ((2026, 11, 7), (2026, 11, 14), [(NOV_1 + 6, NOV_1 + 13, 1)]),
        ((2025, 12, 31), (2026, 1, 1), [(NOV_1 - 305, NOV_1 - 304, 1)]),
    ],
)
def test_spans(
    first: tuple[int, int, int], last: tuple[int, int, int], spans: list[tuple[int, int, int]]
) -> None:
    assert spans_of((day(*first), day(*last))) == spans


@given(st.dates(date(1970, 1, 1), date(2400, 12, 31)))
@example(date(2000, 2, 29))
@example(date(2024, 2, 29))
@example(date(2100, 2, 28))
@example(date(2100, 3, 1))
@example(date(2026, 12, 31))
def test_thirds_of_the_calendar(when: date) -> None:
    number = (when - EPOCH).days
    third = third_of(number)
    begin = 1 if when.day < 11 else 11 if when.day < 21 else 21
    assert first_day(third) == number - when.day + begin
    assert first_day(third - 1) > number
    tomorrow = when + timedelta(days=1)
    assert third_of(number + 1) == third - (tomorrow.day in (1, 11, 21))
    assert month_name(-third // 3) == when.strftime("%Y-%m")
    assert name_of(number) == when.isoformat()


@given(st.integers(0, 160_000), st.integers(0, 900))
@example(day(2024, 2, 20), 10)  # a February of 29 days, and one of 28
@example(day(2100, 2, 20), 10)
def test_every_day_once(first: int, length: int) -> None:
    counted: Counter[int] = Counter()
    read = 0
    for begin, end, sign in spans_of((first, first + length)):
        if begin >= 0:
            some = list(range(begin, end + 1))
            read += len(some)
        else:
            some = [
                n for n in range(first - 22, first + length + 22) if begin <= third_of(n) <= end
            ]
        for each in some:
            counted[each] += sign
    assert {n for n, times in counted.items() if times} == set(range(first, first + length + 1))
    assert set(counted.values()) <= {0, 1}
    # Half of a third at each end.
    assert read <= 10


def test_from_the_beginning_to_the_end_of_time() -> None:
    """What a request without an end asks for."""
    third = third_of(day(2026, 11, 26))
    spans = spans_of((day(2026, 11, 1), 2_900_000))
    assert any(begin <= third <= end for begin, end, _ in spans)
    assert third_of(day(1970, 1, 1)) == -(1970 * 12 * 3)
    assert time.gmtime(2_900_000 * 86_400).tm_year < 10_000


def test_rows_of_a_third_sum_up_days_types_and_networks() -> None:
    first, second = day(2026, 11, 21), day(2026, 11, 30)
    one = {(7, first, 7, 0, "25001", "RUR"): [1, 2, 0, 0, 0, 0, 5, 0]}
    two = {
        (7, second, 7, 4, "25002", "RUR"): [1, 1, 1, 0, 0, 0, 0, 9],
        (7, second, -7, 4, "25002", "RUR"): [1, 1, 1, 0, 0, 0, 0, 1],
    }
    rows = make_rows([one, two])
    assert rows == sorted(rows)
    thirds = [row for row in rows if row[1] < 0]
    assert thirds == [
        (7, NOVEMBER, -7, -1, "", "RUR", 1, 1, 1, 0, 0, 0, 0, 1),
        (7, NOVEMBER, 7, -1, "", "RUR", 2, 3, 1, 0, 0, 0, 5, 9),
    ]
    assert len(rows) == 5
