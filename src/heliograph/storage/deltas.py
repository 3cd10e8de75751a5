"""The arithmetic of running totals: what messages and their ends add to which row.

The rows themselves and what is read from them are in `totals`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
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
    "make_rows",
]

# (account_id, day, payer_id, type, mccmnc, currency)
TotalKey = tuple[int, int, int, int, str, str]
# What is added to each column after the key.
Deltas = dict[TotalKey, list[int]]

# The columns after the key, in the order of the table.
MESSAGES, PARTS, DELIVERED, FAILED, REFUSED, DELETED, OPEN, CHARGED = range(8)
_ZEROS = (0,) * 8


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
    """Rows of ADD_TOTALS, one for each key, in the order of keys: so two nodes never wait for each
    other in a circle."""
    merged: Deltas = {}
    for deltas in gathered:
        for key, row in deltas.items():
            known = merged.get(key)
            if known is None:
                merged[key] = row[:]
            else:
                for index, amount in enumerate(row):
                    known[index] += amount
    return [(*key, *merged[key]) for key in sorted(merged)]
