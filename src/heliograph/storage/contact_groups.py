"""Groups of contacts in SQL, and who is in them. Their sizes are kept up with every change.

Contacts in no group have a row among the members, too, under an id that no group has: so they are
listed as those of a group are. Every change of members ends with `_settle`, which keeps that true,
and with a note for the index of contacts.
Whoever changes the members of a contact that others know holds the contact's row: two changes at
once would each see the group that the other one takes away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import ContactKind, Group
from heliograph.storage import contact_index
from heliograph.storage.schema_books import contact_groups, contact_members, contacts
from heliograph.storage.sets import is_sqlite, joined

__all__ = [
    "add_group",
    "change_group",
    "count_groups",
    "delete_group",
    "deleted_groups",
    "find_group",
    "groups_of",
    "has_member",
    "has_number",
    "join_groups",
    "known_groups",
    "leave_group",
    "leave_groups",
    "list_groups",
    "rest_id",
    "sweep_members",
]


# Aliases are made once: each is a dozen columns that refer to it, and it to them.
_OWN, _OTHER = contacts.alias(), contact_members.alias()
_REST = -(2 * _OWN.c.account_id + _OWN.c.kind)
_GROUPED = exists().where(_OTHER.c.contact_id == _OWN.c.id, _OTHER.c.group_id > 0)


def rest_id(account_id: int, kind: ContactKind) -> int:
    """Under which id `contact_members` has the contacts that are in no group."""
    return -(2 * account_id + int(kind))


async def add_group(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    *,
    name: str,
    number: str = "",
) -> int:
    """A new group; its id."""
    values = {"account_id": account_id, "kind": int(kind), "name": name, "number": number}
    made = await connection.execute(
        insert(contact_groups).values(values).returning(contact_groups.c.id)
    )
    return int(made.scalar_one())


async def count_groups(connection: AsyncConnection, account_id: int, kind: ContactKind) -> int:
    """How many groups of that kind the account has."""
    counted = select(func.count()).where(
        contact_groups.c.account_id == account_id, contact_groups.c.kind == int(kind)
    )
    return int(await connection.scalar(counted) or 0)


async def has_number(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    number: str,
    *,
    except_id: int = 0,
) -> bool:
    """Whether another group has this short number."""
    found = await connection.scalar(
        select(contact_groups.c.id)
        .where(*_owned(account_id, kind))
        .where(contact_groups.c.number == number, contact_groups.c.id != except_id)
        .limit(1)
    )
    return found is not None


async def change_group(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    *,
    group_id: int,
    changes: dict[str, str],
) -> bool:
    """Sets `name` and `number` as far as they are given; False: the account has no such group."""
    done = await connection.execute(
        update(contact_groups)
        .where(contact_groups.c.id == group_id, *_owned(account_id, kind))
        .values({"account_id": account_id, **changes})
    )
    return bool(done.rowcount)


async def delete_group(
    connection: AsyncConnection, account_id: int, kind: ContactKind, *, group_id: int
) -> bool:
    """Deletes a group; False: there is none. Its members are left to `sweep_members`."""
    done = await connection.execute(
        delete(contact_groups).where(contact_groups.c.id == group_id, *_owned(account_id, kind))
    )
    return bool(done.rowcount)


# From one group to the next along the index, without reading their members.
_DELETED_GROUPS = text(
    "WITH RECURSIVE known(id) AS ("
    "SELECT min(group_id) FROM contact_members WHERE group_id > 0 UNION ALL "
    "SELECT (SELECT min(group_id) FROM contact_members WHERE group_id > known.id) "
    "FROM known WHERE known.id IS NOT NULL) "
    "SELECT known.id, (SELECT min(contact_id) FROM contact_members WHERE group_id = known.id) "
    "FROM known WHERE known.id IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM contact_groups WHERE contact_groups.id = known.id)"
)


async def deleted_groups(connection: AsyncConnection) -> list[tuple[int, int, ContactKind]]:
    """Deleted groups that still have members: (group, account, kind)."""
    found = (await connection.execute(_DELETED_GROUPS)).all()
    owned = await connection.execute(
        select(contacts.c.id, contacts.c.account_id, contacts.c.kind).where(
            joined(connection, contacts.c.id, [member for _, member in found])
        )
    )
    owners = {row[0]: (row[1], ContactKind(row[2])) for row in owned.all()}
    return [(group_id, *owners[member]) for group_id, member in found if member in owners]


async def sweep_members(connection: AsyncConnection, group_id: int, limit: int) -> bool:
    """Takes some members out of a deleted group; True when there may be more."""
    some = (
        select(contact_members.c.contact_id)
        .where(contact_members.c.group_id == group_id)
        .order_by(contact_members.c.contact_id)
        .limit(limit)
    )
    ids = (await connection.execute(some)).scalars().all()
    if ids:
        if not is_sqlite(connection):
            held = select(contacts.c.id).where(joined(connection, contacts.c.id, ids))
            await connection.execute(held.order_by(contacts.c.id).with_for_update())
        await connection.execute(
            delete(contact_members).where(
                contact_members.c.group_id == group_id, contact_members.c.contact_id <= ids[-1]
            )
        )
        await _note_alone(connection, await _settle(connection, ids))
    return len(ids) == limit


async def list_groups(
    connection: AsyncConnection, account_id: int, kind: ContactKind
) -> list[Group]:
    """Groups in the order of their ids."""
    rows = await connection.execute(
        select(
            contact_groups.c.id,
            contact_groups.c.name,
            contact_groups.c.number,
            contact_groups.c.size,
        )
        .where(contact_groups.c.account_id == account_id, contact_groups.c.kind == int(kind))
        .order_by(contact_groups.c.id)
    )
    return [Group(**row._asdict()) for row in rows]


async def find_group(
    connection: AsyncConnection, account_id: int, kind: ContactKind, reference: str
) -> Group | None:
    """The group that ``G<reference>`` names: by its short number, else by its id."""
    id = int(reference)
    rows = await connection.execute(
        select(
            contact_groups.c.id,
            contact_groups.c.name,
            contact_groups.c.number,
            contact_groups.c.size,
        )
        .where(
            contact_groups.c.account_id == account_id,
            contact_groups.c.kind == int(kind),
            (contact_groups.c.number == reference) | (contact_groups.c.id == id),
        )
        .order_by(contact_groups.c.id)
    )
    found = [Group(**row._asdict()) for row in rows]
    return next((g for g in found if g.number == reference), found[0] if found else None)


async def has_member(connection: AsyncConnection, group_id: int, address: str) -> bool:
    """Whether a contact with this address is in the group."""
    found = await connection.scalar(
        select(contacts.c.id)
        .join(contact_groups, contact_groups.c.id == group_id)
        .join(
            contact_members,
            (contact_members.c.group_id == group_id)
            & (contact_members.c.contact_id == contacts.c.id),
        )
        .where(
            contacts.c.account_id == contact_groups.c.account_id,
            contacts.c.kind == contact_groups.c.kind,
            contacts.c.address == address,
        )
        .limit(1)
    )
    return found is not None


async def known_groups(connection: AsyncConnection, account_id: int, kind: ContactKind) -> set[int]:
    """Ids of the account's groups of that kind."""
    rows = await connection.scalars(select(contact_groups.c.id).where(*_owned(account_id, kind)))
    return set(rows)


async def groups_of(
    connection: AsyncConnection, contact_ids: Sequence[int]
) -> dict[int, list[int]]:
    """Ids of the groups of each contact, in their order."""
    rows = await connection.execute(
        select(contact_members.c.contact_id, contact_members.c.group_id)
        .join(contact_groups, contact_groups.c.id == contact_members.c.group_id)
        .where(joined(connection, contact_members.c.contact_id, contact_ids))
        .order_by(contact_members.c.contact_id, contact_members.c.group_id)
    )
    found: dict[int, list[int]] = defaultdict(list)
    for contact_id, group_id in rows.all():
        found[contact_id].append(group_id)
    return found


async def join_groups(
    connection: AsyncConnection,
    contact_ids: Sequence[int],
    group_ids: Iterable[int],
    *,
    notes: bool = True,
) -> None:
    """Puts contacts into groups; those that are in one already stay. Without groups: sees which
    of the contacts are in none. `notes` False: the caller tells the index of contacts."""
    statement = sqlite.insert if is_sqlite(connection) else postgresql.insert
    for group_id in group_ids:
        # From the contacts themselves: one that is deleted meanwhile does not come back here.
        members = select(literal(group_id, contact_members.c.group_id.type), contacts.c.id).where(
            joined(connection, contacts.c.id, contact_ids)
        )
        done = await connection.execute(
            statement(contact_members)
            .from_select(["group_id", "contact_id"], members)
            .on_conflict_do_nothing()
        )
        if done.rowcount and not await _resize(connection, group_id, done.rowcount):
            # It is deleted meanwhile, and whoever took its members out may not have seen these.
            await connection.execute(
                delete(contact_members).where(
                    contact_members.c.group_id == group_id,
                    joined(connection, contact_members.c.contact_id, contact_ids),
                )
            )
    await _settle(connection, contact_ids)
    if notes:
        await contact_index.note_groups(connection, contact_ids)


async def leave_group(connection: AsyncConnection, contact_id: int, group_id: int) -> None:
    """Takes one contact out of one group, if it is in it."""
    done = await connection.execute(
        delete(contact_members).where(
            contact_members.c.contact_id == contact_id, contact_members.c.group_id == group_id
        )
    )
    if done.rowcount:
        await _resize(connection, group_id, -done.rowcount)
    await _note_alone(connection, await _settle(connection, [contact_id]))


async def leave_groups(connection: AsyncConnection, contact_ids: Sequence[int]) -> None:
    """Takes contacts out of all their groups. Those that are kept have to join some, or none."""
    left = await connection.execute(
        delete(contact_members)
        .where(joined(connection, contact_members.c.contact_id, contact_ids))
        .returning(contact_members.c.group_id)
    )
    counted = Counter(id for id in left.scalars() if id > 0)
    for group_id, count in sorted(counted.items()):  # in one order: no deadlock
        await _resize(connection, group_id, -count)


async def _note_alone(connection: AsyncConnection, contact_ids: Sequence[int]) -> None:
    """Tells the index who is among the rest now. Who has only left a group may stay in its row."""
    if contact_ids:
        await contact_index.note_groups(connection, contact_ids)


async def _settle(connection: AsyncConnection, contact_ids: Sequence[int]) -> Sequence[int]:
    """Puts those of the contacts that are in no group among the rest, and takes others out. Returns
    whom it has put there."""
    those = joined(connection, _OWN.c.id, contact_ids)
    await connection.execute(
        delete(contact_members).where(
            contact_members.c.group_id < 0,
            joined(connection, contact_members.c.contact_id, contact_ids),
            exists().where(
                _OTHER.c.contact_id == contact_members.c.contact_id, _OTHER.c.group_id > 0
            ),
        )
    )
    statement = sqlite.insert if is_sqlite(connection) else postgresql.insert
    alone = await connection.scalars(
        statement(contact_members)
        .from_select(["group_id", "contact_id"], select(_REST, _OWN.c.id).where(those, ~_GROUPED))
        .on_conflict_do_nothing()
        .returning(contact_members.c.contact_id)
    )
    return alone.all()


def _owned(account_id: int, kind: ContactKind) -> tuple[ColumnElement[bool], ...]:
    return contact_groups.c.account_id == account_id, contact_groups.c.kind == int(kind)


async def _resize(connection: AsyncConnection, group_id: int, change: int) -> bool:
    """Whether the group is still there."""
    done = await connection.execute(
        update(contact_groups)
        .where(contact_groups.c.id == group_id)
        .values(size=contact_groups.c.size + change)
    )
    return bool(done.rowcount)
