"""`heliograph numbering`: whose a number is, and tables of an administrator's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import (
    AMOUNT,
    Installation,
    done_option,
    json_option,
    numbers_option,
    with_installation,
)
from heliograph.cli.output import (
    ExitCode,
    Failure,
    mask_number,
    print_done,
    print_json,
    print_record,
    print_table,
    show_moment,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.numbering import NumberOrigin

__all__ = ["numbering", "read_text"]


@click.group()
def numbering() -> None:
    """The numbering plan: countries, networks and regions of numbers.

    \b
    Example:
      heliograph numbering lookup 79161234567
    """


@numbering.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--ported", is_flag=True, help="The file lists ported numbers (phone, mccmnc).")
@json_option
@with_installation
def import_table(place: Installation, file: Path, *, ported: bool, as_json: bool) -> None:
    """Replace the imported prefixes, or ported numbers, by those of a CSV FILE.

    The columns are described in docs/reference/numbering.md. A file with a mistake is not taken;
    every mistake is told with its line.

    \b
    Example:
      heliograph numbering import prefixes.csv
      heliograph numbering import ported.csv --ported
    """
    from heliograph.domain.prefix_tables import (
        TableImportError,
        parse_ported_csv,
        parse_prefix_csv,
    )
    from heliograph.storage import numbering as tables

    text = read_text(file)
    try:
        if ported:
            numbers = parse_ported_csv(text)
        else:
            rows = parse_prefix_csv(text)
    except TableImportError as error:
        for problem in error.problems:
            click.echo(f"{file}: {problem}", err=True)
        raise Failure(
            f"{file} was not taken: correct the lines above and import it again"
        ) from None

    if ported:
        zone_s = place.config().sending.timezone_minutes * 60
        day = int(time.time() + zone_s) // 86_400
        count = place.write(lambda c: tables.import_ported(c, numbers, day=day), creates=True)
    else:
        count = place.write(lambda c: tables.import_prefixes(c, rows), creates=True)
    if as_json:
        print_json({"imported": count, "table": "ported" if ported else "prefixes"})
    else:
        click.echo(f"{count} {'ported numbers' if ported else 'prefixes'} imported")


@numbering.command("lookup")
@click.argument("phone")
@json_option
@with_installation
def lookup(place: Installation, phone: str, *, as_json: bool) -> None:
    """Say whose number PHONE is: country, network, region, and what it was before porting.

    Imported tables are used when the data folder has a database.

    \b
    Example:
      heliograph numbering lookup "8 (916) 123-45-67"
    """
    from heliograph.cli.opening import has_database
    from heliograph.domain.numbering import NumberingPlan, normalise_recipient
    from heliograph.storage import numbering as tables

    number = normalise_recipient(phone)
    if number is None:
        raise Failure(
            f"{phone!r} can not be a recipient: it has to be 10 to 15 digits with a country's code"
        )

    async def load(connection: AsyncConnection) -> NumberingPlan:
        return NumberingPlan.load_default(
            imported=await tables.load_prefixes(connection),
            ported=await tables.load_ported(connection),
        )

    plan = place.read(load) if has_database(place.config()) else NumberingPlan.load_default()
    origin, original = plan.lookup(number), plan.lookup_original(number)
    if origin is None:
        raise Failure(f"nothing is known of {number}")
    answer = {"number": number, "prefix": plan.prefix_of(number) or "", **_describe(origin)}
    if original is not None and original.mccmnc != origin.mccmnc:
        answer["original_operator"] = original.operator
        answer["original_mccmnc"] = original.mccmnc
    if as_json:
        print_json(answer)
    else:
        print_record({name: value for name, value in answer.items() if value})


@numbering.command("assign")
@click.argument("number")
@click.argument("login")
@done_option
@with_installation
def assign(place: Installation, number: str, login: str) -> None:
    """Give the service NUMBER to the account LOGIN: it gets what people write to that number.

    A number that another account rents has to be released first.

    \b
    Example:
      heliograph numbering assign 4444 shop
    """
    from heliograph.domain.accounts import AccountKind
    from heliograph.domain.numbering import bare_address
    from heliograph.storage import accounts
    from heliograph.storage import numbering as tables
    from heliograph.storage.rentals import find_number

    number = bare_address(number)

    async def store(connection: AsyncConnection) -> None:
        account = await accounts.find_account(connection, login)
        if account.kind is AccountKind.LOGIN:
            raise Failure(f"{login} is another login of its main account: give the number to that")
        known = await find_number(connection, number)
        if known is not None and known.paid_until and known.account_id != account.id:
            raise Failure(f"{number} is rented by another account; release it first")
        await tables.assign_number(connection, number, account.id)

    place.write(store)
    print_done(f"what is written to {number} belongs to {login}", number=number, account=login)


@numbering.command("offer")
@click.argument("number")
@click.argument("rent", type=AMOUNT)
@done_option
@with_installation
def offer(place: Installation, number: str, rent: int) -> None:
    """Let accounts rent the service NUMBER for RENT a month (receive_phones.php).

    RENT is in the reference currency of the installation. A number that is rented already costs
    that much from its next month on.

    \b
    Example:
      heliograph numbering offer 79581112233 500
    """
    from heliograph.domain.money import format_micros
    from heliograph.domain.numbering import bare_address
    from heliograph.storage.rentals import offer_number

    number = bare_address(number)
    if rent <= 0:
        raise Failure("a rent is above zero", ExitCode.USAGE)
    if not place.write(lambda c: offer_number(c, number, rent)):
        raise Failure(f"{number} was given to an account; release it first")
    cost = format_micros(rent)
    print_done(f"{number} can be rented for {cost} a month", number=number, rent=cost)


@numbering.command("release")
@click.argument("number")
@done_option
@with_installation
def release(place: Installation, number: str) -> None:
    """Take the service NUMBER from its account, or from those that can be rented.

    A rent ends at once, and nothing is paid back.

    \b
    Example:
      heliograph numbering release 4444
    """
    from heliograph.domain.numbering import bare_address
    from heliograph.storage import numbering as tables

    number = bare_address(number)
    if not place.write(lambda c: tables.release_number(c, number)):
        raise Failure(f"{number} belongs to nobody; `heliograph account show` lists numbers")
    print_done(f"{number} belongs to nobody now", number=number)


@numbering.command("incoming")
@click.option("--account", "login", help="To numbers of this account; without it: to nobody's.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows."
)
@click.option("--text", is_flag=True, help="Show the texts; they are hidden otherwise.")
@numbers_option
@json_option
@with_installation
def incoming(
    place: Installation, *, login: str | None, limit: int, text: bool, numbers: bool, as_json: bool
) -> None:
    """List what people wrote to service numbers, newest first.

    Without --account, what came to numbers that belong to nobody and was told to nobody: a number
    that customers write to may have been forgotten.

    \b
    Example:
      heliograph numbering incoming
      heliograph numbering incoming --account shop --numbers --text
    """
    from heliograph.storage import accounts
    from heliograph.storage.incoming import IncomingMessage, list_incoming

    async def load(connection: AsyncConnection) -> list[IncomingMessage]:
        account_id = 0 if login is None else (await accounts.find_account(connection, login)).id
        return await list_incoming(connection, account_id, limit=limit)

    rows = [
        {
            "id": each.id,
            "received": show_moment(each.received_at),
            "from": mask_number(each.source, is_shown=numbers),
            "to": each.destination,
            "text": each.text if text else f"({len(each.text)} signs)",
        }
        for each in place.read(load)
    ]
    if as_json:
        print_json(rows)
        return
    columns = ["id", "received", "from", "to", "text"]
    print_table(columns, [list(row.values()) for row in rows], empty="nobody wrote")


def read_text(file: Path) -> str:
    """A UTF-8 file's text. Raises Failure."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise Failure(f"{file} can not be read: {reason}", ExitCode.USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8: save it in that encoding") from None


def _describe(origin: NumberOrigin) -> dict[str, str]:
    return {
        "country": origin.country,
        "iso2": origin.iso2,
        "mccmnc": origin.mccmnc,
        "operator": origin.operator,
        "region": origin.region,
        "time_zones": " ".join(origin.time_zones),
        "source": origin.source,
    }
