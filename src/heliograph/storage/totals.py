"""Running totals of messages: by account, day, purse, type, network and currency.

Statistics read some rows of totals instead of millions of messages. The totals are written by the
journal in the transaction of the messages that they count, one row for all messages of a batch that
are alike, and `audit` proves them against the messages.

A message is counted on the day on which it was accepted. With its end it moves from the open ones
to one of four groups, and what it had reserved becomes what it cost.

Every message is counted a second time in the row of its *month*, where types and networks are
together: a question about half a year of a thousand sub-clients reads six thousand rows instead of
a million. Such a row has the number of its month, negative, in place of the day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    cast,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageState
from heliograph.storage.deltas import (
    DELETED,
    DELIVERED,
    FAILED,
    REFUSED,
    first_day,
    month_of,
    spans_of,
)
from heliograph.storage.schema import accounts, moves, totals, transfers
from heliograph.storage.sets import is_sqlite

__all__ = [
    "GROUP_OF",
    "Sums",
    "audit",
    "detail",
    "paid_in",
    "stream",
    "sum_by_account",
]

_S = MessageState
# The column that a final state is counted in.
GROUP_OF: dict[MessageState, int] = {
    _S.DELIVERED: DELIVERED,
    _S.READ: DELIVERED,
    _S.CLICKED: DELIVERED,
    _S.EXPIRED: FAILED,
    _S.UNDELIVERABLE: FAILED,
    _S.REJECTED: FAILED,
    _S.DELETED: DELETED,
    _S.STOPPED: DELETED,
    _S.INVALID_NUMBER: REFUSED,
    _S.FORBIDDEN: REFUSED,
    _S.NO_FUNDS: REFUSED,
    _S.NO_ROUTE: REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Totals of one account in one currency. `sent`: neither refused nor taken back. `spent`:
    charged, or reserved for messages on their way."""

    account_id: int
    currency: str
    sent: int
    spent_micros: int
    day: int = 0
    type: int = 0
    mccmnc: str = ""


# PostgreSQL's sum is a decimal number, which takes long to read.
_SENT = cast(func.sum(totals.c.messages - totals.c.refused - totals.c.deleted), BigInteger)
_SPENT = cast(func.sum(totals.c.open_micros + totals.c.charged_micros), BigInteger)


async def sum_by_account(
    connection: AsyncConnection,
    parent_id: int,
    *,
    child_id: int = 0,
    days: tuple[int, int],
    is_electronic: bool,
) -> list[Sums]:
    """The sub-clients' totals from the first to the last day; those without any are left out.
    `child_id`: of this one only."""
    spans = spans_of(days)
    known: dict[int, str] | None = None
    if is_sqlite(connection) and any(first >= 0 for first, _, _ in spans):
        months = (month_of(days[1]), month_of(days[0]))
        of_months = _conditions(parent_id, child_id, months, is_electronic=is_electronic)
        known = await _currencies(connection, of_months)
    found: dict[tuple[int, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    # One by one: no engine looks for several spans of one index at once.
    for first, last, sign in spans:
        span = (first, last)
        conditions = _conditions(parent_id, child_id, span, is_electronic=is_electronic)
        if not is_sqlite(connection):
            children = _children(accounts, parent_id, child_id)
            query = _account_by_account(children, _paid_on(span, is_electronic=is_electronic))
        elif known is None:
            keys = (totals.c.account_id, totals.c.currency)
            query = select(*keys, _SENT, _SPENT).where(*conditions).group_by(*keys)
        else:
            id = totals.c.account_id
            query = select(id, literal(""), _SENT, _SPENT).where(*conditions).group_by(id)
        for id, code, sent, spent in (await connection.execute(query)).all():
            key = id, code if known is None else known[id]
            before = found[key]
            found[key] = before[0] + sign * sent, before[1] + sign * spent
    return [
        Sums(account_id=id, currency=code, sent=sent, spent_micros=spent)
        for (id, code), (sent, spent) in found.items()
        if sent or spent
    ]


def _account_by_account(
    children: Sequence[ColumnElement[bool]], conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """The sums of each sub-client, looked up one after the other: by itself PostgreSQL would read
    the totals of everybody."""
    currency = totals.c.currency
    sums = (
        select(currency, _SENT.label("sent"), _SPENT.label("spent"))
        .where(totals.c.account_id == accounts.c.id, *conditions)
        .group_by(currency)
        .lateral()
    )
    return select(accounts.c.id, *sums.c).join(sums, true()).where(*children)


async def _currencies(
    connection: AsyncConnection, of_months: Sequence[ColumnElement[bool]]
) -> dict[int, str] | None:
    """The one currency of each account in some months; None when one of them has several.

    SQLite sums up a hundred thousand rows in a third of the time when it need not sort them by
    their currency, and hardly anybody changes it.
    """
    rows = await connection.execute(
        select(totals.c.account_id, func.min(totals.c.currency), func.max(totals.c.currency))
        .where(*of_months)
        .group_by(totals.c.account_id)
    )
    found = rows.all()
    if any(least != most for _, least, most in found):
        return None
    return {id: least for id, least, _ in found}


async def detail(
    connection: AsyncConnection,
    parent_id: int,
    *,
    child_id: int = 0,
    days: tuple[int, int],
    is_electronic: bool,
    limit: int,
) -> list[Sums]:
    """The same by day, type and network, at most `limit` rows."""
    keys = (
        totals.c.account_id,
        totals.c.day,
        totals.c.type,
        totals.c.mccmnc,
        totals.c.currency,
    )
    rows = await connection.execute(
        select(*keys, _SENT, _SPENT)
        .where(*_conditions(parent_id, child_id, days, is_electronic=is_electronic))
        .group_by(*keys)
        .having(_SENT > 0)
        .order_by(*keys)
        .limit(limit)
    )
    return [
        Sums(
            account_id=row[0],
            day=row[1],
            type=row[2],
            mccmnc=row[3],
            currency=row[4],
            sent=row[5],
            spent_micros=row[6],
        )
        for row in rows.all()
    ]


async def stream(
    connection: AsyncConnection, account_id: int, *, days: tuple[int, int], are_months: bool
) -> AsyncIterator[Any]:
    """Rows of `totals` of an account, or of all (0), by account and day; or those of the months
    that begin within the days. `connection`: of `Database.snapshot()`."""
    first, last = days
    if are_months:
        month = month_of(first)
        # The later, the smaller.
        first, last = month_of(last), month - (first_day(month) < first)
    query = select(totals).where(totals.c.day >= first, totals.c.day <= last)
    if account_id:
        query = query.where(totals.c.account_id == account_id)
    day = func.abs(totals.c.day)
    keys = (totals.c.payer_id, totals.c.type, totals.c.mccmnc, totals.c.currency)
    async with connection.stream(query.order_by(totals.c.account_id, day, *keys)) as rows:
        async for row in rows:
            yield row


def _conditions(
    parent_id: int, child_id: int, days: tuple[int, int], *, is_electronic: bool
) -> list[ColumnElement[bool]]:
    children = select(accounts.c.id).where(*_children(accounts, parent_id, child_id))
    return [totals.c.account_id.in_(children), *_paid_on(days, is_electronic=is_electronic)]


def _paid_on(days: tuple[int, int], *, is_electronic: bool) -> list[ColumnElement[bool]]:
    return [
        totals.c.day >= days[0],
        totals.c.day <= days[1],
        totals.c.payer_id < 0 if is_electronic else totals.c.payer_id > 0,
    ]


def _children(table: Any, parent_id: int, child_id: int) -> list[ColumnElement[bool]]:
    conditions = [table.c.parent_id == parent_id]
    return [*conditions, table.c.id == child_id] if child_id else conditions


async def paid_in(
    connection: AsyncConnection,
    parent_id: int,
    *,
    child_id: int = 0,
    span_ms: tuple[int, int],
    is_electronic: bool,
) -> list[tuple[int, str, int]]:
    """What was paid to the sub-clients in [from, to): (account, currency, micros). `child_id`: to
    this one only.

    Payments, and moves between them and accounts that are not their own sub-clients; what was
    taken back counts against it.
    """
    sign = -1 if is_electronic else 1
    child = accounts.alias("child")
    other = accounts.alias("other")
    children = _children(child, parent_id, child_id)
    queries = [
        select(child.c.id, child.c.currency, func.sum(transfers.c.effect_micros))
        .join(transfers, transfers.c.purse_id == sign * child.c.id)
        .where(*children, transfers.c.kind == 4, *_within(transfers, span_ms))
        .group_by(child.c.id, child.c.currency)
    ]
    for mine, currency, amount, theirs, effect in (
        (moves.c.taker_id, moves.c.taker_currency, moves.c.taken_micros, moves.c.giver_id, 1),
        (moves.c.giver_id, moves.c.giver_currency, moves.c.given_micros, moves.c.taker_id, -1),
    ):
        queries.append(
            select(child.c.id, currency, func.sum(effect * amount))
            .join(moves, mine == sign * child.c.id)
            .join(other, other.c.id == func.abs(theirs))
            .where(
                *children,
                other.c.parent_id != child.c.id,
                theirs != mine,
                *_within(moves, span_ms),
            )
            .group_by(child.c.id, currency)
        )
    found: list[tuple[int, str, int]] = []
    for query in queries:
        found += [(id, code, int(amount)) for id, code, amount in await connection.execute(query)]
    return found


def _within(table: Any, span_ms: tuple[int, int]) -> tuple[Any, Any]:
    return table.c.created_at >= span_ms[0], table.c.created_at < span_ms[1]


def _states(column: int) -> str:
    return ", ".join(str(int(state)) for state, group in GROUP_OF.items() if group == column)


_COUNTED = (
    ("messages", "1"),
    ("parts", "m.part_count"),
    ("delivered", f"CASE WHEN m.state IN ({_states(DELIVERED)}) THEN 1 ELSE 0 END"),
    ("failed", f"CASE WHEN m.state IN ({_states(FAILED)}) THEN 1 ELSE 0 END"),
    ("refused", f"CASE WHEN m.state IN ({_states(REFUSED)}) THEN 1 ELSE 0 END"),
    ("deleted", f"CASE WHEN m.state IN ({_states(DELETED)}) THEN 1 ELSE 0 END"),
    ("open_micros", "CASE WHEN m.final_at = 0 THEN m.price_micros ELSE 0 END"),
    ("charged_micros", "CASE WHEN m.final_at <> 0 THEN m.charged_micros ELSE 0 END"),
)
_NAMES = ", ".join(name for name, _ in _COUNTED)
_DIFFERENCES = ", ".join(f"sum({name})" for name, _ in _COUNTED)
# The day is left out: the zone of the installation may have been changed meanwhile.
_AUDIT = (
    f"SELECT account_id, payer_id, type, mccmnc, {_DIFFERENCES} FROM ("
    f"SELECT account_id, payer_id, type, mccmnc, {_NAMES} FROM totals WHERE day >= 0 UNION ALL "
    "SELECT m.account_id, m.payer_id, s.type, m.mccmnc, "
    + ", ".join(f"-({sql})" for _, sql in _COUNTED)
    + " FROM messages m JOIN submissions s ON s.id = m.submission_id) AS counted "
    "GROUP BY account_id, payer_id, type, mccmnc HAVING "
    + " OR ".join(f"sum({name}) <> 0" for name, _ in _COUNTED)
    + " ORDER BY account_id, payer_id, type, mccmnc"
)

# Months have one row for all types and networks.
_AUDIT_OF_MONTHS = (
    "SELECT account_id, payer_id, currency, '', "
    + ", ".join(f"sum(CASE WHEN day < 0 THEN {name} ELSE -{name} END)" for name, _ in _COUNTED)
    + " FROM totals GROUP BY account_id, payer_id, currency HAVING "
    + " OR ".join(f"sum(CASE WHEN day < 0 THEN {n} ELSE -{n} END) <> 0" for n, _ in _COUNTED)
    + " ORDER BY account_id, payer_id, currency"
)


async def audit(connection: AsyncConnection, *, limit: int = 100) -> list[tuple[str, str, int]]:
    """Proves the totals against the messages: (account and kind of message, column, how far off).

    `connection`: of `Database.snapshot()`, so that work may go on.
    """
    found: list[tuple[str, str, int]] = []
    for statement, kinds in ((_AUDIT, "type {2}, network {3}"), (_AUDIT_OF_MONTHS, "{2}, months")):
        for row in await connection.execute(text(f"{statement} LIMIT {limit}")):
            subject = f"account {row[0]}, paid by {row[1]}, " + kinds.format(
                *row[:3], row[3] or "-"
            )
            for (name, _), difference in zip(_COUNTED, row[4:], strict=True):
                if difference:
                    found.append((subject, name, int(difference)))
    return found[:limit]
