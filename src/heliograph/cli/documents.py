"""`heliograph documents`: what main accounts issued to their sub-clients."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import ROW_ID, Installation, done_option, json_option, with_installation
from heliograph.cli.output import Failure, print_done, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.refusals import Refusal
    from heliograph.storage.documents import Document

__all__ = ["documents"]


@click.group()
def documents() -> None:
    """Invoices and acts of sub-clients.

    \b
    Example:
      heliograph documents list reseller
    """


@documents.command("list")
@click.argument("login")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows."
)
@json_option
@with_installation
def show(place: Installation, login: str, *, limit: int, as_json: bool) -> None:
    """List the documents that the account LOGIN issued, newest first.

    \b
    Example:
      heliograph documents list reseller
    """
    from heliograph.domain.money import format_micros
    from heliograph.storage import accounts
    from heliograph.storage.documents import list_documents

    async def read(connection: AsyncConnection) -> tuple[list[Document], dict[int, str]]:
        issuer = await accounts.find_account(connection, login)
        issued = await list_documents(connection, issuer.id, limit=limit)
        return issued, await accounts.load_logins(connection)

    issued, logins = place.read(read)
    found = [
        {
            "id": each.id,
            "kind": each.kind.name.lower(),
            "number": each.number,
            "account": logins.get(each.account_id, str(each.account_id)),
            "day": each.content.day,
            "total": format_micros(each.content.total_micros),
            "currency": each.content.currency,
            "corrects": each.corrects_id,
        }
        for each in issued
    ]
    if as_json:
        print_json(found)
        return
    columns = ["id", "kind", "number", "account", "day", "total", "currency", "corrects"]
    rows = [[str(each[name] or "") for name in columns] for each in found]
    print_table(columns, rows, empty="no documents were issued")


@documents.command("correct")
@click.argument("login")
@click.argument("document_id", metavar="ID", type=ROW_ID)
@done_option
@with_installation
def correct(place: Installation, login: str, document_id: int) -> None:
    """Take back the document ID, which the account LOGIN issued, by a counter-document.

    An act of the same month is made anew by the running server.

    \b
    Example:
      heliograph documents correct reseller 7
    """
    from heliograph.domain.refusals import Refusal
    from heliograph.services.documents import correct_document
    from heliograph.storage import accounts

    now_ms = time.time_ns() // 1_000_000
    zone = timedelta(minutes=place.config().sending.timezone_minutes)
    day = (datetime.fromtimestamp(now_ms // 1000, UTC) + zone).date()

    async def take_back(connection: AsyncConnection) -> Document | Refusal:
        issuer = await accounts.find_account(connection, login)
        return await correct_document(connection, issuer.id, document_id, day=day, now_ms=now_ms)

    made = place.write(take_back)
    if isinstance(made, Refusal):
        reason = "has been taken back already" if made is Refusal.NOT_SAVED else "does not exist"
        raise Failure(f"document {document_id} of {login} {reason}")
    print_done(f"document {made.id} takes it back", id=made.id, number=made.number)
