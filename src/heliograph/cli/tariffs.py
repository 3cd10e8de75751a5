"""`heliograph tariff`: plans and their rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import (
    AMOUNT,
    MESSAGE_TYPE,
    Command,
    Installation,
    done_option,
    json_option,
    with_installation,
)
from heliograph.cli.output import Failure, print_done, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.tariffs import Rate
    from heliograph.storage.tariffs import Plan

__all__ = ["tariff"]

FIRST_PLAN = "standard"


@click.group()
def tariff() -> None:
    """Tariffs: plans, and in each the price of a part by type and network.

    The most telling rate wins: exact network, longest prefix, country, the plan's rate for the
    type, its rate for any type. A plan without a fitting rate does not sell the message.

    \b
    Example:
      heliograph tariff add --price 2.50
      heliograph tariff add --network 25001 --price 1.40
    """


def rate_options(command: Command) -> Command:
    """Adds what names a rate: --plan, --type, --network, --prefix."""
    for option in (
        click.option("--prefix", default="", help="Only numbers that begin with these digits."),
        click.option("--network", default="", help="Only this network (25001) or country (250)."),
        click.option("--type", "kind", type=MESSAGE_TYPE, help="Only this message type."),
        click.option("--plan", help="The plan; without it: the first one."),
    ):
        command = option(command)
    return command


@tariff.command("add")
@rate_options
@click.option("--price", type=AMOUNT, required=True, help="Price of a part, such as 1.40.")
@json_option
@with_installation
def add(place: Installation, *, plan: str | None, price: int, as_json: bool, **what: Any) -> None:
    """Set a rate; one for the same type, network and prefix gets the new price.

    Without --plan it is a rate of the first plan, the one of accounts that are created without a
    plan; it is made when there is none.

    \b
    Example:
      heliograph tariff add --prefix 7 --price 0.01
      heliograph tariff add --plan gold --type hlr --price 0.20
    """
    from heliograph.domain.money import format_micros
    from heliograph.storage import tariffs

    rate = make_rate(price, **what)

    async def store(connection: AsyncConnection) -> Plan:
        found = await _find_or_create(connection, plan)
        await tariffs.set_rate(connection, found.id, rate)
        return found

    found = place.write(store, creates=True)
    if as_json:
        print_json({"plan": found.name, **_record(rate)})
    else:
        click.echo(f"plan {found.name}: {format_micros(price)} {found.currency} a part")


@tariff.command("number")
@click.argument("plan")
@click.argument("number", type=click.IntRange(0, 9))
@done_option
@with_installation
def set_number(place: Installation, plan: str, number: int) -> None:
    """Give PLAN the number by which main accounts give it to their sub-clients.

    From 1 to 9, which is `tariff` 0 to 8 of users.php; 0: it is not theirs to give. The plan that
    had the number loses it.

    \b
    Example:
      heliograph tariff number gold 2
    """
    from heliograph.storage import tariffs

    async def store(connection: AsyncConnection) -> None:
        found = await tariffs.find_plan(connection, plan)
        await tariffs.number_plan(connection, found.id, number)

    place.write(store)
    text = f"plan {plan} has the number {number}" if number else f"plan {plan} has no number"
    print_done(text, plan=plan, number=number)


@tariff.command("remove")
@rate_options
@done_option
@with_installation
def remove(place: Installation, *, plan: str | None, **what: Any) -> None:
    """Remove the rate for exactly this type, network and prefix.

    \b
    Example:
      heliograph tariff remove --network 25001
    """
    from heliograph.storage import tariffs

    rate = make_rate(0, **what)

    async def drop(connection: AsyncConnection) -> bool:
        found = await _find(connection, plan)
        return await tariffs.remove_rate(connection, found.id, rate)

    if not place.write(drop):
        raise Failure("the plan has no such rate; see heliograph tariff list")
    print_done("rate removed", removed=1)


@tariff.command("list")
@click.option("--plan", help="The plan; without it: the first one.")
@json_option
@with_installation
def list_rates(place: Installation, *, plan: str | None, as_json: bool) -> None:
    """List the rates of a plan.

    \b
    Example:
      heliograph tariff list --plan gold
    """
    from heliograph.storage import tariffs

    async def load(connection: AsyncConnection) -> list[Rate]:
        found = await _find(connection, plan)
        return await tariffs.list_rates(connection, found.id)

    found = [_record(rate) for rate in place.read(load)]
    if as_json:
        print_json(found)
        return
    rows = [[each["type"] or "*", *list(each.values())[1:]] for each in found]
    print_table(
        ["type", "network", "prefix", "price"],
        rows,
        empty="no rates: nothing is sold; add one: heliograph tariff add --price AMOUNT",
    )


@tariff.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--plan", help="The plan; without it: the first one.")
@click.option("--replace", is_flag=True, help="Remove the plan's other rates.")
@json_option
@with_installation
def import_rates(
    place: Installation, file: Path, *, plan: str | None, replace: bool, as_json: bool
) -> None:
    """Set the rates of a CSV FILE with the columns price, and any of type, network, prefix.

    A file with a mistake is not taken; every mistake is told with its line.

    \b
    Example:
      heliograph tariff import prices.csv --plan gold --replace
    """
    from heliograph.cli.numbering import read_text
    from heliograph.cli.ratefiles import RateFileError, parse_rates
    from heliograph.storage import tariffs

    try:
        rates = parse_rates(read_text(file))
    except RateFileError as error:
        for problem in error.problems:
            click.echo(f"{file}: {problem}", err=True)
        raise Failure(f"{file} was not taken: correct it and import it again") from None

    async def store(connection: AsyncConnection) -> tuple[str, int]:
        found = await _find_or_create(connection, plan)
        count = await tariffs.import_rates(connection, found.id, rates, replace=replace)
        return found.name, count

    name, count = place.write(store, creates=True)
    if as_json:
        print_json({"plan": name, "imported": count})
    else:
        click.echo(f"plan {name}: {count} rates imported")


@tariff.command("create")
@click.argument("name")
@click.option("--currency", default="RUR", show_default=True, help="Currency of its prices.")
@json_option
@with_installation
def create(place: Installation, name: str, *, currency: str, as_json: bool) -> None:
    """Create the plan NAME, without rates.

    \b
    Example:
      heliograph tariff create gold
    """
    from heliograph.storage import tariffs

    plan_id = place.write(lambda c: tariffs.create_plan(c, name, currency=currency), creates=True)
    if as_json:
        print_json({"id": plan_id, "name": name, "currency": currency})
    else:
        click.echo(f"plan {name} created; set rates: heliograph tariff add --plan {name}")


@tariff.command("plans")
@json_option
@with_installation
def plans(place: Installation, *, as_json: bool) -> None:
    """List the plans, with the numbers by which main accounts give them to their sub-clients.

    \b
    Example:
      heliograph tariff plans
    """
    from heliograph.storage import tariffs

    found = [
        {
            "id": each.id,
            "name": each.name,
            "currency": each.currency,
            "number": each.number or "",
        }
        for each in place.read(tariffs.list_plans)
    ]
    if as_json:
        print_json(found)
    else:
        columns = ["id", "name", "currency", "number"]
        print_table(columns, [list(e.values()) for e in found], empty="no plans")


def make_rate(price: int, *, kind: int | None, network: str, prefix: str) -> Rate:
    """A rate from the options. Raises UsageError."""
    from heliograph.cli.routes import check_digits
    from heliograph.domain.messages import MessageType
    from heliograph.domain.tariffs import Rate

    if network and prefix:
        raise click.UsageError("a rate is for a network or for a prefix, not for both")
    if price < 0:
        raise click.UsageError("a price is not negative")
    return Rate(
        price_micros=price,
        type=None if kind is None else MessageType(kind),
        mccmnc=check_digits("--network", network, (3, 6)),
        prefix=check_digits("--prefix", prefix.removeprefix("+"), (1, 15)),
    )


async def _find_or_create(connection: AsyncConnection, name: str | None) -> Plan:
    """The plan of that name. None: the first one, which is made when there is none.

    Raises NoSuchPlan.
    """
    from heliograph.storage import tariffs

    if name is not None:
        return await tariffs.find_plan(connection, name)
    found = await tariffs.list_plans(connection)
    if found:
        return found[0]
    return await tariffs.find_plan(connection, await tariffs.create_plan(connection, FIRST_PLAN))


async def _find(connection: AsyncConnection, name: str | None) -> Plan:
    """The plan of that name, or the first one. Raises Failure."""
    from heliograph.storage import tariffs

    found = [p for p in await tariffs.list_plans(connection) if name in (None, p.name)]
    if not found:
        raise Failure(f"there is no plan {name or ''}".rstrip() + "; see heliograph tariff plans")
    return found[0]


def _record(rate: Rate) -> dict[str, str]:
    from heliograph.domain.money import format_micros

    return {
        "type": "" if rate.type is None else rate.type.name.lower(),
        "network": rate.mccmnc,
        "prefix": rate.prefix,
        "price": format_micros(rate.price_micros),
    }
