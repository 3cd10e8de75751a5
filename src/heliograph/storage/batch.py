"""What one transaction of the journal does, as a generator of statements.

`write_batch` yields statements and is sent their rows; whoever executes it (the process that writes
SQLite, the task that talks to PostgreSQL) knows nothing of messages or money, so both engines obey
one text. Nothing here takes time to import: the process that writes SQLite starts with it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple

from heliograph.domain.ledger import TransferKind
from heliograph.storage.bulk import Bulk, sum_rows
from heliograph.storage.deltas import Deltas, TotalKey, add_end, make_rows

__all__ = ["BulkRows", "Entry", "Rows", "Script", "Statement", "Statements", "write_batch"]

Rows = list[Any]
BulkRows = dict[Bulk, Rows]
# What a batch yields: a bulk statement or the name of a fixed one, with its rows.
Statement = tuple["Bulk | str", Rows]
Script = Generator[Statement, Rows, None]


class Statements(NamedTuple):
    """The bulk statements that a batch knows by name. `transfer_column`: where the id of the
    reserve stands in a row of `insert_submissions`. What is not in `order` comes after it."""

    order: tuple[Bulk, ...]
    insert_submissions: Bulk
    transfer_column: int
    insert_transfers: Bulk
    finish_messages: Bulk
    revise_messages: Bulk
    add_totals: Bulk


class Entry:
    """One unit that is written whole or not at all.

    Fill in: `rows` per bulk statement; `reserve_micros` with `payer_id` and `message_count` when
    money has to be there, in `currency` (empty: in that of the purse); `finals`, rows of
    FINISH_MESSAGES, whose money is resolved here; `counters`, pairs of (name, how many numbers to
    take); `totals`, what is added to the running totals, and `ends`, for messages in `finals` the
    row of totals that counts them and the column of their end (`storage.totals`).

    Read after `done`: `error` (None: it is on disk), `is_funded` (False: the balance did not cover
    it and nothing was written), then `is_outdated` too (the purse has another currency by now),
    `balance_micros` after the reserve, `finished` (ids of messages that this entry made final),
    `firsts` (first number of each counter).
    """

    __slots__ = (
        "balance_micros",
        "counters",
        "currency",
        "done",
        "ends",
        "error",
        "finals",
        "finished",
        "firsts",
        "is_funded",
        "is_outdated",
        "message_count",
        "must_write",
        "now_ms",
        "payer_id",
        "reserve_micros",
        "rows",
        "size",
        "totals",
    )

    def __init__(
        self,
        rows: dict[Bulk, Rows] | None = None,
        *,
        now_ms: int,
        finals: Rows | None = None,
        must_write: bool = False,
        done: Callable[[Entry], None] | None = None,
    ) -> None:
        self.rows = rows or {}
        self.now_ms = now_ms
        self.finals = finals
        self.must_write = must_write
        self.done = done
        self.payer_id = 0
        self.reserve_micros = 0
        self.message_count = 0
        self.currency = ""
        self.counters: list[tuple[str, int]] | None = None
        self.totals: Deltas | None = None
        self.ends: dict[int, tuple[TotalKey, int]] | None = None
        self.error: Exception | None = None
        self.is_funded = True
        self.is_outdated = False
        self.balance_micros = 0
        self.finished: list[int] = []
        self.firsts: list[int] = []
        self.size = 1 + sum(map(len, self.rows.values())) + len(finals or ())


def write_batch(batch: Sequence[Entry], next_id: Callable[[], int], hot: Statements) -> Script:
    """The statements of one transaction; see Entry for what they mean.

    `next_id` gives ids of transfers.
    """
    wanted: dict[str, int] = {}
    for entry in batch:  # a second try begins anew
        entry.error = None
        entry.is_funded = True
        entry.is_outdated = False
        entry.finished = []
        entry.firsts = []
        for name, count in entry.counters or ():
            wanted[name] = wanted.get(name, 0) + count
    if wanted:
        yield from _count(batch, wanted)
    transfers: Rows = []
    effects: dict[int, int] = {}
    payers = {entry.payer_id for entry in batch if entry.payer_id}
    # Also those to whom an end may give something back: balances are locked once and in one order,
    # so that nobody who changes several of them waits in a circle with us.
    payers.update([key[2] for entry in batch if entry.ends for key, _ in entry.ends.values()])
    if payers:
        balances = yield "lock_balances", [(payer,) for payer in sorted(payers)]
        _reserve(batch, balances, next_id, transfers, effects, hot=hot)
    funded = [entry for entry in batch if entry.is_funded]
    gathered = _gather(funded, hot)
    revised = gathered.pop(hot.revise_messages, None)
    for bulk, rows in gathered.items():  # noqa: UP028 (a dict takes no answers by `send`)
        yield bulk, rows
    deltas: list[Deltas] = [entry.totals for entry in funded if entry.totals]
    yield from _finish(funded, next_id, transfers, effects, deltas, hot=hot)
    if revised:  # after the end that they are better news about
        yield hot.revise_messages, revised
    if effects:
        yield "adjust_balances", sorted(effects.items())
    if transfers:
        yield hot.insert_transfers, transfers
    if deltas:
        yield hot.add_totals, make_rows(deltas)


def _count(batch: Sequence[Entry], wanted: dict[str, int]) -> Script:
    # In one order, so that nodes never wait for each other in a circle.
    rows = yield "take_counters", sorted(wanted.items())
    following = {name: upto - wanted[name] for name, upto in rows}
    for entry in batch:
        for name, count in entry.counters or ():
            entry.firsts.append(following[name])
            following[name] += count


def _reserve(
    batch: Sequence[Entry],
    balances: Rows,
    next_id: Callable[[], int],
    transfers: Rows,
    effects: dict[int, int],
    *,
    hot: Statements,
) -> None:
    by_payer: dict[int, list[Entry]] = {}
    for entry in batch:
        if entry.payer_id:
            by_payer.setdefault(entry.payer_id, []).append(entry)
    available = {purse[0]: purse[1:] for purse in balances}
    for payer, entries in by_payer.items():
        balance, credit, currency = available.get(payer, (0, 0, ""))
        room = balance + credit
        for entry in entries:
            # Priced before the currency was changed: by another process or on another node, too.
            if entry.currency and entry.currency != currency:
                entry.is_funded, entry.is_outdated = False, True
        # The whole batch first; only when it does not fit, one by one in their order.
        if sum(entry.reserve_micros for entry in entries if entry.is_funded) > room:
            for entry in entries:
                if not entry.is_funded:
                    continue
                if entry.reserve_micros > room and entry.reserve_micros > 0:
                    entry.is_funded = False
                else:
                    room -= entry.reserve_micros
        total = count = 0
        transfer_id = 0
        for entry in entries:
            if entry.is_funded:
                balance -= entry.reserve_micros
                total += entry.reserve_micros
                if entry.reserve_micros:
                    count += entry.message_count
                    transfer_id = transfer_id or next_id()
                    for row in entry.rows.get(hot.insert_submissions, ()):
                        row[hot.transfer_column] = transfer_id
            entry.balance_micros = balance
        if total:
            effects[payer] = effects.get(payer, 0) - total
            now_ms = entries[0].now_ms
            kind = int(TransferKind.RESERVE)
            transfers.append((transfer_id, payer, kind, total, -total, count, now_ms, ""))


def _gather(batch: Iterable[Entry], hot: Statements) -> BulkRows:
    gathered: BulkRows = {bulk: [] for bulk in hot.order}
    for entry in batch:
        for bulk, rows in entry.rows.items():
            if bulk in gathered:
                gathered[bulk] += rows
            else:
                gathered[bulk] = list(rows)
    return {bulk: _one_of_each(bulk, rows) for bulk, rows in gathered.items() if rows}


def _one_of_each(bulk: Bulk, rows: Rows) -> Rows:
    """At most one row for a row of the table, where the statement needs it."""
    if bulk.key_width:
        return sum_rows(rows, bulk.key_width)
    return _last_of_each(rows) if bulk.is_update else rows


def _last_of_each(rows: Rows) -> Rows:
    # Of two rows for one key an UPDATE .. FROM takes any; the later news has to hold.
    last = {row[0]: row for row in rows}
    return rows if len(last) == len(rows) else list(last.values())


def _finish(
    batch: Sequence[Entry],
    next_id: Callable[[], int],
    transfers: Rows,
    effects: dict[int, int],
    deltas: list[Deltas],
    *,
    hot: Statements,
) -> Script:
    finals: Rows = []
    owner: dict[int, Entry] = {}
    for entry in batch:
        for row in entry.finals or ():
            if row[0] not in owner:  # the first end counts
                finals.append(row)
                owner[row[0]] = entry
    if not finals:
        return
    finished = yield hot.finish_messages, finals
    sums: dict[int, list[int]] = {}
    ended: Deltas = {}
    for message_id, payer, price, charged in finished:
        entry = owner[message_id]
        entry.finished.append(message_id)
        if entry.ends and (end := entry.ends.get(message_id)) is not None:
            add_end(ended, end, price, charged)
        if price:
            tally = sums.setdefault(payer, [0, 0, 0, 0])
            if charged:
                tally[0] += charged
                tally[1] += 1
            if price != charged:
                tally[2] += price - charged
                tally[3] += 1
    if ended:
        deltas.append(ended)
    now_ms = batch[0].now_ms
    for payer, (posted, posts, voided, voids) in sums.items():
        if posts:
            kind = int(TransferKind.POST)
            transfers.append((next_id(), payer, kind, posted, 0, posts, now_ms, ""))
        if voids:
            kind = int(TransferKind.VOID)
            transfers.append((next_id(), payer, kind, voided, voided, voids, now_ms, ""))
            effects[payer] = effects.get(payer, 0) + voided
