"""Templates in SQL: the texts that an account keeps, and those that operators know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.senders import sender_key
from heliograph.domain.templates import TemplateState
from heliograph.storage import revisions
from heliograph.storage.schema_books import message_templates, operator_templates

__all__ = [
    "MessageTemplate",
    "OperatorTemplate",
    "accepted_templates",
    "add_operator_template",
    "add_template",
    "change_template",
    "count_operator_templates",
    "count_templates",
    "delete_template",
    "find_operator_templates",
    "find_template",
    "list_operator_templates",
    "list_templates",
    "set_template_state",
]

_REGISTER = "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTemplate:
    """A text that an account keeps. Bit 0 of `flags`: meant as a signature."""

    id: int
    name: str
    text: str
    format: str = ""
    sender: str = ""
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTemplate:
    """A text at one operator; `name` says which operator and kind (`mts_srv`)."""

    id: int
    account_id: int
    sender: str
    name: str
    text: str
    state: TemplateState


async def add_template(
    connection: AsyncConnection, account_id: int, *, values: Mapping[str, str | int]
) -> int:
    """A new template; `values` are fields of MessageTemplate. Its id."""
    made = await connection.execute(
        insert(message_templates)
        .values(account_id=account_id, **values)
        .returning(message_templates.c.id)
    )
    return int(made.scalar_one())


async def count_templates(connection: AsyncConnection, account_id: int) -> int:
    """How many templates the account keeps."""
    counted = select(func.count()).where(message_templates.c.account_id == account_id)
    return int(await connection.scalar(counted) or 0)


async def change_template(
    connection: AsyncConnection, account_id: int, id: int, *, values: Mapping[str, str | int]
) -> bool:
    """Sets the given fields; False: the account has no such template."""
    done = await connection.execute(
        update(message_templates)
        .where(message_templates.c.id == id, message_templates.c.account_id == account_id)
        .values(account_id=account_id, **values)
    )
    return bool(done.rowcount)


async def delete_template(connection: AsyncConnection, account_id: int, id: int) -> bool:
    """Deletes a template; False: the account has no such template."""
    done = await connection.execute(
        delete(message_templates).where(
            message_templates.c.id == id, message_templates.c.account_id == account_id
        )
    )
    return bool(done.rowcount)


async def find_template(
    connection: AsyncConnection, account_id: int, id: int
) -> MessageTemplate | None:
    """One template of the account."""
    found = await list_templates(connection, account_id, id=id)
    return found[0] if found else None


async def list_templates(
    connection: AsyncConnection, account_id: int, *, id: int = 0
) -> list[MessageTemplate]:
    """The account's templates in the order of their ids; `id`: this one only."""
    table = message_templates.c
    query = select(table.id, table.name, table.text, table.format, table.sender, table.flags)
    query = query.where(table.account_id == account_id)
    if id:
        query = query.where(table.id == id)
    rows = await connection.execute(query.order_by(table.id))
    return [MessageTemplate(**row._asdict()) for row in rows]


async def add_operator_template(
    connection: AsyncConnection,
    account_id: int,
    *,
    sender: str,
    name: str,
    text: str,
    state: TemplateState,
    now_ms: int,
) -> int:
    """Registers a text; its id."""
    made = await connection.execute(
        insert(operator_templates)
        .values(
            account_id=account_id,
            sender=sender,
            sender_key=sender_key(sender),
            name=name,
            text=text,
            state=int(state),
            created_at=now_ms,
        )
        .returning(operator_templates.c.id)
    )
    await revisions.bump_register(connection, _REGISTER, account_id)
    return int(made.scalar_one())


async def count_operator_templates(connection: AsyncConnection, account_id: int) -> int:
    """How many texts the account has registered."""
    counted = select(func.count()).where(operator_templates.c.account_id == account_id)
    return int(await connection.scalar(counted) or 0)


async def find_operator_templates(
    connection: AsyncConnection, account_id: int, *, sender: str, text: str
) -> list[OperatorTemplate]:
    """What the account registered of exactly this text for a sender name."""
    table = operator_templates.c
    return await _select_operator_templates(
        connection,
        table.account_id == account_id,
        table.sender_key == sender_key(sender),
        table.text == text,
    )


async def list_operator_templates(
    connection: AsyncConnection, *, states: Sequence[TemplateState] = (), limit: int = 1000
) -> list[OperatorTemplate]:
    """Texts of all accounts, for the moderator."""
    conditions = []
    if states:
        conditions.append(operator_templates.c.state.in_([int(state) for state in states]))
    return await _select_operator_templates(connection, *conditions, limit=limit)


async def set_template_state(connection: AsyncConnection, id: int, state: TemplateState) -> bool:
    """The operator's decision; False: there is no such text."""
    done = await connection.execute(
        update(operator_templates)
        .where(operator_templates.c.id == id)
        .values(state=int(state))
        .returning(operator_templates.c.account_id)
    )
    account_id = done.scalar_one_or_none()
    if account_id is not None:
        await revisions.bump_register(connection, _REGISTER, account_id)
    return account_id is not None


async def accepted_templates(
    connection: AsyncConnection, account_id: int
) -> list[tuple[str, str, str]]:
    """(sender, text, name) of the account's accepted texts, in the order of their ids."""
    table = operator_templates.c
    rows = await connection.execute(
        select(table.sender, table.text, table.name)
        .where(table.account_id == account_id, table.state == int(TemplateState.ACCEPTED))
        .order_by(table.id)
    )
    return [(sender, text, name) for sender, text, name in rows]


async def _select_operator_templates(
    connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int | None = None
) -> list[OperatorTemplate]:
    table = operator_templates.c
    query = select(table.id, table.account_id, table.sender, table.name, table.text, table.state)
    query = query.where(*conditions).order_by(table.id).limit(limit)
    return [
        OperatorTemplate(**{**row._asdict(), "state": TemplateState(row.state)})
        for row in await connection.execute(query)
    ]
