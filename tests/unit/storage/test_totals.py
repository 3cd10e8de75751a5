"""Days as few rows of running totals: whole months and what is left of them."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.storage.deltas import make_rows, month_of, spans_of

NOVEMBER = -(2026 * 12 + 10)
NOV_1 = (date(2026, 11, 1) - date(1970, 1, 1)).days


def day(year: int, month: int, number: int) -> int:
    return (date(year, month, number) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("first", "last", "spans"),
    [
        ((2026, 11, 1), (2026, 11, 30), [(NOVEMBER, NOVEMBER, 1)]),
        ((2026, 9, 1), (2026, 11, 30), [(NOVEMBER, NOVEMBER + 2, 1)]),
        ((2026, 11, 2), (2026, 11, 30), [(NOVEMBER, NOVEMBER, 1), (NOV_1, NOV_1, -1)]),
        (
            (2026, 11, 4),
            (2026, 11, 26),
            [(NOVEMBER, NOVEMBER, 1), (NOV_1, NOV_1 + 2, -1), (NOV_1 + 26, NOV_1 + 29, -1)],
        ),
        ((2026, 11, 7), (2026, 11, 7), [(NOV_1 + 6, NOV_1 + 6, 1)]),
        ((2026, 11, 7), (2026, 11, 21), [(NOV_1 + 6, NOV_1 + 20, 1)]),
        (
            (2026, 10, 31),
            (2026, 12, 1),
            [(NOVEMBER, NOVEMBER, 1), (NOV_1 - 1, NOV_1 - 1, 1), (NOV_1 + 30, NOV_1 + 30, 1)],
        ),
        (
            (2026, 10, 3),
            (2026, 12, 30),
            [
                (NOVEMBER - 1, NOVEMBER + 1, 1),
                (NOV_1 - 31, NOV_1 - 30, -1),
                (NOV_1 + 60, NOV_1 + 60, -1),
            ],
        ),
        ((2026, 10, 31), (2026, 11, 1), [(NOV_1 - 1, NOV_1, 1)]),
        ((2025, 12, 31), (2026, 1, 1), [(NOV_1 - 305, NOV_1 - 304, 1)]),
    ],
)
def test_spans(
    first: tuple[int, int, int], last: tuple[int, int, int], spans: list[tuple[int, int, int]]
) -> None:
    assert spans_of((day(*first), day(*last))) == spans


@given(st.integers(0, 30_000), st.integers(0, 900))
def test_every_day_once(first: int, length: int) -> None:
    counted: Counter[int] = Counter()
    read = 0
    for begin, end, sign in spans_of((first, first + length)):
        if begin >= 0:
            some = list(range(begin, end + 1))
            read += len(some)
        else:
            some = [
                n for n in range(first - 62, first + length + 62) if begin <= month_of(n) <= end
            ]
        for each in some:
            counted[each] += sign
    assert {n for n, times in counted.items() if times} == set(range(first, first + length + 1))
    assert set(counted.values()) <= {0, 1}
    # Half of a month at each end.
    assert read <= 32


def test_from_the_beginning_to_the_end_of_time() -> None:
    """What a request without an end asks for."""
    month = month_of(day(2026, 11, 26))
    spans = spans_of((day(2026, 11, 1), 2_900_000))
    assert any(begin <= month <= end for begin, end, _ in spans)
    assert month_of(day(1970, 1, 1)) == -(1970 * 12)
    assert time.gmtime(2_900_000 * 86_400).tm_year < 10_000


def test_rows_of_a_month_sum_up_days_types_and_networks() -> None:
    first, second = day(2026, 11, 1), day(2026, 11, 30)
    one = {(7, first, 7, 0, "25001", "RUR"): [1, 2, 0, 0, 0, 0, 5, 0]}
    two = {
        (7, second, 7, 4, "25002", "RUR"): [1, 1, 1, 0, 0, 0, 0, 9],
        (7, second, -7, 4, "25002", "RUR"): [1, 1, 1, 0, 0, 0, 0, 1],
    }
    rows = make_rows([one, two])
    assert rows == sorted(rows)
    months = [row for row in rows if row[1] < 0]
    assert months == [
        (7, NOVEMBER, -7, -1, "", "RUR", 1, 1, 1, 0, 0, 0, 0, 1),
        (7, NOVEMBER, 7, -1, "", "RUR", 2, 3, 1, 0, 0, 0, 5, 9),
    ]
    assert len(rows) == 5
