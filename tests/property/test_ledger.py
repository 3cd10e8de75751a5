"""Whatever is sent, ended, paid and refused, in any order and any batches: the audit is exact."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.rows import NOW, Books, final, finals, ids_of

from heliograph.domain.messages import MessageState
from heliograph.storage import accounts, ledger
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.journal import Entry
from heliograph.storage.ledger import NotCovered
from heliograph.storage.migration import upgrade

CREDIT = 40
_numbers = st.integers(0, 1_000_000)
_operations = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.integers(0, 2),  # whose
            st.integers(1, 3),  # to how many
            st.integers(0, 40),  # at which price
        ),
        st.tuples(st.just("end"), _numbers, st.integers(0, 4), _numbers),
        st.tuples(st.just("pay"), st.integers(0, 2), st.integers(-60, 100), st.just(0)),
        st.tuples(st.just("move"), st.integers(0, 2), st.integers(0, 2), st.integers(1, 50)),
        st.tuples(st.just("write"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=60,
)


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


@settings(max_examples=60, deadline=None)
@given(operations=_operations)
def test_any_work_leaves_an_exact_ledger(
    migrated: Path, operations: list[tuple[str, int, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated, folder)
        asyncio.run(_run(operations, sqlite_url(Path(folder))))


async def _run(operations: list[tuple[str, int, int, int]], url: str) -> None:
    database = Database(url)
    books = await Books.open(database)
    ids = [await books.account(f"account{n}", 100) for n in range(2)]
    ids.append(await books.account("shared", payer_id=ids[0]))
    payers = [ids[0], ids[1], ids[0]]
    async with database.write() as connection:
        await accounts.set_credit(connection, ids[1], CREDIT)
    messages: list[tuple[int, int]] = []  # (id, price)
    waiting: list[asyncio.Task[Entry]] = []
    for kind, a, b, c in operations:
        if kind == "send":
            entry = books.submission(ids[a], ["7999"] * b, price=c, payer_id=payers[a])
            messages += [(id, c) for id in ids_of(entry)]
            waiting.append(asyncio.create_task(books.journal.write(entry)))
        elif kind == "end" and messages:
            rows = []
            for step in range(b):  # some of them more than once, or not accepted at all
                id, price = messages[(a + step * c) % len(messages)]
                state = MessageState.DELIVERED if c % 2 else MessageState.EXPIRED
                rows.append(final(id, c % (price + 1), state=state))
            waiting.append(asyncio.create_task(books.journal.write(finals(*rows))))
        elif kind in ("pay", "move"):
            await _administer(database, kind, ids[a], b if kind == "pay" else ids[b], c)
        else:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    report = await books.audit()
    assert report.problems == ()
    for account_id, credit in ((ids[0], 0), (ids[1], CREDIT), (ids[2], 0)):
        assert await books.balance(account_id) >= -credit
    await books.close()
    await database.close()


async def _administer(database: Database, kind: str, account_id: int, b: int, c: int) -> None:
    try:
        async with database.write() as connection:
            if kind == "pay":
                await ledger.pay(connection, account_id, b, now_ms=NOW)
            else:
                await ledger.move(
                    connection, from_id=account_id, to_id=b, amount_micros=c, now_ms=NOW
                )
    except NotCovered:
        pass
    except ValueError:
        assert kind == "move"
        assert account_id == b
