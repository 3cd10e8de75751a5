"""A whole gateway in this process; the journal and the upstream are in the hands of the stages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cost_model.parts import Upstream, Valve
from bench.meters import family_of

from heliograph.config import load
from heliograph.domain.accounts import Account
from heliograph.domain.requests import Entry, SendRequest
from heliograph.domain.routing import Route
from heliograph.domain.tariffs import Rate
from heliograph.runtime import Runtime, now_ms
from heliograph.services import administration
from heliograph.storage import routing, tariffs

PLAIN, CALLED = "plain", "called"  # accounts; the second has a handler for callbacks
PASSWORD = "Secret-123"
TEXT = "Your code is 1234"
_PRICE = 10_000


@dataclass(slots=True, kw_only=True)
class Rig:
    """Ready for messages of the accounts `plain` and `called`."""

    runtime: Runtime
    valve: Valve
    upstream: Upstream
    helpers: list[int]  # processes that the gateway has started

    def account(self, login: str) -> Account:
        account = self.runtime.directory.account(login)
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
    overrides = [
        *("limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true"),
        *("http.listen=", "smpp.listen=127.0.0.1:0", "server.drain_s=1"),
    ]
    strangers = set(family_of(os.getpid()))
    runtime = Runtime(load(folder, environ={}, overrides=overrides), announce=lambda _: None)
    await runtime.start()
    try:
        # What runs under the connector's id is the stand-in, not what the configuration says.
        runtime.directory._listeners.clear()
        upstream = Upstream(await _prepare(runtime, callback_url))
        await runtime.directory.refresh_if_changed()
        await runtime.dispatch.attach(upstream)
        yield Rig(
            runtime=runtime,
            valve=Valve(runtime.base.journal),
            upstream=upstream,
            helpers=sorted(set(family_of(os.getpid())) - strangers),
        )
    finally:
        await runtime.stop()


async def _prepare(runtime: Runtime, callback_url: str) -> int:
    """Accounts, a price and a route; the connector's id."""
    database = runtime.database
    for login in (PLAIN, CALLED):
        await administration.create_account(
            database, login, PASSWORD, now_ms=now_ms(), balance_micros=10**15
        )
    if callback_url:
        await administration.update_account(database, CALLED, callback_url=callback_url)
    async with database.write() as connection:
        plan = (await tariffs.list_plans(connection))[0]
        await tariffs.set_rate(connection, plan.id, Rate(price_micros=_PRICE, prefix="7"))
        # Of a kind that may be chosen for every type.
        connector_id = await routing.add_connector(
            connection, "measured", "virtual", settings={}, now_ms=now_ms()
        )
        await routing.add_route(connection, Route(id=0, connector_id=connector_id, order=1))
    return connector_id
