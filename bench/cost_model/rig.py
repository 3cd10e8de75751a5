"""A whole gateway in this process, without doors and upstreams of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bench.cost_model.parts import Upstream, Valve
from bench.meters import family_of

from heliograph.config import load
from heliograph.domain.accounts import Account
from heliograph.domain.requests import Entry, SendRequest
from heliograph.domain.routing import Route
from heliograph.domain.tariffs import Rate
from heliograph.observability import Metrics
from heliograph.runtime.engine import Engine, build_engine
from heliograph.runtime.foundation import Foundation, lay_foundation, now_ms
from heliograph.runtime.services import Services, build_services
from heliograph.services import administration
from heliograph.storage import routing, tariffs
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade
from heliograph.storage.tariffs import list_plans

PLAIN, CALLED = "plain", "called"  # accounts; the second has a handler for callbacks
PASSWORD = "Secret-123"
TEXT = "Your code is 1234"
_PRICE = 10_000


@dataclass(slots=True, kw_only=True)
class Rig:
    """Ready for messages of the accounts `plain` and `called`."""

    base: Foundation
    engine: Engine
    services: Services
    valve: Valve
    upstream: Upstream
    helpers: list[int]  # processes that the gateway has started

    def account(self, login: str) -> Account:
        account = self.base.directory.account(login)
        assert account is not None
        return account

    def request(self, number: int, login: str = PLAIN) -> SendRequest:
        """A plain message to one recipient of his own."""
        return SendRequest(
            account=self.account(login), entries=[Entry([f"7916{number % 10**7:07d}"], TEXT)]
        )


@asynccontextmanager
async def open_rig(folder: Path, *, callback_url: str = "") -> AsyncIterator[Rig]:
    """On an empty SQLite database in this folder; `callback_url` is the handler of `called`."""
    overrides = ["limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true"]
    overrides += ["smpp.listen=127.0.0.1:0", "webhooks.timeout_s=10"]
    config = load(folder, environ={}, overrides=overrides)
    strangers = set(family_of(os.getpid()))
    database = Database(sqlite_url(folder))
    await upgrade(database)
    connector_id = await _prepare(database, callback_url)
    base = await lay_foundation(config, database, Metrics())
    valve = Valve(base.journal)
    base.journal = cast(Any, valve)
    engine = build_engine(base)
    services = await build_services(base, engine, lambda: "")
    upstream = Upstream(connector_id)
    await engine.dispatch.attach(upstream)
    engine.webhooks.start()
    try:
        yield Rig(
            base=base,
            engine=engine,
            services=services,
            valve=valve,
            upstream=upstream,
            helpers=sorted(set(family_of(os.getpid())) - strangers),
        )
    finally:
        await engine.webhooks.stop()
        await engine.dispatch.detach(connector_id, 0)
        services.authentication.close()
        await base.close()


async def _prepare(database: Database, callback_url: str) -> int:
    """Accounts, a price and a route; the connector's id."""
    await administration.ensure_first_account(database, now_ms=now_ms())
    for login in (PLAIN, CALLED):
        await administration.create_account(
            database, login, PASSWORD, now_ms=now_ms(), balance_micros=10**15
        )
    if callback_url:
        await administration.update_account(database, CALLED, callback_url=callback_url)
    async with database.write() as connection:
        plan = (await list_plans(connection))[0]
        await tariffs.set_rate(connection, plan.id, Rate(price_micros=_PRICE, prefix="7"))
        # Its kind lets it be chosen for every type; what runs under its id is the stand-in.
        connector_id = await routing.add_connector(
            connection, "measured", "virtual", settings={}, now_ms=now_ms()
        )
        await routing.add_route(connection, Route(id=0, connector_id=connector_id, order=1))
    return connector_id
