"""Payments, moves, and an audit that finds every kind of tampering, on both engines."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from tests.contract.rows import NOW, Books, final, finals, ids_of

from heliograph.domain.ledger import TransferKind
from heliograph.domain.messages import MessageState
from heliograph.storage import accounts, ledger
from heliograph.storage.ledger import NotCovered


async def test_payments_change_the_balance_and_are_listed(books: Books) -> None:
    account = await books.account("alex", 1000)
    async with books.database.write() as connection:
        assert await ledger.pay(connection, account, 50, now_ms=NOW, note="card") == 1050
        assert await ledger.pay(connection, account, -1050, now_ms=NOW) == 0
        found = await ledger.list_transfers(connection, account)
        assert [(t.kind, t.effect_micros, t.note) for t in found] == [
            (TransferKind.PAYMENT, -1050, ""),
            (TransferKind.PAYMENT, 50, "card"),
            (TransferKind.PAYMENT, 1000, ""),
        ]
        older = await ledger.list_transfers(connection, account, before_id=found[1].id)
        assert [t.effect_micros for t in older] == [1000]
    with pytest.raises(NotCovered):
        async with books.database.write() as connection:
            await ledger.pay(connection, account, -1, now_ms=NOW)
    async with books.database.write() as connection:
        await accounts.set_credit(connection, account, 1)
        assert await ledger.pay(connection, account, -1, now_ms=NOW) == -1
        with pytest.raises(accounts.NoSuchAccount):
            await ledger.pay(connection, 99, 1, now_ms=NOW)
    assert (await books.audit()).is_exact


async def test_moves_in_both_directions_at_once(books: Books) -> None:
    one, two = await books.account("alex", 1000), await books.account("boris", 1000)

    async def move(from_id: int, to_id: int) -> None:
        async with books.database.write() as connection:
            await ledger.move(connection, from_id=from_id, to_id=to_id, amount_micros=7, now_ms=NOW)

    await asyncio.gather(*(move(*pair) for pair in [(one, two), (two, one)] * 15))
    assert (await books.balance(one), await books.balance(two)) == (1000, 1000)
    with pytest.raises(NotCovered):
        async with books.database.write() as connection:
            await ledger.move(connection, from_id=two, to_id=one, amount_micros=1001, now_ms=NOW)
    assert await books.balance(one) == 1000, "nothing of a refused move stays"
    for amount, to in ((0, two), (-5, two), (5, one)):
        with pytest.raises(ValueError, match="positive amount"):
            async with books.database.write() as connection:
                await ledger.move(
                    connection, from_id=one, to_id=to, amount_micros=amount, now_ms=NOW
                )
    report = await books.audit()
    assert (report.is_exact, report.accounts, report.transfers) == (True, 2, 62)


async def _some_traffic(books: Books) -> int:
    account = await books.account("alex", 10_000)
    payer = await books.account("boris", 10_000)
    entries = [
        books.submission(account, ("79990000001", "79990000002"), price=30, parts=3),
        books.submission(account, price=50),
        books.submission(account, price=20, payer_id=payer),
        books.submission(account, price=0),
    ]
    await asyncio.gather(*(books.journal.write(entry) for entry in entries))
    done, part = ids_of(entries[0])
    await books.journal.write(finals(final(done, 30), final(part, 10, state=MessageState.EXPIRED)))
    return account


TAMPERING = {
    "a balance": "UPDATE balances SET balance_micros = balance_micros + 1 WHERE purse_id = 1",
    "a payment": "UPDATE transfers SET amount_micros = amount_micros + 1 WHERE kind = 4",
    "an effect": "UPDATE transfers SET effect_micros = effect_micros - 1 WHERE kind = 1",
    "a reserve gone": "DELETE FROM transfers WHERE kind = 1 AND purse_id = 1",
    "a void gone": "DELETE FROM transfers WHERE kind = 3",
    "a post doubled": "INSERT INTO transfers SELECT id + 500, purse_id, kind, amount_micros, "
    "effect_micros, count, created_at, note FROM transfers WHERE kind = 2",
    "a price": "UPDATE messages SET price_micros = price_micros - 1 WHERE price_micros = 50",
    "a charge": "UPDATE messages SET charged_micros = 31 WHERE charged_micros = 30",
    "an end taken back": "UPDATE messages SET final_at = 0 WHERE charged_micros = 10",
    "a message gone": "DELETE FROM messages WHERE price_micros = 50",
    "a submission gone": "DELETE FROM submissions WHERE payer_id <> account_id",
    "another payer": "UPDATE messages SET payer_id = 1 WHERE payer_id = 2",
    "another transfer": "UPDATE submissions SET transfer_id = 4711 WHERE transfer_id <> 0",
    "a payment made a move": "UPDATE transfers SET kind = 5 WHERE kind = 4 AND purse_id = 2",
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_the_audit_sees(books: Books, what: str) -> None:
    await _some_traffic(books)
    report = await books.audit()
    assert report.problems == ()
    assert (report.accounts, report.messages) == (2, 5)
    async with books.database.write() as connection:
        changed = await connection.execute(text(TAMPERING[what]))
        assert changed.rowcount > 0
    report = await books.audit()
    assert not report.is_exact
    assert all(problem.rule and problem.subject for problem in report.problems)


async def test_the_audit_names_whose_and_how_much(books: Books) -> None:
    account = await _some_traffic(books)
    async with books.database.write() as connection:
        await connection.execute(
            text("UPDATE balances SET balance_micros = balance_micros + 7 WHERE purse_id = :id"),
            {"id": account},
        )
    [problem] = (await books.audit()).problems
    assert (problem.subject, problem.difference_micros) == (f"account {account}", 7)


async def test_the_audit_is_exact_while_work_goes_on(books: Books) -> None:
    account = await books.account("alex", 1_000_000)

    async def send() -> None:
        for _ in range(60):
            entry = await books.journal.write(books.submission(account, price=10))
            await books.journal.write(finals(final(ids_of(entry)[0], 10)))

    work = asyncio.gather(*(send() for _ in range(4)))
    reports = []
    while not work.done():
        reports.append(await books.audit())
    await work
    assert len(reports) > 3
    assert [report.problems for report in reports if not report.is_exact] == []
