"""`heliograph currency`: what the units of other currencies are worth."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import AMOUNT, Installation, done_option, json_option, with_installation
from heliograph.cli.output import Failure, print_done, print_json, print_table, show_moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.currencies import CurrencyRate

__all__ = ["currency"]

_ROWS_MAX = 1_000  # there are not two hundred currencies


@click.group()
def currency() -> None:
    """Currencies: what a unit of each is worth in the currency that all are compared to.

    Money that goes from one account to another one, and prices of plans in another currency, are
    converted at these rates; without a rate on either side, one to one. RUR is worth 1 unless it is
    given another rate, because something else is what all are compared to.

    \b
    Example:
      heliograph currency set USD 81.35
    """


@currency.command("set")
@click.argument("code")
@click.argument("rate", type=AMOUNT)
@done_option
@with_installation
def set_rate(place: Installation, code: str, rate: int) -> None:
    """Set the rate of the currency CODE: what one unit of it is worth.

    \b
    Example:
      heliograph currency set USD 81.35
    """
    _store(place, {code: rate}, replace=False)
    print_done(f"{code} set", code=code.upper())


@currency.command("list")
@json_option
@with_installation
def list_rates(place: Installation, *, as_json: bool) -> None:
    """List the rates.

    \b
    Example:
      heliograph currency list --json
    """
    from heliograph.domain.money import format_micros
    from heliograph.storage import currencies

    async def load(connection: AsyncConnection) -> list[CurrencyRate]:
        return await currencies.list_rates(connection)

    rows = [
        {
            "code": each.code,
            "rate": format_micros(each.rate_micros),
            "since": show_moment(each.changed_at),
        }
        for each in place.read(load)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["code", "rate", "since"],
        [list(each.values()) for each in rows],
        empty="no rates: every unit is worth the same",
    )


@currency.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Forget the rates that are not in the file.")
@done_option
@with_installation
def import_rates(place: Installation, file: Path, *, replace: bool) -> None:
    """Import rates from the CSV FILE: lines of a code and a rate, such as `USD,81.35`.

    \b
    Example:
      heliograph currency import rates.csv --replace
    """
    from heliograph.cli.numbering import read_text

    try:
        rates = _parse(read_text(file))
    except csv.Error as error:
        raise Failure(f"{file} is not CSV: {error}") from None
    _store(place, rates, replace=replace)
    print_done(f"{len(rates)} rates imported", imported=len(rates))


@currency.command("remove")
@click.argument("code")
@done_option
@with_installation
def remove(place: Installation, code: str) -> None:
    """Forget the rate of the currency CODE.

    \b
    Example:
      heliograph currency remove UAH
    """
    from heliograph.storage import currencies

    async def drop(connection: AsyncConnection) -> bool:
        return await currencies.remove_rate(connection, code.upper())

    if not place.write(drop):
        raise Failure(f"there is no rate of {code}; see heliograph currency list")
    print_done("rate removed", code=code.upper())


def _parse(text: str) -> dict[str, int]:
    from heliograph.domain.currencies import check_currency
    from heliograph.domain.money import parse_micros

    rates: dict[str, int] = {}
    separator = ";" if ";" in text else ","
    for line, cells in enumerate(csv.reader(io.StringIO(text), delimiter=separator), 1):
        if not cells or (line == 1 and cells[0].strip().lower() == "code"):
            continue
        if len(cells) != 2:
            raise Failure(f"line {line}: not a code and a rate")
        try:
            code = check_currency(cells[0])
            if code in rates:
                raise ValueError(f"a second rate of {code}")
            rates[code] = parse_micros(cells[1])
        except ValueError as error:
            raise Failure(f"line {line}: {error}") from None
        if len(rates) > _ROWS_MAX:
            raise Failure(f"more than {_ROWS_MAX} rates")
    if not rates:  # with --replace it would make every unit worth the same
        raise Failure("there are no rates in the file")
    return rates


def _store(place: Installation, rates: dict[str, int], *, replace: bool) -> None:
    from heliograph.storage import currencies

    now_ms = time.time_ns() // 1_000_000

    async def store(connection: AsyncConnection) -> None:
        await currencies.set_rates(
            connection,
            {code.upper(): rate for code, rate in rates.items()},
            now_ms=now_ms,
            replace=replace,
        )

    try:
        place.write(store)
    except ValueError as error:
        raise Failure(str(error)) from None
