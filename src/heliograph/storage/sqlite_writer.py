"""The journal's writer on SQLite: the gateway's end of the process that does it.

See `sqlite_process` for why there is one, and `sqlite_wire` for what the two say to each other.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import heliograph
from heliograph.storage.batch import Entry, Rows
from heliograph.storage.journal import StorageDown
from heliograph.storage.sqlite_wire import (
    HEADER,
    Catalogue,
    Told,
    pack,
    pack_entry,
    read_told,
    unpack,
)
from heliograph.storage.statements import HOT

__all__ = ["RowRefused", "SqliteWriter"]

# Without `site` it starts in a few milliseconds; our own package is all that it imports.
_COMMAND = ("-S", "-m", "heliograph.storage.sqlite_process")
_CLOSE_S = 30.0

# What was said to a question: a tuple, or that the process has gone.
_Heard = Callable[["tuple[Any, ...] | _Gone"], None]


class RowRefused(Exception):
    """SQLite does not take a row of the batch; the text says why."""


class SqliteWriter:
    """A BatchWriter on one SQLite file."""

    def __init__(self, path: str, *, keep_open: Sequence[int] = ()) -> None:
        """`keep_open`: file descriptors that the writing process holds until it ends."""
        self._path = path
        self._keep_open = tuple(keep_open)
        self._catalogue = Catalogue()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: _Link | None = None

    async def open(self) -> None:
        """Starts the process and opens the file. Raises StorageDown."""
        await self._reap()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = self._start(theirs.fileno())
            loop = asyncio.get_running_loop()
            _, self._link = await loop.create_unix_connection(partial(_Link, ours), sock=ours)
        except OSError as error:
            ours.close()
            raise StorageDown(f"the process that writes can not be started: {error}") from error
        self._catalogue = catalogue = Catalogue()
        hot = catalogue.pack_hot(HOT)
        try:
            await self._question("open", self._path, catalogue.new, hot)
            catalogue.told()
        except (StorageDown, RowRefused) as error:
            await self.close()
            raise StorageDown(f"the database file can not be opened: {error}") from error

    def write(self, batch: Sequence[Entry], first_id: int) -> Awaitable[None]:
        """Writes a batch; it is on its way when this returns. Raises StorageDown, or RowRefused for
        a row that SQLite does not take."""
        if self._link is None:
            return self._open_and_write(batch, first_id)
        catalogue = self._catalogue
        items = [pack_entry(entry, catalogue) for entry in batch]
        frame = pack(("write", catalogue.new, first_id, items))
        catalogue.told()
        writing = asyncio.get_running_loop().create_future()
        self._link.told = None
        self._link.ask(frame, partial(self._written, batch, self._link, writing))
        return writing

    async def _open_and_write(self, batch: Sequence[Entry], first_id: int) -> None:
        await self.open()
        await self.write(batch, first_id)

    def _written(
        self,
        batch: Sequence[Entry],
        link: _Link,
        writing: asyncio.Future[None],
        heard: tuple[Any, ...] | _Gone,
    ) -> None:
        """A batch is on disk, or is not. Called in the moment when that is heard: every turn of a
        busy loop between the disk and the sender would be a wait."""
        if writing.done():
            return
        error = _error_in(heard)
        if link.told is not None and (error is None or isinstance(error, _Gone)):
            try:
                read_told(batch, link.told)
            except Exception as mistake:  # of ours: the journal must not wait for ever
                writing.set_exception(mistake)
                return
        if isinstance(error, _Gone):
            self._link = None
            if link.told is None:
                error = StorageDown(f"{error} before a commit")
            else:
                outcome = partial(self._was_committed, _probe_of(batch))
                error = StorageDown(f"{error} during a commit", outcome=outcome)
        if error is None:
            writing.set_result(None)
        else:
            writing.set_exception(error)

    async def ask(self, sql: str, *values: Any) -> Rows:
        """Rows of a statement outside of batches. Raises StorageDown and RowRefused."""
        if self._link is None:
            await self.open()
        return cast("Rows", (await self._question("ask", sql, values))[1])

    async def close(self) -> None:
        """Ends the process, which closes the file."""
        link, self._link = self._link, None
        if link is not None and link.transport is not None:
            link.transport.close()
        await self._reap()

    async def _reap(self) -> None:
        """Waits for the end of a process that has nothing to do any more."""
        process, self._process = self._process, None
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, _CLOSE_S)
            except subprocess.TimeoutExpired:  # the disk hangs
                process.kill()

    def _start(self, descriptor: int) -> subprocess.Popen[bytes]:
        home = os.fspath(Path(heliograph.__file__).parents[1])
        return subprocess.Popen(
            [sys.executable, *_COMMAND, str(descriptor)],
            pass_fds=(descriptor, *self._keep_open),
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": home},
        )

    async def _question(self, *question: object) -> tuple[Any, ...]:
        """The answer. Raises StorageDown (of which _Gone is one) and RowRefused."""
        assert self._link is not None
        answer = asyncio.get_running_loop().create_future()
        self._link.ask(pack(question), partial(_fill, answer))
        heard = await answer
        error = _error_in(heard)
        if isinstance(error, _Gone):
            await self.close()
        if error is not None:
            raise error
        return cast("tuple[Any, ...]", heard)

    async def _was_committed(self, probe: tuple[str, int] | None) -> bool:
        """Whether a transaction is on disk, by what only it can have written."""
        return probe is not None and bool(await self.ask(*probe))


class _Gone(StorageDown):
    """The process has ended."""


class _Link(asyncio.Protocol):
    """The socket to the process: one question at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.told: list[Told] | None = None
        self._octets = bytearray()
        self._heard: _Heard | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for questions."""
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, frame: bytes, heard: _Heard) -> None:
        """Sends a question; `heard` is called with the answer, once."""
        self._heard = heard
        if self.transport is None or self.transport.is_closing():
            self._loop.call_soon(self._tell, _Gone("the process that writes has ended"))
            return
        # Now, and not at the end of this turn of the loop, as the transport would: nothing of an
        # earlier question is left in it.
        try:
            sent = self._connection.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.transport.abort()  # `connection_lost` tells
            return
        if sent < len(frame):
            self.transport.write(frame[sent:])

    def _tell(self, answer: tuple[Any, ...] | _Gone) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            heard(answer)

    def data_received(self, data: bytes) -> None:
        """Takes frames apart."""
        octets = self._octets
        octets += data
        while len(octets) >= HEADER.size:
            ends = HEADER.size + HEADER.unpack_from(octets)[0]
            if len(octets) < ends:
                return
            answer = unpack(bytes(octets[HEADER.size : ends]))
            del octets[:ends]
            if answer[0] == "results":
                self.told = answer[1]
            else:
                self._tell(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody answers any more."""
        self.transport = None
        self._tell(_Gone("the process that writes has ended"))


def _fill(answer: asyncio.Future[Any], heard: object) -> None:
    if not answer.done():
        answer.set_result(heard)


def _error_in(heard: tuple[Any, ...] | _Gone) -> Exception | None:
    match heard:
        case _Gone():
            return heard
        case ("down", why):
            return StorageDown(f"the database can not be written: {why}")
        case ("bad", what):
            return RowRefused(what)
    return None


def _probe_of(batch: Sequence[Entry]) -> tuple[str, int] | None:
    # A batch without any of the two (states of parts only) may be written twice without harm.
    for entry in batch:
        if entry.finished:
            return "SELECT 1 FROM messages WHERE id = ? AND final_at <> 0", entry.finished[0]
        for bulk, rows in entry.rows.items():
            if entry.is_funded and bulk.inserts and rows:
                return f"SELECT 1 FROM {bulk.inserts} WHERE id = ?", rows[0][0]
    return None
