"""The process that writes SQLite: its death loses nothing, and it dies with its gateway."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from enum import IntEnum
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.contract.rows import NOW, Books, final, finals, ids_of

from heliograph.storage import sqlite_wire, sqlite_writer
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.day_counts import ADD_DAY_COUNTS
from heliograph.storage.journal import Entry, StorageDown
from heliograph.storage.migration import upgrade
from heliograph.storage.sqlite_writer import RowRefused, SqliteWriter
from heliograph.storage.statements import HOT, INSERT_EVENTS

_WAIT_S = 30.0


@pytest.fixture
async def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Books]:
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.01)
    database = Database(sqlite_url(tmp_path))
    await upgrade(database)
    opened = await Books.open(database)
    yield opened
    await opened.close()
    await database.close()


def writer_of(books: Books) -> SqliteWriter:
    writer = books.journal._writer
    assert isinstance(writer, SqliteWriter)
    return writer


def pid_of(writer: SqliteWriter) -> int:
    assert writer._process is not None
    return writer._process.pid


def event(id: int, detail: str = "", *, must_write: bool = False) -> Entry:
    rows = {INSERT_EVENTS: [(id, 1, 0, NOW, "note", detail)]}
    return Entry(rows, now_ms=NOW, must_write=must_write)


async def count_events(books: Books) -> int:
    async with books.database.read() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM events")) or 0)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


async def test_it_is_started_again_when_it_was_killed(books: Books) -> None:
    await books.journal.write(event(1))
    first = pid_of(writer_of(books))
    os.kill(first, signal.SIGKILL)
    await books.journal.write(event(2, must_write=True))
    assert pid_of(writer_of(books)) != first
    assert await count_events(books) == 2


async def test_killed_again_and_again_nothing_is_lost_or_told_wrongly(books: Books) -> None:
    account = await books.account("alex", 10**9)
    told: list[Entry] = []
    for number in range(400):
        entry = books.submission(account, price=1000)
        entry.done = told.append
        books.journal.append(entry)
        kept = event(number + 1, must_write=True)
        kept.done = told.append
        books.journal.append(kept)
        if number % 50 == 25:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                os.kill(pid_of(writer_of(books)), signal.SIGKILL)
        await asyncio.sleep(0.001)
    await books.journal.write(event(1000, must_write=True))
    assert len(told) == 800
    kept_errors = [entry.error for entry in told if entry.must_write and entry.error]
    assert kept_errors == []
    accepted = [entry for entry in told if entry.payer_id and entry.error is None]
    async with books.database.read() as connection:
        stored = await connection.scalar(text("SELECT count(*) FROM submissions"))
    assert stored == len(accepted)
    assert await books.balance(account) == 10**9 - 1000 * len(accepted)
    assert await count_events(books) == 401
    assert (await books.audit()).is_exact


@pytest.mark.parametrize("is_committed", [False, True])
async def test_death_in_the_middle_of_a_commit(
    books: Books, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """What entries are told has come, and "done" has not: the file knows."""
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    writer = writer_of(books)
    told = asyncio.Event()
    receive, start = sqlite_writer._Link.data_received, SqliteWriter._start

    def hear(link: sqlite_writer._Link, data: bytes) -> None:
        if told.is_set():
            receive(link, data)
            return
        size = sqlite_wire.HEADER.size + sqlite_wire.HEADER.unpack_from(data)[0]
        receive(link, data[:size])
        if link.told is None:
            receive(link, data[size:])
            return
        told.set()
        monkeypatch.setattr(SqliteWriter, "_start", start)
        if is_committed:  # the commit goes on while nobody listens
            time.sleep(0.5)
        os.kill(pid_of(writer), signal.SIGKILL)

    if not is_committed:
        # It stops before it commits, because it never gets there.
        monkeypatch.setattr(SqliteWriter, "_start", _start_stopping(start))
        os.kill(pid_of(writer), signal.SIGKILL)
        await books.journal.write(event(1, must_write=True))
    monkeypatch.setattr(sqlite_writer._Link, "data_received", hear)
    sent = asyncio.ensure_future(books.journal.write(books.submission(account, price=100)))
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 100))))
    await asyncio.wait_for(told.wait(), _WAIT_S)
    assert (await asyncio.wait_for(ended, _WAIT_S)).finished == [message]
    if is_committed:
        assert (await sent).is_funded
    else:
        with pytest.raises(StorageDown):
            await sent
    assert await books.balance(account) == (800 if is_committed else 900)
    assert (await books.audit()).is_exact


def _start_stopping(start: object) -> object:
    """Starts processes whose second and later commits hang."""

    def begin(self: SqliteWriter, descriptor: int) -> subprocess.Popen[bytes]:
        code = (
            "import sqlite3, sys, time\n"
            "from heliograph.storage import sqlite_process as it\n"
            "say = it.Worker._say\n"
            "def hang(self, *answer):\n"
            "    say(self, *answer)\n"
            "    if answer[0] == 'results' and answer[1]: time.sleep(60)\n"
            "it.Worker._say = hang\n"
            "it.main()\n"
        )
        monkey = sqlite_writer._COMMAND
        sqlite_writer._COMMAND = ("-S", "-c", code)
        try:
            return start(self, descriptor)  # type: ignore[operator, no-any-return]
        finally:
            sqlite_writer._COMMAND = monkey

    return begin


async def test_rows_that_it_does_not_take(books: Books) -> None:
    await books.journal.write(event(1))
    with pytest.raises(RowRefused, match="UNIQUE"):
        await books.journal.write(event(1))
    with pytest.raises(RowRefused, match="surrogates"):
        await books.journal.write(event(2, "\ud800"))
    await books.journal.write(event(2))
    assert await count_events(books) == 2


async def test_a_value_that_no_frame_can_carry_fails_alone(books: Books) -> None:
    """Also when it comes with a statement that the process has not heard of yet."""
    bad = Entry({ADD_DAY_COUNTS: [(1, 1, 1, object(), 1)]}, now_ms=NOW)
    good = Entry({ADD_DAY_COUNTS: [(1, 1, 1, "7916", 1)]}, now_ms=NOW)
    results = await asyncio.gather(
        books.journal.write(bad), books.journal.write(good), return_exceptions=True
    )
    assert isinstance(results[0], ValueError)
    assert results[1] is good
    async with books.database.read() as connection:
        assert await connection.scalar(text("SELECT count FROM day_counts")) == 1


async def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    writer = Database(sqlite_url(tmp_path / "nowhere")).writer()
    with pytest.raises(StorageDown, match="can not be opened"):
        await writer.open()
    await writer.close()


async def test_signals_of_the_terminal_are_for_the_gateway(books: Books) -> None:
    await books.journal.write(event(1))
    pid = pid_of(writer_of(books))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    await books.journal.write(event(2))
    assert pid_of(writer_of(books)) == pid


def test_it_ends_with_the_gateway_and_holds_the_folder_until_then(tmp_path: Path) -> None:
    """A gateway that is killed takes its writer along; the lock that it inherited is free then."""
    lock = tmp_path / "lock"
    code = (
        "import asyncio, fcntl, os, sys\n"
        "from pathlib import Path\n"
        "from heliograph.storage.database import Database, sqlite_url\n"
        "async def run():\n"
        "    lock = open(sys.argv[2], 'a')\n"
        "    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    writer = Database(sqlite_url(Path(sys.argv[1]))).writer([lock.fileno()])\n"
        "    await writer.open()\n"
        "    print(writer._process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    gateway = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(lock)], stdout=subprocess.PIPE
    )
    assert gateway.stdout is not None
    with gateway, gateway.stdout as output:
        pid = int(output.readline())
        assert _is_held(lock)
        os.kill(pid, signal.SIGSTOP)  # it is in the middle of something
        gateway.kill()
        gateway.wait(_WAIT_S)
        assert _is_held(lock), "an old writer is still there"
        os.kill(pid, signal.SIGCONT)
        ends = time.monotonic() + _WAIT_S
        while (is_alive(pid) or _is_held(lock)) and time.monotonic() < ends:
            time.sleep(0.02)
    assert not is_alive(pid)
    assert not _is_held(lock)


def _is_held(lock: Path) -> bool:
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


class Colour(IntEnum):
    RED = 7


def test_frames_carry_entries_whole() -> None:
    catalogue = sqlite_wire.Catalogue()
    hot = catalogue.pack_hot(HOT)
    entry = Entry({INSERT_EVENTS: [(Colour.RED, 1, 0, NOW, "note", "я\ud800")]}, now_ms=NOW)
    entry.payer_id, entry.reserve_micros, entry.message_count = 3, 2**60, 1
    entry.counters = [("ids", 5)]
    entry.totals = {(1, 2, 3, 4, "25001", "RUR"): [1] * 8}
    entry.ends = {9: ((1, 2, 3, 4, "25001", "RUR"), 2)}
    entry.finals = [(9, 2, 0, 1, NOW, None)]
    frame = sqlite_wire.pack((hot, [sqlite_wire.pack_entry(entry, catalogue)]))
    assert sqlite_wire.HEADER.unpack_from(frame)[0] == len(frame) - sqlite_wire.HEADER.size
    bulks = [sqlite_wire.read_definition(each) for each in catalogue.new]
    _, [item] = sqlite_wire.unpack(frame[sqlite_wire.HEADER.size :])
    again = sqlite_wire.unpack_entry(item, bulks)
    [(bulk, rows)] = again.rows.items()
    assert (bulk.name, rows) == ("insert_events", [(7, 1, 0, NOW, "note", "я\ud800")])
    for name in ("now_ms", "payer_id", "reserve_micros", "message_count", "counters", "totals"):
        assert getattr(again, name) == getattr(entry, name)
    assert (again.ends, again.finals) == (entry.ends, entry.finals)
    catalogue.told()
    assert catalogue.new == []
