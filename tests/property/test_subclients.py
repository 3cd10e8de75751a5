"""A tree of sub-clients of all kinds, and everything that moves their money, at once.

Whatever is sent, ended, refused, deleted, paid, taken back and changed, in any order and from many
callers at the same time: the ledger is exact, the running totals agree with the messages, and no
balance is below its limit.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from tests.contract.conftest import PostgresServer, postgres_server
from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.connectors.base import OutcomeKind
from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.messages import MessageState, MessageType, Part
from heliograph.domain.requests import Entry, SendRequest, Submitted
from heliograph.domain.subclients import SubclientChanges
from heliograph.runtime import now_ms
from heliograph.services.leftovers import Leftovers
from heliograph.storage import accounts, currencies, proof
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.migration import upgrade
from heliograph.storage.schema import balances

__all__ = ["postgres_server"]  # a fixture

MICROS = 10**6
LOGINS = ["shop", *(f"sub{n}" for n in range(6))]
# More micros of the cheapest currency here than one of the dearest: 500 for a rouble, at most.
_LEAST_MOVED = 1_000
_small = st.integers(0, 6)
_amounts = st.integers(-40, 40).map(lambda n: n * 333_333)

# Who is below whom, and as what: the parent of each is one of those before it.
_trees = st.tuples(*(st.tuples(st.integers(0, n), st.integers(0, 4)) for n in range(6)))
_operations = st.lists(
    st.one_of(
        st.tuples(st.just("send"), _small, st.integers(1, 30), st.integers(0, 2)),
        st.tuples(st.just("pay"), _small, _amounts, st.integers(0, 3)),
        st.tuples(st.just("pay"), _small, _amounts, st.integers(0, 3)),
        st.tuples(st.just("kind"), _small, st.integers(0, 4), st.just(0)),
        st.tuples(st.just("currency"), _small, st.integers(0, 2), st.just(0)),
        st.tuples(st.just("rate"), st.integers(1, 200), st.just(0), st.just(0)),
        st.tuples(st.just("delete"), _small, st.just(0), st.just(0)),
        st.tuples(st.just("outcome"), st.integers(1, 9), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("receipt"), st.integers(1, 9), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.just(0), st.just(0)),
    ),
    min_size=10,
    max_size=50,
)


class Family:
    """The tree and what is done with it."""

    def __init__(self, rig: Rig, puppet: PuppetConnector) -> None:
        self.rig = rig
        self.puppet = puppet
        self.services = rig.runtime.services
        self.sent: list[tuple[int, str, str]] = []
        self.accepted: list[Part] = []
        self.done = 0

    def account(self, index: int) -> Account | None:
        """The account as a caller with its login finds it."""
        found = self.rig.runtime.directory.account(LOGINS[index])
        return None if found is None else self.rig.runtime.directory.principal(found)

    def parent_of(self, index: int) -> Account | None:
        """Its main account."""
        found = self.rig.runtime.directory.account(LOGINS[index])
        return None if found is None else self.rig.runtime.directory.account_by_id(found.parent_id)

    async def plant(self, tree: tuple[tuple[int, int], ...]) -> None:
        """Creates the sub-clients. The hash of their password is not what is proven here."""
        for n, (parent, kind) in enumerate(tree, 1):
            main = self.account(parent)
            assert main is not None
            changes = SubclientChanges(kind=AccountKind(kind), password="mypassword")
            assert isinstance(await self.services.subclients.add(main, LOGINS[n], changes), int)

    async def send(self, who: int, count: int, kind: int) -> None:
        account = self.account(who)
        if account is None:
            return
        type = (MessageType.SMS, MessageType.CALL, MessageType.SMS)[kind]
        numbers = [str(79160000000 + n) for n in range(count)]
        request = SendRequest(
            account, [Entry(numbers, "text")], type=type, time="+60" if kind == 2 else ""
        )
        answer = await self.services.submit.send(request)
        if isinstance(answer, Submitted):
            self.sent += [(account.id, answer.client_ref, number) for number in numbers]

    async def pay(self, who: int, amount: int, purse: int) -> None:
        main = self.parent_of(who)
        if main is not None and amount:
            await self.services.subclients.pay(main, LOGINS[who], amount, is_electronic=purse == 1)

    async def change(self, who: int, changes: SubclientChanges) -> None:
        main = self.parent_of(who)
        if main is not None:
            await self.services.subclients.change(main, LOGINS[who], changes)

    async def kind(self, who: int, kind: int, _: int) -> None:
        await self.change(who, SubclientChanges(kind=AccountKind(kind)))

    async def currency(self, who: int, which: int, _: int) -> None:
        await self.change(who, SubclientChanges(currency=("RUR", "USD", "KZT")[which]))

    async def rate(self, rate: int, _: int, __: int) -> None:
        rates = {"RUR": MICROS, "USD": rate * 777_777, "KZT": rate * 1_999}
        async with self.rig.runtime.database.write() as connection:
            await currencies.set_rates(connection, rates, now_ms=now_ms())

    async def delete(self, _: int, __: int, ___: int) -> None:
        if not self.sent:
            return
        account_id, client_ref, number = self.sent.pop()
        account = self.rig.runtime.directory.account_by_id(account_id)
        assert account is not None
        await self.services.statuses.delete(account, [(client_ref, number)])

    async def outcome(self, count: int, kind: int, _: int) -> None:
        if kind == 3:
            self.puppet.outcome(OutcomeKind.REJECTED, count, err=255)
            return
        for part in self.puppet.sent[:count]:
            self.puppet.outcome(OutcomeKind.ACCEPTED, external_id=str(part.id))
            self.accepted.append(part)

    async def receipt(self, count: int, kind: int, _: int) -> None:
        parts, self.accepted = self.accepted[:count], self.accepted[count:]
        state = (MessageState.DELIVERED, MessageState.UNDELIVERABLE)[kind]
        if parts:
            receipts = [self.puppet.receipt(str(part.id), state=state) for part in parts]
            assert await self.puppet.tell(*receipts)


async def drive(
    folder: Path, url: str, tree: tuple[tuple[int, int], ...], operations: list[Any]
) -> None:
    """Runs the operations, everything between two waits at once, and proves what is left."""
    extra = [f"database.url={url}"] if url else []
    async with open_rig(folder, *extra, balance=200 * MICROS) as rig:
        puppet = PuppetConnector(0, answers=False)
        await rig.attach(puppet)
        family = Family(rig, puppet)
        async with rig.runtime.database.write() as connection:
            await accounts.set_credit(connection, rig.account.id, 3 * MICROS)
        await family.rate(100, 0, 0)
        await family.plant(tree)
        at_once: list[Awaitable[None]] = []
        for name, a, b, c in operations:
            if name == "wait":
                await asyncio.gather(*at_once)
                at_once = []
            else:
                work: Callable[[int, int, int], Awaitable[None]] = getattr(family, name)
                at_once.append(work(a, b, c))
        await asyncio.gather(*at_once)
        await rig.until(lambda: not rig.runtime.base.journal.depth)
        async with rig.runtime.database.snapshot() as connection:
            assert (await proof.prove(connection)).problems == ()
            rows = await connection.execute(select(balances))
            assert all(row.balance_micros >= -row.credit_micros for row in rows)
        await Leftovers(database=rig.runtime.database, clock=now_ms).work()
        async with rig.runtime.database.snapshot() as connection:
            assert (await proof.prove(connection)).problems == ()
            # Nothing is left where nobody spends it, but for less than a micro of the payer's.
            stranded = text(
                "SELECT max(b.balance_micros) FROM balances b JOIN accounts a "
                "ON a.id = b.account_id WHERE a.payer_id <> 0"
            )
            assert (await connection.scalar(stranded) or 0) < _LEAST_MOVED
            shared = text(
                "SELECT count(*) FROM accounts a JOIN accounts p ON p.id = a.parent_id "
                "WHERE a.kind >= 2 AND a.payer_id <> CASE p.payer_id WHEN 0 THEN p.id "
                "ELSE p.payer_id END"
            )
            assert await connection.scalar(shared) == 0


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables."""
    folder = tmp_path_factory.mktemp("migrated")
    asyncio.run(_migrate(sqlite_url(folder)))
    return folder / "heliograph.db"


async def _migrate(url: str) -> None:
    database = Database(url)
    await upgrade(database)
    await database.close()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=_trees, operations=_operations)
def test_money_in_a_tree_on_sqlite(
    migrated: Path, tree: tuple[tuple[int, int], ...], operations: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated, folder)
        asyncio.run(drive(Path(folder), "", tree, operations))


@pytest.mark.postgres
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=_trees, operations=_operations)
def test_money_in_a_tree_on_postgresql(
    postgres_server: PostgresServer,
    tree: tuple[tuple[int, int], ...],
    operations: list[Any],
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(postgres_server.execute(f"CREATE DATABASE {name}"))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(drive(Path(folder), postgres_server.url(name), tree, operations))
    asyncio.run(postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)"))
