"""The journal on a PostgreSQL whose connection breaks, above all in the middle of a commit.

Between the journal and the server stands a proxy that can cut the wire at the statement COMMIT,
before it is passed on or after the server has answered it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from tests.contract.connector_events import poll
from tests.contract.rows import Books, final, finals, ids_of

from heliograph.storage.database import Database
from heliograph.storage.journal import StorageDown
from heliograph.storage.postgresql_writer import PostgresqlWriter, _join
from heliograph.storage.statements import HIDE_MESSAGES, INSERT_PARTS

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """This file is about one engine."""
    return str(request.param)


class Proxy:
    """Passes bytes between clients and the server. `mode`: ``pass``, ``refuse``, ``cut before``,
    ``cut after`` (the next COMMIT; then it refuses)."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder = folder
        self.mode = "pass"
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(
            self._serve, str(self.folder / self._target.name)
        )

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        self._writers |= {writer, far_writer}
        for source, sink, watched in ((reader, far_writer, True), (far_reader, writer, False)):
            task = asyncio.create_task(self._pump(source, sink, watched))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, watched: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if watched and b"COMMIT" in data and self.mode.startswith("cut"):
                    if self.mode == "cut after":
                        sink.write(data)
                        await asyncio.sleep(0.1)
                    self.mode = "refuse"
                    self.cut()
                    return
                if not watched and self.mode == "cut after" and b"COMMIT" in data:
                    continue  # the answer to the commit never arrives
                sink.write(data)
                await sink.drain()
        sink.close()


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[Proxy]:
    """A proxy in front of the server of `database`."""
    folder = Path(tempfile.mkdtemp(prefix="hg"))  # the path of a socket is at most 107 bytes long
    host = str(database.url.query["host"])
    opened = Proxy(folder, Path(host) / f".s.PGSQL.{database.url.port or 5432}")
    await opened.open()
    yield opened
    await opened.close()
    shutil.rmtree(folder)


@pytest.fixture
async def books(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Books]:
    """A journal through the proxy; everything else goes straight to the server."""
    monkeypatch.setattr("heliograph.storage.journal._RETRY_S", 0.02)
    through = make_url(database.url).update_query_dict({"host": str(proxy.folder)})
    opened = await Books.open(database, writer=PostgresqlWriter(through))
    yield opened
    await opened.close()


@pytest.mark.parametrize("mode", ["cut before", "cut after"])
async def test_cut_in_the_middle_of_a_commit(books: Books, proxy: Proxy, mode: str) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    proxy.mode = mode
    sent = asyncio.ensure_future(books.journal.write(books.submission(account, price=100)))
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 40))))
    await poll(lambda: books.journal.is_down)
    assert not sent.done()
    assert not ended.done()
    proxy.mode = "pass"
    assert (await ended).finished == [message]
    if mode == "cut after":
        assert (await sent).is_funded
    else:
        with pytest.raises(StorageDown):
            await sent
    assert await books.balance(account) == (860 if mode == "cut after" else 960)
    assert (await books.audit()).is_exact
    assert not books.journal.is_down


async def test_a_batch_without_inserts_is_told_by_what_it_finished(
    books: Books, proxy: Proxy
) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account)))  # free: no transfers
    proxy.mode = "cut after"
    ended = asyncio.ensure_future(books.journal.write(finals(final(message))))
    await poll(lambda: books.journal.is_down)
    proxy.mode = "pass"
    assert (await ended).finished == [message]


async def test_a_batch_takes_few_round_trips(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    sent: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def count(
        self: asyncpg.Connection, query: str, *values: object, **options: object
    ) -> Any:
        sent.append(query)
        return await fetch(self, query, *values, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetch", count)
    both = [books.submission(account, price=100), finals(final(message, 40))]
    ended = (await asyncio.gather(*map(books.journal.write, both)))[1]
    assert ended.finished == [message]
    # Balances are locked; what was accepted; what has ended; balances and transfers.
    assert len(sent) == 4, sent
    assert await books.balance(account) == 860
    assert (await books.audit()).is_exact


def test_statements_that_go_together_keep_their_parameters() -> None:
    first, second = INSERT_PARTS, HIDE_MESSAGES
    text = _join((first, "adjust_balances", second))
    width = len(first.columns)
    assert text.startswith(f"WITH w0 AS ({first.postgresql}), w1 AS (UPDATE balances ")
    assert f"unnest(${width + 1}::bigint[], ${width + 2}::bigint[])" in text
    marks = [int(number) for number in re.findall(r"\$(\d+)", text)]
    assert marks == list(range(1, width + 2 + len(second.columns) + 1))


async def test_cut_between_two_batches(books: Books, proxy: Proxy) -> None:
    account = await books.account("alex", 1000)
    [message] = ids_of(await books.journal.write(books.submission(account, price=100)))
    proxy.cut()
    proxy.mode = "refuse"
    ended = asyncio.ensure_future(books.journal.write(finals(final(message, 100))))
    with pytest.raises(StorageDown):
        await books.journal.write(books.submission(account, price=100))
    proxy.mode = "pass"
    assert (await ended).finished == [message]
    assert await books.balance(account) == 900
    assert (await books.audit()).is_exact


async def test_an_administrator_ends_the_session(books: Books) -> None:
    account = await books.account("alex", 1000)
    await books.journal.write(books.submission(account, price=100))
    async with books.database.write() as connection:
        ended = await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'heliograph-journal-%' "
                "AND datname = current_database()"
            )
        )
        assert ended.all() == [(True,)]
    entry = books.submission(account, price=100, must_write=True)
    assert (await books.journal.write(entry)).is_funded
    assert await books.balance(account) == 800


async def test_a_lost_session_keeps_no_locks(books: Books, proxy: Proxy) -> None:
    """The server does not notice that the client is gone; the next session ends the old one."""
    account = await books.account("alex", 1000)
    await books.journal.write(books.submission(account, price=100))
    writer = books.journal._writer
    assert isinstance(writer, PostgresqlWriter)
    await writer._connection.execute("BEGIN")
    await writer._connection.execute("SELECT * FROM balances FOR UPDATE")
    # As after a broken network: our end is closed, the server's end stays open.
    held, writer._connection = writer._connection, None
    entry = await asyncio.wait_for(books.journal.write(books.submission(account, price=100)), 30)
    assert entry.is_funded
    held.terminate()


async def test_a_value_that_does_not_fit_is_a_bad_row_and_not_a_lost_connection(
    books: Books,
) -> None:
    account = await books.account("alex")
    bad = books.submission(account, expires_at=1 << 70, must_write=True)
    good = books.submission(account)
    told = await asyncio.gather(
        books.journal.write(bad), books.journal.write(good), return_exceptions=True
    )
    assert isinstance(told[0], asyncpg.DataError)
    assert told[1] is good
    nul = books.submission(account, text="a\x00b", must_write=True)
    with pytest.raises(Exception, match="invalid byte sequence"):
        await books.journal.write(nul)
    assert not books.journal.is_down


async def test_no_statement_is_compiled(books: Books) -> None:
    """Statistics would be, and take longer than they do without."""
    for connect in (books.database.read, books.database.write):
        async with connect() as connection:
            assert await connection.scalar(text("SHOW jit")) == "off"
