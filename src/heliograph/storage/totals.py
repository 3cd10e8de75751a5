"""Running totals of messages: by account, day, purse, type, network and currency.

Statistics read some rows of totals instead of millions of messages. The totals are written by the
journal in the transaction of the messages that they count, one row for all messages of a batch that
are alike, and `audit` proves them against the messages.

A message is counted on the day on which it was accepted. With its end it moves from the open ones
to one of four groups, and what it had reserved becomes what it cost.

Every message is counted a second time in the row of its *third* of a month (from the 1st, the 11th
and the 21st on), where types and networks are together: a question about half a year of a thousand
sub-clients reads twenty thousand rows instead of a million. Such a row has the number of its third,
negative, in place of the day. Whole months would be fewer rows, and leave fifteen days of every
network to be read at either end instead of five.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageState
from heliograph.storage.deltas import DELETED, DELIVERED, FAILED, REFUSED, spans_of, third_of
from heliograph.storage.schema import totals
from heliograph.storage.sets import is_sqlite

__all__ = [
    "GROUP_OF",
    "DaySums",
    "Sums",
    "audit",
    "detail",
    "paid_in",
    "stream",
    "stream_months",
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


class Sums(NamedTuple):
    """Totals of one account in one currency. `sent`: neither refused nor taken back. `spent`:
    charged, or reserved for messages on their way."""

    account_id: int
    currency: str
    sent: int
    spent_micros: int


class DaySums(NamedTuple):
    """The same of one day, one type and one network."""

    account_id: int
    day: int
    type: int
    mccmnc: str
    currency: str
    sent: int
    spent_micros: int


# All of these are texts: made anew for every question, expressions took longer than their answer.
_SENT = "(t.messages - t.refused - t.deleted)"
_SPENT = "(t.open_micros + t.charged_micros)"


def _of_purse(is_electronic: bool) -> str:
    return "t.payer_id < 0" if is_electronic else "t.payer_id > 0"


def _children(is_one: bool) -> str:
    return "a.parent_id = :parent_id" + (" AND a.id = :child_id" if is_one else "")


def _sum(expression: str) -> str:
    # PostgreSQL's sum is a decimal number, which takes long to read.
    return f"CAST(sum({expression}) AS bigint)"


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
    given: dict[str, int] = {"parent_id": parent_id, "child_id": child_id}
    for at, (first, last, sign) in enumerate(spans):
        given |= {f"first{at}": first, f"last{at}": last, f"sign{at}": sign}
    write = _sums_sqlite if is_sqlite(connection) else _sums_postgresql
    shape = len(spans), bool(child_id), is_electronic
    rows = (await connection.execute(write(*shape), given)).all()
    # Not to sort them by currency takes a third less time, and hardly anybody changes it.
    if any(others for *_, others in rows):
        rows = (await connection.execute(write(*shape, by_currency=True), given)).all()
    return [Sums(*row[:4]) for row in rows if row[2] or row[3]]


# The columns (account, currency, sent, spent, rows in another currency) of sums. Not by currency,
# all rows of an account are summed up as if they were in its present one.
_SUMS = (
    f"{{currency}} AS currency, {_sum('span.sign * ' + _SENT)} AS sent, "
    f"{_sum('span.sign * ' + _SPENT)} AS spent, "
    "count(*) FILTER (WHERE t.currency <> {currency}) AS others"
)


@lru_cache
def _sums_sqlite(
    spans: int, is_one: bool, is_electronic: bool, by_currency: bool = False
) -> TextClause:
    # CROSS JOIN: in this order. With OR, no engine would look for several spans of one index.
    return text(
        f"WITH span(first, last, sign) AS ({_spans(spans)}) SELECT a.id, "
        f"{_SUMS.format(currency='t.currency' if by_currency else 'a.currency')} "
        "FROM accounts a CROSS JOIN span CROSS JOIN totals t "
        "ON t.account_id = a.id AND t.day BETWEEN span.first AND span.last "
        f"AND {_of_purse(is_electronic)} WHERE {_children(is_one)} "
        f"GROUP BY a.id{', t.currency' if by_currency else ''}"
    )


@lru_cache
def _sums_postgresql(
    spans: int, is_one: bool, is_electronic: bool, by_currency: bool = False
) -> TextClause:
    # One sub-client after the other: by itself it would read the totals of everybody.
    return text(
        "SELECT a.id, sums.* FROM accounts a CROSS JOIN LATERAL (SELECT "
        f"{_SUMS.format(currency='t.currency' if by_currency else 'a.currency')} "
        f"FROM ({_spans(spans)}) AS span(first, last, sign) JOIN totals t "
        "ON t.account_id = a.id AND t.day BETWEEN span.first AND span.last "
        f"AND {_of_purse(is_electronic)}{' GROUP BY t.currency' if by_currency else ''}) AS sums "
        f"WHERE {_children(is_one)}"
    )


def _spans(count: int) -> str:
    """Some spans as rows of a statement: the first day, the last one, and the sign."""
    rows = (
        f"(CAST(:first{at} AS integer), CAST(:last{at} AS integer), CAST(:sign{at} AS integer))"
        for at in range(count)
    )
    return "VALUES " + ", ".join(rows)


async def detail(
    connection: AsyncConnection,
    parent_id: int,
    *,
    child_id: int = 0,
    days: tuple[int, int],
    is_electronic: bool,
    limit: int,
) -> list[DaySums]:
    """The same by day, type and network, at most `limit` rows, in the order of their columns."""
    given = {"parent_id": parent_id, "child_id": child_id, "limit": limit}
    given |= {"first": days[0], "last": days[1]}
    rows = await connection.execute(_details(bool(child_id), is_electronic), given)
    return list(map(DaySums._make, rows.all()))


@lru_cache
def _details(is_one: bool, is_electronic: bool) -> TextClause:
    keys = "t.account_id, t.day, t.type, t.mccmnc, t.currency"
    return text(
        f"SELECT {keys}, {_sum(_SENT)}, {_sum(_SPENT)} FROM totals t WHERE t.account_id IN "
        f"(SELECT a.id FROM accounts a WHERE {_children(is_one)}) "
        f"AND t.day BETWEEN :first AND :last AND {_of_purse(is_electronic)} "
        f"GROUP BY {keys} HAVING sum({_SENT}) > 0 ORDER BY {keys} LIMIT :limit"
    )


async def stream(
    connection: AsyncConnection, account_id: int, *, days: tuple[int, int]
) -> AsyncIterator[Any]:
    """Rows of `totals` of an account, or of all (0), by account and day. `connection`: of
    `Database.snapshot()`."""
    query = select(totals).where(totals.c.day >= max(days[0], 0), totals.c.day <= days[1])
    if account_id:
        query = query.where(totals.c.account_id == account_id)
    async with connection.stream(query.order_by(*totals.primary_key)) as rows:
        async for row in rows:
            yield row


async def stream_months(
    connection: AsyncConnection, account_id: int, *, days: tuple[int, int]
) -> AsyncIterator[Any]:
    """The same of the months that begin within the days: `month` (see `month_name`) instead of the
    day, types and networks together."""
    last = -third_of(days[1]) // 3
    first = -third_of(days[0] - 1) // 3 + 1
    sums = ", ".join(f"{_sum(name)} AS {name}" for name, _ in _COUNTED)
    owner = "account_id = :account_id AND " if account_id else ""
    query = text(
        f"SELECT account_id, -day / 3 AS month, payer_id, currency, {sums} FROM totals "
        f"WHERE {owner}day BETWEEN :last AND :first GROUP BY account_id, month, payer_id, currency "
        "ORDER BY account_id, month, payer_id, currency"
    )
    given = {"account_id": account_id, "first": -3 * first, "last": -3 * last - 2}
    async with connection.stream(query, given) as rows:
        async for row in rows:
            yield row


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
    given = {"parent_id": parent_id, "child_id": child_id, "since": span_ms[0], "until": span_ms[1]}
    rows = await connection.execute(_paid_in(bool(child_id), is_electronic), given)
    return [(id, currency, micros) for id, currency, micros in rows.all()]


@lru_cache
def _paid_in(is_one: bool, is_electronic: bool) -> TextClause:
    purse, children = "-a.id" if is_electronic else "a.id", _children(is_one)
    # A purse that got another currency since then moved its money to itself.
    currency = (
        "COALESCE((SELECT c.giver_currency FROM moves c WHERE c.taker_id = t.purse_id "
        "AND c.giver_id = t.purse_id AND c.created_at >= t.created_at ORDER BY c.id LIMIT 1), "
        "a.currency)"
    )
    parts = [
        f"SELECT a.id, {currency}, {_sum('t.effect_micros')} FROM accounts a "
        f"JOIN transfers t ON t.purse_id = {purse} AND t.kind = 4 "
        "AND t.created_at >= :since AND t.created_at < :until "
        f"WHERE {children} GROUP BY 1, 2"
    ]
    for mine, theirs, amount in (
        ("taker", "giver", "m.taken_micros"),
        ("giver", "taker", "-m.given_micros"),
    ):
        parts.append(
            f"SELECT a.id, m.{mine}_currency, {_sum(amount)} FROM accounts a "
            f"JOIN moves m ON m.{mine}_id = {purse} AND m.giver_id <> m.taker_id "
            "AND m.created_at >= :since AND m.created_at < :until "
            # Most are of the main account, whom nobody has to look up.
            f"WHERE {children} AND (abs(m.{theirs}_id) = a.parent_id OR (SELECT o.parent_id "
            f"FROM accounts o WHERE o.id = abs(m.{theirs}_id)) <> a.id) "
            f"GROUP BY a.id, m.{mine}_currency"
        )
    return text(" UNION ALL ".join(parts))


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

# Thirds have one row for all types and networks.
_AUDIT_OF_THIRDS = (
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
    for statement, kinds in (
        (_AUDIT, "type {2}, network {3}"),
        (_AUDIT_OF_THIRDS, "{2}, thirds of months"),
    ):
        for row in await connection.execute(text(f"{statement} LIMIT {limit}")):
            subject = f"account {row[0]}, paid by {row[1]}, " + kinds.format(
                *row[:3], row[3] or "-"
            )
            for (name, _), difference in zip(_COUNTED, row[4:], strict=True):
                if difference:
                    found.append((subject, name, int(difference)))
    return found[:limit]
