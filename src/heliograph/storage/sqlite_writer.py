"""The journal's writer on SQLite: the gateway's end of the process that does it.

See `sqlite_process` for why there is one, and `sqlite_wire` for what the two say to each other.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import heliograph
from heliograph.storage.batch import Entry, Rows
from heliograph.storage.journal import StorageDown
from heliograph.storage.sqlite_wire import HEADER, Catalogue, pack, pack_entry, read_told, unpack
from heliograph.storage.statements import HOT

__all__ = ["RowRefused", "SqliteWriter"]

# Without `site` it starts in a few milliseconds; our own package is all that it imports.
_COMMAND = ("-S", "-m", "heliograph.storage.sqlite_process")
_CLOSE_S = 30.0

_Answer = asyncio.Future[tuple[Any, ...]]


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

    def write(self, batch: Sequence[Entry], first_id: int) -> Coroutine[Any, Any, None]:
        """Writes a batch; it is on its way when this returns. Raises StorageDown, or RowRefused for
        a row that SQLite does not take."""
        if self._link is None:
            return self._open_and_write(batch, first_id)
        catalogue = self._catalogue
        items = [pack_entry(entry, catalogue) for entry in batch]
        frame = pack(("write", catalogue.new, first_id, items))
        catalogue.told()
        link = self._link
        link.told = None
        return self._finish(batch, link, link.ask(frame))

    async def _open_and_write(self, batch: Sequence[Entry], first_id: int) -> None:
        await self.open()
        await self.write(batch, first_id)

    async def _finish(self, batch: Sequence[Entry], link: _Link, answer: _Answer) -> None:
        try:
            await self._hear(answer)
        except _Gone as error:
            if link.told is None:
                raise StorageDown(f"{error} before a commit") from error
            read_told(batch, link.told)
            outcome = partial(self._was_committed, _probe_of(batch))
            raise StorageDown(f"{error} during a commit", outcome=outcome) from error
        assert link.told is not None
        read_told(batch, link.told)

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
        link = self._link
        assert link is not None
        return await self._hear(link.ask(pack(question)))

    async def _hear(self, answer: _Answer) -> tuple[Any, ...]:
        try:
            heard = await answer
        except _Gone:
            await self.close()
            raise
        match heard:
            case ("down", why):
                raise StorageDown(f"the database can not be written: {why}")
            case ("bad", what):
                raise RowRefused(what)
        return heard

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
        self.told: list[tuple[int, bool, int, list[int], list[int]]] | None = None
        self._octets = bytearray()
        self._answer: _Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for questions."""
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, frame: bytes) -> _Answer:
        """The future of the answer; its error is _Gone."""
        self._answer = answer = self._loop.create_future()
        if self.transport is None or self.transport.is_closing():
            answer.set_exception(_Gone("the process that writes has ended"))
            return answer
        # Now, and not at the end of this turn of the loop, as the transport would: nothing of an
        # earlier question is left in it.
        try:
            sent = self._connection.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.transport.abort()  # `connection_lost` tells
            return answer
        if sent < len(frame):
            self.transport.write(frame[sent:])
        return answer

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
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody answers any more."""
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Gone("the process that writes has ended"))


def _probe_of(batch: Sequence[Entry]) -> tuple[str, int] | None:
    # A batch without any of the two (states of parts only) may be written twice without harm.
    for entry in batch:
        if entry.finished:
            return "SELECT 1 FROM messages WHERE id = ? AND final_at <> 0", entry.finished[0]
        for bulk, rows in entry.rows.items():
            if entry.is_funded and bulk.inserts and rows:
                return f"SELECT 1 FROM {bulk.inserts} WHERE id = ?", rows[0][0]
    return None
