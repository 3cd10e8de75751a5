"""Task groups of `ping.php` in SQL."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageType
from heliograph.domain.tasks import TaskGroup
from heliograph.storage.schema_books import task_groups
from heliograph.storage.sets import is_sqlite

__all__ = ["delete_task", "find_tasks", "put_task"]


async def put_task(connection: AsyncConnection, account_id: int, task: TaskGroup) -> None:
    """Stores a task group, in the place of the one with its number."""
    add = sqlite.insert if is_sqlite(connection) else postgresql.insert
    values = {
        "name": task.name,
        "phones": ",".join(task.phones),
        "mails": ",".join(task.mails),
        "sender": task.sender,
        "type": int(task.type),
        "failure_text": task.failure_text,
        "recovery_text": task.recovery_text,
    }
    await connection.execute(
        add(task_groups)
        .values(account_id=account_id, number=task.number, **values)
        .on_conflict_do_update(index_elements=["account_id", "number"], set_=values)
    )


async def delete_task(connection: AsyncConnection, account_id: int, number: int) -> bool:
    """Deletes a task group; False: there is none."""
    done = await connection.execute(
        delete(task_groups).where(
            task_groups.c.account_id == account_id, task_groups.c.number == number
        )
    )
    return bool(done.rowcount)


async def find_tasks(
    connection: AsyncConnection, account_id: int, number: int | None = None
) -> list[TaskGroup]:
    """The account's task groups in the order of their numbers; `number`: this one only."""
    query = select(task_groups).where(task_groups.c.account_id == account_id)
    if number is not None:
        query = query.where(task_groups.c.number == number)
    rows = await connection.execute(query.order_by(task_groups.c.number))
    return [
        TaskGroup(
            number=row.number,
            name=row.name,
            phones=tuple(filter(None, row.phones.split(","))),
            mails=tuple(filter(None, row.mails.split(","))),
            sender=row.sender,
            type=MessageType(row.type),
            failure_text=row.failure_text,
            recovery_text=row.recovery_text,
        )
        for row in rows
    ]
