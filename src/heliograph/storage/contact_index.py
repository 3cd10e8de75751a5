"""The index of contacts: who holds which grams (`domain.grams`), shelf by shelf.

Groups are grams of their members, too, so that a search in a group finds only those that are in it.
A change of a contact only notes that it is *fresh*: a search looks at fresh ones in any case. When
there are many, those of the fullest shelf are settled: their grams are added to the rows of the
shelf. What a contact no longer has stays there, as a search looks at the texts and the groups of
whom it finds; after twice as many changes as a shelf has places its rows are made anew.

Settling reads and works without a transaction, and then writes in a short one, unless somebody else
has changed the shelf meanwhile. Whoever changes again meanwhile is noted again, in another row.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    LargeBinary,
    Row,
    Table,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import ContactKind
from heliograph.domain.grams import (
    MARK_BITS,
    SHELF_BITS,
    add_holders,
    gram_of_group,
    grams_of,
    holders_of,
    mark_of,
)
from heliograph.storage.database import Database
from heliograph.storage.schema_books import (
    contact_fresh,
    contact_grams,
    contact_members,
    contact_shelves,
    contacts,
)
from heliograph.storage.sets import among, in_order, is_sqlite, joined

__all__ = ["note", "note_groups", "read_rows", "settle"]

# Fresh contacts that are left so. A search looks at them one by one: in 3 us each when they are
# neighbours, as those of an import, of which many are settled at once; else in 8.
_MAX_FRESH, _MAX_SCATTERED = 2048, 512
_LAST_PLACE = (1 << SHELF_BITS) - 1
# A shelf on which so many have been settled is made anew: twice as many as it has places.
_WORN = 2 << SHELF_BITS

_PUT = "ON CONFLICT (key) DO UPDATE SET holders = excluded.holders"
_PUT_SQLITE = text(f"INSERT INTO contact_grams (key, holders) VALUES (:key, :holders) {_PUT}")
_PUT_POSTGRESQL = text(
    f"INSERT INTO contact_grams (key, holders) SELECT * FROM unnest(:keys, :rows) {_PUT}"
).bindparams(
    bindparam("keys", type_=ARRAY(BigInteger)), bindparam("rows", type_=ARRAY(LargeBinary))
)


async def note(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    ids: Iterable[int],
    *,
    is_text: bool,
) -> None:
    """Contacts are new, or have other groups than before; `is_text`: or something else is searched
    of them. To be followed by `settle` after the transaction."""
    places: dict[int, list[int]] = defaultdict(list)
    for id in ids:
        places[id >> SHELF_BITS].append(id & _LAST_PLACE)
    place = {"account_id": account_id, "kind": int(kind), "is_text": is_text}
    rows = [
        {**place, "shelf": shelf, "places": add_holders(b"", some), "count": len(some)}
        for shelf, some in places.items()
    ]
    if rows:
        await connection.execute(contact_fresh.insert(), rows)


async def note_groups(connection: AsyncConnection, ids: Sequence[int]) -> None:
    """The same of contacts whose groups have changed, whoever they belong to."""
    owned = await connection.execute(
        select(contacts.c.account_id, contacts.c.kind, contacts.c.id).where(
            joined(connection, contacts.c.id, ids)
        )
    )
    books: dict[tuple[int, int], list[int]] = defaultdict(list)
    for account_id, kind, id in owned.all():
        books[account_id, kind].append(id)
    for (account_id, kind), some in books.items():
        await note(connection, account_id, ContactKind(kind), some, is_text=False)


async def settle(
    database: Database, account_id: int, kind: ContactKind, *, shelves: int | None = None
) -> None:
    """Settles fresh contacts until few are left, of no more than so many `shelves`. Has its own
    transactions, and gives up when others settle, too."""
    place = {"account_id": account_id, "kind": int(kind)}
    is_done, done = True, 0
    while is_done and done != shelves:
        async with database.read() as connection:
            number = await _fullest_shelf(connection, place)
            work = await _plan(connection, place, number) if number is not None else None
        if number is None:
            return
        if work is None:
            async with database.write() as connection:
                await _add_shelf(connection, place, number)
            continue
        if not work.noted:
            return
        places = await asyncio.to_thread(_places_by_key, work)
        known: Mapping[int, bytes] = {}
        if not work.is_anew:
            async with database.read() as connection:
                known = await read_rows(connection, places)
        rows = await asyncio.to_thread(_merge, known, places)
        async with database.write() as connection:
            is_done = await _store(connection, work, rows)
        done += 1


async def read_rows(connection: AsyncConnection, keys: Iterable[int]) -> dict[int, bytes]:
    """Rows of holders by their keys, of those that there are."""
    column = contact_grams.c
    query = select(column.key, column.holders)
    rows = await connection.execute(in_order(connection, query, column.key, keys))
    return dict(rows.all())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One shelf whose fresh contacts are settled. `version` and `settled`: those of the shelf as
    it was read; `noted`: ids of the rows that say who is fresh, `count` contacts; `texts`: (id,
    search key, name key), `members`: (id, group) of whom to add, of everybody when it `is_anew`."""

    number: int
    id: int
    version: int
    settled: int
    is_anew: bool
    noted: Sequence[int]
    count: int
    texts: Sequence[Row[int, str, str]]
    members: Sequence[Row[int, int]]
    place: Mapping[str, int]


async def _fullest_shelf(connection: AsyncConnection, place: Mapping[str, int]) -> int | None:
    """The number of the shelf with most fresh contacts; None: there are not many."""
    fresh = contact_fresh.c
    rows = await connection.execute(
        select(fresh.shelf, func.sum(fresh.count))
        .where(*_owned(contact_fresh, place))
        .group_by(fresh.shelf)
    )
    counts: dict[int, int] = dict(rows.all())
    most, count = max(counts.values(), default=0), sum(counts.values())
    if count <= _MAX_FRESH and count - most <= _MAX_SCATTERED:
        return None
    return max(counts, key=lambda number: counts[number])


async def _add_shelf(connection: AsyncConnection, place: Mapping[str, int], number: int) -> None:
    engine = sqlite if is_sqlite(connection) else postgresql
    await connection.execute(
        engine.insert(contact_shelves)
        .values({**place, "shelf": number, "settled": 0, "version": 0})
        .on_conflict_do_nothing()
    )


async def _plan(connection: AsyncConnection, place: Mapping[str, int], number: int) -> _Work | None:
    """What to do on a shelf; None: it is new. Read in this order: what changes meanwhile either
    changes the version, or is noted once more."""
    shelf, fresh = contact_shelves.c, contact_fresh.c
    those = _owned(contact_shelves, place)
    rows = await connection.execute(
        select(shelf.id, shelf.version, shelf.settled).where(*those, shelf.shelf == number)
    )
    row = rows.one_or_none()
    if row is None:
        return None
    span = number << SHELF_BITS, (number + 1 << SHELF_BITS) - 1
    noted = await connection.execute(
        select(fresh.id, fresh.places, fresh.is_text).where(
            *_owned(contact_fresh, place), fresh.shelf == number
        )
    )
    ids: dict[bool, set[int]] = {True: set(), False: set()}
    rows_noted = []
    for row_id, places, is_text in noted.all():
        rows_noted.append(row_id)
        ids[is_text].update([span[0] + each for each in holders_of(places)])
    count = len(ids[True] | ids[False])
    is_anew = row.settled == 0 or row.settled + count > _WORN
    query = select(contacts.c.id, contacts.c.search_key, contacts.c.name_key).where(
        *_owned(contacts, place), contacts.c.id.between(*span)
    )
    if not is_anew:
        query = query.where(among(connection, contacts.c.id, list(ids[True])))
    texts = (await connection.execute(query)).all()
    some = [row[0] for row in texts] if is_anew else list(ids[True] | ids[False])
    member = contact_members.c
    groups = await connection.execute(
        select(member.contact_id, member.group_id).where(among(connection, member.contact_id, some))
    )
    return _Work(
        number=number,
        id=row.id,
        version=row.version,
        settled=row.settled,
        is_anew=is_anew,
        noted=rows_noted,
        count=count,
        texts=texts,
        members=groups.all(),
        place=place,
    )


def _places_by_key(work: _Work) -> dict[int, list[int]]:
    """Which places on the shelf hold the grams of a row, by its key."""
    key_of = cache(lambda gram: work.id << MARK_BITS | mark_of(gram, work.number))
    places = defaultdict(list)
    for id, search_key, name_key in work.texts:
        place = id & _LAST_PLACE
        for key in set(map(key_of, grams_of(search_key, name_key))):
            places[key].append(place)
    for id, group_id in work.members:
        places[key_of(gram_of_group(group_id))].append(id & _LAST_PLACE)
    return places


def _merge(known: Mapping[int, bytes], places: Mapping[int, list[int]]) -> dict[int, bytes]:
    """Rows that are new or have other holders than before."""
    rows = {key: add_holders(known.get(key, b""), some) for key, some in places.items()}
    return {key: row for key, row in rows.items() if row != known.get(key)}


async def _store(connection: AsyncConnection, work: _Work, rows: Mapping[int, bytes]) -> bool:
    """False: somebody else has changed the shelf meanwhile."""
    shelf = contact_shelves.c
    changed = await connection.execute(
        update(contact_shelves)
        .where(shelf.id == work.id, shelf.version == work.version)
        .values(
            version=work.version + 1,
            settled=len(work.texts) if work.is_anew else work.settled + work.count,
        )
    )
    if not changed.rowcount:
        return False
    if work.is_anew:
        first, last = work.id << MARK_BITS, (work.id + 1 << MARK_BITS) - 1
        await connection.execute(
            delete(contact_grams).where(contact_grams.c.key.between(first, last))
        )
    if rows and is_sqlite(connection):
        await connection.execute(
            _PUT_SQLITE, [{"key": key, "holders": row} for key, row in rows.items()]
        )
    elif rows:
        await connection.execute(_PUT_POSTGRESQL, {"keys": list(rows), "rows": list(rows.values())})
    await connection.execute(
        delete(contact_fresh).where(among(connection, contact_fresh.c.id, work.noted))
    )
    return True


def _owned(table: Table, place: Mapping[str, int]) -> tuple[ColumnElement[bool], ...]:
    return table.c.account_id == place["account_id"], table.c.kind == place["kind"]
