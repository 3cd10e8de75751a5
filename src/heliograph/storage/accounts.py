"""Accounts and their API keys.

Every write notes a new version of the configuration in the same transaction. Of an API key only its
SHA-256 is kept: 256 random bits need no slow hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypedDict, Unpack

import msgspec
from sqlalchemy import ColumnElement, Row, Select, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.policies import policy_of
from heliograph.storage import revisions
from heliograph.storage.schema import accounts, api_keys, balances

__all__ = [
    "AccountFields",
    "ApiKey",
    "LoginTaken",
    "NoSuchAccount",
    "Roll",
    "change_settings",
    "create_account",
    "create_api_key",
    "disable_api_key",
    "find_account",
    "has_accounts",
    "has_electronic_purse",
    "hash_api_key",
    "list_accounts",
    "list_api_keys",
    "load_accounts",
    "load_logins",
    "open_electronic_purse",
    "read_rows",
    "rename_account",
    "set_credit",
    "update_account",
]

_KEY_BYTES = 32
_FLAGS = ("is_blocked", "is_test", "has_limits")


class LoginTaken(ValueError):
    """Another account has this login."""


class NoSuchAccount(LookupError):
    """There is no account with this id or login."""


class AccountFields(TypedDict, total=False):
    """What can be set on an account; meanings as in `domain.accounts.Account`.

    `payer_id` 0: the account pays for itself. `networks`: CIDR blocks. `settings` replaces all of
    them: see `change_settings`. What sub-clients share with their main account is kept up by
    `storage.subclients`: nobody else sets `parent_id` and `kind`, or changes a plan or a currency
    of an account that has sub-clients.
    """

    parent_id: int
    kind: AccountKind
    payer_id: int
    plan_id: int
    currency: str
    default_sender: str
    timezone_minutes: int
    language: str
    callback_url: str
    networks: Sequence[str | IPv4Network | IPv6Network]
    is_blocked: bool
    is_test: bool
    has_limits: bool
    md5_hash: str
    sha1_hash: str
    smpp_hash: str
    smpp_binds: int
    smpp_window: int
    smpp_rate: int
    smpp_trace_until: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key without its secret."""

    id: int
    account_id: int
    sha256: str
    name: str
    is_disabled: bool
    created_at: int


async def create_account(
    connection: AsyncConnection, login: str, *, now_ms: int, **fields: Unpack[AccountFields]
) -> int:
    """A new account with an empty balance; its id. Raises LoginTaken, ValueError (networks)."""
    values = {"login": login, "created_at": now_ms, **_columns(fields)}
    try:
        async with connection.begin_nested():
            made = await connection.execute(
                insert(accounts).values(values).returning(accounts.c.id)
            )
    except IntegrityError as error:
        raise LoginTaken(f"the login {login!r} is taken") from error
    account_id = int(made.scalar_one())
    purse: dict[str, int | str] = {"purse_id": account_id, "account_id": account_id}
    if "currency" in fields:
        purse["currency"] = fields["currency"]
    await connection.execute(insert(balances).values(purse))
    await revisions.bump(connection)
    return account_id


async def update_account(
    connection: AsyncConnection, account_id: int, **fields: Unpack[AccountFields]
) -> None:
    """Sets fields. Raises NoSuchAccount, ValueError (networks)."""
    values = _columns(fields)
    if not values:
        return
    done = await connection.execute(
        update(accounts).where(accounts.c.id == account_id).values(values)
    )
    if not done.rowcount:
        raise NoSuchAccount(f"there is no account {account_id}")
    await revisions.bump(connection)


async def change_settings(
    connection: AsyncConnection, account_id: int, changes: Mapping[str, str]
) -> None:
    """Sets some of the account's settings and leaves the others; an empty value clears one.

    Raises NoSuchAccount.
    """
    account = await find_account(connection, account_id)
    settings = {name: text for name, text in {**account.settings, **changes}.items() if text}
    await update_account(connection, account_id, settings=settings)


async def set_credit(connection: AsyncConnection, account_id: int, credit_micros: int) -> None:
    """How far below zero the balance may go. Raises NoSuchAccount."""
    done = await connection.execute(
        update(balances)
        .where(balances.c.purse_id == account_id)
        .values(credit_micros=credit_micros)
    )
    if not done.rowcount:
        raise NoSuchAccount(f"there is no account {account_id}")
    await revisions.bump(connection)


async def rename_account(connection: AsyncConnection, account_id: int, login: str) -> None:
    """Gives an account another login. Raises LoginTaken, NoSuchAccount."""
    try:
        async with connection.begin_nested():
            done = await connection.execute(
                update(accounts).where(accounts.c.id == account_id).values(login=login)
            )
    except IntegrityError as error:
        raise LoginTaken(f"the login {login!r} is taken") from error
    if not done.rowcount:
        raise NoSuchAccount(f"there is no account {account_id}")
    await revisions.bump(connection)


async def has_electronic_purse(connection: AsyncConnection, account_id: int) -> bool:
    """Whether the account has a second balance."""
    found = await connection.scalar(
        select(balances.c.purse_id).where(balances.c.purse_id == -account_id)
    )
    return found is not None


async def open_electronic_purse(connection: AsyncConnection, account_id: int) -> None:
    """Gives an account a second balance, unless it has one (see `domain.ledger`)."""
    if await has_electronic_purse(connection, account_id):
        return
    # First, as by everybody who changes accounts: then no two wait for each other in a circle.
    await revisions.bump(connection)
    with contextlib.suppress(IntegrityError):  # somebody was faster, or there is no such account
        async with connection.begin_nested():
            await connection.execute(
                insert(balances).from_select(
                    ["purse_id", "account_id", "currency"],
                    select(-balances.c.purse_id, balances.c.account_id, balances.c.currency).where(
                        balances.c.purse_id == account_id
                    ),
                )
            )


async def find_account(connection: AsyncConnection, key: int | str) -> Account:
    """An account by id or login. Raises NoSuchAccount."""
    condition = accounts.c.id == key if isinstance(key, int) else accounts.c.login == key
    found = await load_accounts(connection, condition)
    if not found:
        raise NoSuchAccount(f"there is no account {key!r}")
    return found[0]


async def has_accounts(connection: AsyncConnection) -> bool:
    """False on an installation that nobody has used yet."""
    return await connection.scalar(select(func.min(accounts.c.id))) is not None


async def list_accounts(
    connection: AsyncConnection, *, after_id: int = 0, limit: int = 1000
) -> list[Account]:
    """A page of accounts in the order of their ids."""
    return await load_accounts(connection, accounts.c.id > after_id, limit=limit)


async def load_logins(connection: AsyncConnection) -> dict[int, str]:
    """Logins of all accounts by id."""
    rows = await connection.execute(select(accounts.c.id, accounts.c.login))
    return {row[0]: row[1] for row in rows.all()}


async def load_accounts(
    connection: AsyncConnection,
    condition: ColumnElement[bool] | None = None,
    *,
    limit: int | None = None,
) -> list[Account]:
    """Accounts in the order of their ids."""
    query = _SELECT
    if condition is not None:
        query = query.where(condition)
    if limit is not None:
        query = query.limit(limit)
    rows = await connection.execute(query)
    return [_make_account(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


async def read_rows(connection: AsyncConnection) -> list[Row[Any]]:
    """All accounts as they are stored; for a Roll."""
    return list((await connection.execute(_SELECT)).all())


class Roll:
    """All accounts as they were read the last time: of the next reading only those that have
    changed are made anew, as to make one takes fifty microseconds and there may be 100,000."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[Any, ...], Account]] = {}

    def renew(self, rows: Sequence[Row[Any]]) -> list[Account]:
        """The accounts of `read_rows`. Takes long when many are new: call it in a thread."""
        found: dict[int, tuple[tuple[Any, ...], Account]] = {}
        for each in rows:
            row = tuple(each)
            last = self._known.get(row[_ID])
            if last is None or last[0] != row:
                last = (row, _make_account(dict(zip(_COLUMNS, row, strict=True))))
            found[row[_ID]] = last
        self._known = found
        return [account for _, account in found.values()]


async def create_api_key(
    connection: AsyncConnection, account_id: int, *, now_ms: int, name: str = ""
) -> tuple[int, str]:
    """(id, the key). The key can not be read back. Raises NoSuchAccount."""
    await find_account(connection, account_id)
    key = secrets.token_urlsafe(_KEY_BYTES)
    values = {
        "account_id": account_id,
        "sha256": hash_api_key(key),
        "name": name,
        "created_at": now_ms,
    }
    made = await connection.execute(insert(api_keys).values(values).returning(api_keys.c.id))
    await revisions.bump(connection)
    return int(made.scalar_one()), key


async def disable_api_key(connection: AsyncConnection, account_id: int, key_id: int) -> bool:
    """Ends a key of the account; False: it has no such key."""
    done = await connection.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.account_id == account_id)
        .values(is_disabled=1)
    )
    if done.rowcount:
        await revisions.bump(connection)
    return bool(done.rowcount)


async def list_api_keys(connection: AsyncConnection, account_id: int | None = None) -> list[ApiKey]:
    """Keys of one account or of all, disabled ones too, in the order of their ids."""
    query = select(api_keys).order_by(api_keys.c.id)
    if account_id is not None:
        query = query.where(api_keys.c.account_id == account_id)
    rows = await connection.execute(query)
    return [
        ApiKey(
            id=row.id,
            account_id=row.account_id,
            sha256=row.sha256,
            name=row.name,
            is_disabled=bool(row.is_disabled),
            created_at=row.created_at,
        )
        for row in rows
    ]


def hash_api_key(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _select() -> Select[Any]:
    second = balances.alias("second")
    payer = case((accounts.c.payer_id == 0, accounts.c.id), else_=accounts.c.payer_id)
    return (
        select(
            accounts,
            balances.c.credit_micros,
            func.coalesce(second.c.purse_id, 0).label("electronic_id"),
        )
        .join(balances, balances.c.purse_id == accounts.c.id)
        .outerjoin(second, second.c.purse_id == -payer)
        .order_by(accounts.c.id)
    )


_SELECT = _select()
_COLUMNS = tuple(_SELECT.selected_columns.keys())
_ID = _COLUMNS.index("id")


def _columns(fields: AccountFields) -> dict[str, Any]:
    values: dict[str, Any] = {**fields}
    for name in _FLAGS:
        if name in values:
            values[name] = int(values[name])
    if "networks" in values:
        values["networks"] = ",".join(str(ip_network(n)) for n in values["networks"])
    if "settings" in values:
        values["settings"] = msgspec.json.encode(dict(values["settings"])).decode()
    return values


def _make_account(row: dict[str, Any]) -> Account:
    del row["created_at"]
    row["payer_id"] = row["payer_id"] or row["id"]
    row["kind"] = AccountKind(row["kind"])
    for name in _FLAGS:
        row[name] = bool(row[name])
    text = row["networks"]
    row["settings"] = msgspec.json.decode(row["settings"], type=dict[str, str])
    row["policy"] = policy_of(row["settings"])
    row["networks"] = tuple(ip_network(part) for part in text.split(",")) if text else ()
    return Account(**row)
