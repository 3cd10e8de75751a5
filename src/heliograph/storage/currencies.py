"""Rates of currencies: what one unit costs in the reference currency of the installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.currencies import REFERENCE, check_currency
from heliograph.domain.money import MICROS
from heliograph.storage import revisions
from heliograph.storage.schema import currencies

__all__ = ["CurrencyRate", "list_rates", "load_rates", "remove_rate", "set_rates"]

# Converted amounts must stay within 64 bits: the dearest currency against the cheapest one.
_LARGEST_MICROS = 10**12
_SET = text(
    "INSERT INTO currencies (code, rate_micros, changed_at) VALUES (:code, :rate_micros, :now_ms) "
    "ON CONFLICT (code) DO UPDATE SET rate_micros = :rate_micros, changed_at = :now_ms"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyRate:
    """What one unit costs in micros of the reference currency, and since when."""

    code: str
    rate_micros: int
    changed_at: int


async def load_rates(connection: AsyncConnection) -> dict[str, int]:
    """All rates by the code of their currency; the reference currency is worth one of itself."""
    return {REFERENCE: MICROS} | {
        rate.code: rate.rate_micros for rate in await list_rates(connection)
    }


async def list_rates(connection: AsyncConnection) -> list[CurrencyRate]:
    """All rates in the order of their codes."""
    rows = await connection.execute(select(currencies).order_by(currencies.c.code))
    return [CurrencyRate(**row) for row in map(dict, rows.mappings())]


async def set_rates(
    connection: AsyncConnection, rates: Mapping[str, int], *, now_ms: int, replace: bool = False
) -> None:
    """Sets rates; `replace`: the others go. Raises ValueError (code, rate)."""
    rows = []
    for code, rate_micros in rates.items():
        if not 0 < rate_micros <= _LARGEST_MICROS:
            raise ValueError(f"the rate of {code} is not between 0.000001 and 1000000")
        rows.append({"code": check_currency(code), "rate_micros": rate_micros, "now_ms": now_ms})
    if replace:
        await connection.execute(delete(currencies))
    if rows:
        await connection.execute(_SET, rows)
    await revisions.bump(connection)


async def remove_rate(connection: AsyncConnection, code: str) -> bool:
    """Forgets a rate; False: there was none."""
    done = await connection.execute(delete(currencies).where(currencies.c.code == code))
    if done.rowcount:
        await revisions.bump(connection)
    return bool(done.rowcount)
