"""Imported number tables, which lie over the packaged plan, and the numbers of the accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.prefix_tables import PrefixRow
from heliograph.storage import revisions
from heliograph.storage.schema import ported_numbers, prefixes, service_numbers

__all__ = [
    "assign_number",
    "import_ported",
    "import_prefixes",
    "load_ported",
    "load_prefixes",
    "load_service_numbers",
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
    await revisions.bump(connection)
    return len(values)


async def import_ported(connection: AsyncConnection, numbers: Mapping[str, str]) -> int:
    """Replaces the ported numbers by `numbers` (number -> present network); how many there are."""
    await connection.execute(delete(ported_numbers))
    values = [{"number": number, "mccmnc": mccmnc} for number, mccmnc in numbers.items()]
    for start in range(0, len(values), _CHUNK):
        await connection.execute(insert(ported_numbers), values[start : start + _CHUNK])
    await revisions.bump(connection)
    return len(values)


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
