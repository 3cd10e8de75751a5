"""The journal: group commit. Everything the hot path writes goes through here.

Whatever arrives while one transaction is being written goes into the next one: no timers, no
commit per message. An entry is told its result only after the commit, which is fsynced; entries are
committed in the order in which they came.

What a batch does is one generator (`write_batch`) that yields statements and is sent their
rows; the SQLite writer runs it in a thread, the PostgreSQL writer in a task, so both engines obey
one text.

When the database refuses a batch, its halves are tried, down to the entry whose row is poisoned:
that one fails alone. When it is not writable at all (disk full, connection lost), entries that can
be refused are refused and those that tell what already happened (`must_write`) are kept and tried
again until they are on disk. When the connection is lost in the middle of a commit, the batch waits
until the database can tell what became of it: nobody is told a guess.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Protocol

from heliograph.domain.ledger import TransferKind
from heliograph.storage.bulk import Bulk, sum_rows
from heliograph.storage.statements import (
    CLAIM_PARTS,
    FINISH_MESSAGES,
    INSERT_SUBMISSIONS,
    INSERT_TRANSFERS,
    ORDER,
    REQUEUE_PARTS,
    RESPOND_PARTS,
    REVISE_MESSAGES,
    TRANSFER_COLUMN,
)
from heliograph.storage.totals import ADD_TOTALS, Deltas, TotalKey, add_end, make_rows

__all__ = ["BatchWriter", "BulkRows", "Entry", "Journal", "JournalClosed", "Script", "StorageDown"]

# Bounds one transaction (and so the wait of whoever comes behind it).
_MAX_BATCH_ROWS = 20_000
# Entries that may wait; beyond it new ones are refused before anything is acknowledged.
_MAX_WAITING_ROWS = 2_000_000
_RETRY_S = 0.5

Rows = list[Any]
BulkRows = dict[Bulk, Rows]
# What a batch yields: a bulk statement or the name of a fixed one, with its rows.
Statement = tuple["Bulk | str", Rows]
Script = Generator[Statement, Rows, None]


class StorageDown(Exception):
    """The database can not be written at the moment: nothing of the entry is on disk.

    `outcome` is set by a writer that lost its connection in the middle of a commit: it tells
    whether the transaction is on disk, or raises StorageDown while that can not be told.
    """

    def __init__(
        self, message: str, *, outcome: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        super().__init__(message)
        self.outcome = outcome


class _IdsMissing(Exception):
    """There is no id for a transfer at the moment."""


class JournalClosed(Exception):
    """The journal has been closed: nothing of the entry is on disk."""


class Entry:
    """One unit that is written whole or not at all.

    Fill in: `rows` per bulk statement; `reserve_micros` with `payer_id` and `message_count` when
    money has to be there; `finals`, rows of FINISH_MESSAGES, whose money is resolved here;
    `counters`, pairs of (name, how many numbers to take); `totals`, what is added to the running
    totals, and `ends`, for messages in `finals` the row of totals that counts them and the column
    of their end (`storage.totals`). Read after `done`: `error` (None: it is
    on disk), `is_funded` (False: the balance did not cover it and nothing was written),
    `balance_micros` after the reserve, `finished` (ids of messages that this entry made final),
    `firsts` (first number of each counter).
    """

    __slots__ = (
        "balance_micros",
        "counters",
        "done",
        "ends",
        "error",
        "finals",
        "finished",
        "firsts",
        "is_funded",
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
        self.counters: list[tuple[str, int]] | None = None
        self.totals: Deltas | None = None
        self.ends: dict[int, tuple[TotalKey, int]] | None = None
        self.error: Exception | None = None
        self.is_funded = True
        self.balance_micros = 0
        self.finished: list[int] = []
        self.firsts: list[int] = []
        self.size = 1 + sum(map(len, self.rows.values())) + len(finals or ())


class BatchWriter(Protocol):
    """Runs scripts, each in a transaction that is on disk when `write` returns."""

    async def open(self) -> None:
        """Connects. Raises StorageDown."""

    async def write(self, script_of: Callable[[], Script]) -> None:
        """Runs a fresh script in one transaction. Raises StorageDown when the database can not be
        written at all, and whatever the statement raised otherwise; rolled back in both cases."""

    async def close(self) -> None:
        """Closes the connection."""


class Journal:
    """The queue in front of the one writer. All methods are called in the event loop."""

    def __init__(
        self,
        writer: BatchWriter,
        *,
        take_ids: Callable[[int], int],
        observe: Callable[[int, float], None] | None = None,
    ) -> None:
        """`take_ids(n)` gives the first of n fresh ids, for transfers; it is called in the event
        loop. `observe(rows, seconds)` is told of every commit."""
        self._writer = writer
        self._take_ids = take_ids
        self._observe = observe
        self._waiting: list[Entry] = []
        self._waiting_rows = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = self._is_closed = False
        self.is_down = False

    async def open(self) -> None:
        """Connects and begins to write. Raises StorageDown."""
        await self._writer.open()
        self._task = asyncio.create_task(self._run(), name="journal")

    async def close(self) -> None:
        """Writes what waits and closes; entries that come later are refused."""
        if self._is_closed:
            return
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._is_closed = True
        await self._writer.close()

    @property
    def depth(self) -> int:
        """Rows that wait for the next transaction."""
        return self._waiting_rows

    def append(self, entry: Entry) -> None:
        """Takes an entry; `entry.done(entry)` is called in the loop when its fate is known."""
        if self._task is not None and self._task.done():
            self._fail(entry, JournalClosed("the journal is closed"))
            return
        if self._waiting_rows > _MAX_WAITING_ROWS and not entry.must_write:
            self._fail(entry, StorageDown("too much waits for the disk already"))
            return
        self._waiting.append(entry)
        self._waiting_rows += entry.size
        self._wake.set()

    async def write(self, entry: Entry) -> Entry:
        """As `append`, and waits. Raises the entry's error."""
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        # A caller that was cancelled meanwhile does not undo what is on disk.
        entry.done = lambda e: None if future.done() else future.set_result(e)
        self.append(entry)
        await future
        if entry.error is not None:
            raise entry.error
        return entry

    async def _run(self) -> None:
        written: list[Entry] = []
        while True:
            if not self._waiting:
                _tell_all(written)
                if self._waiting:
                    continue
                if self._is_closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            written = await self._write(self._next_batch(), written)

    def _next_batch(self) -> list[Entry]:
        """Takes entries from the front, up to the bound of a transaction.

        A batch ends before an entry that claims a part, or tells the answer about a part, which
        the same batch puts back: statements run in one fixed order, so the putting back would come
        last and hide that the part has been on the wire again.
        """
        rows = 0
        requeued: set[int] = set()
        for index, entry in enumerate(self._waiting):
            rows += entry.size
            if index and (
                rows > _MAX_BATCH_ROWS
                or (requeued and any(part_id in requeued for part_id in _on_the_wire(entry)))
            ):
                batch = self._waiting[:index]
                del self._waiting[:index]
                self._waiting_rows -= rows - entry.size
                return batch
            if REQUEUE_PARTS in entry.rows:
                requeued.update(row[0] for row in entry.rows[REQUEUE_PARTS])
        batch, self._waiting = self._waiting, []
        self._waiting_rows = 0
        return batch

    async def _write(self, batch: list[Entry], written: list[Entry]) -> list[Entry]:
        """Writes a batch, in halves where the database refuses it, until every entry is settled.

        `written` are those of the batch before: they are told while the disk is busy with this
        one. Returns the entries that are on disk and have not been told yet.
        """
        pieces = [batch]
        held: list[Entry] = []
        while pieces:
            piece = pieces.pop()
            started = time.perf_counter()
            try:
                script_of = partial(write_batch, piece, self._ids_for(piece))
                writing = asyncio.ensure_future(self._writer.write(script_of))
                await asyncio.sleep(0)  # it begins
                _tell_all(written)
                await writing
            except StorageDown as down:
                if not await self._await_outcome(down):
                    rest = [entry for one in (held, piece, *reversed(pieces)) for entry in one]
                    await self._sit_out(rest, down)
                    return written
            except Exception as error:
                _tell_all(written)
                if len(piece) > 1:  # somebody's row is poisoned: find whose
                    middle = len(piece) // 2
                    pieces += [piece[middle:], piece[:middle]]
                    continue
                if isinstance(error, _IdsMissing) and piece[0].must_write:
                    held += piece  # what brings new ids may be right behind
                    continue
                piece[0].error = error
            else:
                if self._observe is not None:
                    self._observe(sum(e.size for e in piece), time.perf_counter() - started)
            self.is_down = False
            if not pieces:
                written = piece
                break
            _tell_all(piece)
        if held:
            _tell_all(written)
            await self._sit_out(held, StorageDown("no ids for transfers"), is_down=False)
        return written

    def _ids_for(self, batch: list[Entry]) -> Callable[[], int]:
        """Ids for the transfers of a batch; taken here because the script may run in a thread."""
        # A reserve for its payer, a post and a void for the payer of every final.
        most = sum(bool(entry.payer_id) + 2 * len(entry.finals or ()) for entry in batch)
        if not most:
            return itertools.count().__next__
        try:
            return itertools.count(self._take_ids(most)).__next__
        except Exception as error:
            raise _IdsMissing("no ids for transfers") from error

    async def _await_outcome(self, down: StorageDown) -> bool:
        """Whether the transaction that met `down` is on disk; waits until that can be told."""
        while down.outcome is not None:
            self.is_down = True
            try:
                return await down.outcome()
            except StorageDown:
                self._refuse_waiting(down)
                if self._is_closing:
                    return False
                await asyncio.sleep(_RETRY_S)
        return False

    async def _sit_out(
        self, batch: list[Entry], down: StorageDown, *, is_down: bool = True
    ) -> None:
        """Keeps what must be written at the front of the queue, refuses the rest, waits a bit."""
        self.is_down = is_down
        self._waiting[:0] = batch
        self._waiting_rows += sum(entry.size for entry in batch)
        if is_down or self._is_closing:
            self._refuse_waiting(down)
        if not self._is_closing:
            await asyncio.sleep(_RETRY_S)

    def _refuse_waiting(self, down: StorageDown) -> None:
        refused = self._waiting
        self._waiting = []
        if not self._is_closing:
            # At the end nothing is kept: the next start finds such parts as UNKNOWN.
            self._waiting = [entry for entry in refused if entry.must_write]
            refused = [entry for entry in refused if not entry.must_write]
        self._waiting_rows = sum(entry.size for entry in self._waiting)
        for entry in refused:
            self._fail(entry, down)

    @staticmethod
    def _fail(entry: Entry, error: Exception) -> None:
        entry.error = error
        _tell(entry)


def _on_the_wire(entry: Entry) -> Iterator[int]:
    for bulk in (CLAIM_PARTS, RESPOND_PARTS):
        for row in entry.rows.get(bulk, ()):
            yield row[0]


def _tell_all(entries: list[Entry]) -> None:
    """Tells each of its fate, once."""
    told = entries[:]
    entries.clear()
    for entry in told:
        _tell(entry)


def _tell(entry: Entry) -> None:
    """Calls `done`; an error in it must not stop the journal."""
    if entry.done is None:
        return
    try:
        entry.done(entry)
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "an entry's `done` failed", "exception": error}
        )


def write_batch(batch: list[Entry], next_id: Callable[[], int]) -> Script:
    """The statements of one transaction; see Entry for what they mean."""
    wanted: dict[str, int] = {}
    for entry in batch:  # a second try begins anew
        entry.error = None
        entry.is_funded = True
        entry.finished = []
        entry.firsts = []
        for name, count in entry.counters or ():
            wanted[name] = wanted.get(name, 0) + count
    if wanted:
        yield from _count(batch, wanted)
    transfers: Rows = []
    effects: dict[int, int] = {}
    if any(entry.reserve_micros or entry.payer_id for entry in batch):
        yield from _reserve(batch, next_id, transfers, effects)
    funded = [entry for entry in batch if entry.is_funded]
    gathered = _gather(funded)
    revised = gathered.pop(REVISE_MESSAGES, None)
    for bulk, rows in gathered.items():  # noqa: UP028 (a dict takes no answers by `send`)
        yield bulk, rows
    deltas: list[Deltas] = [entry.totals for entry in funded if entry.totals]
    yield from _finish(funded, next_id, transfers, effects, deltas)
    if revised:  # after the end that they are better news about
        yield REVISE_MESSAGES, revised
    if effects:
        yield "adjust_balances", sorted(effects.items())
    if transfers:
        yield INSERT_TRANSFERS, transfers
    if deltas:
        yield ADD_TOTALS, make_rows(deltas)


def _count(batch: list[Entry], wanted: dict[str, int]) -> Script:
    # In one order, so that nodes never wait for each other in a circle.
    rows = yield "take_counters", sorted(wanted.items())
    following = {name: upto - wanted[name] for name, upto in rows}
    for entry in batch:
        for name, count in entry.counters or ():
            entry.firsts.append(following[name])
            following[name] += count


def _reserve(
    batch: list[Entry], next_id: Callable[[], int], transfers: Rows, effects: dict[int, int]
) -> Script:
    by_payer: dict[int, list[Entry]] = {}
    for entry in batch:
        if entry.payer_id:
            by_payer.setdefault(entry.payer_id, []).append(entry)
    rows = yield "lock_balances", [(payer,) for payer in sorted(by_payer)]
    available = {payer: (balance, balance + credit) for payer, balance, credit in rows}
    for payer, entries in by_payer.items():
        balance, room = available.get(payer, (0, 0))
        # The whole batch first; only when it does not fit, one by one in their order.
        if sum(entry.reserve_micros for entry in entries) > room:
            for entry in entries:
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
                    for row in entry.rows.get(INSERT_SUBMISSIONS, ()):
                        row[TRANSFER_COLUMN] = transfer_id
            entry.balance_micros = balance
        if total:
            effects[payer] = effects.get(payer, 0) - total
            now_ms = entries[0].now_ms
            kind = int(TransferKind.RESERVE)
            transfers.append((transfer_id, payer, kind, total, -total, count, now_ms, ""))


def _gather(batch: Iterable[Entry]) -> dict[Bulk, Rows]:
    gathered: dict[Bulk, Rows] = {bulk: [] for bulk in ORDER}
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
    batch: list[Entry],
    next_id: Callable[[], int],
    transfers: Rows,
    effects: dict[int, int],
    deltas: list[Deltas],
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
    finished = yield FINISH_MESSAGES, finals
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
