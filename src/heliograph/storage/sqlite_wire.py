"""What the gateway and the process that writes its SQLite file say to each other.

Frames: four octets of length, then one value in the interpreter's own format (`marshal`), which
both ends share: they are always the same version of the same program. The gateway asks, one
question at a time:

    ("open", path, definitions, hot)              -> done, or down
    ("write", definitions, first id, items)       -> results and then done; down; or bad
    ("ask", SQL, values)                          -> rows, down or bad

and is answered ("done",), ("rows", rows), ("down", why the database can not be written) or ("bad",
what is wrong with a row). ("results", told) comes before the commit and ("done",) after it, so that
an end of the process in between leaves the gateway with one question only: whether the transaction
is on disk.

A statement is named by its place among the `definitions` sent so far.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Sequence
from typing import Any

from heliograph.storage.batch import Entry, Statements
from heliograph.storage.bulk import Bulk

__all__ = [
    "HEADER",
    "Catalogue",
    "Told",
    "define",
    "pack",
    "pack_entry",
    "read_definition",
    "read_told",
    "tell",
    "unpack",
    "unpack_entry",
]

HEADER = struct.Struct(">I")


def pack(value: Any) -> bytes:
    """A frame. Raises ValueError for what the format does not know, as a type of one's own."""
    try:
        payload = marshal.dumps(value)
    except ValueError:  # an enum among the rows: slower, and rare
        payload = marshal.dumps(_plain(value))
    return HEADER.pack(len(payload)) + payload


def unpack(payload: bytes) -> Any:
    """The value of a frame without its length."""
    return marshal.loads(payload)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, tuple):
        return tuple([_plain(each) for each in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, str) else value


def define(bulk: Bulk) -> tuple[Any, ...]:
    """A statement as far as SQLite needs it."""
    return (bulk.name, bulk.columns, bulk.sqlite, bulk.returns, bulk.is_update, bulk.key_width)


def read_definition(definition: tuple[Any, ...]) -> Bulk:
    """The statement again."""
    name, columns, sqlite, returns, is_update, key_width = definition
    return Bulk(
        name=name,
        columns=columns,
        sqlite=sqlite,
        postgresql="",
        returns=returns,
        is_update=is_update,
        key_width=key_width,
    )


class Catalogue:
    """The gateway's list of the statements that the other end knows."""

    def __init__(self) -> None:
        self._places: dict[Bulk, int] = {}
        self._new: list[tuple[Any, ...]] = []

    def place(self, bulk: Bulk) -> int:
        """Where a statement stands; a new one is put at the end."""
        place = self._places.get(bulk)
        if place is None:
            place = self._places[bulk] = len(self._places)
            self._new.append(define(bulk))
        return place

    @property
    def new(self) -> list[tuple[Any, ...]]:
        """Definitions that the other end has not been told."""
        return self._new

    def told(self) -> None:
        """They are on their way."""
        self._new = []

    def pack_hot(self, hot: Statements) -> tuple[Any, ...]:
        """The statements that a batch knows by name; `Statements` again by `unpack_hot`."""
        place = self.place
        return (
            [place(bulk) for bulk in hot.order],
            place(hot.insert_submissions),
            hot.transfer_column,
            place(hot.insert_transfers),
            place(hot.finish_messages),
            place(hot.revise_messages),
            place(hot.add_totals),
        )


def pack_entry(entry: Entry, catalogue: Catalogue) -> tuple[Any, ...]:
    """What the other end has to know of an entry."""
    place = catalogue.place
    return (
        [(place(bulk), rows) for bulk, rows in entry.rows.items()],
        entry.now_ms,
        entry.payer_id,
        entry.reserve_micros,
        entry.message_count,
        entry.currency,
        entry.finals or None,
        entry.counters,
        entry.totals or None,
        entry.ends or None,
    )


def unpack_entry(item: tuple[Any, ...], bulks: Sequence[Bulk]) -> Entry:
    """The entry again, without its callback."""
    rows, now_ms, payer_id, reserve_micros, message_count, currency, *others = item
    finals, counters, totals, ends = others
    entry = Entry({bulks[place]: each for place, each in rows}, now_ms=now_ms, finals=finals)
    entry.payer_id = payer_id
    entry.reserve_micros = reserve_micros
    entry.message_count = message_count
    entry.currency = currency
    entry.counters = counters
    entry.totals = totals
    entry.ends = ends
    return entry


# (place, is_funded, is_outdated, balance_micros, finished, firsts)
Told = tuple[int, bool, bool, int, list[int], list[int]]


def tell(batch: Sequence[Entry]) -> list[Told]:
    """What entries of a batch are told, each with its place; those that there is nothing to tell
    are left out."""
    return [
        (
            at,
            entry.is_funded,
            entry.is_outdated,
            entry.balance_micros,
            entry.finished,
            entry.firsts,
        )
        for at, entry in enumerate(batch)
        if entry.payer_id or entry.finished or entry.firsts
    ]


def read_told(batch: Sequence[Entry], told: list[Told]) -> None:
    """Fills in what the other end told."""
    for entry in batch:
        entry.error = None
        entry.is_funded = True
        entry.is_outdated = False
        entry.finished = []
        entry.firsts = []
    for at, is_funded, is_outdated, balance_micros, finished, firsts in told:
        entry = batch[at]
        entry.is_funded = is_funded
        entry.is_outdated = is_outdated
        entry.balance_micros = balance_micros
        entry.finished = finished
        entry.firsts = firsts
