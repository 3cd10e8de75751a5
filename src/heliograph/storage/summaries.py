"""What one account sent, spent and was paid in a period, by currency, from the running totals."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage.schema import accounts, moves, totals, transfers

__all__ = ["paid_to", "sent_by"]

_PAYMENT = 4


async def sent_by(
    connection: AsyncConnection, account_id: int, *, days: tuple[int, int], electronic: bool
) -> list[tuple[str, int, int]]:
    """(currency, messages, micros spent) from the first to the last day (days since 1970).

    Messages that were refused or taken back are not counted; spent is what was charged or is
    reserved for messages on their way. `electronic`: what the electronic balance paid for.
    """
    sent = func.sum(totals.c.messages - totals.c.refused - totals.c.deleted)
    spent = func.sum(totals.c.open_micros + totals.c.charged_micros)
    rows = await connection.execute(
        select(totals.c.currency, sent, spent)
        .where(
            totals.c.account_id == account_id,
            totals.c.day >= days[0],
            totals.c.day <= days[1],
            totals.c.payer_id < 0 if electronic else totals.c.payer_id > 0,
        )
        .group_by(totals.c.currency)
    )
    return [(currency, int(count), int(micros)) for currency, count, micros in rows]


async def paid_to(
    connection: AsyncConnection, purse_id: int, *, currency: str, span_ms: tuple[int, int]
) -> list[tuple[str, int]]:
    """(currency, micros) that came to a purse in [from, to): payments, each in the currency that
    the purse had then and `currency` the present one, and moves between it and accounts that are
    not its own sub-clients."""
    since, until = span_ms
    account_id = abs(purse_id)
    found: list[tuple[str, int]] = []
    begins = since
    for paid_in, ends in [*await _past_currencies(connection, purse_id), (currency, until - 1)]:
        paid = await connection.scalar(
            select(func.sum(transfers.c.effect_micros)).where(
                transfers.c.purse_id == purse_id,
                transfers.c.kind == _PAYMENT,
                transfers.c.created_at >= begins,
                transfers.c.created_at <= min(ends, until - 1),
            )
        )
        found += [(paid_in, int(paid))] if paid else []
        begins = max(begins, ends + 1)
    for mine, code, amount, theirs, sign in (
        (moves.c.taker_id, moves.c.taker_currency, moves.c.taken_micros, moves.c.giver_id, 1),
        (moves.c.giver_id, moves.c.giver_currency, moves.c.given_micros, moves.c.taker_id, -1),
    ):
        rows = await connection.execute(
            select(code, func.sum(sign * amount))
            .join(accounts, accounts.c.id == func.abs(theirs))
            .where(
                mine == purse_id,
                accounts.c.parent_id != account_id,
                accounts.c.id != account_id,
                moves.c.created_at >= since,
                moves.c.created_at < until,
            )
            .group_by(code)
        )
        found += [(each, int(micros)) for each, micros in rows]
    return found


async def _past_currencies(connection: AsyncConnection, purse_id: int) -> list[tuple[str, int]]:
    """(currency, epoch ms until which the purse had it), in order, without the present one: a
    change is a move from the purse to itself."""
    rows = await connection.execute(
        select(moves.c.giver_currency, moves.c.created_at)
        .where(moves.c.taker_id == purse_id, moves.c.giver_id == purse_id)
        .order_by(moves.c.id)
    )
    return [(code, at) for code, at in rows]
