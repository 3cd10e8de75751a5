"""Accounts, keys, tariffs, routes, connectors and number tables on both engines."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from sqlalchemy import text
from tests.contract.rows import NOW

from heliograph.domain.messages import MessageType
from heliograph.domain.prefix_tables import PrefixRow
from heliograph.domain.routing import Route
from heliograph.domain.tariffs import Rate
from heliograph.storage import accounts, counters, numbering, revisions, routing, tariffs
from heliograph.storage.database import Database


async def test_an_account_and_its_fields(database: Database) -> None:
    async with database.write() as connection:
        id = await accounts.create_account(
            connection,
            "alex",
            now_ms=NOW,
            networks=["10.0.0.0/8", "2001:db8::/32"],
            is_test=True,
            plan_id=3,
        )
        await accounts.set_credit(connection, id, 500)
    async with database.read() as connection:
        account = await accounts.find_account(connection, "alex")
        assert await accounts.find_account(connection, id) == account
    assert (account.id, account.payer_id, account.plan_id) == (id, id, 3)
    assert account.networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert (account.is_test, account.is_blocked, account.has_limits) == (True, False, True)
    assert (account.credit_micros, account.currency, account.language) == (500, "RUR", "ru")
    async with database.write() as connection:
        other = await accounts.create_account(connection, "boris", now_ms=NOW, payer_id=id)
        await accounts.update_account(connection, id, networks=(), is_blocked=True, md5_hash="h")
        await accounts.update_account(connection, id)  # nothing asked, nothing done
        changed = await accounts.find_account(connection, id)
        assert (changed.networks, changed.is_blocked, changed.md5_hash) == ((), True, "h")
        assert (await accounts.find_account(connection, other)).payer_id == id
        logins = [a.login for a in await accounts.list_accounts(connection)]
        assert logins == ["alex", "boris"]
        assert await accounts.list_accounts(connection, after_id=other) == []


async def test_wrong_accounts_are_refused(database: Database) -> None:
    async with database.write() as connection:
        await accounts.create_account(connection, "alex", now_ms=NOW)
        with pytest.raises(accounts.LoginTaken):
            await accounts.create_account(connection, "alex", now_ms=NOW)
        with pytest.raises(accounts.NoSuchAccount):
            await accounts.update_account(connection, 99, is_test=True)
        with pytest.raises(accounts.NoSuchAccount):
            await accounts.set_credit(connection, 99, 1)
        with pytest.raises(accounts.NoSuchAccount):
            await accounts.find_account(connection, "nobody")
        with pytest.raises(accounts.NoSuchAccount):
            await accounts.create_api_key(connection, 99, now_ms=NOW)
        with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
            await accounts.create_account(connection, "x", now_ms=NOW, networks=["10.0.0.1/8"])
        # The transaction goes on after a refusal.
        await accounts.create_account(connection, "boris", now_ms=NOW)
    async with database.read() as connection:
        assert await accounts.has_accounts(connection)
        assert len(await accounts.list_accounts(connection)) == 2


async def test_a_key_is_told_once_and_kept_as_a_hash(database: Database) -> None:
    async with database.write() as connection:
        alex = await accounts.create_account(connection, "alex", now_ms=NOW)
        boris = await accounts.create_account(connection, "boris", now_ms=NOW)
        id, key = await accounts.create_api_key(connection, alex, now_ms=NOW, name="shop")
        _, other = await accounts.create_api_key(connection, alex, now_ms=NOW)
        assert len(key) >= 43
        assert key != other
        assert not await accounts.disable_api_key(connection, boris, id)
        assert await accounts.disable_api_key(connection, alex, id)
        stored = await accounts.list_api_keys(connection, alex)
        dump = str((await connection.execute(text("SELECT * FROM api_keys"))).all())
    assert key not in dump
    assert [(k.name, k.is_disabled) for k in stored] == [("shop", True), ("", False)]
    assert stored[0].sha256 == accounts.hash_api_key(key)


async def test_plans_and_rates(database: Database) -> None:
    async with database.write() as connection:
        id = await tariffs.create_plan(connection, "standard")
        with pytest.raises(tariffs.PlanExists):
            await tariffs.create_plan(connection, "standard")
        for price in (1, 2):  # the second one replaces the first
            rate = Rate(price_micros=price, type=MessageType.SMS, mccmnc="25001")
            await tariffs.set_rate(connection, id, rate)
        await tariffs.set_rate(connection, id, Rate(price_micros=9))
        assert await tariffs.list_rates(connection, id) == [Rate(price_micros=9), rate]
        both = Rate(price_micros=1, mccmnc="250", prefix="7")
        with pytest.raises(ValueError, match="both"):
            await tariffs.set_rate(connection, id, both)
        plan = (await tariffs.load_plans(connection))[id]
        assert plan.price(MessageType.SMS, "25001", "7999") == 2
        assert plan.price(MessageType.HLR, "25001", "7999") == 9
        assert await tariffs.remove_rate(connection, id, rate)
        assert not await tariffs.remove_rate(connection, id, rate)
        many = [Rate(price_micros=n, prefix=f"7{n}") for n in range(2500)]
        assert await tariffs.import_rates(connection, id, many, replace=True) == 2500
        assert len(await tariffs.list_rates(connection, id)) == 2500
        await tariffs.import_rates(connection, id, [Rate(price_micros=5)], replace=False)
        assert len(await tariffs.list_rates(connection, id)) == 2501
        assert (await tariffs.find_plan(connection, "standard")).id == id
        with pytest.raises(tariffs.NoSuchPlan):
            await tariffs.find_plan(connection, 99)


async def test_connectors_and_routes(database: Database) -> None:
    async with database.write() as connection:
        settings = {"host": "127.0.0.1", "port": 2775, "password": "secret"}
        id = await routing.add_connector(connection, "one", "smpp", settings=settings, now_ms=NOW)
        with pytest.raises(routing.ConnectorExists):
            await routing.add_connector(connection, "one", "smpp", settings={}, now_ms=NOW)
        found = await routing.find_connector(connection, "one")
        assert (found.id, found.kind, found.settings, found.is_disabled) == (
            id,
            "smpp",
            settings,
            False,
        )
        assert "secret" not in repr(found)
        await routing.update_connector(connection, id, {"port": 1})
        await routing.set_connector_disabled(connection, id, True)
        changed = await routing.find_connector(connection, id)
        assert (changed.settings, changed.is_disabled) == ({"port": 1}, True)
        with pytest.raises(routing.NoSuchConnector):
            await routing.update_connector(connection, 99, {})
        with pytest.raises(routing.NoSuchConnector):
            await routing.add_route(connection, Route(id=0, connector_id=99))
        route = Route(
            id=0,
            connector_id=id,
            order=50,
            weight=3,
            account_id=7,
            types=frozenset({MessageType.SMS, MessageType.HLR}),
            prefix="79",
            mccmnc="250",
            sender="Shop*",
        )
        route_id = await routing.add_route(connection, route)
        any_id = await routing.add_route(connection, Route(id=0, connector_id=id, order=10))
        stored = await routing.list_routes(connection)
        assert [r.id for r in stored] == [any_id, route_id]
        assert stored[0].types == frozenset()
        assert (stored[1].types, stored[1].sender) == (route.types, "Shop*")
        assert await routing.remove_route(connection, any_id)
        assert not await routing.remove_route(connection, any_id)


async def test_number_tables(database: Database) -> None:
    rows = [
        PrefixRow(prefix="7999", mccmnc="25001", region="Moscow", region_ru="Москва"),
        PrefixRow(prefix="375", time_zones=("Europe/Minsk", "UTC"), operator="A1"),
    ]
    async with database.write() as connection:
        assert await numbering.import_prefixes(connection, [PrefixRow(prefix="1")]) == 1
        assert await numbering.import_prefixes(connection, rows) == 2
        assert await numbering.load_prefixes(connection) == rows[::-1]
        ported = {f"7999{n:07d}": "25002" for n in range(25_000)}
        assert await numbering.import_ported(connection, ported) == 25_000
        assert await numbering.load_ported(connection) == ported
        account = await accounts.create_account(connection, "alex", now_ms=NOW)
        other = await accounts.create_account(connection, "boris", now_ms=NOW)
        await numbering.assign_number(connection, "1234", account)
        await numbering.assign_number(connection, "1234", other)
        assert await numbering.load_service_numbers(connection) == {"1234": other}
        assert await numbering.release_number(connection, "1234")
        assert not await numbering.release_number(connection, "1234")


async def test_every_change_is_a_new_version(database: Database) -> None:
    async def version() -> int:
        async with database.read() as connection:
            return await revisions.current(connection)

    seen = [await version()]
    async with database.write() as connection:
        account = await accounts.create_account(connection, "alex", now_ms=NOW)
    seen.append(await version())
    async with database.write() as connection:
        plan = await tariffs.create_plan(connection, "p")
        await tariffs.set_rate(connection, plan, Rate(price_micros=1))
    seen.append(await version())
    async with database.write() as connection:
        await accounts.create_api_key(connection, account, now_ms=NOW)
    seen.append(await version())
    assert seen[0] == 0
    assert seen == sorted(set(seen))
    async with database.write() as connection:
        await accounts.update_account(connection, account, is_test=True)
        await connection.rollback()
    assert await version() == seen[-1]  # a change that was taken back is none


async def test_counters(database: Database) -> None:
    async with database.write() as connection:
        assert await counters.take(connection, "a", 10) == 1
        assert await counters.take(connection, "a", 1) == 11
        assert await counters.take(connection, "b", 5) == 1
        assert await counters.take(connection, "a", 1) == 12
