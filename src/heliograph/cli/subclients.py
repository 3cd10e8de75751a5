"""`heliograph account tree`, `move`, `kind`, `currency`: sub-clients, and their money."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import AMOUNT, Installation, done_option, json_option, with_installation
from heliograph.cli.output import Failure, print_done, print_json

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.accounts import Account, AccountKind
    from heliograph.storage.database import Database

__all__ = ["KIND", "currency", "describe_place", "kind", "kind_of", "move", "tree"]

# Names of domain.accounts.AccountKind.
_KINDS = ("own", "shared-plan", "shared", "shared-balance", "login")
KIND = click.Choice(_KINDS)


@click.command("tree")
@click.argument("login", required=False)
@json_option
@with_installation
def tree(place: Installation, login: str | None, *, as_json: bool) -> None:
    """Show the accounts below the account LOGIN with their balances; without it, all.

    After the login: the kind (what it shares with its main account), the balance, the balance for
    e-mail and calls when there is one.

    \b
    Example:
      heliograph account tree reseller
    """
    from heliograph.domain.money import format_micros
    from heliograph.storage import accounts, ledger

    async def load(connection: AsyncConnection) -> list[dict[str, Any]]:
        known = await accounts.load_accounts(connection)
        children: dict[int, list[Account]] = {}
        for each in known:
            children.setdefault(each.parent_id, []).append(each)
        roots = children.get(0, [])
        if login is not None:
            roots = [await accounts.find_account(connection, login)]
        rows: list[dict[str, Any]] = []
        waiting = [(each, 0) for each in reversed(roots)]
        while waiting:
            each, depth = waiting.pop()
            balance, _ = await ledger.read_balance(connection, each.payer_id)
            row = {
                "login": each.login,
                "id": each.id,
                "depth": depth,
                "kind": _KINDS[each.kind],
                "state": "blocked" if each.is_blocked else "active",
                "balance": format_micros(balance),
                "currency": each.currency,
            }
            if each.electronic_id:
                second, _ = await ledger.read_balance(connection, each.electronic_id)
                row["electronic_balance"] = format_micros(second)
            rows.append(row)
            below = children.get(each.id, [])
            waiting += [(child, depth + 1) for child in reversed(below) if child.id != each.id]
        return rows

    rows = place.read(load)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        second = f" + {row['electronic_balance']}" if "electronic_balance" in row else ""
        state = " (blocked)" if row["state"] == "blocked" else ""
        money = f"{row['balance']}{second} {row['currency']}"
        click.echo(f"{'  ' * row['depth']}{row['login']}  {row['kind']}  {money}{state}")


@click.command("move")
@click.argument("giver")
@click.argument("taker")
@click.argument("amount", type=AMOUNT)
@click.option("--electronic", is_flag=True, help="Between the balances for e-mail and calls.")
@click.option("--note", default="", help="What it is for; stands in the ledger.")
@json_option
@with_installation
def move(
    place: Installation,
    giver: str,
    taker: str,
    amount: int,
    *,
    electronic: bool,
    note: str,
    as_json: bool,
) -> None:
    """Move AMOUNT from the account GIVER to the account TAKER.

    The amount is in the currency of the giver; the taker gets what it is worth in its own, by the
    rates of `heliograph currency`.

    \b
    Example:
      heliograph account move reseller shop 250.00
    """
    from heliograph.domain.money import format_micros
    from heliograph.services import administration

    async def store(database: Database) -> tuple[int, int]:
        return await administration.move(
            database,
            from_key=giver,
            to_key=taker,
            amount_micros=amount,
            now_ms=now_ms(),
            note=note,
            is_electronic=electronic,
        )

    try:
        left, reached = place.run(store)
    except ValueError as error:
        raise Failure(str(error)) from None
    if as_json:
        print_json({giver: format_micros(left), taker: format_micros(reached)})
    else:
        click.echo(f"{giver} has {format_micros(left)} now, {taker} {format_micros(reached)}")


@click.command("kind")
@click.argument("login")
@click.argument("name", type=KIND)
@done_option
@with_installation
def kind(place: Installation, login: str, name: str) -> None:
    """Make the sub-client LOGIN another kind of one.

    own: plan and balance of its own; shared-plan: the plan of the main account; shared: its plan
    and balance; shared-balance: its balance; login: another login of the main account. What is
    left on a balance that it gives up goes to the main account.

    \b
    Example:
      heliograph account kind shop shared-balance
    """
    _change(place, login, kind=kind_of(name))
    print_done(f"account {login} is of the kind {name}", login=login, kind=name)


@click.command("currency")
@click.argument("login")
@click.argument("code")
@done_option
@with_installation
def currency(place: Installation, login: str, code: str) -> None:
    """Give the account LOGIN the currency CODE, such as USD.

    Its balances are told in the new currency at the present rate (`heliograph currency list`), and
    so are the prices of its plan. No paid message may be under way.

    \b
    Example:
      heliograph account currency shop USD
    """
    from heliograph.domain.currencies import check_currency

    try:
        code = check_currency(code)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _change(place, login, currency=code)
    print_done(f"account {login} has the currency {code}", login=login, currency=code)


def kind_of(name: str) -> AccountKind:
    """The kind with this name."""
    from heliograph.domain.accounts import AccountKind

    return AccountKind(_KINDS.index(name))


async def describe_place(connection: AsyncConnection, account: Account) -> dict[str, Any]:
    """The account's place in the tree, and its second balance, as far as it has them."""
    from heliograph.domain.money import format_micros
    from heliograph.storage import accounts, ledger

    found: dict[str, Any] = {}
    if account.parent_id:
        found["main_account"] = (await accounts.find_account(connection, account.parent_id)).login
        found["kind"] = _KINDS[account.kind]
    if account.electronic_id:
        balance, _ = await ledger.read_balance(connection, account.electronic_id)
        found["electronic_balance"] = format_micros(balance)
    return found


def _change(
    place: Installation,
    login: str,
    *,
    kind: AccountKind | None = None,
    currency: str | None = None,
) -> None:
    from heliograph.storage import accounts, subclients

    async def store(connection: AsyncConnection) -> None:
        found = await accounts.find_account(connection, login)
        if kind is not None:
            if not found.parent_id:
                raise ValueError(f"{login} is nobody's sub-client")
            await subclients.change_kind(connection, found.id, kind, now_ms=now_ms())
        if currency is not None:
            if found.kind.shares_balance:
                raise ValueError(f"{login} pays from the balance of its main account")
            await subclients.change_money(connection, found.id, now_ms=now_ms(), currency=currency)

    try:
        place.write(store)
    except ValueError as error:
        raise Failure(str(error)) from None


def now_ms() -> int:
    """UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000
