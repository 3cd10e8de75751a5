"""`heliograph statistics`: what was sent and what it cost, as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import Installation, with_installation
from heliograph.cli.output import ExitCode, Failure, print_json_line

if TYPE_CHECKING:
    from heliograph.storage.database import Database

__all__ = ["statistics"]

_COLUMNS = ["day", "account", "payer", "balance", "type", "network", "currency"]
_COUNTS = ["messages", "parts", "delivered", "failed", "refused", "deleted"]
_AMOUNTS = ["open", "charged"]
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_LAST_DAY = 2_900_000


@click.group()
def statistics() -> None:
    """What accounts sent, from the running totals.

    \b
    Example:
      heliograph statistics export --from 01.11.2026 --to 30.11.2026
    """


@statistics.command("export")
@click.option("--account", "login", help="Of this account only; else of all.")
@click.option("--from", "first", metavar="DD.MM.YYYY", help="First day; else from the beginning.")
@click.option("--to", "last", metavar="DD.MM.YYYY", help="Last day; else to the end.")
@click.option("--monthly", is_flag=True, help="A row for a month, types and networks together.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a row.")
@with_installation
def export(
    place: Installation,
    login: str | None,
    *,
    first: str | None,
    last: str | None,
    monthly: bool,
    as_json: bool,
) -> None:
    """Write statistics as CSV: a row for each account, day, balance, type, network and currency.

    Messages count for the day on which they were accepted, in the zone of the installation. `open`
    is reserved for messages on their way. With --monthly, months that begin within the days.

    \b
    Example:
      heliograph statistics export --account shop > shop.csv
      heliograph statistics export --from 01.01.2026 --monthly
    """
    from heliograph.domain.ledger import owner_of_purse
    from heliograph.domain.money import format_micros
    from heliograph.storage import deltas, totals
    from heliograph.storage.accounts import find_account, load_logins

    days = _read_day(first, 0), _read_day(last, _LAST_DAY)
    if days[0] > days[1]:
        raise Failure("the first day is after the last one", ExitCode.USAGE)

    async def write(database: Database) -> None:
        async with database.snapshot() as connection:
            logins = await load_logins(connection)
            account_id = 0 if login is None else (await find_account(connection, login)).id
            names = [*_COLUMNS, *_COUNTS, *_AMOUNTS]
            if not as_json:
                click.echo(_line(names))
            stream = totals.stream_months if monthly else totals.stream
            async for row in stream(connection, account_id, days=days):
                payer = owner_of_purse(row.payer_id)
                cells = [
                    deltas.month_name(row.month) if monthly else deltas.name_of(row.day),
                    logins.get(row.account_id, str(row.account_id)),
                    logins.get(payer, str(payer)),
                    "electronic" if row.payer_id < 0 else "ordinary",
                    "" if monthly else row.type,
                    "" if monthly else row.mccmnc,
                    row.currency,
                    *(getattr(row, name) for name in _COUNTS),
                    format_micros(row.open_micros),
                    format_micros(row.charged_micros),
                ]
                if as_json:
                    print_json_line(dict(zip(names, cells, strict=True)))
                else:
                    click.echo(_line(cells))

    place.run(write)


def _read_day(text: str | None, default: int) -> int:
    from datetime import date, datetime

    if not text:
        return default
    try:
        day = datetime.strptime(text, "%d.%m.%Y").date()
    except ValueError:
        raise Failure(f"{text} is not a day, DD.MM.YYYY", ExitCode.USAGE) from None
    return (day - date(1970, 1, 1)).days


def _line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        # A spreadsheet would take such a login for a formula.
        f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_SIGNS) else cell
        for cell in cells
    )
    return line.getvalue()
