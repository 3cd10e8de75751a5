"""Many values in one parameter: `column IN (a list of any length)` with one statement text.

A list of bound parameters would be compiled anew for every length and has a limit (SQLite: 32766).
The lists are pieces of text: to build SQLAlchemy's own objects for a function that returns rows
takes longer, and leaves fifty of them to the collector each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    Text,
    TextClause,
    any_,
    bindparam,
    literal_column,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["among", "in_order", "is_sqlite", "joined"]

_Query = TypeVar("_Query", bound=Select[Any])

_SQLITE_LIST = text("SELECT value FROM json_each(:listed)")
_POSTGRESQL_LIST = text("SELECT unnest(:listed)")
_POSTGRESQL_ROWS = text("unnest(:listed) WITH ORDINALITY AS listed(value, place)")
_PLACE = literal_column("listed.place", Integer)


def is_sqlite(connection: AsyncConnection) -> bool:
    """Which of the two engines a connection belongs to."""
    return connection.dialect.name == "sqlite"


def among(
    connection: AsyncConnection, column: ColumnElement[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """The condition that `column` is one of `values`, which are all numbers or all texts."""
    if is_sqlite(connection):
        return column.in_(_listed(_SQLITE_LIST, msgspec.json.encode(values).decode(), Text()))
    array = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return column == any_(array)


def joined(
    connection: AsyncConnection, column: ColumnElement[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """As `among`, for batches of hundreds. On a table that PostgreSQL knows nothing about yet, it
    compares every row with every element of an array; a set of rows it hashes, or looks up."""
    if is_sqlite(connection):
        return among(connection, column, values)
    return column.in_(_listed(_POSTGRESQL_LIST, list(values), ARRAY(column.type)))


def in_order(
    connection: AsyncConnection, query: _Query, column: ColumnElement[Any], values: Iterable[int]
) -> _Query:
    """The rows of a query whose `column`, a key of its table, is one of the values: in the order of
    the key and one after the other, so that no more are read than a limit allows."""
    if is_sqlite(connection):
        # It sorts them itself, and looks for each.
        return query.where(among(connection, column, [*values])).order_by(column)
    rows = _listed(_POSTGRESQL_ROWS, sorted(values), ARRAY(column.type))
    is_listed = column == literal_column("listed.value", column.type)
    return query.select_from(rows).where(is_listed).order_by(_PLACE)


def _listed(what: TextClause, value: object, type_: Any) -> TextClause:
    return what.bindparams(bindparam("listed", value, type_=type_, unique=True))
