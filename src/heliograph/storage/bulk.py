"""A statement that writes many rows at once, one text per engine.

The hot path never writes row by row: rows go to the database in statements of many (`VALUES` with
a row of marks for each on SQLite), and on PostgreSQL one round trip carries arrays (`unnest`). The
texts are made from the tables by `bulk_texts`; this module is what executes them needs, and imports
nothing that takes time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Bulk", "sum_rows", "transpose"]


# Known by itself and not by its texts: statements are keys on the hot path.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bulk:
    """One statement. A row is a sequence of values in the order of `columns`.

    `sqlite` has a hole ``{values}`` for as many rows of marks as are written at once.

    `table`: the only one that it reads and writes; '' for a statement that has to stand alone.

    `returns`: the columns that come back for every row that was really written. `inserts`: the
    table whose rows, known by their first column, are there once the statement is committed.
    `is_update`: rows replace columns of the row that their first value names; of several for one
    row in a batch the last one holds. `key_width` not 0: rows are added to the one that their
    first values name, and those of a batch are added up before.
    """

    name: str
    columns: tuple[str, ...]
    sqlite: str
    postgresql: str
    table: str = ""
    returns: tuple[str, ...] = ()
    inserts: str = ""
    is_update: bool = False
    key_width: int = 0


def sum_rows(rows: Sequence[Sequence[Any]], key_width: int) -> list[Any]:
    """One row for each key (the first `key_width` values), the others summed up; in the order of
    keys, so that two nodes never wait for each other in a circle."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key = tuple(row[:key_width])
        known = sums.get(key)
        if known is None:
            sums[key] = list(row[key_width:])
        else:
            for index, amount in enumerate(row[key_width:]):
                known[index] += amount
    return [(*key, *sums[key]) for key in sorted(sums)]


def transpose(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows to columns, for the arrays of PostgreSQL."""
    return [[row[i] for row in rows] for i in range(width)]
