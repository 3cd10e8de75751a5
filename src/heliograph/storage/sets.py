"""Many values in one parameter: `column IN (a list of any length)` with one statement text.

A list of bound parameters would be compiled anew for every length and has a limit (SQLite: 32766).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Text, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["among", "is_sqlite", "joined"]


def is_sqlite(connection: AsyncConnection) -> bool:
    """Which of the two engines a connection belongs to."""
    return connection.dialect.name == "sqlite"


def among(
    connection: AsyncConnection, column: ColumnElement[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """The condition that `column` is one of `values`, which are all numbers or all texts."""
    if is_sqlite(connection):
        text = bindparam(None, msgspec.json.encode(values).decode(), type_=Text, unique=True)
        return column.in_(select(func.json_each(text).table_valued("value").c.value))
    array = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return column == any_(array)


def joined(
    connection: AsyncConnection, column: ColumnElement[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """As `among`, for batches of hundreds. On a table that PostgreSQL knows nothing about yet, it
    compares every row with every element of an array; a set of rows it hashes, or looks up."""
    if is_sqlite(connection):
        return among(connection, column, values)
    array = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return column.in_(select(func.unnest(array)))
