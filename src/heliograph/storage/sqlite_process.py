"""The process that writes the SQLite file: `python -m heliograph.storage.sqlite_process FD`.

SQLite executes in the caller's thread, and Python's interpreter lock is taken and given up around
every step of every statement. In a thread of the gateway that made the event loop and the writer
wait for each other hundreds of times a second; a process of its own has no lock to share, and
writes on another core while the gateway goes on.

It is started by `SqliteWriter`, speaks `sqlite_wire` over the socket FD, and ends with it: when the
gateway has gone, whatever way, what was being written is finished and nothing more is begun. It
keeps the gateway's hold on the data folder until then, so a new gateway never meets an old writer.
"""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
import sys
from functools import cache
from itertools import chain
from typing import Any, BinaryIO

from heliograph.storage.batch import Rows, Script, Statements, write_batch
from heliograph.storage.bulk import Bulk
from heliograph.storage.sqlite_settings import prepare_sqlite
from heliograph.storage.sqlite_wire import (
    HEADER,
    pack,
    read_definition,
    tell,
    unpack,
    unpack_entry,
)

_FIXED = {
    "lock_balances": "SELECT purse_id, balance_micros, credit_micros, currency FROM balances "
    "WHERE purse_id IN (SELECT json_extract(value, '$[0]') FROM json_each(?))",
    "adjust_balances": "UPDATE balances SET balance_micros = balance_micros + j.effect "
    "FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS effect "
    "FROM json_each(?)) AS j WHERE purse_id = j.id",
    "take_counters": 'INSERT INTO counters (name, "next") '
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') + 1 FROM json_each(?) "
    'WHERE true ON CONFLICT (name) DO UPDATE SET "next" = "next" + excluded."next" - 1 '
    'RETURNING name, "next"',
}

# What the database itself suffers from. Everything else that SQLite raises is about the row or the
# statement: SQLITE_ERROR too, whose class (OperationalError) would tell otherwise.
_DOWN_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOTADB,
    }
)

# Checkpoints copy the log into the database file and fsync it: rarer is cheaper, and a start that
# has to replay 16 MB of log still takes a fraction of a second.
_CHECKPOINT_PAGES = 4000
_CACHE_KIB = 64 * 1024

# Rows of one statement: these, and whatever is left below the last of them. Few enough texts that
# each is prepared once and kept.
_SIZES = (256, 64)
_KEPT_STATEMENTS = 1024


class Worker:
    """Answers the gateway's questions, one after the other."""

    def __init__(self, questions: BinaryIO, answers: BinaryIO) -> None:
        self._questions = questions
        self._answers = answers
        self._bulks: list[Bulk] = []
        self._hot: Statements | None = None
        self._connection: sqlite3.Connection | None = None

    def run(self) -> None:
        """Until the gateway has gone."""
        while header := self._read(HEADER.size):
            payload = self._read(HEADER.unpack(header)[0])
            if not payload:
                break
            self._answer(*unpack(payload))
        if self._connection is not None:
            self._connection.close()

    def _read(self, size: int) -> bytes:
        """That many octets; b'' when the gateway has gone."""
        try:
            octets = self._questions.read(size)
        except ConnectionError:
            return b""
        return octets if len(octets) == size else b""

    def _say(self, *answer: object) -> None:
        try:
            self._answers.write(pack(answer))
            self._answers.flush()
        except ConnectionError:
            pass  # the gateway has gone: the next read says so

    def _answer(self, question: str, *given: Any) -> None:
        try:
            match question:
                case "open":
                    self._open(*given)
                    self._say("done")
                case "write":
                    self._write(*given)
                    self._say("done")
                case "ask":
                    self._say("rows", self._ask(*given))
        except Exception as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DOWN_CODES:
                self._say("down", str(error))
            else:
                self._say("bad", f"{type(error).__name__}: {error}")

    def _open(self, path: str, definitions: Rows, hot: tuple[Any, ...]) -> None:
        self._bulks += map(read_definition, definitions)
        at = self._bulks
        order, *places = hot
        self._hot = Statements(
            order=tuple([at[place] for place in order]),
            insert_submissions=at[places[0]],
            transfer_column=places[1],
            insert_transfers=at[places[2]],
            finish_messages=at[places[3]],
            revise_messages=at[places[4]],
            add_totals=at[places[5]],
        )
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=_KEPT_STATEMENTS)
        prepare_sqlite(connection.execute)
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._connection = connection

    def _ask(self, sql: str, values: Rows) -> Rows:
        assert self._connection is not None
        return self._connection.execute(sql, values).fetchall()

    def _write(self, definitions: Rows, first_id: int, items: Rows) -> None:
        connection = self._connection
        assert connection is not None
        assert self._hot is not None
        self._bulks += map(read_definition, definitions)
        bulks = self._bulks
        batch = [unpack_entry(item, bulks) for item in items]
        try:
            connection.execute("BEGIN IMMEDIATE")
            _run(connection, write_batch(batch, itertools.count(first_id).__next__, self._hot))
            self._say("results", tell(batch))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


def _run(connection: sqlite3.Connection, script: Script) -> None:
    answer: Rows | None = None
    try:
        while True:
            statement, rows = next(script) if answer is None else script.send(answer)
            if isinstance(statement, Bulk):
                answer = _write_rows(connection, statement, rows)
            else:
                answer = connection.execute(_FIXED[statement], (json.dumps(rows),)).fetchall()
    except StopIteration:
        return


def _write_rows(connection: sqlite3.Connection, bulk: Bulk, rows: Rows) -> Rows:
    """Runs the statement on all rows, in as few pieces as the sizes allow."""
    answer: Rows = []
    at = 0
    while left := len(rows) - at:
        size = next((size for size in _SIZES if size <= left), left)
        values = list(chain.from_iterable(rows[at : at + size]))
        cursor = connection.execute(_text(bulk, size), values)
        if bulk.returns:
            answer += cursor.fetchall()
        at += size
    return answer


@cache
def _text(bulk: Bulk, size: int) -> str:
    marks = f"({', '.join('?' * len(bulk.columns))})"
    return bulk.sqlite.format(values=", ".join([marks] * size))


def main() -> None:
    """Serves the gateway at the other end of the socket."""
    # A signal for the whole group of processes is for the gateway, which ends this one in its time.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    descriptor = int(sys.argv[1])
    with open(descriptor, "rb") as questions, open(descriptor, "wb", closefd=False) as answers:
        Worker(questions, answers).run()


if __name__ == "__main__":
    main()
