"""The directory on a real database: what it knows, and how it keeps up with another process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from heliograph.domain.messages import MessageType
from heliograph.domain.prefix_tables import PrefixRow
from heliograph.domain.routing import Route
from heliograph.services import administration
from heliograph.services.directory import Directory
from heliograph.storage import accounts, numbering, revisions, routing, schema, tariffs
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade

NOW = 1_700_000_000_000


def _abilities_of(kind: str, settings: dict[str, Any]) -> frozenset[MessageType]:
    if kind == "broken":
        raise ValueError("the port is missing")
    return frozenset({MessageType.SMS})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(sqlite_url(tmp_path))
    await upgrade(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def directory(database: Database) -> Directory:
    made = Directory(database, abilities_of=_abilities_of)
    await made.load()
    return made


def choose(directory: Directory, type: MessageType = MessageType.SMS) -> tuple[int, ...]:
    return directory.routes.choose(
        account_id=1, type=type, recipient="79990000001", mccmnc="25001", sender="x", ticket=1
    )


async def test_an_empty_installation(directory: Directory) -> None:
    assert directory.account("alex") is None
    assert directory.account_by_id(0) is None
    assert directory.account_by_key("") is None
    assert directory.service_number("1234")[1] == 0
    assert (directory.plans, directory.connectors, choose(directory)) == ({}, {}, ())
    origin = directory.numbering.lookup("79161234567")
    assert origin is not None
    assert origin.mcc == "250"


async def test_the_first_start_makes_it_able_to_send(
    database: Database, directory: Directory
) -> None:
    told = await asyncio.gather(
        *(administration.ensure_first_account(database, NOW) for _ in range(3))
    )
    passwords = [password for password in told if password is not None]
    assert len(passwords) == 1
    assert await administration.ensure_first_account(database, NOW) is None
    await directory.load()
    account = directory.account(administration.FIRST_LOGIN)
    assert account is not None
    plan = directory.plans[account.plan_id]
    assert all((plan.price(type, "25001", "7999") or 0) > 0 for type in MessageType)
    [connector] = directory.connectors.values()
    assert (connector.name, connector.kind) == ("virtual", "virtual")
    assert choose(directory) == (connector.id,)


async def test_changes_of_another_process_are_seen(
    tmp_path: Path, database: Database, directory: Directory
) -> None:
    changes: list[int] = []
    directory.on_change(lambda: changes.append(directory.version))
    stop = asyncio.Event()
    task = asyncio.create_task(directory.run(stop))
    other = Database(sqlite_url(tmp_path))
    started = time.monotonic()
    alex = await administration.create_account(
        other, "alex", "Password1", now_ms=NOW, balance_micros=5
    )
    while directory.account("alex") is None:
        await asyncio.sleep(0.02)
        assert time.monotonic() - started < 30
    assert directory.account_by_id(alex.id) == alex
    assert changes == [directory.version]
    id, key = await administration.create_api_key(other, "alex", now_ms=NOW)
    await directory.refresh_if_changed()
    assert directory.account_by_key(accounts.hash_api_key(key)) == alex
    async with other.write() as connection:
        await accounts.disable_api_key(connection, alex.id, id)
        await numbering.assign_number(connection, "1234", alex.id)
    await directory.refresh_if_changed()
    assert directory.account_by_key(accounts.hash_api_key(key)) is None
    assert directory.service_number("1234")[1] == alex.id
    assert not await directory.refresh_if_changed()
    stop.set()
    await asyncio.wait_for(task, 30)
    await other.close()


async def test_connectors_that_are_disabled_or_broken_carry_nothing(
    database: Database, directory: Directory
) -> None:
    async with database.write() as connection:
        ids = [
            await routing.add_connector(connection, name, kind, settings={}, now_ms=NOW)
            for name, kind in (("a", "good"), ("b", "broken"), ("c", "good"))
        ]
        for id in ids:
            await routing.add_route(connection, Route(id=0, connector_id=id, order=id))
    await directory.load()
    assert choose(directory) == (ids[0], ids[2])
    assert choose(directory, MessageType.CALL) == ()
    async with database.write() as connection:
        await routing.set_connector_disabled(connection, ids[0], True)
    await directory.refresh_if_changed()
    assert choose(directory) == (ids[2],)
    assert directory.connectors[ids[0]].is_disabled


async def test_imported_numbers_lie_over_the_packaged_plan(
    database: Database, directory: Directory
) -> None:
    before = directory.numbering
    async with database.write() as connection:
        await tariffs.create_plan(connection, "p")
    await directory.refresh_if_changed()
    assert directory.numbering is before, "not built anew for a change of something else"
    async with database.write() as connection:
        await numbering.import_prefixes(connection, [PrefixRow(prefix="7999", mccmnc="25020")])
        await numbering.import_ported(connection, {"79161234567": "25099"})
    await directory.refresh_if_changed()
    imported, ported = (directory.numbering.lookup(n) for n in ("79991234567", "79161234567"))
    assert imported is not None
    assert imported.mccmnc == "25020"
    assert ported is not None
    assert ported.mccmnc == "25099"


@pytest.mark.interpreted
async def test_a_database_that_is_away_leaves_the_old_values(
    database: Database, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.services.directory._POLL_S", 0.02)
    await administration.create_account(database, "alex", "Password1", now_ms=NOW)
    await directory.load()
    seen = asyncio.Event()
    directory.on_change(seen.set)
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE revisions RENAME TO away"))
    stop = asyncio.Event()
    task = asyncio.create_task(directory.run(stop))
    await asyncio.sleep(0.1)
    assert directory.account("alex") is not None
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO revisions"))
    await administration.create_account(database, "boris", "Password1", now_ms=NOW)
    await asyncio.wait_for(seen.wait(), 30)
    assert directory.account("boris") is not None
    stop.set()
    await task


async def test_ten_thousand_accounts_and_rates(database: Database, directory: Directory) -> None:
    async with database.write() as connection:
        plan_id = await tariffs.create_plan(connection, "p")
        await connection.execute(
            insert(schema.accounts), [{"login": f"user{n}"} for n in range(10_000)]
        )
        await connection.execute(
            text("INSERT INTO balances (purse_id, account_id) SELECT id, id FROM accounts")
        )
        await connection.execute(
            insert(schema.rates),
            [
                {"plan_id": plan_id, "type": 0, "prefix": f"7{n}", "price_micros": n}
                for n in range(10_000)
            ],
        )
        await revisions.bump(connection)
    began = time.process_time()
    await directory.refresh_if_changed()
    assert time.process_time() - began < 2, "some 0.3 s"
    assert directory.account("user9999") is not None


async def test_only_what_has_changed_is_made_anew(database: Database, directory: Directory) -> None:
    """Some sub-client is changed every second, and nobody waits for the others to be read."""
    for login in ("alex", "boris"):
        await administration.create_account(database, login, "Password1", now_ms=NOW)
    await directory.refresh_if_changed()
    alex, boris, plans = directory.account("alex"), directory.account("boris"), directory.plans
    assert alex is not None
    await administration.change_settings(database, "boris", {"dlim": "5"})
    await directory.refresh_if_changed()
    assert directory.account("alex") is alex
    assert directory.account_by_id(alex.id) is alex
    changed = directory.account("boris")
    assert changed is not boris
    assert changed is not None
    assert changed.policy is not None
    assert directory.plans is plans
    # Money is a matter of the ledger, but a credit and a second balance are seen here.
    await administration.set_credit(database, "alex", 7)
    await administration.pay(database, "alex", 5, now_ms=NOW, is_electronic=True)
    async with database.write() as connection:
        rate = tariffs.Rate(type=MessageType.SMS, price_micros=9)
        await tariffs.set_rate(connection, next(iter(plans)), rate)
        await accounts.rename_account(connection, alex.id, "anna")
    await directory.refresh_if_changed()
    renamed = directory.account("anna")
    assert renamed is not None
    assert (renamed.credit_micros, renamed.electronic_id) == (7, -alex.id)
    assert directory.account("alex") is None
    assert directory.account("boris") is changed
    plan = directory.plan_of(renamed)
    assert plan is not None
    assert plan.price(MessageType.SMS, "99999", "999") == 9
    assert directory.plans is not plans


@pytest.mark.parametrize(
    ("login", "password"), [("with space", "Password1"), ("alex", "short1A"), ("", "Password1")]
)
async def test_wrong_accounts_are_not_made(database: Database, login: str, password: str) -> None:
    with pytest.raises(ValueError, match="has"):
        await administration.create_account(database, login, password, now_ms=NOW)
    async with database.read() as connection:
        assert not await accounts.has_accounts(connection)


async def test_an_account_and_its_opening_payment_are_one(database: Database) -> None:
    await administration.create_account(database, "alex", "Password1", now_ms=NOW)
    with pytest.raises(accounts.LoginTaken):
        await administration.create_account(
            database, "alex", "Password1", now_ms=NOW, balance_micros=5
        )
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM transfers"))).scalar() == 0
    assert await administration.pay(database, "alex", 70, now_ms=NOW) == 70
    await administration.set_credit(database, "alex", 30)
    boris = await administration.create_account(
        database, "boris", "Password1", now_ms=NOW, payer_id=1
    )
    assert boris.payer_id == 1
    assert await administration.pay(database, "boris", -100, now_ms=NOW) == -30
