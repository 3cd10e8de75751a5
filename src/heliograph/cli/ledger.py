"""`heliograph ledger`: the proof that the money is right, and what moved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heliograph.cli.options import Installation, json_option, with_installation
from heliograph.cli.output import print_json, print_table, show_moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.database import Database
    from heliograph.storage.ledger import AuditReport, Transfer

__all__ = ["ledger"]


@click.group()
def ledger() -> None:
    """The ledger: balances and the transfers they consist of.

    \b
    Example:
      heliograph ledger audit
    """


@ledger.command("audit")
@json_option
@with_installation
def audit(place: Installation, *, as_json: bool) -> None:
    """Prove that balances, transfers, charges and statistics agree to the last micro and message.

    All is read at one moment; the server may go on working. The exit code is 1 when a rule is
    broken; the account, message or transfer is named.

    \b
    Example:
      heliograph ledger audit --json
    """
    from heliograph.domain.money import format_micros
    from heliograph.storage import proof

    async def prove(database: Database) -> AuditReport:
        async with database.snapshot() as connection:
            return await proof.prove(connection)

    report = place.run(prove)
    problems = [
        {
            "rule": each.rule,
            "subject": each.subject,
            "difference": format_micros(each.difference_micros),
        }
        for each in report.problems
    ]
    counts = {
        "accounts": report.accounts,
        "transfers": report.transfers,
        "messages": report.messages,
    }
    if as_json:
        print_json({"is_exact": report.is_exact, **counts, "problems": problems})
    else:
        click.echo(", ".join(f"{count} {name}" for name, count in counts.items()) + " looked at")
        print_table(
            ["rule that is broken", "where", "difference"],
            [list(each.values()) for each in problems],
            empty="the ledger is exact",
        )
    if not report.is_exact:
        raise SystemExit(1)


@ledger.command("list")
@click.argument("login")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows."
)
@click.option("--electronic", is_flag=True, help="Those of the balance for e-mail and calls.")
@json_option
@with_installation
def list_transfers(
    place: Installation, login: str, *, limit: int, electronic: bool, as_json: bool
) -> None:
    """List the newest transfers of the account LOGIN.

    \b
    Example:
      heliograph ledger list shop --limit 10
    """
    from heliograph.domain.ledger import purse_of
    from heliograph.domain.money import format_micros
    from heliograph.storage import accounts
    from heliograph.storage import ledger as books

    async def load(connection: AsyncConnection) -> list[Transfer]:
        account = await accounts.find_account(connection, login)
        purse = purse_of(account.id, is_electronic=electronic)
        return await books.list_transfers(connection, purse, limit=limit)

    found = [
        {
            "id": each.id,
            "at": show_moment(each.created_at),
            "kind": each.kind.name.lower(),
            "amount": format_micros(each.amount_micros),
            "effect": format_micros(each.effect_micros),
            "messages": each.count,
            "note": each.note,
        }
        for each in place.read(load)
    ]
    if as_json:
        print_json(found)
    else:
        columns = ["id", "at", "kind", "amount", "effect", "messages", "note"]
        print_table(columns, [list(each.values()) for each in found], empty="no transfers")
