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

from heliograph.domain.ledger import TransferKind
from heliograph.storage import counters
from heliograph.storage.accounts import NoSuchAccount
from heliograph.storage.schema import balances, transfers

__all__ = [
    "AuditReport",
    "NotCovered",
    "Problem",
    "Transfer",
    "audit",
    "list_transfers",
    "move",
    "pay",
    "read_balance",
]

# A broken ledger is seen from its first lines; the rest would only fill the terminal.
_MAX_PROBLEMS = 100


class NotCovered(ValueError):
    """The balance and the credit do not cover the amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One row of the ledger. `effect_micros` is what it did to the balance."""

    id: int
    account_id: int
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


async def read_balance(connection: AsyncConnection, account_id: int) -> tuple[int, int]:
    """(balance, credit) in micros. Raises NoSuchAccount."""
    row = (
        await connection.execute(
            select(balances.c.balance_micros, balances.c.credit_micros).where(
                balances.c.account_id == account_id
            )
        )
    ).one_or_none()
    if row is None:
        raise NoSuchAccount(f"there is no account {account_id}")
    return row.balance_micros, row.credit_micros


async def pay(
    connection: AsyncConnection, account_id: int, amount_micros: int, *, now_ms: int, note: str = ""
) -> int:
    """Adds to a balance, or takes from it (a negative amount); the new balance.

    Raises NoSuchAccount, NotCovered.
    """
    balance = await _adjust(connection, account_id, amount_micros)
    await _record(connection, TransferKind.PAYMENT, [(account_id, amount_micros)], now_ms, note)
    return balance


async def move(
    connection: AsyncConnection,
    *,
    from_id: int,
    to_id: int,
    amount_micros: int,
    now_ms: int,
    note: str = "",
) -> tuple[int, int]:
    """Moves money between two accounts; the new balances (from, to).

    Raises NoSuchAccount, NotCovered, ValueError (not a positive amount, twice the same account).
    """
    if amount_micros <= 0 or from_id == to_id:
        raise ValueError("a move takes a positive amount from one account to another one")
    effects = {from_id: -amount_micros, to_id: amount_micros}
    # Rows are locked in the order of ids: two moves in opposite directions never wait in a circle.
    after = {id: await _adjust(connection, id, effects[id]) for id in sorted(effects)}
    await _record(connection, TransferKind.MOVE, list(effects.items()), now_ms, note)
    return after[from_id], after[to_id]


async def list_transfers(
    connection: AsyncConnection, account_id: int, *, before_id: int | None = None, limit: int = 100
) -> list[Transfer]:
    """A page of an account's transfers, newest first."""
    query = select(transfers).where(transfers.c.account_id == account_id)
    if before_id is not None:
        query = query.where(transfers.c.id < before_id)
    rows = await connection.execute(query.order_by(transfers.c.id.desc()).limit(limit))
    return [
        Transfer(**{**row, "kind": TransferKind(row["kind"])}) for row in map(dict, rows.mappings())
    ]


async def _adjust(connection: AsyncConnection, account_id: int, effect_micros: int) -> int:
    row = (
        await connection.execute(
            update(balances)
            .where(balances.c.account_id == account_id)
            .values(balance_micros=balances.c.balance_micros + effect_micros)
            .returning(balances.c.balance_micros, balances.c.credit_micros)
        )
    ).one_or_none()
    if row is None:
        raise NoSuchAccount(f"there is no account {account_id}")
    if effect_micros < 0 and row.balance_micros + row.credit_micros < 0:
        raise NotCovered("the balance and the credit do not cover the amount")
    return int(row.balance_micros)


async def _record(
    connection: AsyncConnection,
    kind: TransferKind,
    effects: Sequence[tuple[int, int]],
    now_ms: int,
    note: str,
) -> None:
    first = await counters.take(connection, "ids", len(effects))
    rows = [
        {
            "id": first + index,
            "account_id": account_id,
            "kind": int(kind),
            "amount_micros": effect if kind is TransferKind.PAYMENT else abs(effect),
            "effect_micros": effect,
            "count": 0,
            "created_at": now_ms,
            "note": note,
        }
        for index, (account_id, effect) in enumerate(effects)
    ]
    await connection.execute(insert(transfers), rows)


# Each rule lists amounts that cancel out within every group: one pass over each table, whatever its
# size, and what is missing on either side shows. Kinds: domain.ledger.TransferKind.
_RULES = (
    (
        "the balance is the sum of the effects of its transfers",
        "account",
        "SELECT account_id AS subject, balance_micros AS amount FROM balances UNION ALL "
        "SELECT account_id, -effect_micros FROM transfers",
    ),
    (
        "what is reserved and neither posted nor voided is the price of the open messages",
        "account",
        "SELECT account_id AS subject, CASE kind WHEN 1 THEN amount_micros ELSE -amount_micros END "
        "AS amount FROM transfers WHERE kind IN (1, 2, 3) UNION ALL "
        "SELECT payer_id, -price_micros FROM messages WHERE final_at = 0",
    ),
    (
        "what is posted is the charge of the finished messages",
        "account",
        "SELECT account_id AS subject, amount_micros AS amount FROM transfers WHERE kind = 2 "
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
)
# And two that are about rows, not sums.
_ORPHANS = (
    (
        "a submission names a reserve of its payer",
        "submission",
        "SELECT s.id, 0 FROM submissions s LEFT JOIN transfers t "
        "ON t.id = s.transfer_id AND t.kind = 1 AND t.account_id = s.payer_id "
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
        "moves between accounts cancel out",
        "ledger",
        "SELECT 0, total FROM (SELECT sum(effect_micros) AS total FROM transfers WHERE kind = 5) "
        "AS moves WHERE total <> 0",
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
            Problem(rule=rule, subject=f"{noun} {subject}", difference_micros=int(difference))
            for subject, difference in rows
        )
    return AuditReport(
        accounts=await _count(connection, "balances"),
        transfers=await _count(connection, "transfers"),
        messages=await _count(connection, "messages"),
        problems=tuple(problems),
    )


async def _count(connection: AsyncConnection, table: str) -> int:
    found: Any = await connection.scalar(text(f"SELECT count(*) FROM {table}"))
    return int(found)
