"""Sender names in SQL: the registry, its documents, and the codes that confirm numbers.

Every write that changes which names may be used notes a new version of the account's register
``senders``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.senders import SenderKind, SenderState, sender_key
from heliograph.storage import revisions
from heliograph.storage.schema_books import (
    sender_codes,
    sender_documents,
    sender_operators,
    senders,
)
from heliograph.storage.sets import among, is_sqlite

__all__ = [
    "Code",
    "Document",
    "Sender",
    "active_names",
    "add_document",
    "change_sender",
    "count_codes",
    "count_senders",
    "delete_sender",
    "documents_of",
    "find_code",
    "find_sender",
    "list_senders",
    "put_sender",
    "read_document",
    "set_operators",
    "set_sender_state",
    "store_code",
]

_REGISTER = "senders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One name of one account. `operators`: state by operator flag."""

    id: int
    account_id: int
    name: str
    kind: SenderKind
    state: SenderState
    owner: str = ""
    comment: str = ""
    wishes: Mapping[str, str] = field(default_factory=dict)
    created_at: int = 0
    changed_at: int = 0
    operators: Mapping[str, SenderState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A confirmation code that was sent to a number."""

    code: str
    tries: int
    sent_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document of a name; `size` in octets."""

    id: int
    name: str
    description: str
    size: int
    created_at: int


async def find_sender(
    connection: AsyncConnection, account_id: int, *, name: str = "", id: int = 0
) -> Sender | None:
    """A name of the account, by itself or by its number."""
    condition = senders.c.id == id if id else senders.c.name_key == sender_key(name)
    row = (
        await connection.execute(
            select(senders).where(senders.c.account_id == account_id, condition)
        )
    ).one_or_none()
    return None if row is None else _sender(row, {})


async def put_sender(
    connection: AsyncConnection,
    account_id: int,
    *,
    name: str,
    kind: SenderKind,
    state: SenderState,
    now_ms: int,
    owner: str = "",
    comment: str = "",
    wishes: Mapping[str, str] | None = None,
) -> int:
    """A new name, or the one that is there, which stays as it is; its id."""
    add = sqlite.insert if is_sqlite(connection) else postgresql.insert
    made = await connection.execute(
        add(senders)
        .values(
            account_id=account_id,
            name=name,
            name_key=sender_key(name),
            kind=int(kind),
            state=int(state),
            owner=owner,
            comment=comment,
            wishes=msgspec.json.encode(dict(wishes or {})).decode(),
            created_at=now_ms,
            changed_at=now_ms,
        )
        .on_conflict_do_update(index_elements=["account_id", "name_key"], set_={"name": name})
        .returning(senders.c.id)
    )
    await revisions.bump_register(connection, _REGISTER, account_id)
    return int(made.scalar_one())


async def change_sender(
    connection: AsyncConnection, sender: Sender, *, changes: Mapping[str, str], now_ms: int
) -> None:
    """Sets `comment`, `owner`, and of the registration data what is given as other names."""
    values: dict[str, object] = {k: v for k, v in changes.items() if k in ("comment", "owner")}
    wishes = {**sender.wishes, **{k: v for k, v in changes.items() if k not in values}}
    values["wishes"] = msgspec.json.encode(wishes).decode()
    await connection.execute(
        update(senders).where(senders.c.id == sender.id).values({**values, "changed_at": now_ms})
    )


async def set_sender_state(
    connection: AsyncConnection, sender_id: int, state: SenderState, *, now_ms: int
) -> bool:
    """The moderator's or the code's decision; False: there is no such name."""
    done = await connection.execute(
        update(senders)
        .where(senders.c.id == sender_id)
        .values(state=int(state), changed_at=now_ms)
        .returning(senders.c.account_id)
    )
    account_id = done.scalar_one_or_none()
    if account_id is not None:
        await revisions.bump_register(connection, _REGISTER, account_id)
    return account_id is not None


async def set_operators(
    connection: AsyncConnection, sender_id: int, states: Mapping[str, SenderState], *, now_ms: int
) -> None:
    """What operators say about a name; those that are not given stay."""
    add = sqlite.insert if is_sqlite(connection) else postgresql.insert
    for operator, state in states.items():
        values = {"state": int(state), "changed_at": now_ms}
        await connection.execute(
            add(sender_operators)
            .values(sender_id=sender_id, operator=operator, **values)
            .on_conflict_do_update(index_elements=["sender_id", "operator"], set_=values)
        )


async def delete_sender(connection: AsyncConnection, sender: Sender) -> None:
    """Deletes a name with everything about it; the code that was sent to a number stays known."""
    for table in (sender_operators, sender_documents):
        await connection.execute(delete(table).where(table.c.sender_id == sender.id))
    await connection.execute(delete(senders).where(senders.c.id == sender.id))
    await revisions.bump_register(connection, _REGISTER, sender.account_id)


async def count_senders(connection: AsyncConnection, account_id: int) -> int:
    """How many names the account has."""
    counted = select(func.count()).where(senders.c.account_id == account_id)
    return int(await connection.scalar(counted) or 0)


async def list_senders(
    connection: AsyncConnection,
    *,
    account_id: int | None = None,
    states: Sequence[SenderState] = (),
    is_mail: bool | None = None,
    changed_since: int = 0,
    before_id: int = 0,
    limit: int = 1000,
) -> list[Sender]:
    """Names in the order of their ids. `account_id` None: of all accounts. `before_id`: the ones
    just before it. `changed_since`: those whose state at an operator changed since then."""
    query = select(senders)
    if account_id is not None:
        query = query.where(senders.c.account_id == account_id)
    if states:
        query = query.where(senders.c.state.in_([int(state) for state in states]))
    if is_mail is not None:
        is_equal = senders.c.kind == int(SenderKind.MAIL)
        query = query.where(is_equal if is_mail else ~is_equal)
    if changed_since:
        changed = select(sender_operators.c.sender_id)
        changed = changed.where(sender_operators.c.changed_at >= changed_since)
        query = query.where(senders.c.id.in_(changed))
    if before_id:
        query = query.where(senders.c.id < before_id).order_by(senders.c.id.desc())
    else:
        query = query.order_by(senders.c.id)
    rows = (await connection.execute(query.limit(limit))).all()
    states_of = await _operators_of(connection, [row.id for row in rows])
    return sorted((_sender(row, states_of[row.id]) for row in rows), key=lambda s: s.id)


async def active_names(connection: AsyncConnection, account_id: int) -> frozenset[str]:
    """Keys of the account's active names."""
    rows = await connection.execute(
        select(senders.c.name_key).where(
            senders.c.account_id == account_id, senders.c.state == int(SenderState.ACTIVE)
        )
    )
    return frozenset(rows.scalars())


async def add_document(
    connection: AsyncConnection,
    sender_id: int,
    *,
    name: str,
    description: str,
    content: bytes,
    now_ms: int,
) -> None:
    """Keeps a document of a name."""
    await connection.execute(
        insert(sender_documents).values(
            sender_id=sender_id,
            name=name,
            description=description,
            content=content,
            created_at=now_ms,
        )
    )


async def documents_of(connection: AsyncConnection, sender_id: int) -> list[Document]:
    """The documents of a name, without their contents."""
    table = sender_documents.c
    rows = await connection.execute(
        select(
            table.id,
            table.name,
            table.description,
            func.length(table.content).label("size"),
            table.created_at,
        )
        .where(table.sender_id == sender_id)
        .order_by(table.id)
    )
    return [Document(**row._asdict()) for row in rows]


async def read_document(
    connection: AsyncConnection, sender_id: int, document_id: int
) -> bytes | None:
    """The contents of a document of a name."""
    content: bytes | None = await connection.scalar(
        select(sender_documents.c.content).where(
            sender_documents.c.id == document_id, sender_documents.c.sender_id == sender_id
        )
    )
    return content


async def count_codes(connection: AsyncConnection, account_id: int, since_ms: int) -> int:
    """To how many numbers the account had codes sent since a moment."""
    counted = select(func.count()).where(
        sender_codes.c.account_id == account_id, sender_codes.c.sent_at > since_ms
    )
    return int(await connection.scalar(counted) or 0)


async def find_code(connection: AsyncConnection, account_id: int, number: str) -> Code | None:
    """The code that the account had sent to a number."""
    row = (
        await connection.execute(
            select(sender_codes.c.code, sender_codes.c.tries, sender_codes.c.sent_at).where(
                sender_codes.c.account_id == account_id, sender_codes.c.number == number
            )
        )
    ).one_or_none()
    return None if row is None else Code(**row._asdict())


async def store_code(
    connection: AsyncConnection, account_id: int, number: str, *, code: Code
) -> None:
    """Keeps a code, instead of an earlier one to that number."""
    add = sqlite.insert if is_sqlite(connection) else postgresql.insert
    values = {"code": code.code, "tries": code.tries, "sent_at": code.sent_at}
    await connection.execute(
        add(sender_codes)
        .values(account_id=account_id, number=number, **values)
        .on_conflict_do_update(index_elements=["account_id", "number"], set_=values)
    )


async def _operators_of(
    connection: AsyncConnection, ids: Sequence[int]
) -> dict[int, dict[str, SenderState]]:
    found: dict[int, dict[str, SenderState]] = defaultdict(dict)
    rows = await connection.execute(
        select(sender_operators.c.sender_id, sender_operators.c.operator, sender_operators.c.state)
        .where(among(connection, sender_operators.c.sender_id, ids))
        .order_by(sender_operators.c.operator)
    )
    for sender_id, operator, state in rows:
        found[sender_id][operator] = SenderState(state)
    return found


def _sender(row: Row[tuple[object, ...]], operators: Mapping[str, SenderState]) -> Sender:
    values = row._asdict()
    del values["name_key"]
    values["kind"] = SenderKind(values["kind"])
    values["state"] = SenderState(values["state"])
    values["wishes"] = msgspec.json.decode(values["wishes"], type=dict[str, str])
    return Sender(**values, operators=operators)
