"""Contacts in SQL: adding in batches, changing, deleting. Pages of them are in `contact_pages`.

Everything is within one account and one kind. A write that touches many contacts is meant to be
called with a batch at a time, each in its own transaction, so that it holds up nobody else's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import (
    CONTACT_FIELDS,
    ContactKind,
    name_key,
    search_key,
)
from heliograph.storage import contact_groups, contact_index
from heliograph.storage.schema_books import contact_members, contacts
from heliograph.storage.sets import is_sqlite, joined

__all__ = [
    "AddressTaken",
    "change_contact",
    "copy_contact",
    "delete_contact",
    "find_contact",
    "list_addresses",
    "put_contacts",
]

_FIELDS = [contacts.c[name] for name in CONTACT_FIELDS]
_KEYS = [contacts.c.name_key, contacts.c.search_key]
_WRITTEN = ("address", *CONTACT_FIELDS, "name_key", "search_key")


class AddressTaken(ValueError):
    """Another contact of the account has this address."""


def _upsert(values: str, rows: str) -> str:
    names = ", ".join(_WRITTEN)
    sets = ", ".join(f"{name} = excluded.{name}" for name in _WRITTEN[1:])
    return (
        f"INSERT INTO contacts (account_id, kind, {names}) SELECT CAST(:account_id AS bigint), "
        f"CAST(:kind AS smallint), {values} FROM {rows} "
        f"ON CONFLICT (account_id, kind, address) DO UPDATE SET {sets} RETURNING id, address"
    )


_UPSERT_SQLITE = text(
    _upsert(
        ", ".join(f"json_extract(value, '$[{i}]')" for i in range(len(_WRITTEN))),
        "json_each(:rows) WHERE true ORDER BY key",
    )
)
_UPSERT_POSTGRESQL = text(
    _upsert(
        ", ".join(f"value->>{i}" for i in range(len(_WRITTEN))),
        "json_array_elements(CAST(:rows AS json)) AS j(value)",
    )
)


async def put_contacts(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    *,
    rows: Mapping[str, Mapping[str, str]],
    group_ids: Sequence[int] | None = None,
) -> dict[str, int]:
    """Adds contacts, or gives those that exist the new data: `rows` are fields by address.

    A field that is not given stays as it is. `group_ids` None: no change of groups; else they are
    the contacts' groups afterwards. Returns ids by address.
    """
    known = await _stored_fields(connection, account_id, kind, list(rows))
    lines = []
    changed = set()
    for address, fields in rows.items():
        merged = {**known.get(address, {}), **fields, "address": address}
        merged["name_key"], merged["search_key"] = _keys(merged)
        lines.append([merged.get(name, "") for name in _WRITTEN])
        if _differ(known.get(address, {}), merged):
            changed.add(address)
    statement = _UPSERT_SQLITE if is_sqlite(connection) else _UPSERT_POSTGRESQL
    done = await connection.execute(
        statement,
        {
            "account_id": account_id,
            "kind": int(kind),
            "rows": msgspec.json.encode(lines).decode(),
        },
    )
    ids = {address: id for id, address in done.all()}
    fresh = [id for address, id in ids.items() if address not in known]
    old = [id for address, id in ids.items() if address in known]
    if group_ids is None:
        await contact_groups.join_groups(connection, fresh, [], notes=False)
    else:
        if old:
            await contact_groups.leave_groups(connection, old)
        await contact_groups.join_groups(connection, [*old, *fresh], group_ids, notes=False)
        moved = [id for address, id in ids.items() if address not in changed]
        await contact_index.note(connection, account_id, kind, moved, is_text=False)
    texts = [id for address, id in ids.items() if address in changed]
    await contact_index.note(connection, account_id, kind, texts, is_text=True)
    return ids


async def find_contact(
    connection: AsyncConnection, account_id: int, kind: ContactKind, address: str
) -> int | None:
    """Id of the contact with that address. It is the transaction's own until its end."""
    id: int | None = await connection.scalar(
        select(contacts.c.id)
        .where(*_owned(account_id, kind), contacts.c.address == address)
        .with_for_update()
    )
    return id


async def change_contact(
    connection: AsyncConnection,
    contact_id: int,
    *,
    fields: Mapping[str, str],
    address: str = "",
    group_ids: Sequence[int] | None = None,
) -> None:
    """Changes the given fields of a contact, its address and its groups. Raises AddressTaken."""
    owner = (contacts.c.account_id, contacts.c.kind)
    row = (
        await connection.execute(
            select(*owner, contacts.c.address, *_KEYS, *_FIELDS)
            .where(contacts.c.id == contact_id)
            .with_for_update()
        )
    ).one()
    merged = {**row._asdict(), **fields}
    if address:
        merged["address"] = address
    merged["name_key"], merged["search_key"] = _keys(merged)
    try:
        async with connection.begin_nested():
            await connection.execute(
                update(contacts).where(contacts.c.id == contact_id).values(merged)
            )
    except IntegrityError as error:
        raise AddressTaken("another contact has this address") from error
    if group_ids is not None:
        await contact_groups.leave_groups(connection, [contact_id])
        await contact_groups.join_groups(connection, [contact_id], group_ids)
    if _differ(row._asdict(), merged):
        book = row.account_id, ContactKind(row.kind)
        await contact_index.note(connection, *book, [contact_id], is_text=True)


async def copy_contact(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    contact_id: int,
    *,
    addresses: Sequence[str],
) -> None:
    """Adds contacts with the data and the groups of another one."""
    row = (await connection.execute(select(*_FIELDS).where(contacts.c.id == contact_id))).one()
    groups = await contact_groups.groups_of(connection, [contact_id])
    await put_contacts(
        connection,
        account_id,
        kind,
        rows={address: row._asdict() for address in addresses},
        group_ids=groups.get(contact_id, []),
    )


async def delete_contact(connection: AsyncConnection, contact_id: int) -> None:
    """Deletes a contact and takes it out of its groups."""
    await contact_groups.leave_groups(connection, [contact_id])
    await connection.execute(delete(contacts).where(contacts.c.id == contact_id))


async def list_addresses(
    connection: AsyncConnection, group_id: int, *, after_id: int = 0, limit: int
) -> tuple[list[str], int]:
    """(addresses of a group's next contacts, the id to go on after); no addresses at its end."""
    rows = (
        await connection.execute(
            select(contacts.c.address, contacts.c.id)
            .join_from(contact_members, contacts, contact_members.c.contact_id == contacts.c.id)
            .where(contact_members.c.group_id == group_id, contact_members.c.contact_id > after_id)
            .order_by(contact_members.c.contact_id)
            .limit(limit)
        )
    ).all()
    return [row[0] for row in rows], rows[-1][1] if rows else after_id


async def _stored_fields(
    connection: AsyncConnection, account_id: int, kind: ContactKind, addresses: Sequence[str]
) -> dict[str, dict[str, str]]:
    rows = await connection.execute(
        select(contacts.c.address, *_KEYS, *_FIELDS)
        .where(*_owned(account_id, kind), joined(connection, contacts.c.address, addresses))
        .with_for_update()
    )
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        found[row.address] = row._asdict()
    return found


def _owned(account_id: int, kind: ContactKind) -> tuple[ColumnElement[bool], ...]:
    return contacts.c.account_id == account_id, contacts.c.kind == int(kind)


def _differ(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether something else is found by the texts or the name of a contact."""
    return any(before.get(key.name) != after[key.name] for key in _KEYS)


def _keys(fields: dict[str, Any]) -> tuple[str, str]:
    names = (fields.get(name, "") for name in ("last_name", "first_name", "middle_name"))
    return name_key(*names), search_key(fields)
