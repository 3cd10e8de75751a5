"""Pages of contacts, at the same cost in a book of any size.

A filter may name an address, a full name, a group and a part of a text. An address, the few bearers
of a name and the few members of a group are looked at one by one. Otherwise the index of grams
tells who may fit all of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import CONTACT_FIELDS, Contact, ContactFilter, ContactKind
from heliograph.domain.grams import gram_of_group, grams_to_find
from heliograph.storage import contact_groups, contact_search
from heliograph.storage.schema_books import contact_members, contacts
from heliograph.storage.sets import in_order, is_sqlite

__all__ = ["list_contacts"]

_COLUMNS = [contacts.c.id, contacts.c.address, *(contacts.c[name] for name in CONTACT_FIELDS)]
_ONE = literal_column("1", Integer)
# So many bearers of a name, or members of a group, are looked at one by one: 2 us each, or 6 where
# PostgreSQL has to fetch pages. Of more, the index of grams finds those that fit.
_FEW = 3000
# Some candidates do not fit, and each statement costs as much as a hundred of them.
_LEAST = 500


async def list_contacts(
    connection: AsyncConnection, account_id: int, kind: ContactKind, *, wanted: ContactFilter
) -> list[Contact]:
    """A page of contacts in the order of their ids."""
    groups = await contact_groups.known_groups(connection, account_id, kind)
    rows = await _find_rows(connection, account_id, kind, wanted, groups)
    return [
        # By position: a page has a thousand rows of a dozen values.
        Contact(
            id=row[0],
            address=row[1],
            name=row[2],
            first_name=row[3],
            last_name=row[4],
            middle_name=row[5],
            birthday=row[6],
            client_ref=row[7],
            comments=row[8],
            tags=row[9],
            other_numbers=row[10],
            groups=_read_groups(row[11], groups),
        )
        for row in rows
    ]


def _read_groups(text: str | None, known: AbstractSet[int]) -> tuple[int, ...]:
    """Of a group that is being deleted there still are members."""
    return tuple(sorted(known & {*map(int, text.split("|"))})) if text else ()


async def _find_rows(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    wanted: ContactFilter,
    groups: AbstractSet[int],
) -> Sequence[Sequence[Any]]:
    group_id = wanted.group_id
    if group_id == 0:
        group_id = contact_groups.rest_id(account_id, kind)
    elif group_id is not None and group_id not in groups:
        return []
    conditions = [contacts.c.account_id == account_id, contacts.c.kind == int(kind)]
    bearers = members = _FEW + 1
    if wanted.address:
        conditions.append(contacts.c.address == wanted.address)
        bearers = members = 1
    else:
        if wanted.full_name:
            bearers = await _count(connection, *conditions, *_named(wanted, contacts.c.name_key))
        if group_id is not None and (wanted.full_name or wanted.search):
            members = await _count(connection, *_belongs(wanted, group_id))
    if not bearers or not members:
        return []
    if wanted.search:
        place = func.instr if is_sqlite(connection) else func.strpos
        conditions.append(place(contacts.c.search_key, wanted.search.casefold()) > 0)
    grams = grams_to_find(wanted.search.casefold(), wanted.name_span[0])
    if grams and min(bearers, members) > _FEW:
        conditions += _named(wanted, func.coalesce(contacts.c.name_key, ""))
        if group_id is not None:
            grams.append(gram_of_group(group_id))
            conditions.append(_is_there(_membership(group_id, contacts.c.id)))
        candidates = contact_search.find_candidates(
            connection,
            account_id,
            kind,
            grams,
            after_id=wanted.after_id,
            portion=max(wanted.limit + wanted.limit // 8, _LEAST),
        )
        async with aclosing(candidates):
            return await _fitting(connection, conditions, candidates, wanted.limit)
    leads_by_name = bearers <= min(members, _FEW)
    query = _query(wanted, group_id, conditions, leads_by_name=leads_by_name)
    ids = (await connection.scalars(query.limit(wanted.limit))).all()
    return await _read(connection, ids)


async def _fitting(
    connection: AsyncConnection,
    conditions: list[ColumnElement[bool]],
    candidates: AsyncGenerator[list[int], None],
    limit: int,
) -> list[Sequence[Any]]:
    """Rows of the first candidates that fit."""
    found: list[Sequence[Any]] = []
    async for ids in candidates:
        found += await _read(connection, ids, *conditions, limit=limit - len(found))
        if len(found) == limit:
            break
    return found


async def _read(
    connection: AsyncConnection,
    ids: Sequence[int],
    *conditions: ColumnElement[bool],
    limit: int | None = None,
) -> Sequence[Sequence[Any]]:
    """Rows of contacts in the order of their ids."""
    if not ids:
        return []
    columns = *_COLUMNS, _groups(connection)
    query = in_order(connection, select(*columns), contacts.c.id, ids)
    return (await connection.execute(query.where(*conditions).limit(limit))).all()


def _groups(connection: AsyncConnection) -> ColumnElement[str]:
    """Ids of the groups of a contact in any order, with `|` between them."""
    member = contact_members.c
    join = func.group_concat if is_sqlite(connection) else func.string_agg
    ids = select(join(cast(member.group_id, Text), "|"))
    return ids.where(member.contact_id == contacts.c.id).scalar_subquery()


def _query(
    wanted: ContactFilter,
    group_id: int | None,
    conditions: list[ColumnElement[bool]],
    *,
    leads_by_name: bool,
) -> Select[int]:
    """Ids of all that fits, in their order. The engines begin with what is to lead: what is
    computed is looked for in no index, and a scalar subquery is never joined."""
    member = contact_members.c
    if group_id is not None and not leads_by_name:
        conditions += _named(wanted, contacts.c.name_key)
        fits = select(_ONE).where(contacts.c.id == member.contact_id, *conditions)
        query = select(member.contact_id).where(*_belongs(wanted, group_id), _is_there(fits))
        return query.order_by(member.contact_id)
    id: ColumnElement[int] = contacts.c.id
    if leads_by_name:
        id = func.coalesce(id, 0)
    conditions += _named(wanted, contacts.c.name_key)
    query = select(contacts.c.id).where(*conditions, id > wanted.after_id).order_by(id)
    if group_id is None:
        return query
    # In their order first: so the members are read along, and not here and there.
    found = query.offset(0).subquery()
    belongs = _membership(group_id, found.c.id)
    return select(found.c.id).where(_is_there(belongs)).order_by(found.c.id)


def _membership(group_id: int, contact_id: ColumnElement[int]) -> Select[int]:
    member = contact_members.c
    return select(_ONE).where(member.group_id == group_id, member.contact_id == contact_id)


def _is_there(query: Select[int]) -> ColumnElement[bool]:
    return query.scalar_subquery().is_not(None)


def _named(wanted: ContactFilter, name_key: ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    if not wanted.full_name:
        return ()
    first, last = wanted.name_span
    return name_key >= first, name_key < last


def _belongs(wanted: ContactFilter, group_id: int) -> tuple[ColumnElement[bool], ...]:
    return contact_members.c.group_id == group_id, contact_members.c.contact_id > wanted.after_id


async def _count(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> int:
    """How many rows of one table fit, and no more than one above _FEW."""
    some = select(_ONE).where(*conditions).limit(_FEW + 1).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0)
