"""Numbers that accounts rent by the month."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import revisions
from heliograph.storage.schema import service_numbers

__all__ = [
    "ServiceNumber",
    "due_rentals",
    "find_number",
    "free_number",
    "list_numbers",
    "offer_number",
    "prolong",
    "set_ending",
    "take_number",
]

_LARGEST_LIST = 1_000
_RENTED: ColumnElement[bool] = literal_column("paid_until <> 0")  # as in the partial index


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNumber:
    """A number that people write to. `account_id` 0: it can be rented. `rent_micros`: monthly, in
    the reference currency; 0: given by the operator. `paid_until`: epoch ms, 0: not rented."""

    number: str
    account_id: int
    rent_micros: int
    paid_until: int
    is_ending: bool


async def list_numbers(connection: AsyncConnection, account_id: int) -> list[ServiceNumber]:
    """An account's numbers, then those that it could rent, in order; at most a thousand."""
    rows = await connection.execute(
        select(service_numbers)
        .where(
            (service_numbers.c.account_id == account_id)
            | ((service_numbers.c.account_id == 0) & (service_numbers.c.rent_micros > 0))
        )
        .order_by(service_numbers.c.account_id.desc(), service_numbers.c.number)
        .limit(_LARGEST_LIST)
    )
    return [_make(row) for row in rows]


async def find_number(connection: AsyncConnection, number: str) -> ServiceNumber | None:
    """A number with its owner and rent."""
    row = (
        await connection.execute(select(service_numbers).where(service_numbers.c.number == number))
    ).one_or_none()
    return None if row is None else _make(row)


async def offer_number(connection: AsyncConnection, number: str, rent_micros: int) -> bool:
    """Lets a number be rented, or changes the rent of such a one; False: the operator has given it
    to an account."""
    known = await find_number(connection, number)
    if known is not None and known.account_id and not known.paid_until:
        return False
    if known is None:
        values = {"number": number, "account_id": 0, "rent_micros": rent_micros}
        await connection.execute(service_numbers.insert().values(values))
    else:
        await connection.execute(
            update(service_numbers)
            .where(service_numbers.c.number == number)
            .values(rent_micros=rent_micros)
        )
    await revisions.bump(connection)
    return True


async def take_number(
    connection: AsyncConnection, number: str, *, account_id: int, paid_until: int, is_ending: bool
) -> ServiceNumber | None:
    """Gives a free number to an account; None: there is no such number, or somebody has it."""
    row = (
        await connection.execute(
            update(service_numbers)
            .where(
                service_numbers.c.number == number,
                service_numbers.c.account_id == 0,
                service_numbers.c.rent_micros > 0,
            )
            .values(account_id=account_id, paid_until=paid_until, is_ending=int(is_ending))
            .returning(service_numbers)
        )
    ).one_or_none()
    if row is None:
        return None
    await revisions.bump(connection)
    return _make(row)


async def set_ending(
    connection: AsyncConnection, number: str, account_id: int, *, is_ending: bool
) -> bool:
    """Whether the rent ends with the month; False: the account does not rent that number."""
    done = await connection.execute(
        update(service_numbers)
        .where(
            service_numbers.c.number == number,
            service_numbers.c.account_id == account_id,
            _RENTED,
        )
        .values(is_ending=int(is_ending))
    )
    return bool(done.rowcount)


async def due_rentals(connection: AsyncConnection, now_ms: int) -> list[ServiceNumber]:
    """Rented numbers whose time is over, locked where the engine locks rows."""
    rows = await connection.execute(
        select(service_numbers)
        .where(_RENTED, service_numbers.c.paid_until <= now_ms)
        .order_by(service_numbers.c.paid_until)
        .limit(_LARGEST_LIST)
        .with_for_update()
    )
    return [_make(row) for row in rows]


async def prolong(connection: AsyncConnection, number: str, paid_until: int) -> None:
    """The rent goes on."""
    await connection.execute(
        update(service_numbers)
        .where(service_numbers.c.number == number)
        .values(paid_until=paid_until)
    )


async def free_number(connection: AsyncConnection, number: str) -> None:
    """The rent has ended: anybody may have the number."""
    await connection.execute(
        update(service_numbers)
        .where(service_numbers.c.number == number)
        .values(account_id=0, paid_until=0, is_ending=0)
    )
    await revisions.bump(connection)


def _make(row: object) -> ServiceNumber:
    values = row._asdict()  # type: ignore[attr-defined]
    values["is_ending"] = bool(values["is_ending"])
    return ServiceNumber(**values)
