"""Texts of bulk statements, made from the tables."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, SmallInteger, Table

from heliograph.storage.bulk import Bulk

__all__ = ["bulk_add", "bulk_delete", "bulk_insert", "bulk_update"]


def bulk_insert(table: Table, *, ignore_conflicts: bool = False) -> Bulk:
    """Inserts whole rows: all columns of the table in their order."""
    columns = [column.name for column in table.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    arrays = ", ".join(f"${i + 1}::{_pg_type(table, name)}[]" for i, name in enumerate(columns))
    return Bulk(
        name=f"insert_{table.name}",
        columns=tuple(columns),
        sqlite=f"INSERT INTO {table.name} ({names}) VALUES {{values}}{conflict}",
        postgresql=f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){conflict}",
        table=table.name,
        inserts="" if ignore_conflicts else table.name,
    )


def bulk_add(table: Table) -> Bulk:
    """Adds to rows of counters: the columns of the primary key say which, the others what is added
    to each of them. Rows that are not there yet begin at zero."""
    columns = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key.columns]
    names = ", ".join(f'"{name}"' for name in columns)
    arrays = ", ".join(f"${i + 1}::{_pg_type(table, name)}[]" for i, name in enumerate(columns))
    sums = ", ".join(
        f'"{name}" = {table.name}."{name}" + excluded."{name}"'
        for name in columns
        if name not in key
    )
    conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sums}"
    return Bulk(
        name=f"add_to_{table.name}",
        columns=tuple(columns),
        sqlite=f"INSERT INTO {table.name} ({names}) VALUES {{values}} {conflict}",
        postgresql=f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {conflict}",
        table=table.name,
        key_width=len(key),
    )


def bulk_update(
    name: str,
    table: Table,
    *,
    key: str,
    columns: Sequence[str],
    guard: str = "",
    expressions: dict[str, str] | None = None,
    returns: Sequence[str] = (),
) -> Bulk:
    """Updates rows by `key`. A row is (key, *columns).

    `guard` is a condition on the stored row (its columns by bare name, prefixed with the table);
    `expressions` set further columns from SQL on the stored row; `returns` name stored columns to
    give back for the rows that passed the guard.
    """
    given = (key, *columns)
    sets = [f'"{column}" = j."{column}"' for column in columns]
    sets += [f'"{column}" = {sql}' for column, sql in (expressions or {}).items()]
    where = f"{table.name}.{key} = j.{key}" + (f" AND {guard}" if guard else "")
    tail = ""
    if returns:
        tail = " RETURNING " + ", ".join(f"{table.name}.{column}" for column in returns)
    arrays = ", ".join(f"${i + 1}::{_pg_type(table, c)}[]" for i, c in enumerate(given))
    names = ", ".join(f'"{c}"' for c in given)
    assignments = ", ".join(sets)
    # SQLite gives RETURNING the columns of the updated table by bare name only.
    sqlite_tail = tail.replace(f"{table.name}.", "")
    return Bulk(
        name=name,
        columns=given,
        sqlite=f"WITH j({names}) AS (VALUES {{values}}) "
        f"UPDATE {table.name} SET {assignments} FROM j WHERE {where}{sqlite_tail}",
        postgresql=f"UPDATE {table.name} SET {assignments} "
        f"FROM unnest({arrays}) AS j({names}) WHERE {where}{tail}",
        returns=tuple(returns),
        table=table.name,
        is_update=True,
    )


def bulk_delete(table: Table) -> Bulk:
    """Deletes rows by the first column of the table. A row is (that column,)."""
    key = next(iter(table.columns)).name
    return Bulk(
        name=f"delete_{table.name}",
        columns=(key,),
        sqlite=f"WITH j(k) AS (VALUES {{values}}) DELETE FROM {table.name} "
        f"WHERE {key} IN (SELECT k FROM j)",
        table=table.name,
        postgresql=f"DELETE FROM {table.name} WHERE {key} = ANY($1::{_pg_type(table, key)}[])",
    )


def _pg_type(table: Table, column: str) -> str:
    kind = table.columns[column].type
    if isinstance(kind, SmallInteger):
        return "smallint"
    if isinstance(kind, BigInteger):
        return "bigint"
    if isinstance(kind, Integer):
        return "integer"
    return "text"
