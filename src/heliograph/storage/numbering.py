"""Imported number tables, which lie over the packaged plan, and the numbers of the accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.prefix_tables import PrefixRow
from heliograph.storage import revisions
from heliograph.storage.schema import ported_numbers, prefixes, service_numbers
from heliograph.storage.schema_services import ported_changes
from heliograph.storage.sets import among

__all__ = [
    "assign_number",
    "import_ported",
    "import_prefixes",
    "load_ported",
    "load_prefixes",
    "load_service_numbers",
    "read_ported",
    "release_number",
]

# Rows bound at once: bounds the memory of an import of half a million.
_CHUNK = 10_000


async def import_prefixes(connection: AsyncConnection, rows: Iterable[PrefixRow]) -> int:
    """Replaces the imported prefixes by `rows`, whose prefixes are unique; how many there are."""
    await connection.execute(delete(prefixes))
    values = [
        {
            "prefix": row.prefix,
            "mccmnc": row.mccmnc,
            "operator": row.operator,
            "region": row.region,
            "region_ru": row.region_ru,
            "time_zones": " ".join(row.time_zones),
        }
        for row in rows
    ]
    for start in range(0, len(values), _CHUNK):
        await connection.execute(insert(prefixes), values[start : start + _CHUNK])
    await revisions.bump_numbering(connection)
    return len(values)


async def import_ported(
    connection: AsyncConnection, numbers: Mapping[str, str], *, day: int = 0
) -> int:
    """Replaces the ported numbers by `numbers` (number -> present network); how many there are.

    What differs from before is noted as a change of `day` (since 1970); 0: nothing is noted.
    """
    before = await load_ported(connection)
    changed = {
        number: network for number, network in numbers.items() if before.get(number) != network
    }
    gone = {number: "" for number in before if number not in numbers}
    if day:
        await _note_changes(connection, day, changed | gone)
    for chunk in _chunks([*changed, *gone]):
        await connection.execute(
            delete(ported_numbers).where(among(connection, ported_numbers.c.number, chunk))
        )
    for chunk in _chunks(list(changed)):
        values = [{"number": number, "mccmnc": changed[number]} for number in chunk]
        await connection.execute(insert(ported_numbers), values)
    await revisions.bump_numbering(connection)
    return len(numbers)


async def _note_changes(connection: AsyncConnection, day: int, changes: Mapping[str, str]) -> None:
    for chunk in _chunks(list(changes)):
        await connection.execute(
            delete(ported_changes).where(
                ported_changes.c.day == day, among(connection, ported_changes.c.number, chunk)
            )
        )
        values = [{"day": day, "number": number, "mccmnc": changes[number]} for number in chunk]
        await connection.execute(insert(ported_changes), values)


def _chunks(numbers: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(numbers), _CHUNK):
        yield numbers[start : start + _CHUNK]


async def read_ported(
    connection: AsyncConnection, *, day: int | None = None, after: str, limit: int
) -> list[tuple[str, str]]:
    """A page of ported numbers with their present networks, in order, those behind `after`.

    `day`: of what an import of that day changed; the network is '' when a number went back.
    """
    table = ported_numbers if day is None else ported_changes
    rows = select(table.c.number, table.c.mccmnc).where(table.c.number > after)
    if day is not None:
        rows = rows.where(table.c.day == day)
    found = await connection.execute(rows.order_by(table.c.number).limit(limit))
    return [(number, mccmnc) for number, mccmnc in found]


async def load_prefixes(connection: AsyncConnection) -> list[PrefixRow]:
    """Imported prefixes in their order."""
    rows = await connection.execute(select(prefixes).order_by(prefixes.c.prefix))
    return [
        PrefixRow(
            prefix=row.prefix,
            mccmnc=row.mccmnc,
            operator=row.operator,
            region=row.region,
            region_ru=row.region_ru,
            time_zones=tuple(row.time_zones.split()),
        )
        for row in rows
    ]


async def load_ported(connection: AsyncConnection) -> dict[str, str]:
    """Present networks of ported numbers."""
    rows = await connection.execute(select(ported_numbers.c.number, ported_numbers.c.mccmnc))
    return dict(rows.all())


async def assign_number(connection: AsyncConnection, number: str, account_id: int) -> None:
    """What people write to `number` (digits or a name) belongs to the account from now on."""
    await release_number(connection, number)
    await connection.execute(insert(service_numbers).values(number=number, account_id=account_id))
    await revisions.bump(connection)


async def release_number(connection: AsyncConnection, number: str) -> bool:
    """Takes a number from its account; False: it was nobody's."""
    done = await connection.execute(
        delete(service_numbers).where(service_numbers.c.number == number)
    )
    await revisions.bump(connection)
    return bool(done.rowcount)


async def load_service_numbers(connection: AsyncConnection) -> dict[str, int]:
    """Account ids by the numbers that people write to."""
    rows = await connection.execute(select(service_numbers.c.number, service_numbers.c.account_id))
    return dict(rows.all())
