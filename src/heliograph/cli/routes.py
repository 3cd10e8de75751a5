"""`heliograph route`: which connector carries what, and why."""

from __future__ import annotations

from collections.abc import Mapping
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
from heliograph.cli.output import Failure, print_done, print_json, print_record, print_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.cli.explanations import Explanation
    from heliograph.domain.routing import Route

__all__ = ["route"]


@click.group()
def route() -> None:
    """Routes: rules that lead messages to connectors.

    The rules that fit a message are tried by --order, low first; rules of one order share the
    traffic by --weight.

    \b
    Example:
      heliograph route add --connector mts --network 25001
      heliograph route explain 79161234567 --account shop
    """


@route.command("add")
@click.option("--connector", "connector_name", required=True, help="Where the messages go.")
@click.option("--account", "login", help="Only messages of this account.")
@click.option("--type", "types", type=MESSAGE_TYPE, multiple=True, help="Only this type; repeat.")
@click.option("--prefix", default="", help="Only numbers that begin with these digits.")
@click.option("--network", default="", help="Only this network (25001) or country (250).")
@click.option("--sender", default="", help="Only these sender names, a pattern such as `Shop*`.")
@click.option("--order", type=int, default=100, show_default=True, help="Low is tried first.")
@click.option(
    "--weight",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    help="Share among the rules of one order.",
)
@json_option
@with_installation
def add(
    place: Installation,
    *,
    connector_name: str,
    login: str | None,
    types: tuple[int, ...],
    prefix: str,
    network: str,
    sender: str,
    order: int,
    weight: int,
    as_json: bool,
) -> None:
    """Add a route; conditions that are left out fit everything.

    \b
    Example:
      heliograph route add --connector mts --prefix 7916 --order 10
    """
    from heliograph.domain.messages import MessageType
    from heliograph.domain.routing import Route
    from heliograph.storage import accounts, routing

    prefix = check_digits("--prefix", prefix.removeprefix("+"), (1, 15))
    network = check_digits("--network", network, (3, 6))

    async def store(connection: AsyncConnection) -> int:
        found = await routing.find_connector(connection, connector_name)
        account = await accounts.find_account(connection, login) if login else None
        rule = Route(
            id=0,
            connector_id=found.id,
            order=order,
            weight=weight,
            account_id=account.id if account else 0,
            types=frozenset(MessageType(number) for number in types),
            prefix=prefix,
            mccmnc=network,
            sender=sender,
        )
        return await routing.add_route(connection, rule)

    route_id = place.write(store)
    if as_json:
        print_json({"id": route_id})
    else:
        click.echo(f"route {route_id} added")


@route.command("list")
@json_option
@with_installation
def list_all(place: Installation, *, as_json: bool) -> None:
    """List routes in the order in which they are tried.

    \b
    Example:
      heliograph route list
    """
    from heliograph.storage import accounts, routing

    async def load(connection: AsyncConnection) -> list[dict[str, Any]]:
        names = {each.id: each.name for each in await routing.list_connectors(connection)}
        logins: dict[int, str] = {}
        rules = await routing.list_routes(connection)
        for account_id in {rule.account_id for rule in rules} - {0}:
            logins[account_id] = (await accounts.find_account(connection, account_id)).login
        return [_record(rule, names, logins) for rule in rules]

    found = place.read(load)
    if as_json:
        print_json(found)
        return
    columns = ["id", "order", "weight", "connector", "account", "types", "prefix", "network"]
    print_table(
        [*columns, "sender"],
        [[_write(rule[name]) for name in [*columns, "sender"]] for rule in found],
        empty="no routes: nothing can be sent; add one: heliograph route add --connector NAME",
    )


@route.command("remove")
@click.argument("route_id", metavar="ID", type=ROW_ID)
@done_option
@with_installation
def remove(place: Installation, route_id: int) -> None:
    """Remove route ID; messages that were accepted keep the route they got.

    \b
    Example:
      heliograph route remove 3
    """
    from heliograph.storage import routing

    if not place.write(lambda c: routing.remove_route(c, route_id)):
        raise Failure(f"there is no route {route_id}; see heliograph route list")
    print_done(f"route {route_id} removed", id=route_id)


@route.command("explain")
@click.argument("phone")
@click.option("--account", "login", help="For a message of this account; its plan gives the price.")
@click.option("--type", "kind", type=MESSAGE_TYPE, default="sms", show_default=True, help="Type.")
@click.option("--sender", help="With this sender name; without it: the account's.")
@json_option
@with_installation
def explain(
    place: Installation,
    phone: str,
    *,
    login: str | None,
    kind: int,
    sender: str | None,
    as_json: bool,
) -> None:
    """Say where a message to PHONE would go, at which price, and why.

    The exit code is 1 when nothing would carry it.

    \b
    Example:
      heliograph route explain 79161234567 --account shop --sender Shop
    """
    from heliograph.cli.explanations import explain_route
    from heliograph.domain.messages import MessageType

    found = place.read(
        lambda c: explain_route(c, phone, login=login, type=MessageType(kind), sender=sender)
    )
    if as_json:
        print_json(found.as_record())
    else:
        _print_explanation(found)
    if not found.order or found.refusal:
        raise SystemExit(1)


def check_digits(name: str, value: str, lengths: tuple[int, int]) -> str:
    """The digits given to an option, or nothing. Raises UsageError."""
    if value and not (
        value.isascii() and value.isdigit() and lengths[0] <= len(value) <= lengths[1]
    ):
        raise click.UsageError(f"{name} {value}: it has to be {lengths[0]} to {lengths[1]} digits")
    return value


def _print_explanation(found: Explanation) -> None:
    record = found.as_record()
    rules = record.pop("rules")
    record["order"] = " -> ".join(record["order"]) or "nothing carries it"
    print_record({name: value for name, value in record.items() if value != ""})
    click.echo()
    print_table(
        ["route", "order", "weight", "connector", "verdict"],
        [[r["id"], r["order"], r["weight"], r["connector"], r["why"] or "fits"] for r in rules],
        empty="there are no routes; add one: heliograph route add --connector NAME",
    )


def _record(
    rule: Route, connectors: Mapping[int, str], logins: Mapping[int, str]
) -> dict[str, Any]:
    return {
        "id": rule.id,
        "order": rule.order,
        "weight": rule.weight,
        "connector": connectors.get(rule.connector_id, str(rule.connector_id)),
        "account": logins.get(rule.account_id, ""),
        "types": [kind.name.lower() for kind in sorted(rule.types)],
        "prefix": rule.prefix,
        "network": rule.mccmnc,
        "sender": rule.sender,
    }


def _write(value: object) -> str:
    return (",".join(value) if isinstance(value, list) else str(value)) or "*"
