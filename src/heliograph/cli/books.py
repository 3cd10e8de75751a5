"""`heliograph contact` and `heliograph task`: address books, and the groups of `ping.php`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import (
    MESSAGE_TYPE,
    ROW_ID,
    Installation,
    done_option,
    json_option,
    with_installation,
)
from heliograph.cli.output import ExitCode, Failure, print_done, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.tasks import TaskGroup
    from heliograph.storage.database import Database

__all__ = ["contact", "task"]


@click.group()
def contact() -> None:
    """Contacts of accounts.

    \b
    Example:
      heliograph contact import shop clients.csv --group 1
    """


@contact.command("import")
@click.argument("login")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--group", "groups", type=ROW_ID, multiple=True, help="Id of a group to put them into."
)
@done_option
@with_installation
def import_contacts(
    place: Installation, login: str, file: Path, *, groups: tuple[int, ...]
) -> None:
    """Give the contacts of a CSV FILE to the account LOGIN.

    The first line names the columns: phone or mail, and as many as there are of name, last_name,
    first_name, middle_name, birthday, client_ref, comments, tags, other_numbers. Contacts that
    exist get the new data. The file is read and stored step by step; what was stored when it is
    broken off stays, and the import can be repeated.

    \b
    Example:
      heliograph contact import shop clients.csv
    """
    from heliograph.domain.refusals import Refusal

    counted = [0, 0]

    async def store(database: Database) -> Any:
        from heliograph.domain.contacts import ContactKind
        from heliograph.services.contacts import Contacts
        from heliograph.storage.accounts import find_account

        async with database.read() as connection:
            account = await find_account(connection, login)
        with _open(file) as source:
            reader = csv.DictReader(source)
            columns = _read_columns(file, reader)
            kind = ContactKind.MAIL if "mail" in columns else ContactKind.PHONE
            address = "mail" if kind is ContactKind.MAIL else "phone"
            rows = _rows(file, reader, address, counted=counted)
            book = Contacts(database)
            return await book.add(account, kind, rows, group_ids=list(groups) or None)

    outcome = place.run(store)
    if not isinstance(outcome, int) and (counted[0] or outcome is Refusal.NOT_FOUND):
        raise Failure("no such group, or not one line with an address; nothing was stored")
    skipped = f", {counted[1]} without a valid address left out" if counted[1] else ""
    stored = counted[0] - counted[1]
    print_done(f"{stored} lines imported{skipped}", imported=stored, skipped=counted[1])


def _open(file: Path) -> Any:
    try:
        return file.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise Failure(f"{file} can not be read: {reason}", ExitCode.USAGE) from None


def _read_columns(file: Path, reader: csv.DictReader[str]) -> Sequence[str]:
    try:
        return reader.fieldnames or []
    except (ValueError, csv.Error) as error:  # a ValueError: other bytes than UTF-8
        raise Failure(f"{file}, line 1: {error}") from None


def _rows(
    file: Path, reader: csv.DictReader[str], address: str, *, counted: list[int]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    from heliograph.domain.contacts import (
        CONTACT_FIELDS,
        MAX_FIELD_CHARS,
        ContactKind,
        normalise_address,
        parse_birthday,
    )

    columns = reader.fieldnames or []
    unknown = [name for name in columns if name not in (address, *CONTACT_FIELDS)]
    if address not in columns or unknown:
        known = ", ".join(("phone", "mail", *CONTACT_FIELDS))
        raise Failure(f"{file}: the first line names columns; there are {known}")
    kind = ContactKind.MAIL if address == "mail" else ContactKind.PHONE
    try:
        for row in reader:
            fields = {name: (row[name] or "").strip() for name in columns if name != address}
            if any(len(text) > MAX_FIELD_CHARS for text in fields.values()):
                raise ValueError(f"a field has more than {MAX_FIELD_CHARS} characters")
            if fields.get("birthday"):
                fields["birthday"] = parse_birthday(fields["birthday"])
            counted[0] += 1
            counted[1] += normalise_address(kind, row[address] or "") is None
            yield row[address] or "", fields
    except (ValueError, csv.Error) as error:
        done = f"; {counted[0] // 1000 * 1000} lines before it are stored"
        raise Failure(f"{file}, line {reader.line_num}: {error}{done}") from None


@click.group()
def task() -> None:
    """Task groups: whom ping.php notifies.

    \b
    Example:
      heliograph task set shop 1 --phone 79161234567 --failure "{NAME} is down: {INFO}"
    """


@task.command("list")
@click.argument("login")
@json_option
@with_installation
def list_tasks(place: Installation, login: str, *, as_json: bool) -> None:
    """List the task groups of the account LOGIN.

    \b
    Example:
      heliograph task list shop
    """
    from heliograph.domain.tasks import DEFAULT_TASK
    from heliograph.storage import accounts, tasks

    async def load(connection: AsyncConnection) -> list[TaskGroup]:
        account = await accounts.find_account(connection, login)
        return await tasks.find_tasks(connection, account.id)

    found = place.read(load)
    if all(each.number != DEFAULT_TASK.number for each in found):
        found.insert(0, DEFAULT_TASK)
    rows = [
        {
            "id": each.number,
            "phones": ",".join(each.phones) or ("" if each.mails else "the account's own"),
            "mails": ",".join(each.mails),
            "failure": each.failure_text,
            "recovery": each.recovery_text,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


@task.command("set")
@click.argument("login")
@click.argument("id", type=click.IntRange(1, 1_000_000))
@click.option("--phone", "phones", multiple=True, help="Whom to notify; may be repeated.")
@click.option("--mail", "mails", multiple=True, help="Whom to notify by mail; may be repeated.")
@click.option("--type", "type_", type=MESSAGE_TYPE, default=0, help="Of messages to phones.")
@click.option("--sender", default="", help="Sender name.")
@click.option("--failure", default="", help="Text with {NAME}, {HOST}, {INFO}.")
@click.option("--recovery", default="", help="Text of `ok=1`.")
@done_option
@with_installation
def set_task(place: Installation, login: str, id: int, *, type_: int, **options: Any) -> None:
    """Set up the task group ID of the account LOGIN, instead of what it was.

    \b
    Example:
      heliograph task set shop 2 --phone 79161234567 --mail duty@example.com
    """
    from heliograph.domain.contacts import ContactKind, normalise_address
    from heliograph.domain.messages import MessageType
    from heliograph.domain.tasks import MAX_RECIPIENTS, TaskGroup
    from heliograph.storage import accounts, tasks

    def check(kind: ContactKind, texts: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(normalise_address(kind, text) or "" for text in texts)
        if "" in found or len(found) > MAX_RECIPIENTS:
            raise Failure(f"{', '.join(texts)}: not addresses, or more than {MAX_RECIPIENTS}")
        return found

    usual = TaskGroup(number=id)
    made = TaskGroup(
        number=id,
        phones=check(ContactKind.PHONE, options["phones"]),
        mails=check(ContactKind.MAIL, options["mails"]),
        sender=options["sender"],
        type=MessageType(type_),
        failure_text=options["failure"] or usual.failure_text,
        recovery_text=options["recovery"] or usual.recovery_text,
    )

    async def store(connection: AsyncConnection) -> None:
        account = await accounts.find_account(connection, login)
        await tasks.put_task(connection, account.id, made)

    place.write(store)
    print_done(f"task group {id} of {login} is set up", account=login, id=id)


@task.command("remove")
@click.argument("login")
@click.argument("id", type=ROW_ID)
@done_option
@with_installation
def remove_task(place: Installation, login: str, id: int) -> None:
    """Remove the task group ID of the account LOGIN.

    \b
    Example:
      heliograph task remove shop 2
    """
    from heliograph.storage import accounts, tasks

    async def store(connection: AsyncConnection) -> bool:
        account = await accounts.find_account(connection, login)
        return await tasks.delete_task(connection, account.id, id)

    if not place.write(store):
        raise Failure(f"{login} has no task group {id}; see heliograph task list {login}")
    print_done(f"task group {id} of {login} is removed", account=login, id=id)
