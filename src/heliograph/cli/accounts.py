"""`heliograph account`: who may send, at which price, and with which money."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.keys import describe_key, key, print_keys
from heliograph.cli.options import (
    AMOUNT,
    Command,
    Installation,
    done_option,
    json_option,
    with_installation,
)
from heliograph.cli.output import print_done, print_json, print_record, print_table
from heliograph.cli.sessions import (
    describe_sessions,
    make_session_fields,
    make_session_settings,
    session_options,
)
from heliograph.cli.subclients import KIND, describe_place, kind_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.accounts import Account
    from heliograph.storage.accounts import AccountFields
    from heliograph.storage.database import Database

__all__ = ["account"]


@click.group()
def account() -> None:
    """Accounts: logins, money, settings, API keys.

    \b
    Example:
      heliograph account create shop --password 'S3cret-word' --balance 100
    """


account.add_command(key)


def field_options(command: Command) -> Command:
    """Adds what can be set on an account at its creation and later."""
    for option in (
        click.option("--limits/--no-limits", default=None, help="Whether limits.* hold for it."),
        click.option("--test/--no-test", default=None, help="Whether it only plays, for nothing."),
        click.option("--language", type=click.Choice(["ru", "en"]), help="Of names in replies."),
        click.option(
            "--timezone", type=click.IntRange(-720, 840), metavar="MINUTES", help="East of UTC."
        ),
        click.option(
            "--network",
            "networks",
            multiple=True,
            metavar="CIDR",
            help="Log in from here only; repeat; `any` for everywhere.",
        ),
        click.option("--callback", metavar="URL", help="Where statuses are told; empty: nowhere."),
        click.option("--sender", help="Default sender name."),
        click.option(
            "--credit-limit", type=AMOUNT, metavar="AMOUNT", help="How far below zero it may go."
        ),
        click.option("--plan", help="Tariff plan."),
        click.option("--password", help="Password."),
    ):
        command = option(command)
    return session_options(command)


@account.command("create")
@click.argument("login")
@field_options
@click.option("--parent", metavar="LOGIN", help="The main account: it becomes a sub-client.")
@click.option("--kind", type=KIND, help="What the sub-client shares; see `account kind`.")
@click.option("--balance", type=AMOUNT, default="0", help="Money to begin with.")
@json_option
@with_installation
def create(
    place: Installation,
    login: str,
    *,
    balance: int,
    parent: str | None,
    kind: str | None,
    password: str | None,
    plan: str | None,
    credit_limit: int | None,
    smpp: bool | None,
    smpp_incoming: bool | None,
    as_json: bool,
    **fields: Any,
) -> None:
    """Create the account LOGIN; without --password one is made and shown, once.

    Without --plan it gets the first plan. On an empty installation a plan with some prices, the
    virtual network and a route to it are made too.

    \b
    Example:
      heliograph account create shop --password 'S3cret-word' --balance 100
    """
    from heliograph.domain.accounts import check_login
    from heliograph.services import administration
    from heliograph.storage import accounts, tariffs

    if kind is not None and parent is None:
        raise click.UsageError("--kind is for sub-clients: give --parent too")
    try:
        check_login(login)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if balance < 0:
        raise click.UsageError("--balance is not negative; see --credit-limit")
    made = "" if password else administration.make_password()
    values = make_fields(**fields)
    values["settings"] = make_session_settings(smpp=smpp, smpp_incoming=smpp_incoming)

    async def store(database: Database) -> Account:
        async with database.read() as connection:
            if plan is not None:
                values["plan_id"] = (await tariffs.find_plan(connection, plan)).id
            if parent is not None:
                values["parent_id"] = (await accounts.find_account(connection, parent)).id
                values["kind"] = kind_of(kind or "own")
        return await administration.create_account(
            database,
            login,
            password or made,
            is_strict=False,
            now_ms=now_ms(),
            balance_micros=balance,
            credit_micros=credit_limit or 0,
            **values,
        )

    account_id = place.run(store, creates=True).id
    warn_of_password(password)
    record = {"id": account_id, "login": login, "balance": format_amount(balance)}
    if made:
        record["password"] = made
    if as_json:
        print_json(record)
    else:
        print_record(record)
        if made:
            click.echo("the password is shown this once: keep it")


@account.command("list")
@json_option
@with_installation
def list_all(place: Installation, *, as_json: bool) -> None:
    """List accounts with their balances.

    \b
    Example:
      heliograph account list --json
    """
    from heliograph.storage import accounts, ledger, tariffs

    async def load(connection: AsyncConnection) -> list[dict[str, Any]]:
        plans = {each.id: each.name for each in await tariffs.list_plans(connection)}
        found = []
        for each in await accounts.load_accounts(connection):
            balance, credit = await ledger.read_balance(connection, each.payer_id)
            found.append(
                {
                    "id": each.id,
                    "login": each.login,
                    "balance": format_amount(balance),
                    "credit_limit": format_amount(credit),
                    "currency": each.currency,
                    "plan": plans.get(each.plan_id, ""),
                    "state": "blocked" if each.is_blocked else "test" if each.is_test else "active",
                }
            )
        return found

    found = place.read(load)
    if as_json:
        print_json(found)
        return
    print_table(
        list(found[0]) if found else [],
        [list(each.values()) for each in found],
        empty="no accounts; add one: heliograph account create LOGIN",
    )


@account.command("show")
@click.argument("login")
@json_option
@with_installation
def show(place: Installation, login: str, *, as_json: bool) -> None:
    """Show the account LOGIN: settings, money, API keys (without the keys themselves).

    \b
    Example:
      heliograph account show shop
    """
    from heliograph.storage import accounts, ledger, numbering, tariffs

    async def load(connection: AsyncConnection) -> dict[str, Any]:
        found = await accounts.find_account(connection, login)
        balance, credit = await ledger.read_balance(connection, found.payer_id)
        plans = {each.id: each.name for each in await tariffs.list_plans(connection)}
        owners = await numbering.load_service_numbers(connection)
        return {
            "id": found.id,
            "login": found.login,
            "state": "blocked" if found.is_blocked else "active",
            "balance": format_amount(balance),
            "credit_limit": format_amount(credit),
            "currency": found.currency,
            "payer": (await accounts.find_account(connection, found.payer_id)).login,
            **await describe_place(connection, found),
            "plan": plans.get(found.plan_id, ""),
            "sender": found.default_sender,
            "callback": hide_secrets(found.callback_url),
            "networks": [str(each) for each in found.networks],
            "service_numbers": [number for number, id in owners.items() if id == found.id],
            "timezone": found.timezone_minutes,
            "language": found.language,
            "is_test": found.is_test,
            "has_limits": found.has_limits,
            **describe_sessions(found),
            "keys": [
                describe_key(each) for each in await accounts.list_api_keys(connection, found.id)
            ],
        }

    record = place.read(load)
    if as_json:
        print_json(record)
        return
    keys = record.pop("keys")
    print_record({name: _write(value) for name, value in record.items()})
    if keys:
        click.echo()
        print_keys(keys)


@account.command("set")
@click.argument("login")
@field_options
@done_option
@with_installation
def change(
    place: Installation,
    login: str,
    *,
    password: str | None,
    plan: str | None,
    credit_limit: int | None,
    smpp: bool | None,
    smpp_incoming: bool | None,
    **fields: Any,
) -> None:
    """Change settings of the account LOGIN; what is not given stays as it is.

    \b
    Example:
      heliograph account set shop --callback "https://shop.example.com/sms?charset=utf-8"
      heliograph account set shop --credit-limit 500 --network 192.0.2.0/24
    """
    from heliograph.services import administration
    from heliograph.storage import tariffs

    values = make_fields(**fields)
    settings = make_session_settings(smpp=smpp, smpp_incoming=smpp_incoming)
    others = (password, plan, credit_limit)
    if not values and not settings and all(each is None for each in others):
        raise click.UsageError("nothing to change: give an option")
    if password == "":  # as of a variable of the shell that was not set
        raise click.UsageError("--password is empty: that would let everybody in")

    async def store(database: Database) -> None:
        if plan is not None:
            async with database.read() as connection:
                values["plan_id"] = (await tariffs.find_plan(connection, plan)).id
        await administration.update_account(database, login, **values)
        if settings:
            await administration.change_settings(database, login, settings)
        if password is not None:
            await administration.set_password(database, login, password, is_strict=False)
        if credit_limit is not None:
            await administration.set_credit(database, login, credit_limit)

    place.run(store)
    warn_of_password(password)
    print_done(f"account {login} changed", login=login)


@account.command("credit")
@click.argument("login")
@click.argument("amount", type=AMOUNT)
@click.option("--electronic", is_flag=True, help="On the balance for e-mail and calls.")
@click.option("--note", default="", help="What it is for; stands in the ledger.")
@json_option
@with_installation
def credit(
    place: Installation, login: str, amount: int, *, electronic: bool, note: str, as_json: bool
) -> None:
    """Put AMOUNT on the account LOGIN; a negative one takes it away (write it after --).

    \b
    Example:
      heliograph account credit shop 250.00 --note "invoice 17"
      heliograph account credit shop -- -10
    """
    from heliograph.services import administration

    balance = place.run(
        lambda database: administration.pay(
            database, login, amount, now_ms=now_ms(), note=note, is_electronic=electronic
        )
    )
    if as_json:
        print_json({"login": login, "balance": format_amount(balance)})
    else:
        click.echo(f"the balance is {format_amount(balance)} now")


@account.command("block")
@click.argument("login")
@done_option
@with_installation
def block(place: Installation, login: str) -> None:
    """Let the account LOGIN log in no more; what it sent goes on.

    \b
    Example:
      heliograph account block shop
    """
    _switch(place, login, is_blocked=True)


@account.command("unblock")
@click.argument("login")
@done_option
@with_installation
def unblock(place: Installation, login: str) -> None:
    """Let the account LOGIN log in again.

    \b
    Example:
      heliograph account unblock shop
    """
    _switch(place, login, is_blocked=False)


def make_fields(
    *,
    sender: str | None,
    callback: str | None,
    networks: tuple[str, ...],
    timezone: int | None,
    language: str | None,
    test: bool | None,
    limits: bool | None,
    **sessions: Any,
) -> AccountFields:
    """What was given on the command line, as fields of an account. Raises UsageError."""
    from ipaddress import ip_network

    from heliograph.targets import HttpError, check_url

    given = {
        "default_sender": sender,
        "callback_url": callback,
        "timezone_minutes": timezone,
        "language": language,
        "is_test": test,
        "has_limits": limits,
    }
    fields: Any = {name: value for name, value in given.items() if value is not None}
    if callback:
        try:
            check_url(callback)
        except HttpError as error:
            raise click.UsageError(f"--callback: {error}") from None
    if networks:
        try:
            fields["networks"] = [str(ip_network(each)) for each in networks if each != "any"]
        except ValueError as error:
            raise click.UsageError(f"--network: {error}") from None
    result: AccountFields = {**fields, **make_session_fields(**sessions)}
    return result


def warn_of_password(password: str | None) -> None:
    """The operator may choose any password; a weak one is said to be weak."""
    from heliograph.domain.accounts import check_password

    if not password:
        return
    try:
        check_password(password)
    except ValueError as error:
        click.echo(f"Warning: the password is weak: {error}", err=True)


def hide_secrets(url: str) -> str:
    """A callback's address without the secrets that it may hold (callback reference, section 1)."""
    url = re.sub(r"(?<=[?&])(md5|sha1|crc32)=[^&]*", r"\1=********", url)
    return re.sub(r"(?<=://)[^/@]*@", "********@", url)


def format_amount(micros: int) -> str:
    """Decimal text."""
    from heliograph.domain.money import format_micros

    return format_micros(micros)


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _switch(place: Installation, login: str, *, is_blocked: bool) -> None:
    from heliograph.services import administration

    place.run(lambda d: administration.update_account(d, login, is_blocked=is_blocked))
    state = "blocked" if is_blocked else "not blocked any more"
    print_done(f"account {login} is {state}", login=login, is_blocked=is_blocked)


def _write(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
