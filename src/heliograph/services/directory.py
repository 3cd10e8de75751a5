"""The directory: the whole configuration in memory, renewed within a second when it was changed.

Accounts, keys, tariffs, routes and connectors change rarely and are looked at for every request, so
they are read whole into immutable values. The command line writes to the same database from another
process; a version that it counts up tells this one to read anew. Readers never see half of a
change: everything is replaced at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Row

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.currencies import Exchange
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import NumberingPlan, find_service_number
from heliograph.domain.routing import RouteTable
from heliograph.domain.subclients import act, share
from heliograph.domain.tariffs import TariffPlan
from heliograph.storage import accounts, currencies, numbering, revisions, routing, tariffs
from heliograph.storage.database import Database
from heliograph.storage.routing import ConnectorConfig

__all__ = ["ConnectorConfig", "Directory"]

_POLL_S = 0.5
# The connector kind that only pretends to deliver.
SANDBOX_KIND = "virtual"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    version: int = -1
    by_login: dict[str, Account] = field(default_factory=dict)
    by_id: dict[int, Account] = field(default_factory=dict)
    acting: dict[int, Account] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)
    key_owners: dict[str, int] = field(default_factory=dict)
    number_owners: dict[str, int] = field(default_factory=dict)
    plans: dict[int, TariffPlan] = field(default_factory=dict)
    connectors: dict[int, ConnectorConfig] = field(default_factory=dict)
    routes: RouteTable = field(default_factory=lambda: RouteTable([], {}))


class Directory:
    """The configuration as it was a moment ago. `load` it before anything else is asked."""

    def __init__(
        self,
        database: Database,
        *,
        abilities_of: Callable[[str, dict[str, Any]], frozenset[MessageType]],
    ) -> None:
        """`abilities_of(kind, settings)`: the message types that such a connector carries."""
        self._database = database
        self._abilities_of = abilities_of
        self._snapshot = _Snapshot()
        self._numbering: NumberingPlan | None = None
        self._tables_version = -1
        self._listeners: list[Callable[[], None]] = []
        self._loading = asyncio.Lock()
        self._roll = accounts.Roll()
        self._stored_plans: tariffs.StoredPlans = ([], [])
        self._converted: dict[tuple[int, str], TariffPlan] = {}

    # --- lookups ----------------------------------------------------------------------------------

    def account(self, login: str) -> Account | None:
        """The account with that login."""
        return self._snapshot.by_login.get(login)

    def account_by_id(self, id: int) -> Account | None:
        """The account with that id."""
        return self._snapshot.by_id.get(id)

    def accounts(self) -> list[Account]:
        """All accounts in the order of their ids."""
        return list(self._snapshot.by_id.values())

    def principal(self, account: Account) -> Account | None:
        """The account that somebody with this login works with; None: its main account is gone
        or blocked."""
        if account.kind is not AccountKind.LOGIN:
            return account
        return self._snapshot.acting.get(account.id)

    def still_acting(self, account_id: int, actor_id: int) -> Account | None:
        """The account as whoever has begun something as it may go on with it: `actor_id` is that of
        the account then. None: it is gone, or its login is, or is blocked."""
        if not actor_id:
            return self._snapshot.by_id.get(account_id)
        login = self._snapshot.by_id.get(actor_id)
        if login is None or login.is_blocked:
            return None
        found = self.principal(login)
        return found if found is not None and found.id == account_id else None

    def plan_of(self, account: Account) -> TariffPlan | None:
        """The account's tariff plan, its prices in the currency in which the account pays."""
        plan = self._snapshot.plans.get(account.plan_id)
        if plan is None or plan.currency == account.currency:
            return plan
        key = (plan.id, account.currency)
        if key not in self._converted:
            rates = self._snapshot.rates
            exchange = Exchange.between(account.currency, plan.currency, rates)
            self._converted[key] = plan.converted(account.currency, exchange.given_for)
        return self._converted[key]

    @property
    def currency_rates(self) -> dict[str, int]:
        """What one unit of each currency costs in micros of the reference currency."""
        return self._snapshot.rates

    def account_by_key(self, sha256: str) -> Account | None:
        """The account that an API key belongs to, by the key's hash; disabled keys are nobody's."""
        return self._snapshot.by_id.get(self._snapshot.key_owners.get(sha256, 0))

    def service_number(self, address: str) -> tuple[str, int]:
        """(the service number that an operator means by an address, the id of the account that it
        belongs to); 0: nobody's."""
        return find_service_number(self._snapshot.number_owners, address)

    @property
    def plans(self) -> dict[int, TariffPlan]:
        """Tariff plans by id."""
        return self._snapshot.plans

    @property
    def connectors(self) -> dict[int, ConnectorConfig]:
        """Connectors by id, disabled ones too."""
        return self._snapshot.connectors

    @property
    def routes(self) -> RouteTable:
        """The routes to connectors that are not disabled."""
        return self._snapshot.routes

    @property
    def numbering(self) -> NumberingPlan:
        """Whose numbers are: the packaged plan with the imported tables over it."""
        assert self._numbering is not None, "the directory is not loaded"
        return self._numbering

    @property
    def version(self) -> int:
        """The version of the configuration that is in use."""
        return self._snapshot.version

    # --- keeping up -------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls `callback` in the event loop after every change, when the new values are in use."""
        self._listeners.append(callback)

    async def load(self) -> None:
        """Reads everything. Raises what the database raises; then the old values stay in use."""
        async with self._database.snapshot() as connection:
            version = await revisions.current(connection)
            rows = await accounts.read_rows(connection)
            rates = await currencies.load_rates(connection)
            keys = await accounts.list_api_keys(connection)
            configs = await routing.list_connectors(connection)
            routes = await routing.list_routes(connection)
            stored_plans = await tariffs.read_plans(connection)
            number_owners = await numbering.load_service_numbers(connection)
            tables_version = await revisions.numbering_version(connection)
            are_known = self._numbering is not None and tables_version == self._tables_version
            imported = [] if are_known else await numbering.load_prefixes(connection)
            ported = {} if are_known else await numbering.load_ported(connection)
        if not are_known:
            # Half a second of work: not in the event loop.
            self._numbering = await asyncio.to_thread(
                NumberingPlan.load_default, imported=imported, ported=ported
            )
            self._tables_version = tables_version
        # Not in the event loop either: a second for the first time, with 20,000 accounts.
        by_id, by_login, acting = await asyncio.to_thread(self._renew_accounts, rows)
        plans = self._snapshot.plans
        if stored_plans != self._stored_plans:
            plans = await asyncio.to_thread(tariffs.make_plans, stored_plans)
            self._stored_plans = stored_plans
        self._converted = {}
        self._snapshot = _Snapshot(
            version=version,
            by_login=by_login,
            by_id=by_id,
            acting=acting,
            rates=rates,
            key_owners={key.sha256: key.account_id for key in keys if not key.is_disabled},
            number_owners=number_owners,
            plans=plans,
            connectors={config.id: config for config in configs},
            routes=RouteTable(
                routes,
                self._abilities(configs),
                sandboxes=frozenset(c.id for c in configs if c.kind == SANDBOX_KIND),
            ),
        )

    def _renew_accounts(
        self, rows: list[Row[Any]]
    ) -> tuple[dict[int, Account], dict[str, Account], dict[int, Account]]:
        """(by id, by login, whom logins act as)."""
        known = share(self._roll.renew(rows))
        by_id = {account.id: account for account in known}
        by_login = {account.login: account for account in known}
        return by_id, by_login, _find_principals(by_id)

    async def refresh_if_changed(self) -> bool:
        """Reads everything anew if the configuration has another version; True when it had."""
        async with self._loading:  # of two at once the older one must not come last
            async with self._database.read() as connection:
                if await revisions.current(connection) == self._snapshot.version:
                    return False
            await self.load()
        for callback in self._listeners:
            callback()
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps up with changes until `stop` is set. A database that is away is waited for."""
        failed = False
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_S)
                return
            try:
                await self.refresh_if_changed()
                failed = False
            except Exception as error:
                if not failed:  # once, and not twice a second while the database is away
                    _log.warning("configuration not refreshed", reason=str(error))
                failed = True

    def _abilities(self, configs: list[ConnectorConfig]) -> dict[int, frozenset[MessageType]]:
        found = {}
        for config in configs:
            if config.is_disabled:
                continue
            try:
                found[config.id] = self._abilities_of(config.kind, config.settings)
            except Exception as error:  # wrong settings of one must not stop the others
                _log.error("connector not usable", connector=config.name, reason=str(error))
        return found


def _find_principals(by_id: dict[int, Account]) -> dict[int, Account]:
    """For every additional login the account that it acts as."""
    found = {}
    for account in by_id.values():
        main: Account | None = account
        while main is not None and main.kind is AccountKind.LOGIN:
            main = by_id.get(main.parent_id)
        if main is not None and main is not account and not main.is_blocked:
            found[account.id] = act(account, main)
    return found
