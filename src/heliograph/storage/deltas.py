"""The arithmetic of running totals: what messages and their ends add to which row.

The rows themselves and what is read from them are in `totals`.
"""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterable
from functools import lru_cache
from time import gmtime
from typing import Any

__all__ = [
    "ANY_NETWORK",
    "ANY_TYPE",
    "CHARGED",
    "DELETED",
    "DELIVERED",
    "FAILED",
    "MESSAGES",
    "OPEN",
    "PARTS",
    "REFUSED",
    "Deltas",
    "TotalKey",
    "add_delta",
    "add_end",
    "add_message",
    "first_day",
    "make_rows",
    "month_name",
    "name_of",
    "spans_of",
    "third_of",
]

# (account_id, day, payer_id, type, mccmnc, currency)
TotalKey = tuple[int, int, int, int, str, str]
# What is added to each column after the key.
Deltas = dict[TotalKey, list[int]]

# The columns after the key, in the order of the table.
MESSAGES, PARTS, DELIVERED, FAILED, REFUSED, DELETED, OPEN, CHARGED = range(8)
_ZEROS = (0,) * 8
# In rows of thirds of months.
ANY_TYPE, ANY_NETWORK = -1, ""
_DAY_S = 86_400
# Thirds begin on the 1st, the 11th and the 21st; the last one has eight to eleven days.
_LENGTH = 10


def add_delta(deltas: Deltas, key: TotalKey, column: int, amount: int) -> None:
    """Adds to one column of one row of totals."""
    row = deltas.get(key)
    if row is None:
        row = deltas[key] = list(_ZEROS)
    row[column] += amount


def add_message(
    deltas: Deltas, key: TotalKey, *, part_count: int, price_micros: int, end: int | None = None
) -> None:
    """Counts a new message; `end`: the column of its end when it has come to it at once."""
    row = deltas.get(key)
    if row is None:
        row = deltas[key] = list(_ZEROS)
    row[MESSAGES] += 1
    row[PARTS] += part_count
    if end is None:
        row[OPEN] += price_micros
    else:
        row[end] += 1


def add_end(deltas: Deltas, end: tuple[TotalKey, int], price_micros: int, charged: int) -> None:
    """Counts the end of an open message; `end` is the key of its totals and the column."""
    row = deltas.get(end[0])
    if row is None:
        row = deltas[end[0]] = list(_ZEROS)
    row[end[1]] += 1
    row[OPEN] -= price_micros
    row[CHARGED] += charged


def make_rows(gathered: Iterable[Deltas]) -> list[tuple[Any, ...]]:
    """Rows of ADD_TOTALS, one for each key and third of a month, in the order of keys: so two nodes
    never wait for each other in a circle."""
    merged: Deltas = {}
    for deltas in gathered:
        for key, row in deltas.items():
            account_id, day, payer_id, _, _, currency = key
            third = (account_id, third_of(day), payer_id, ANY_TYPE, ANY_NETWORK, currency)
            for each in (key, third):
                known = merged.get(each)
                if known is None:
                    merged[each] = row[:]
                else:
                    for index, amount in enumerate(row):
                        known[index] += amount
    return [(*key, *merged[key]) for key in sorted(merged)]


@lru_cache(maxsize=64)
def third_of(day: int) -> int:
    """What stands for the day in the row of its third of a month: the later, the smaller. By three
    it is the month, counted from the year 0."""
    moment = gmtime(day * _DAY_S)
    month = moment.tm_year * 12 + moment.tm_mon - 1
    return -(month * 3 + min((moment.tm_mday - 1) // _LENGTH, 2))


def spans_of(days: tuple[int, int]) -> list[tuple[int, int, int]]:
    """The days from the first to the last one as few rows: (first, last, sign) of spans of days and
    of whole thirds. Of most of a third, its other days are taken off: sign -1. So at either end
    there are five days at most."""
    first, last = days
    oldest, newest = third_of(first), third_of(last)
    begin, end = first_day(oldest), first_day(newest - 1) - 1
    spans: list[tuple[int, int, int]] = []
    if newest == oldest:
        if 2 * (last - first + 1) <= end - begin + 1:
            return [(first, last, 1)]
        spans += [(begin, first - 1, -1), (last + 1, end, -1)]
    else:
        after, before = first_day(oldest - 1), first_day(newest)
        if first - begin <= after - first:
            spans.append((begin, first - 1, -1))
        else:
            spans.append((first, after - 1, 1))
            oldest -= 1
        if end - last <= last - before + 1:
            spans.append((last + 1, end, -1))
        else:
            spans.append((before, last, 1))
            newest += 1
        if newest > oldest and after == before:
            return [(first, last, 1)]
    return [span for span in [(newest, oldest, 1), *spans] if span[0] <= span[1]]


def first_day(third: int) -> int:
    """The day on which the third of a row begins."""
    month, number = divmod(-third, 3)
    year, index = divmod(month, 12)
    return timegm((year, index + 1, 1 + _LENGTH * number, 0, 0, 0)) // _DAY_S


def name_of(day: int) -> str:
    """A day of `totals` as ``2026-11-30``."""
    moment = gmtime(day * _DAY_S)
    return f"{moment.tm_year}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"


def month_name(month: int) -> str:
    """A month counted from the year 0, as ``2026-11``."""
    return f"{month // 12}-{month % 12 + 1:02d}"
