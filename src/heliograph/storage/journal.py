"""The journal: group commit. Everything the hot path writes goes through here.

Whatever arrives while one transaction is being written goes into the next one: no timers, no
commit per message. An entry is told its result only after the commit, which is fsynced; entries are
committed in the order in which they came.

What a batch does is one generator (`batch.write_batch`) that both engines obey: SQLite is written
by a process of its own, PostgreSQL by a task.

When the database refuses a batch, its halves are tried, down to the entry whose row is poisoned:
that one fails alone. When it is not writable at all (disk full, connection lost), entries that can
be refused are refused and those that tell what already happened (`must_write`) are kept and tried
again until they are on disk. When the connection is lost in the middle of a commit, the batch waits
until the database can tell what became of it: nobody is told a guess.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import structlog

from heliograph.storage.batch import BulkRows, Entry, Rows
from heliograph.storage.statements import CLAIM_PARTS, REQUEUE_PARTS, RESPOND_PARTS

__all__ = ["BatchWriter", "BulkRows", "Entry", "Journal", "JournalClosed", "Rows", "StorageDown"]

# Bounds one transaction (and so the wait of whoever comes behind it).
_MAX_BATCH_ROWS = 20_000
# Entries that may wait; beyond it new ones are refused before anything is acknowledged.
_MAX_WAITING_ROWS = 2_000_000
_RETRY_S = 0.5
# So many entries of one turn of the loop begin a transaction before the turn ends, when none is
# under way: the disk works while the rest of the turn is planned.
_EAGER_ENTRIES = 16

_log = structlog.get_logger(__name__)


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


class BatchWriter(Protocol):
    """Writes batches, each in a transaction that is on disk when `write` returns."""

    async def open(self) -> None:
        """Connects. Raises StorageDown."""

    def write(self, batch: Sequence[Entry], first_id: int) -> Awaitable[None]:
        """Writes a batch, from now on (then this is a future) or when the coroutine that it returns
        begins to run; that ends when what the entries are told is filled in. Ids of transfers are
        counted from `first_id`.

        Raises StorageDown when the database can not be written at all, and whatever was wrong with
        a row otherwise; nothing of the batch is on disk in both cases."""

    async def close(self) -> None:
        """Closes the connection."""


class _Begun(NamedTuple):
    """A batch that is being written since a moment of `time.perf_counter`."""

    batch: list[Entry]
    writing: asyncio.Future[None]
    started: float


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
        self._is_idle = False  # nothing is written, and nothing is left to be told
        self._begun: _Begun | None = None
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
        if self._is_idle:
            if len(self._waiting) == _EAGER_ENTRIES:
                self._is_idle = False
                self._begun = self._begin(self._next_batch())
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
            if self._waiting or self._begun is not None:
                begun, self._begun = self._begun, None
                written = await self._write(begun or self._begin(self._next_batch()), written)
                continue
            _tell_all(written)
            if self._waiting:
                continue
            if self._is_closing:
                return
            self._wake.clear()
            self._is_idle = True
            await self._wake.wait()
            self._is_idle = False

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

    def _begin(self, batch: list[Entry]) -> _Begun:
        started = time.perf_counter()
        writing: asyncio.Future[None]
        try:
            writing = asyncio.ensure_future(self._writer.write(batch, self._first_id_for(batch)))
        except Exception as error:
            writing = asyncio.get_running_loop().create_future()
            writing.set_exception(error)
        return _Begun(batch, writing, started)

    async def _write(self, begun: _Begun, written: list[Entry]) -> list[Entry]:
        """Writes a batch, in halves where the database refuses it, until every entry is settled.

        `written` are those of the batch before: they are told while the disk is busy with this
        one. Returns the entries that are on disk and have not been told yet.
        """
        pieces = [begun.batch]
        held: list[Entry] = []
        while pieces:
            piece = pieces.pop()
            if piece is not begun.batch:
                begun = self._begin(piece)
            try:
                if isinstance(begun.writing, asyncio.Task):
                    await asyncio.sleep(0)  # it begins
                _tell_all(written)
                await begun.writing
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
                    elapsed = time.perf_counter() - begun.started
                    self._observe(sum(e.size for e in piece), elapsed)
            if self.is_down:
                self._note_state(None)
            if not pieces:
                written = piece
                break
            _tell_all(piece)
        if held:
            _tell_all(written)
            await self._sit_out(held, StorageDown("no ids for transfers"), is_down=False)
        return written

    def _first_id_for(self, batch: list[Entry]) -> int:
        """The first of as many ids as the transfers of a batch may need."""
        # A reserve for its payer, a post and a void for the payer of every final.
        most = sum([bool(entry.payer_id) + 2 * len(entry.finals or ()) for entry in batch])
        if not most:
            return 0
        try:
            return self._take_ids(most)
        except Exception as error:
            raise _IdsMissing("no ids for transfers") from error

    async def _await_outcome(self, down: StorageDown) -> bool:
        """Whether the transaction that met `down` is on disk; waits until that can be told."""
        while down.outcome is not None:
            self._note_state(down)
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
        self._note_state(down if is_down else None)
        self._waiting[:0] = batch
        self._waiting_rows += sum(entry.size for entry in batch)
        if is_down or self._is_closing:
            self._refuse_waiting(down)
        if not self._is_closing:
            await asyncio.sleep(_RETRY_S)

    def _note_state(self, down: StorageDown | None) -> None:
        """`down`: why nothing can be written; None: it can. The log has each change once."""
        if down is not None and not self.is_down:
            _log.error("the database can not be written: nothing is accepted", reason=str(down))
        elif down is None and self.is_down:
            _log.warning("the database can be written again")
        self.is_down = down is not None

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
