"""The tree of accounts: which account belongs to which, and what follows from it for money.

`payer_id`, `plan_id` and `currency` of an account are what its kind and its main account make of
them. They are stored, so that nobody has to climb the tree to know who pays; whatever changes one
of them goes through here and is carried down to all that depends on it, in the same transaction.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Unpack

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.subclients import MAX_DEPTH
from heliograph.storage import accounts, ledger, revisions
from heliograph.storage.accounts import AccountFields, find_account
from heliograph.storage.schema import accounts as table
from heliograph.storage.schema import balances
from heliograph.storage.sets import among

__all__ = [
    "Child",
    "CurrencyInUse",
    "HasChildren",
    "InDebt",
    "NotItsOwn",
    "TooDeep",
    "change_kind",
    "change_money",
    "collect_leftovers",
    "count_children",
    "create_subclient",
    "list_children",
    "list_leftovers",
]


_KINDS = {int(kind): kind for kind in AccountKind}


class TooDeep(ValueError):
    """There are too many main accounts above this one."""


class InDebt(ValueError):
    """The account owes money, and nobody else takes over a debt."""


class NotItsOwn(ValueError):
    """The account shares with its main account what was to be set on it."""


class HasChildren(ValueError):
    """Sub-clients of a login would be nobody's: it acts as its main account."""


class CurrencyInUse(ValueError):
    """Messages of the account are still under way, and they were priced in its old currency."""


async def create_subclient(
    connection: AsyncConnection,
    login: str,
    *,
    now_ms: int,
    **fields: Unpack[AccountFields],
) -> int:
    """A new account below the account `parent_id`; its id.

    Raises HasChildren (the account above is a login), LoginTaken, NoSuchAccount, TooDeep.
    """
    await revisions.bump(connection)  # one change of the tree at a time: see the first paragraph
    main = await find_account(connection, fields.get("parent_id", 0))
    if main.kind is AccountKind.LOGIN:
        raise HasChildren(f"{main.login} is a login of another account, which has the sub-clients")
    depth, above = 1, main
    while above.parent_id:
        above = await find_account(connection, above.parent_id)
        depth += 1
        if depth >= MAX_DEPTH:
            raise TooDeep(f"there are {MAX_DEPTH} main accounts above")
    fields.setdefault("plan_id", main.plan_id)
    fields.setdefault("currency", main.currency)
    made = await accounts.create_account(connection, login, now_ms=now_ms, **fields)
    await _settle(connection, [made])
    return made


async def change_kind(
    connection: AsyncConnection, account_id: int, kind: AccountKind, *, now_ms: int
) -> None:
    """Makes a sub-client another kind of one.

    What is left on balances of its own goes to whoever pays from now on. Raises NoSuchAccount,
    InDebt, CurrencyInUse, HasChildren.
    """
    await revisions.bump(connection)
    account = await find_account(connection, account_id)
    if account.kind is kind:
        return
    if kind is AccountKind.LOGIN and await count_children(connection, account_id):
        raise HasChildren(f"{account.login} has sub-clients of its own")
    await accounts.update_account(connection, account.id, kind=kind)
    if kind.shares_balance and not account.kind.shares_balance:
        main = await find_account(connection, account.parent_id)
        await _empty(connection, account, main, now_ms)
        # Behind the locks on the balances, as in `_change_currency`.
        if main.currency != account.currency and await ledger.has_open_messages(
            connection, account.id
        ):
            raise CurrencyInUse("messages are under way")
    elif account.kind.shares_balance and not kind.shares_balance:
        # Its balances are those that it had before, credit and all.
        await _change_currency(connection, account, account.currency, now_ms)
    await _settle(connection, [account.id])


async def change_money(
    connection: AsyncConnection,
    account_id: int,
    *,
    now_ms: int,
    plan_id: int | None = None,
    currency: str | None = None,
) -> None:
    """Gives an account another plan or currency, and those below that share them.

    Balances are told in the new currency at the rate of the moment. Raises NoSuchAccount,
    CurrencyInUse.
    """
    await revisions.bump(connection)
    account = await find_account(connection, account_id)
    fields: AccountFields = {}
    if plan_id is not None and not account.kind.shares_plan:
        fields["plan_id"] = plan_id
    if currency is not None and currency != account.currency and not account.kind.shares_balance:
        await _change_currency(connection, account, currency, now_ms)
        fields["currency"] = currency
    if fields:
        await accounts.update_account(connection, account.id, **fields)
        await _settle(connection, [account.id])


class Child(NamedTuple):
    """What lists show of a sub-client."""

    id: int
    login: str
    kind: AccountKind
    currency: str


async def list_children(
    connection: AsyncConnection, parent_id: int, *, login: str = "", account_id: int = 0
) -> list[Child]:
    """The sub-clients of an account, in the order of their ids; not those below them. With `login`
    or `account_id` given: that one."""
    query = select(table.c.id, table.c.login, table.c.kind, table.c.currency)
    query = query.where(table.c.parent_id == parent_id).order_by(table.c.id)
    if login:
        query = query.where(table.c.login == login)
    if account_id:
        query = query.where(table.c.id == account_id)
    return [
        Child(id, name, _KINDS[kind], currency)
        for id, name, kind, currency in (await connection.execute(query)).all()
    ]


async def count_children(connection: AsyncConnection, account_id: int) -> int:
    """How many sub-clients an account has."""
    found = await connection.scalar(
        select(func.count()).select_from(table).where(table.c.parent_id == account_id)
    )
    return int(found or 0)


async def list_leftovers(connection: AsyncConnection, *, limit: int = 1000) -> list[int]:
    """Sub-clients that share a balance and have something on one that nobody spends any more:
    what came back of messages that were under way when they gave it up."""
    found = await connection.execute(
        select(table.c.id)
        .join(balances, balances.c.account_id == table.c.id)
        .where(table.c.payer_id != 0, table.c.parent_id != 0, balances.c.balance_micros > 0)
        .distinct()
        .order_by(table.c.id)
        .limit(limit)
    )
    return [row[0] for row in found.all()]


async def collect_leftovers(connection: AsyncConnection, account_id: int, *, now_ms: int) -> None:
    """Moves what is left on balances that a sub-client gave up to whoever pays for it now.

    Raises InDebt, NoSuchAccount.
    """
    account = await find_account(connection, account_id)
    if account.kind.shares_balance:
        await _empty(connection, account, account, now_ms)
        # Behind the locks: whoever gives it a balance again, or another payer, was first.
        if (await find_account(connection, account_id)).payer_id != account.payer_id:
            raise InDebt("somebody else pays for it by now")


async def _empty(connection: AsyncConnection, account: Account, main: Account, now_ms: int) -> None:
    """What is on the balances of an account goes to the payer of `main`: to the ordinary balance
    of one that has no electronic one, which pays for everything then."""
    pairs = {account.id: main.payer_id}
    if await accounts.has_electronic_purse(connection, account.id):
        pairs[-account.id] = main.electronic_id or main.payer_id
    # Whoever pays at this moment comes first, or sees behind the lock what has changed. All at
    # once, as locks are taken in one order everywhere: the journal holds several of them too.
    await ledger.lock(connection, *{*pairs, *pairs.values()})
    for given_up, payer in pairs.items():
        balance, _ = await ledger.read_balance(connection, given_up)
        if balance < 0:
            raise InDebt("its balance is below zero")
        if balance:
            try:
                await ledger.move(
                    connection,
                    from_id=given_up,
                    to_id=payer,
                    amount_micros=balance,
                    now_ms=now_ms,
                    note="the balance is shared from now on",
                )
            except ledger.NotCovered as error:  # somebody sent meanwhile
                raise InDebt("its balance is being spent") from error
            except ValueError:
                continue  # less than a micro of the other currency


async def _change_currency(
    connection: AsyncConnection, account: Account, currency: str, now_ms: int
) -> None:
    purses = [account.id]
    if await accounts.has_electronic_purse(connection, account.id):
        purses.append(-account.id)
    changed = [
        await ledger.redenominate(connection, purse_id, currency, now_ms=now_ms)
        for purse_id in sorted(purses)
    ]
    # Behind the locks on the balances: nothing is reserved in them any more.
    if any(changed) and await ledger.has_open_messages(connection, account.id):
        raise CurrencyInUse("messages are under way")


async def _settle(connection: AsyncConnection, ids: list[int]) -> None:
    """Works out anew what these accounts and all below them take from their main accounts."""
    columns = [table.c[name] for name in _DERIVED]
    level = [
        dict(row)
        for row in (
            await connection.execute(select(*columns).where(among(connection, table.c.id, ids)))
        ).mappings()
    ]
    parents = sorted({row["parent_id"] for row in level} - {0})
    mains = {
        row["id"]: dict(row)
        for row in (
            await connection.execute(select(*columns).where(among(connection, table.c.id, parents)))
        ).mappings()
    }
    while level:
        for row in level:
            wanted = _derive(row, mains.get(row["parent_id"]))
            if wanted:
                await connection.execute(
                    update(table).where(table.c.id == row["id"]).values(wanted)
                )
                row.update(wanted)
        mains = {row["id"]: row for row in level}
        below = await connection.execute(
            select(*columns).where(among(connection, table.c.parent_id, sorted(mains)))
        )
        level = [dict(row) for row in below.mappings()]


_DERIVED = ("id", "parent_id", "kind", "payer_id", "plan_id", "currency")


def _derive(row: dict[str, Any], main: dict[str, Any] | None) -> dict[str, Any]:
    """What has to change on an account so that it agrees with its main account."""
    if main is None:
        return {}
    kind = AccountKind(row["kind"])
    wanted: dict[str, Any] = {"payer_id": 0}
    if kind.shares_balance:
        wanted = {"payer_id": main["payer_id"] or main["id"], "currency": main["currency"]}
    if kind.shares_plan:
        wanted["plan_id"] = main["plan_id"]
    return {name: value for name, value in wanted.items() if row[name] != value}
