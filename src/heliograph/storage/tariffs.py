"""Tariff plans and their rates. Every write notes a new version of the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageType
from heliograph.domain.tariffs import Rate, TariffPlan
from heliograph.storage import revisions
from heliograph.storage.schema import plans, rates

__all__ = [
    "MAX_PLAN_NUMBER",
    "NoSuchPlan",
    "Plan",
    "PlanExists",
    "StoredPlans",
    "create_plan",
    "find_numbered",
    "find_plan",
    "import_rates",
    "list_plans",
    "list_rates",
    "load_plans",
    "make_plans",
    "number_plan",
    "read_plans",
    "remove_rate",
    "set_rate",
]

_ANY_TYPE = -1
# `tariff` of users.php is 0 to 8: "plan 1 ... plan 9".
MAX_PLAN_NUMBER = 9
_SET = text(
    "INSERT INTO rates (plan_id, type, mccmnc, prefix, price_micros) "
    "VALUES (:plan_id, :type, :mccmnc, :prefix, :price_micros) "
    "ON CONFLICT (plan_id, type, mccmnc, prefix) DO UPDATE SET price_micros = :price_micros"
)


class PlanExists(ValueError):
    """Another plan has this name."""


class NoSuchPlan(LookupError):
    """There is no plan with this id or name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan without its rates."""

    id: int
    name: str
    currency: str
    number: int = 0


StoredPlans = tuple[list[Plan], list[Row[Any]]]


async def create_plan(connection: AsyncConnection, name: str, *, currency: str = "RUR") -> int:
    """A new plan without rates; its id. Raises PlanExists."""
    try:
        async with connection.begin_nested():
            made = await connection.execute(
                insert(plans).values(name=name, currency=currency).returning(plans.c.id)
            )
    except IntegrityError as error:
        raise PlanExists(f"there is a plan {name!r} already") from error
    await revisions.bump(connection)
    return int(made.scalar_one())


async def find_plan(connection: AsyncConnection, key: int | str) -> Plan:
    """A plan by id or name. Raises NoSuchPlan."""
    condition = plans.c.id == key if isinstance(key, int) else plans.c.name == key
    row = (await connection.execute(select(plans).where(condition))).one_or_none()
    if row is None:
        raise NoSuchPlan(f"there is no plan {key!r}")
    return Plan(id=row.id, name=row.name, currency=row.currency, number=row.number)


async def list_plans(connection: AsyncConnection) -> list[Plan]:
    """All plans in the order of their ids."""
    rows = await connection.execute(select(plans).order_by(plans.c.id))
    return [
        Plan(id=row.id, name=row.name, currency=row.currency, number=row.number) for row in rows
    ]


async def find_numbered(connection: AsyncConnection, number: int) -> Plan | None:
    """The plan that main accounts know by this number, from 1; None: there is none."""
    row = (
        await connection.execute(
            select(plans).where(plans.c.number == number, plans.c.number > 0).order_by(plans.c.id)
        )
    ).first()
    return None if row is None else Plan(**row._mapping)


async def number_plan(connection: AsyncConnection, plan_id: int, number: int) -> None:
    """Gives a plan a number for main accounts, taking it from the plan that has it; 0: none.

    Raises NoSuchPlan, ValueError.
    """
    if not 0 <= number <= MAX_PLAN_NUMBER:
        raise ValueError(f"plans are numbered from 1 to {MAX_PLAN_NUMBER}")
    if number:
        await connection.execute(update(plans).where(plans.c.number == number).values(number=0))
    done = await connection.execute(
        update(plans).where(plans.c.id == plan_id).values(number=number)
    )
    if not done.rowcount:
        raise NoSuchPlan(f"there is no plan {plan_id}")
    await revisions.bump(connection)


async def set_rate(connection: AsyncConnection, plan_id: int, rate: Rate) -> None:
    """Adds a rate, or gives a new price to the one for the same type, network or prefix."""
    await connection.execute(_SET, _row(plan_id, rate))
    await revisions.bump(connection)


async def remove_rate(connection: AsyncConnection, plan_id: int, rate: Rate) -> bool:
    """Removes the rate for the same type, network or prefix; False: there was none."""
    row = _row(plan_id, rate)
    done = await connection.execute(
        delete(rates).where(
            rates.c.plan_id == plan_id,
            rates.c.type == row["type"],
            rates.c.mccmnc == rate.mccmnc,
            rates.c.prefix == rate.prefix,
        )
    )
    if done.rowcount:
        await revisions.bump(connection)
    return bool(done.rowcount)


async def import_rates(
    connection: AsyncConnection, plan_id: int, given: Iterable[Rate], *, replace: bool
) -> int:
    """Sets many rates; `replace`: the plan's other rates go. Returns how many were given."""
    rows = [_row(plan_id, rate) for rate in given]
    if replace:
        await connection.execute(delete(rates).where(rates.c.plan_id == plan_id))
    if rows:
        await connection.execute(_SET, rows)
    await revisions.bump(connection)
    return len(rows)


async def list_rates(connection: AsyncConnection, plan_id: int) -> list[Rate]:
    """The rates of a plan by type, network, prefix."""
    rows = await connection.execute(
        select(rates)
        .where(rates.c.plan_id == plan_id)
        .order_by(rates.c.type, rates.c.mccmnc, rates.c.prefix)
    )
    return [_rate(row) for row in rows]


async def load_plans(connection: AsyncConnection) -> dict[int, TariffPlan]:
    """All plans, ready for lookups, by id."""
    return make_plans(await read_plans(connection))


async def read_plans(connection: AsyncConnection) -> StoredPlans:
    """All plans and all rates as they are stored; equal when nothing has changed."""
    found = await connection.execute(select(rates).order_by(*rates.primary_key))
    return await list_plans(connection), list(found.all())


def make_plans(stored: StoredPlans) -> dict[int, TariffPlan]:
    """Plans ready for lookups, by id. Takes a second for 200,000 rates."""
    by_plan: dict[int, list[Rate]] = {}
    for row in stored[1]:
        by_plan.setdefault(row.plan_id, []).append(_rate(row))
    return {
        plan.id: TariffPlan(
            id=plan.id, name=plan.name, rates=by_plan.get(plan.id, ()), currency=plan.currency
        )
        for plan in stored[0]
    }


def _row(plan_id: int, rate: Rate) -> dict[str, Any]:
    if rate.mccmnc and rate.prefix:
        raise ValueError("a rate is for a network or for a prefix, not for both")
    if rate.price_micros < 0:
        raise ValueError("a price is not negative")
    return {
        "plan_id": plan_id,
        "type": _ANY_TYPE if rate.type is None else int(rate.type),
        "mccmnc": rate.mccmnc,
        "prefix": rate.prefix,
        "price_micros": rate.price_micros,
    }


def _rate(row: Any) -> Rate:
    return Rate(
        price_micros=row.price_micros,
        type=None if row.type == _ANY_TYPE else MessageType(row.type),
        mccmnc=row.mccmnc,
        prefix=row.prefix,
    )
