"""Sub-clients: creating and changing accounts below an account, and moving money to them.

Everything is between an account and its own children: an account below somebody else's, or deeper
down, does not exist here. What was changed is known to every door when the call returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.accounts import Account, AccountKind, check_password
from heliograph.domain.ledger import purse_of
from heliograph.domain.refusals import Refusal
from heliograph.domain.subclients import SubclientChanges, is_subclient_login, restrictions_of
from heliograph.services.authentication import Authentication, hash_password
from heliograph.services.directory import Directory
from heliograph.storage import accounts, ledger, subclients, tariffs
from heliograph.storage.accounts import AccountFields, LoginTaken, NoSuchAccount
from heliograph.storage.database import Database
from heliograph.storage.ledger import NotCovered
from heliograph.storage.subclients import CurrencyInUse, HasChildren, InDebt, TooDeep

__all__ = ["Subclients"]

# Sub-clients of one account: more of them are a loop in somebody's program.
_MAX_CHILDREN = 100_000
_MIN_PASSWORD_CHARS = 8
_MAX_PASSWORD_CHARS = 256
# What an operator's own account has unless it was switched off, a sub-client has only when it was
# switched on (users.php reference, section 4): both are stored, so that one rule reads them.
_OFF_AT_FIRST = ("fl[2]", "fl[10]", "fl[11]")


class Subclients:
    """The use cases of `users.php` that change something."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        authentication: Authentication,
        clock: Callable[[], int],
        has_strict_passwords: bool,
    ) -> None:
        """`has_strict_passwords`: whether passwords need signs of three kinds."""
        self._database = database
        self._directory = directory
        self._authentication = authentication
        self._clock = clock
        self._has_strict_passwords = has_strict_passwords

    def find(self, main: Account, login: str) -> Account | None:
        """A sub-client of the account by its login."""
        account = self._directory.account(login)
        return account if account is not None and account.parent_id == main.id else None

    async def add(self, main: Account, login: str, changes: SubclientChanges) -> int | Refusal:
        """Creates a sub-client; its id. `changes` holds its password.

        Refusals: BAD_PARAMETERS (password, plan), NOT_SAVED (login, or too many), NOT_ALLOWED (its
        settings are protected, or it would get what is forbidden to the login that acts as it).
        """
        kind = changes.kind or AccountKind.OWN
        if self._is_protected(main, "fl[27]") or self._would_free_itself(main, kind):
            return Refusal.NOT_ALLOWED
        if not self._is_good_password(changes.password):
            return Refusal.BAD_PARAMETERS
        if not is_subclient_login(login):
            return Refusal.NOT_SAVED
        fields: AccountFields = {
            "parent_id": main.id,
            "kind": kind,
            "timezone_minutes": main.timezone_minutes,
            "language": main.language,
            "has_limits": main.has_limits,
            "settings": dict.fromkeys(_OFF_AT_FIRST, "0") | _without_blanks(changes.settings),
            **_fields_of(changes),
        }
        md5_hash, sha1_hash = await asyncio.to_thread(hash_password, changes.password or "")
        fields["md5_hash"], fields["sha1_hash"] = md5_hash, sha1_hash
        if changes.currency is not None:
            fields["currency"] = changes.currency
        try:
            async with self._database.write() as connection:
                if await subclients.count_children(connection, main.id) >= _MAX_CHILDREN:
                    return Refusal.NOT_SAVED
                plan = await self._find_plan(connection, changes.plan_number or 1)
                if plan is not None:
                    fields["plan_id"] = plan
                elif changes.plan_number is not None:
                    return Refusal.BAD_PARAMETERS
                made = await subclients.create_subclient(
                    connection, login, now_ms=self._clock(), **fields
                )
        except (LoginTaken, TooDeep):
            return Refusal.NOT_SAVED
        await self._directory.refresh_if_changed()
        return made

    async def change(
        self, main: Account, login: str, changes: SubclientChanges, *, present_password: str = ""
    ) -> Refusal | None:
        """Changes a sub-client, or what the account may change of itself.

        Refusals: NO_SUCH_ACCOUNT, BAD_PARAMETERS (password, plan), NOT_ALLOWED (its settings are
        protected, or the present password is another one), NOT_SAVED (login, kind, currency).
        """
        itself = self._directory.account_by_id(main.actor_id or main.id) or main
        is_own = login == itself.login
        account = itself if is_own else self.find(main, login)
        if account is None:
            return Refusal.NO_SUCH_ACCOUNT
        if self._is_protected(main, "fl[27]") or (is_own and not changes.is_personal):
            return Refusal.NOT_ALLOWED
        # Additional logins are equals: none of them frees itself by way of another one.
        if main.actor_id and not is_own and account.kind is AccountKind.LOGIN:
            return Refusal.NOT_ALLOWED
        if not is_own and any(
            self._would_free_itself(main, kind) for kind in (account.kind, changes.kind) if kind
        ):
            return Refusal.NOT_ALLOWED
        if changes.password is not None and not self._is_good_password(changes.password):
            return Refusal.BAD_PARAMETERS
        if changes.login is not None and not is_subclient_login(changes.login):
            return Refusal.NOT_SAVED
        if present_password and not await self._authentication.knows(account, present_password):
            return Refusal.NOT_ALLOWED
        fields = _fields_of(changes)
        if changes.password is not None:
            md5_hash, sha1_hash = await asyncio.to_thread(hash_password, changes.password)
            fields["md5_hash"], fields["sha1_hash"] = md5_hash, sha1_hash
        refusal = await self._store(account, changes, fields)
        if refusal is None:
            await self._directory.refresh_if_changed()
        return refusal

    async def pay(
        self, main: Account, login: str, amount_micros: int, *, is_electronic: bool = False
    ) -> Refusal | None:
        """Moves money to a sub-client, or back with a negative amount; in the account's currency.

        Refusals: NO_SUCH_ACCOUNT, NOT_ALLOWED (payments are protected), SHARED_BALANCE (or the
        money is on the electronic balance), NO_FUNDS, BAD_PARAMETERS (nothing after conversion).
        """
        account = self.find(main, login)
        if account is None:
            return Refusal.NO_SUCH_ACCOUNT
        if self._is_protected(main, "fl[28]"):
            return Refusal.NOT_ALLOWED
        if account.kind.shares_balance:
            return Refusal.SHARED_BALANCE
        try:
            async with self._database.write() as connection:
                return await _move(
                    connection,
                    main,
                    account,
                    amount_micros,
                    is_electronic=is_electronic,
                    now_ms=self._clock(),
                )
        except (NotCovered, NoSuchAccount):  # the latter: it has no electronic balance
            if amount_micros < 0 and not is_electronic and await self._has_electronic(account):
                return Refusal.SHARED_BALANCE
            return Refusal.NO_FUNDS
        except ValueError:
            return Refusal.BAD_PARAMETERS
        finally:
            await self._directory.refresh_if_changed()  # it may have a second balance now

    async def _store(
        self, account: Account, changes: SubclientChanges, fields: AccountFields
    ) -> Refusal | None:
        now_ms = self._clock()
        try:
            async with self._database.write() as connection:
                plan = None
                if changes.plan_number is not None:
                    plan = await self._find_plan(connection, changes.plan_number)
                    if plan is None:
                        return Refusal.BAD_PARAMETERS
                if changes.kind is not None:
                    await subclients.change_kind(
                        connection, account.id, changes.kind, now_ms=now_ms
                    )
                await subclients.change_money(
                    connection,
                    account.id,
                    now_ms=now_ms,
                    plan_id=plan,
                    currency=changes.currency,
                )
                await accounts.update_account(connection, account.id, **fields)
                if changes.settings:
                    await accounts.change_settings(connection, account.id, changes.settings)
                if changes.login is not None and changes.login != account.login:
                    await accounts.rename_account(connection, account.id, changes.login)
        except (LoginTaken, InDebt, CurrencyInUse, HasChildren):
            return Refusal.NOT_SAVED
        return None

    async def _find_plan(self, connection: AsyncConnection, number: int) -> int | None:
        plan = await tariffs.find_numbered(connection, number)
        return None if plan is None else plan.id

    async def _has_electronic(self, account: Account) -> bool:
        async with self._database.read() as connection:
            if not await accounts.has_electronic_purse(connection, account.id):
                return False
            purse = purse_of(account.id, is_electronic=True)
            return (await ledger.read_balance(connection, purse))[0] > 0

    def _is_protected(self, main: Account, flag: str) -> bool:
        """Whether the account, or the login that acts as it, may not do what a flag is about."""
        actor = self._directory.account_by_id(main.actor_id) if main.actor_id else None
        return main.is_on(flag) or (actor is not None and actor.is_on(flag))

    def _would_free_itself(self, main: Account, kind: AccountKind) -> bool:
        """Whether the login that acts as the account may do less than a sub-client of that kind
        may: with the same balance, and under a password that the login can set."""
        actor = self._directory.account_by_id(main.actor_id) if main.actor_id else None
        if actor is None or not kind.shares_balance:
            return False
        above = self._directory.account_by_id(main.id) or main
        return bool(restrictions_of(actor) - restrictions_of(above))

    def _is_good_password(self, password: str | None) -> bool:
        if not password or not _MIN_PASSWORD_CHARS <= len(password) <= _MAX_PASSWORD_CHARS:
            return False
        if self._has_strict_passwords:
            try:
                check_password(password)
            except ValueError:
                return False
        return True


async def _move(
    connection: AsyncConnection,
    main: Account,
    account: Account,
    amount_micros: int,
    *,
    is_electronic: bool,
    now_ms: int,
) -> Refusal | None:
    if is_electronic and amount_micros > 0:
        await accounts.open_electronic_purse(connection, account.id)
    mains = purse_of(main.payer_id, is_electronic=is_electronic)
    childs = purse_of(account.id, is_electronic=is_electronic)
    is_back = amount_micros < 0
    await ledger.lock(connection, mains, childs)
    # Behind the lock, as it may just have been made another kind of sub-client.
    if (await accounts.find_account(connection, account.id)).kind.shares_balance:
        return Refusal.SHARED_BALANCE
    await ledger.move(
        connection,
        from_id=childs if is_back else mains,
        to_id=mains if is_back else childs,
        amount_micros=abs(amount_micros),
        is_taken=is_back,
        now_ms=now_ms,
        note=f"{main.login} {'from' if is_back else 'to'} {account.login}",
    )
    return None


def _fields_of(changes: SubclientChanges) -> AccountFields:
    fields: AccountFields = {}
    if changes.timezone_minutes is not None:
        fields["timezone_minutes"] = changes.timezone_minutes
    if changes.sender is not None:
        fields["default_sender"] = changes.sender
    if changes.callback_url is not None:
        fields["callback_url"] = changes.callback_url
    if changes.is_blocked is not None:
        fields["is_blocked"] = changes.is_blocked
    if changes.is_test is not None:
        fields["is_test"] = changes.is_test
    return fields


def _without_blanks(settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value}
