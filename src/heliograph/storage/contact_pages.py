"""Pages of contacts, at the same cost in a book of any size.

A filter may name an address, a full name, a group and a part of a text. What an index knows about
each of them is asked first: the smallest set of contacts leads, and the other conditions are
looked at for each of its contacts. When all are large, many fit, and a page fills on the way.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Integer, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import CONTACT_FIELDS, Contact, ContactFilter, ContactKind
from heliograph.storage import contact_groups, contact_search
from heliograph.storage.schema_books import contact_members, contacts
from heliograph.storage.sets import is_sqlite, joined

__all__ = ["list_contacts"]

_FIELDS = [contacts.c[name] for name in CONTACT_FIELDS]
_ONE = literal_column("1", Integer)
# Sets are counted so far. A name that more contacts have is looked for along the page instead of
# in the index of names.
_MANY = 50_000
# The texts of so few are always looked at one by one, 2 us each, or 6 where PostgreSQL has to fetch
# pages. Those of more only when their number is small beside the share of the book that may hold
# what is looked for: a search reads the texts of that share.
_FEW, _ALL = 10_000, 60_000


async def list_contacts(
    connection: AsyncConnection, account_id: int, kind: ContactKind, *, wanted: ContactFilter
) -> list[Contact]:
    """A page of contacts in the order of their ids."""
    ids = await _find_ids(connection, account_id, kind, wanted)
    if not ids:
        return []
    rows = await connection.execute(
        select(contacts.c.id, contacts.c.address, *_FIELDS)
        .where(joined(connection, contacts.c.id, ids))
        .order_by(contacts.c.id)
    )
    groups = await contact_groups.groups_of(connection, ids)
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
            groups=tuple(groups.get(row[0], ())),
        )
        for row in rows.all()
    ]


async def _find_ids(
    connection: AsyncConnection, account_id: int, kind: ContactKind, wanted: ContactFilter
) -> list[int]:
    group_id = wanted.group_id
    if group_id == 0:
        group_id = contact_groups.rest_id(account_id, kind)
    elif group_id and not await contact_groups.existing_groups(
        connection, account_id, kind, [group_id]
    ):
        return []
    owned = (contacts.c.account_id == account_id, contacts.c.kind == int(kind))
    bearers = members = _MANY + 1
    if wanted.address:
        bearers = members = 1
    else:
        if wanted.full_name:
            bearers = await _count(connection, *owned, *_named(wanted, contacts.c.name_key))
        if group_id is not None and (wanted.full_name or wanted.search):
            members = await _count(connection, *_belongs(wanted, group_id))
    fewest = min(bearers, members)
    if not fewest:
        return []
    conditions = [*owned]
    if wanted.search:
        if fewest > _FEW:
            search = await contact_search.prepare(connection, account_id, kind, wanted, group_id)
            if fewest > min(_FEW + search.share * _ALL, _MANY):
                return await search.find_ids(connection)
        place = func.instr if is_sqlite(connection) else func.strpos
        conditions.append(place(contacts.c.search_key, wanted.search.casefold()) > 0)
    leads_by_name = bearers <= min(members, _MANY)
    query = _query(wanted, group_id, conditions, leads_by_name=leads_by_name)
    return list((await connection.scalars(query.limit(wanted.limit))).all())


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
    if wanted.address:
        conditions.append(contacts.c.address == wanted.address)
    if group_id is not None and not leads_by_name:
        conditions += _named(wanted, contacts.c.name_key)
        fits = select(_ONE).where(contacts.c.id == member.contact_id, *conditions)
        query = select(member.contact_id).where(*_belongs(wanted, group_id), _is_there(fits))
        return query.order_by(member.contact_id)
    id: ColumnElement[int] = contacts.c.id
    name_key: ColumnElement[str] = contacts.c.name_key
    if leads_by_name:
        id = func.coalesce(id, 0)
    else:
        name_key = func.coalesce(name_key, "")
    conditions += _named(wanted, name_key)
    query = select(contacts.c.id).where(*conditions, id > wanted.after_id).order_by(id)
    if group_id is None:
        return query
    # In their order first: so the members are read along, and not here and there.
    found = query.offset(0).subquery()
    belongs = select(_ONE).where(member.group_id == group_id, member.contact_id == found.c.id)
    return select(found.c.id).where(_is_there(belongs)).order_by(found.c.id)


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
    """How many rows of one table fit, and no more than one above _MANY."""
    some = select(_ONE).where(*conditions).limit(_MANY + 1).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0)
