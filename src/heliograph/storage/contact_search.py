"""Search for any part of a contact's texts, in books of a million.

Neither engine has an index for that without an extension. So the grams of what is looked for are
looked up in an index of our own (`contact_index`); who holds all of them, or is fresh, may hold
what is looked for. Whether it does is for the caller to see, whose page needs the contact anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import ContactKind
from heliograph.domain.grams import MARK_BITS, SHELF_BITS, common_holders, holders_of, mark_of
from heliograph.storage.contact_index import read_rows
from heliograph.storage.schema_books import contact_fresh, contact_shelves

__all__ = ["find_candidates"]

# Shelves whose rows are read at once: at first enough for a page of what is usual.
_FIRST_STEP, _GROWTH = 16, 4
# The most candidates of one portion.
_MAX_PORTION = 32_768


async def find_candidates(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    grams: Sequence[str],
    *,
    after_id: int,
    portion: int,
) -> AsyncGenerator[list[int], None]:
    """Ids above `after_id`, in their order, of contacts that may hold all grams: a few more than
    do, and none is missing. At first `portion` of them, then twice as many each time."""
    ids: list[int] = []
    async with aclosing(
        _candidates_by_shelf(connection, account_id, kind, grams, after_id)
    ) as shelves:
        async for some in shelves:
            ids += some
            while len(ids) >= portion:
                yield ids[:portion]
                del ids[:portion]
                portion = min(2 * portion, _MAX_PORTION)
    if ids:
        yield ids


async def _candidates_by_shelf(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    grams: Sequence[str],
    after_id: int,
) -> AsyncGenerator[list[int], None]:
    # First who is fresh: whoever is settled after that is found in the rows.
    fresh = await _fresh(connection, account_id, kind, after_id >> SHELF_BITS)
    shelf_ids = await _shelf_ids(connection, account_id, kind, after_id >> SHELF_BITS)
    numbers = sorted(fresh.keys() | shelf_ids.keys())
    at, step = 0, _FIRST_STEP
    while at < len(numbers):
        some = numbers[at : at + step]
        keys = {
            number: {shelf_ids[number] << MARK_BITS | mark_of(gram, number) for gram in grams}
            for number in some
            if number in shelf_ids
        }
        rows = await read_rows(connection, {key for each in keys.values() for key in each})
        for number in some:
            held = [rows.get(key, b"") for key in keys.get(number, ())]
            first = number << SHELF_BITS
            ids = [first + place for place in common_holders(held)] if all(held) and held else []
            if number in fresh:
                ids = sorted({*ids, *fresh[number]})
            if ids and ids[0] <= after_id:
                ids = [id for id in ids if id > after_id]
            if ids:
                yield ids
        at, step = at + step, step * _GROWTH


async def _fresh(
    connection: AsyncConnection, account_id: int, kind: ContactKind, first: int
) -> dict[int, set[int]]:
    """Ids of fresh contacts, by the numbers of their shelves."""
    fresh = contact_fresh.c
    rows = await connection.execute(
        select(fresh.shelf, fresh.places).where(
            fresh.account_id == account_id, fresh.kind == int(kind), fresh.shelf >= first
        )
    )
    ids: dict[int, set[int]] = defaultdict(set)
    for shelf, places in rows.all():
        ids[shelf].update([(shelf << SHELF_BITS) + place for place in holders_of(places)])
    return ids


async def _shelf_ids(
    connection: AsyncConnection, account_id: int, kind: ContactKind, first: int
) -> dict[int, int]:
    """Ids of shelves by their numbers."""
    shelf = contact_shelves.c
    rows = await connection.execute(
        select(shelf.shelf, shelf.id).where(
            shelf.account_id == account_id, shelf.kind == int(kind), shelf.shelf >= first
        )
    )
    return dict(rows.all())
