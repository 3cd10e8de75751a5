"""Payments, moves between accounts, and the proof that the books are right.

What sending does to balances is written by the journal; here is the rest. `audit` proves the rules
of `domain.ledger` over everything stored, by sums that have to cancel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.currencies import Exchange
from heliograph.domain.ledger import TransferKind, owner_of_purse
from heliograph.storage import counters, currencies
from heliograph.storage.accounts import NoSuchAccount
from heliograph.storage.schema import accounts, balances, messages, moves, transfers
from heliograph.storage.sets import joined

__all__ = [
    "AuditReport",
    "NotCovered",
    "Problem",
    "Transfer",
    "audit",
    "charge_rent",
    "has_open_messages",
    "list_transfers",
    "lock",
    "move",
    "pay",
    "read_balance",
    "read_balances",
    "redenominate",
]

# A broken ledger is seen from its first lines; the rest would only fill the terminal.
_MAX_PROBLEMS = 100


class NotCovered(ValueError):
    """The balance and the credit do not cover the amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One row of the ledger. `effect_micros` is what it did to the purse."""

    id: int
    purse_id: int
    kind: TransferKind
    amount_micros: int
    effect_micros: int
    count: int
    created_at: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A sum that does not cancel out. `subject` says whose; `difference_micros` is by how much."""

    rule: str
    subject: str
    difference_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was looked at, and up to 100 problems."""

    accounts: int
    transfers: int
    messages: int
    problems: tuple[Problem, ...]

    @property
    def is_exact(self) -> bool:
        """True when every rule holds."""
        return not self.problems


async def read_balance(connection: AsyncConnection, purse_id: int) -> tuple[int, int]:
    """(balance, credit) in micros. Raises NoSuchAccount."""
    row = (
        await connection.execute(
            select(balances.c.balance_micros, balances.c.credit_micros).where(
                balances.c.purse_id == purse_id
            )
        )
    ).one_or_none()
    if row is None:
        raise NoSuchAccount(f"there is no account {purse_id}")
    return row.balance_micros, row.credit_micros


async def read_balances(connection: AsyncConnection, purse_ids: Sequence[int]) -> dict[int, int]:
    """Balances in micros by purse; those that are not there are left out."""
    rows = await connection.execute(
        select(balances.c.purse_id, balances.c.balance_micros).where(
            joined(connection, balances.c.purse_id, purse_ids)
        )
    )
    return {row[0]: row[1] for row in rows.all()}


async def lock(connection: AsyncConnection, *purse_ids: int) -> None:
    """Holds the balances as they are until the end of the transaction. Raises NoSuchAccount.

    In the order of their numbers: two moves in opposite directions never wait in a circle.
    """
    for purse_id in sorted(purse_ids):
        await _adjust(connection, purse_id, 0)


async def pay(
    connection: AsyncConnection, purse_id: int, amount_micros: int, *, now_ms: int, note: str = ""
) -> int:
    """Adds to a purse, or takes from it (a negative amount); the new balance.

    Raises NoSuchAccount, NotCovered.
    """
    balance = await _adjust(connection, purse_id, amount_micros)
    await _record(connection, TransferKind.PAYMENT, [(purse_id, amount_micros)], now_ms, note)
    return balance


async def charge_rent(
    connection: AsyncConnection, purse_id: int, amount_micros: int, *, now_ms: int, note: str
) -> int:
    """Takes a rent from a purse; the new balance. Raises NoSuchAccount, NotCovered."""
    balance = await _adjust(connection, purse_id, -amount_micros)
    await _record(connection, TransferKind.RENT, [(purse_id, -amount_micros)], now_ms, note)
    return balance


async def move(
    connection: AsyncConnection,
    *,
    from_id: int,
    to_id: int,
    amount_micros: int,
    now_ms: int,
    note: str = "",
    is_taken: bool = False,
) -> tuple[int, int]:
    """Moves money between two purses, in between their currencies; the new balances (from, to).

    `is_taken`: it is taken by the purse that it goes to, the amount is in the currency of that one,
    and the credit of the other one is not touched: nobody borrows for it. Raises NoSuchAccount,
    NotCovered, ValueError (not a positive amount, or nothing in the other currency; twice the
    same purse).
    """
    if amount_micros <= 0 or from_id == to_id:
        raise ValueError("a move takes a positive amount from one account to another one")
    await lock(connection, from_id, to_id)  # currencies and rates are read behind the locks
    giver, taker = await _currencies_of(connection, from_id, to_id)
    exchange = Exchange.between(giver, taker, await currencies.load_rates(connection))
    given = exchange.given_for(amount_micros) if is_taken else amount_micros
    taken = amount_micros if is_taken else exchange.taken_for(amount_micros)
    if not taken or not given:
        raise ValueError("the amount is nothing in the other currency")
    after = await _adjust(connection, from_id, -given), await _adjust(connection, to_id, taken)
    if is_taken and after[0] < 0:
        raise NotCovered("there is not as much on the balance")
    await _record_move(
        connection,
        giver=(from_id, given, giver),
        taker=(to_id, taken, taker),
        exchange=exchange,
        now_ms=now_ms,
        note=note,
    )
    return after


async def redenominate(
    connection: AsyncConnection, purse_id: int, taker: str, *, now_ms: int
) -> bool:
    """Tells a purse's balance and credit in another currency, at the rate of the moment; False: it
    has that currency.

    Nothing may be reserved in it (`has_open_messages`). Raises NoSuchAccount.
    """
    balance = await _adjust(connection, purse_id, 0)
    giver = (await _currencies_of(connection, purse_id))[0]
    if giver == taker:
        return False
    exchange = Exchange.between(giver, taker, await currencies.load_rates(connection))
    converted = exchange.taken_for(balance)
    _, credit = await read_balance(connection, purse_id)
    credit = max(exchange.taken_for(credit), -converted, 0)
    await connection.execute(
        update(balances)
        .where(balances.c.purse_id == purse_id)
        .values(balance_micros=converted, credit_micros=credit, currency=taker)
    )
    if balance or converted:
        await _record_move(
            connection,
            giver=(purse_id, balance, giver),
            taker=(purse_id, converted, taker),
            exchange=exchange,
            now_ms=now_ms,
            note=f"from {giver} to {taker}",
        )
    return True


async def has_open_messages(connection: AsyncConnection, account_id: int) -> bool:
    """Whether something is reserved in purses of the account, or of one that spends its balance."""
    purses = select(balances.c.purse_id).join(accounts, accounts.c.id == balances.c.account_id)
    purses = purses.where((accounts.c.id == account_id) | (accounts.c.payer_id == account_id))
    return (
        await connection.scalar(
            select(messages.c.id)
            .where(
                messages.c.final_at == 0,
                messages.c.price_micros > 0,
                messages.c.payer_id.in_(purses),
            )
            .limit(1)
        )
    ) is not None


async def list_transfers(
    connection: AsyncConnection, purse_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[Transfer]:
    """A page of a purse's transfers, newest first."""
    query = select(transfers).where(transfers.c.purse_id == purse_id)
    if before_id is not None:
        query = query.where(transfers.c.id < before_id)
    rows = await connection.execute(query.order_by(transfers.c.id.desc()).limit(limit))
    return [
        Transfer(**{**row, "kind": TransferKind(row["kind"])}) for row in map(dict, rows.mappings())
    ]


async def _adjust(connection: AsyncConnection, purse_id: int, effect_micros: int) -> int:
    """Changes a balance and locks its row until the end of the transaction; the new balance."""
    row = (
        await connection.execute(
            update(balances)
            .where(balances.c.purse_id == purse_id)
            .values(balance_micros=balances.c.balance_micros + effect_micros)
            .returning(balances.c.balance_micros, balances.c.credit_micros)
        )
    ).one_or_none()
    if row is None:
        raise NoSuchAccount(f"there is no account {purse_id}")
    if effect_micros < 0 and row.balance_micros + row.credit_micros < 0:
        raise NotCovered("the balance and the credit do not cover the amount")
    return int(row.balance_micros)


async def _currencies_of(connection: AsyncConnection, *purse_ids: int) -> list[str]:
    rows = await connection.execute(
        select(balances.c.purse_id, balances.c.currency).where(balances.c.purse_id.in_(purse_ids))
    )
    found = {row.purse_id: row.currency for row in rows}
    return [found[id] for id in purse_ids]


async def _record(
    connection: AsyncConnection,
    kind: TransferKind,
    effects: Sequence[tuple[int, int]],
    now_ms: int,
    note: str,
) -> int:
    """Writes transfers; the id of the first one, the others follow it."""
    first = await counters.take(connection, "ids", len(effects))
    rows = [
        {
            "id": first + index,
            "purse_id": purse_id,
            "kind": int(kind),
            "amount_micros": effect if kind is TransferKind.PAYMENT else abs(effect),
            "effect_micros": effect,
            "count": 0,
            "created_at": now_ms,
            "note": note,
        }
        for index, (purse_id, effect) in enumerate(effects)
    ]
    await connection.execute(insert(transfers), rows)
    return first


async def _record_move(
    connection: AsyncConnection,
    *,
    giver: tuple[int, int, str],
    taker: tuple[int, int, str],
    exchange: Exchange,
    now_ms: int,
    note: str,
) -> None:
    """Writes the two sides; each is (purse, amount, currency)."""
    effects = [(giver[0], -giver[1]), (taker[0], taker[1])]
    first = await _record(connection, TransferKind.MOVE, effects, now_ms, note)
    values = {
        "id": first,
        "taker_transfer_id": first + 1,
        "giver_id": giver[0],
        "taker_id": taker[0],
        "given_micros": giver[1],
        "taken_micros": taker[1],
        "giver_currency": giver[2],
        "taker_currency": taker[2],
        "giver_rate": exchange.giver_rate,
        "taker_rate": exchange.taker_rate,
        "created_at": now_ms,
    }
    await connection.execute(insert(moves).values(values))


# Each rule lists amounts that cancel out within every group: one pass over each table, whatever its
# size, and what is missing on either side shows. Kinds: domain.ledger.TransferKind.
_RULES = (
    (
        "the balance is the sum of the effects of its transfers",
        "purse",
        "SELECT purse_id AS subject, balance_micros AS amount FROM balances UNION ALL "
        "SELECT purse_id, -effect_micros FROM transfers",
    ),
    (
        "what is reserved and neither posted nor voided is the price of the open messages",
        "purse",
        "SELECT purse_id AS subject, CASE kind WHEN 1 THEN amount_micros ELSE -amount_micros END "
        "AS amount FROM transfers WHERE kind IN (1, 2, 3) UNION ALL "
        "SELECT payer_id, -price_micros FROM messages WHERE final_at = 0",
    ),
    (
        "what is posted is the charge of the finished messages",
        "purse",
        "SELECT purse_id AS subject, amount_micros AS amount FROM transfers WHERE kind = 2 "
        "UNION ALL SELECT payer_id, -charged_micros FROM messages WHERE final_at <> 0",
    ),
    (
        "a reserve is the sum of the prices of its messages",
        "transfer",
        "SELECT id AS subject, amount_micros AS amount FROM transfers WHERE kind = 1 UNION ALL "
        "SELECT s.transfer_id, -m.price_micros FROM messages m "
        "JOIN submissions s ON s.id = m.submission_id",
    ),
    (
        "a transfer has the effect of its kind",
        "transfer",
        "SELECT id AS subject, effect_micros - CASE WHEN kind IN (1, 6) THEN -amount_micros "
        "WHEN kind = 2 THEN 0 WHEN kind IN (3, 4) THEN amount_micros "
        "WHEN kind = 5 AND abs(effect_micros) = amount_micros THEN effect_micros "
        "ELSE effect_micros + 1 END AS amount FROM transfers",
    ),
    (
        "a move between purses has its two sides",
        "transfer",
        "SELECT id AS subject, effect_micros AS amount FROM transfers WHERE kind = 5 UNION ALL "
        "SELECT id, given_micros FROM moves UNION ALL "
        "SELECT taker_transfer_id, -taken_micros FROM moves",
    ),
)
# And two that are about rows, not sums.
_ORPHANS = (
    (
        "a submission names a reserve of its payer",
        "submission",
        "SELECT s.id, 0 FROM submissions s LEFT JOIN transfers t "
        "ON t.id = s.transfer_id AND t.kind = 1 AND t.purse_id = s.payer_id "
        "WHERE s.transfer_id <> 0 AND t.id IS NULL",
    ),
    (
        "a message costs between nothing and its price",
        "message",
        "SELECT id, charged_micros - price_micros FROM messages "
        "WHERE final_at <> 0 AND charged_micros NOT BETWEEN 0 AND price_micros",
    ),
    (
        "a message is paid by the payer of its submission",
        "message",
        "SELECT m.id, 0 FROM messages m LEFT JOIN submissions s ON s.id = m.submission_id "
        "WHERE s.id IS NULL OR s.payer_id <> m.payer_id",
    ),
    (
        "who pays from a balance of its own has it in its currency",
        "purse",
        "SELECT b.purse_id, 0 FROM balances b JOIN accounts a ON a.id = b.account_id "
        "WHERE a.payer_id = 0 AND a.currency <> b.currency",
    ),
    (
        "a side of a move is a transfer of the purse that it names",
        "move",
        "SELECT m.id, m.given_micros - m.taken_micros FROM moves m "
        "LEFT JOIN transfers g ON g.id = m.id AND g.kind = 5 AND g.purse_id = m.giver_id "
        "LEFT JOIN transfers t ON t.id = m.taker_transfer_id AND t.kind = 5 "
        "AND t.purse_id = m.taker_id WHERE g.id IS NULL OR t.id IS NULL",
    ),
)


async def audit(connection: AsyncConnection) -> AuditReport:
    """Proves the ledger. `connection`: of `Database.snapshot()`, so that work may go on."""
    problems: list[Problem] = []
    cancelling = [
        (
            rule,
            noun,
            f"SELECT subject, sum(amount) FROM ({amounts}) AS amounts "
            "GROUP BY subject HAVING sum(amount) <> 0 ORDER BY subject",
        )
        for rule, noun, amounts in _RULES
    ]
    for rule, noun, statement in (*cancelling, *_ORPHANS):
        limit = _MAX_PROBLEMS - len(problems)
        if limit <= 0:
            break
        rows = await connection.execute(text(f"{statement} LIMIT {limit}"))
        problems += (
            Problem(rule=rule, subject=_name(noun, subject), difference_micros=int(difference))
            for subject, difference in rows
        )
    problems += await _audit_exchanges(connection, _MAX_PROBLEMS - len(problems))
    return AuditReport(
        accounts=await _count(connection, "accounts"),
        transfers=await _count(connection, "transfers"),
        messages=await _count(connection, "messages"),
        problems=tuple(problems),
    )


def _name(noun: str, subject: int) -> str:
    if noun != "purse":
        return f"{noun} {subject}"
    whose = f"account {owner_of_purse(subject)}"
    return whose if subject > 0 else f"electronic balance of {whose}"


async def _audit_exchanges(connection: AsyncConnection, limit: int) -> list[Problem]:
    """Proves that the two sides of every move are worth the same.

    In Python, whose integers hold the products of amounts and rates; there are few moves.
    """
    problems: list[Problem] = []
    rows = await connection.stream(select(moves).order_by(moves.c.id))
    async for row in rows:
        exchange = Exchange(row.giver_rate, row.taker_rate)
        if len(problems) < limit and not exchange.is_fair(row.given_micros, row.taken_micros):
            problems.append(
                Problem(
                    rule="the two sides of a move are worth the same at its rates",
                    subject=f"move {row.id}",
                    difference_micros=row.given_micros - row.taken_micros,
                )
            )
    return problems


async def _count(connection: AsyncConnection, table: str) -> int:
    found: Any = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
    return int(found)
