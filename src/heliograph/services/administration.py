"""What an administrator does, each as one transaction; and the first start.

For the command line and the management scripts of the API. A running server notices within a
second.
"""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Mapping
from typing import Unpack

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.accounts import Account, AccountKind, check_login, check_password
from heliograph.domain.ledger import purse_of
from heliograph.domain.messages import MessageType
from heliograph.domain.money import MICROS
from heliograph.domain.routing import Route
from heliograph.domain.tariffs import Rate
from heliograph.services.authentication import hash_password
from heliograph.storage import accounts, ledger, routing, subclients, tariffs
from heliograph.storage.accounts import AccountFields
from heliograph.storage.database import Database
from heliograph.storage.ledger import NotCovered
from heliograph.storage.subclients import NotItsOwn

__all__ = [
    "FIRST_LOGIN",
    "change_settings",
    "create_account",
    "create_api_key",
    "ensure_first_account",
    "make_password",
    "move",
    "pay",
    "set_credit",
    "set_password",
    "update_account",
]

FIRST_LOGIN = "admin"
_LAST_ORDER = 1000
_FIRST_BALANCE_MICROS = 1_000 * MICROS
# Prices of the first plan, per part: round numbers, to be changed before anybody pays.
_FIRST_PRICES = {
    MessageType.SMS: 1_000_000,
    MessageType.FLASH: 1_000_000,
    MessageType.BINARY: 1_000_000,
    MessageType.WAP_PUSH: 1_000_000,
    MessageType.HLR: 200_000,
    MessageType.PING: 500_000,
    MessageType.MMS: 5_000_000,
    MessageType.CALL: 1_500_000,
    MessageType.EMAIL: 100_000,
    MessageType.VIBER: 800_000,
    MessageType.SOCIAL: 800_000,
    MessageType.WHATSAPP: 1_200_000,
    MessageType.TELEGRAM: 800_000,
}


async def create_account(
    database: Database,
    login: str,
    password: str,
    *,
    now_ms: int,
    balance_micros: int = 0,
    credit_micros: int = 0,
    is_strict: bool = True,
    **fields: Unpack[AccountFields],
) -> Account:
    """A new account with its opening payment. `fields`: see AccountFields; without `plan_id` it
    gets the first plan. `is_strict` False: any password will do (the operator at the keyboard
    may choose one that an old SMPP client can hold).

    Raises ValueError (login, password, networks), LoginTaken, NotItsOwn (money for a sub-client
    without a balance of its own), TooDeep, HasChildren (as `subclients.create_subclient`).
    """
    check_login(login)
    if is_strict:
        check_password(password)
    if (balance_micros or credit_micros) and fields.get("kind", AccountKind.OWN).shares_balance:
        raise NotItsOwn("it spends the balance of its main account, and has none of its own")
    md5_hash, sha1_hash = await asyncio.to_thread(hash_password, password)
    async with database.write() as connection:
        plan_id = await _ensure_installed(connection, now_ms)
        if "parent_id" not in fields:
            fields.setdefault("plan_id", plan_id)
        fields["md5_hash"], fields["sha1_hash"] = md5_hash, sha1_hash
        create = subclients.create_subclient if "parent_id" in fields else accounts.create_account
        account_id = await create(connection, login, now_ms=now_ms, **fields)
        if balance_micros:
            await ledger.pay(
                connection, account_id, balance_micros, now_ms=now_ms, note="opening payment"
            )
        if credit_micros:
            await accounts.set_credit(connection, account_id, credit_micros)
        return await accounts.find_account(connection, account_id)


async def update_account(
    database: Database, key: int | str, **fields: Unpack[AccountFields]
) -> Account:
    """Sets fields of an account (by id or login). Raises NoSuchAccount, ValueError (networks),
    NotItsOwn (a plan for an account that has the one of its main account)."""
    plan_id = fields.pop("plan_id", None)
    async with database.write() as connection:
        account = await accounts.find_account(connection, key)
        if plan_id is not None:  # those below may have the same
            if account.kind.shares_plan:
                raise NotItsOwn(f"{account.login} has the plan of its main account")
            await subclients.change_money(connection, account.id, now_ms=0, plan_id=plan_id)
        await accounts.update_account(connection, account.id, **fields)
        return await accounts.find_account(connection, account.id)


async def change_settings(
    database: Database, key: int | str, changes: Mapping[str, str]
) -> Account:
    """Sets some settings of an account (by id or login), an empty value clearing one.

    Raises NoSuchAccount.
    """
    async with database.write() as connection:
        account = await accounts.find_account(connection, key)
        await accounts.change_settings(connection, account.id, changes)
        return await accounts.find_account(connection, account.id)


async def set_password(
    database: Database, key: int | str, password: str, *, is_strict: bool = True
) -> None:
    """Gives an account (by id or login) another password. Raises NoSuchAccount, ValueError."""
    if is_strict:
        check_password(password)
    md5_hash, sha1_hash = await asyncio.to_thread(hash_password, password)
    await update_account(database, key, md5_hash=md5_hash, sha1_hash=sha1_hash)


async def set_credit(database: Database, key: int | str, credit_micros: int) -> None:
    """How far below zero the balance of an account may go. Raises NoSuchAccount, ValueError."""
    if credit_micros < 0:
        raise ValueError("a credit is not negative")
    async with database.write() as connection:
        account = await accounts.find_account(connection, key)
        await accounts.set_credit(connection, account.payer_id, credit_micros)


async def pay(
    database: Database,
    key: int | str,
    amount_micros: int,
    *,
    now_ms: int,
    note: str = "",
    is_electronic: bool = False,
) -> int:
    """Pays into the account (by id or login), or out of it (a negative amount); the new balance.

    With a shared balance: into that of the account that pays. `is_electronic`: its second balance,
    which begins with the first payment. Raises NoSuchAccount, NotCovered.
    """
    async with database.write() as connection:
        account = await accounts.find_account(connection, key)
        if is_electronic and amount_micros > 0:
            await accounts.open_electronic_purse(connection, account.payer_id)
        purse = purse_of(account.payer_id, is_electronic=is_electronic)
        return await ledger.pay(connection, purse, amount_micros, now_ms=now_ms, note=note)


async def move(
    database: Database,
    *,
    from_key: int | str,
    to_key: int | str,
    amount_micros: int,
    now_ms: int,
    note: str = "",
    is_electronic: bool = False,
) -> tuple[int, int]:
    """Moves money between two accounts; the new balances (from, to).

    The amount is in the currency of the account that gives. Raises NoSuchAccount, NotCovered,
    ValueError (not a positive amount, one balance only).
    """
    async with database.write() as connection:
        giver = await accounts.find_account(connection, from_key)
        taker = await accounts.find_account(connection, to_key)
        if is_electronic:
            if not giver.electronic_id:
                raise NotCovered(f"{giver.login} has no electronic balance")
            await accounts.open_electronic_purse(connection, taker.payer_id)
        return await ledger.move(
            connection,
            from_id=purse_of(giver.payer_id, is_electronic=is_electronic),
            to_id=purse_of(taker.payer_id, is_electronic=is_electronic),
            amount_micros=amount_micros,
            now_ms=now_ms,
            note=note,
        )


async def create_api_key(
    database: Database, key: int | str, *, now_ms: int, name: str = ""
) -> tuple[int, str]:
    """(id, API key) for an account by id or login; it is shown this once. Raises NoSuchAccount."""
    async with database.write() as connection:
        account = await accounts.find_account(connection, key)
        return await accounts.create_api_key(connection, account.id, now_ms=now_ms, name=name)


async def ensure_first_account(database: Database, now_ms: int) -> str | None:
    """Makes an empty installation able to send; the password of the account `admin`.

    None: there are accounts already, and nothing was done. Otherwise there are afterwards a plan
    with a price for every type, the connector `virtual` (the built-in network), a route to it for
    everything, and an account with some money.
    """
    async with database.read() as connection:
        if await accounts.has_accounts(connection):
            return None
    password = make_password()
    md5_hash, sha1_hash = await asyncio.to_thread(hash_password, password)
    async with database.write() as connection:
        if await accounts.has_accounts(connection):  # another process was faster
            return None
        plan_id = await _ensure_installed(connection, now_ms)
        account_id = await accounts.create_account(
            connection,
            FIRST_LOGIN,
            now_ms=now_ms,
            plan_id=plan_id,
            md5_hash=md5_hash,
            sha1_hash=sha1_hash,
        )
        await ledger.pay(
            connection, account_id, _FIRST_BALANCE_MICROS, now_ms=now_ms, note="opening payment"
        )
    return password


def make_password() -> str:
    """A random password of 16 letters and digits that the rule for passwords allows."""
    letters = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(letters) for _ in range(16))
        try:
            return check_password(password)
        except ValueError:
            continue


async def _ensure_installed(connection: AsyncConnection, now_ms: int) -> int:
    """Gives an empty installation a plan, the virtual network and a route to it; the plan's id.

    The route stands behind all others, and a route to a real upstream never falls back to it.
    """
    if plans := await tariffs.list_plans(connection):
        return plans[0].id
    plan_id = await tariffs.create_plan(connection, "standard")
    await tariffs.number_plan(connection, plan_id, 1)
    rates = [Rate(type=type, price_micros=price) for type, price in _FIRST_PRICES.items()]
    await tariffs.import_rates(connection, plan_id, rates, replace=True)
    if not await routing.list_connectors(connection):
        connector_id = await routing.add_connector(
            connection, "virtual", "virtual", settings={}, now_ms=now_ms
        )
        route = Route(id=0, connector_id=connector_id, order=_LAST_ORDER)
        await routing.add_route(connection, route)
    return plan_id
