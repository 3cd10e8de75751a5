"""Trees of accounts, moves between purses and running totals, on both engines."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import text
from tests.contract.rows import NOW, Books, final, finals, ids_of

from heliograph.domain.accounts import AccountKind
from heliograph.domain.messages import MessageState
from heliograph.domain.subclients import MAX_DEPTH
from heliograph.storage import (
    accounts,
    currencies,
    deltas,
    ledger,
    schema,
    subclients,
    summaries,
    totals,
)
from heliograph.storage.accounts import LoginTaken
from heliograph.storage.journal import Entry
from heliograph.storage.ledger import NotCovered
from heliograph.storage.statements import INSERT_MESSAGES, INSERT_SUBMISSIONS
from heliograph.storage.subclients import CurrencyInUse, HasChildren, InDebt, TooDeep

MICROS = 10**6


async def below(books: Books, login: str, parent_id: int, kind: AccountKind, **fields: Any) -> int:
    """A new sub-client; its id."""
    async with books.database.write() as connection:
        return await subclients.create_subclient(
            connection, login, parent_id=parent_id, kind=kind, now_ms=NOW, **fields
        )


async def look(books: Books, account_id: int) -> tuple[int, int, str]:
    """(payer, plan, currency)."""
    async with books.database.read() as connection:
        account = await accounts.find_account(connection, account_id)
    return account.payer_id, account.plan_id, account.currency


async def set_rates(books: Books, **rates: int) -> None:
    async with books.database.write() as connection:
        await currencies.set_rates(connection, rates, now_ms=NOW)


async def test_what_a_kind_means_follows_the_main_account(books: Books) -> None:
    main = await books.account("main", plan_id=1)
    own = await below(books, "own", main, AccountKind.OWN, plan_id=2)
    plan = await below(books, "plan", own, AccountKind.SHARED_PLAN, plan_id=3)
    shared = await below(books, "shared", plan, AccountKind.SHARED, plan_id=4)
    balance = await below(books, "balance", shared, AccountKind.SHARED_BALANCE, plan_id=5)
    login = await below(books, "login", balance, AccountKind.LOGIN)
    assert [await look(books, id) for id in (own, plan, shared, balance, login)] == [
        (own, 2, "RUR"),
        (plan, 2, "RUR"),
        (plan, 2, "RUR"),
        (plan, 5, "RUR"),
        (plan, 5, "RUR"),
    ]
    async with books.database.write() as connection:
        await subclients.change_money(connection, own, now_ms=NOW, plan_id=7, currency="USD")
        await subclients.change_money(connection, plan, now_ms=NOW, plan_id=8, currency="EUR")
    assert [await look(books, id) for id in (own, plan, shared, balance, login)] == [
        (own, 7, "USD"),
        (plan, 7, "EUR"),  # its plan is not its own to change
        (plan, 7, "EUR"),
        (plan, 5, "EUR"),
        (plan, 5, "EUR"),
    ]
    async with books.database.write() as connection:
        await subclients.change_kind(connection, plan, AccountKind.SHARED, now_ms=NOW)
    assert await look(books, login) == (own, 5, "USD")
    assert await look(books, main) == (main, 1, "RUR")


async def test_a_tree_has_a_bottom(books: Books) -> None:
    at = await books.account("top")
    for depth in range(MAX_DEPTH - 1):
        at = await below(books, f"level{depth}", at, AccountKind.OWN)
    with pytest.raises(TooDeep):
        await below(books, "one too many", at, AccountKind.OWN)
    with pytest.raises(LoginTaken):
        await below(books, "top", at - 1, AccountKind.OWN)


async def test_a_login_has_no_sub_clients(books: Books) -> None:
    main = await books.account("main")
    login = await below(books, "login", main, AccountKind.LOGIN)
    with pytest.raises(HasChildren):
        await below(books, "child", login, AccountKind.OWN)
    shop = await below(books, "shop", main, AccountKind.SHARED)
    await below(books, "desk", shop, AccountKind.LOGIN)
    with pytest.raises(HasChildren):
        async with books.database.write() as connection:
            await subclients.change_kind(connection, shop, AccountKind.LOGIN, now_ms=NOW)


async def test_a_balance_that_is_given_up_goes_to_the_payer(books: Books) -> None:
    main = await books.account("main", 100)
    child = await below(books, "child", main, AccountKind.OWN)
    async with books.database.write() as connection:
        await ledger.move(connection, from_id=main, to_id=child, amount_micros=60, now_ms=NOW)
        await accounts.open_electronic_purse(connection, child)
        await ledger.pay(connection, -child, 7, now_ms=NOW)
        await subclients.change_kind(connection, child, AccountKind.SHARED, now_ms=NOW)
    # A second balance of seven would end the calls of a main account that had none.
    assert [await books.balance(id) for id in (main, child, -child)] == [107, 0, 0]
    async with books.database.write() as connection:
        assert not await accounts.has_electronic_purse(connection, main)
        await accounts.open_electronic_purse(connection, main)
        await subclients.change_kind(connection, child, AccountKind.OWN, now_ms=NOW)
        await ledger.pay(connection, -child, 5, now_ms=NOW)
        await subclients.change_kind(connection, child, AccountKind.SHARED, now_ms=NOW)
    assert [await books.balance(id) for id in (main, child, -main, -child)] == [107, 0, 5, 0]
    other = await below(books, "other", main, AccountKind.OWN)
    async with books.database.write() as connection:
        await accounts.set_credit(connection, other, 50)
        await ledger.pay(connection, other, -10, now_ms=NOW)
    with pytest.raises(InDebt):
        async with books.database.write() as connection:
            await subclients.change_kind(connection, other, AccountKind.SHARED, now_ms=NOW)
    assert (await books.audit()).problems == ()


async def test_currencies_are_converted_and_nothing_is_made(books: Books) -> None:
    await set_rates(books, RUR=MICROS, USD=81_350_000, KZT=170_001)
    main = await books.account("main", 1_000 * MICROS)
    child = await below(books, "child", main, AccountKind.OWN, currency="USD")
    third = await below(books, "third", child, AccountKind.OWN, currency="KZT")
    async with books.database.write() as connection:
        for from_id, to_id, amount, is_taken in (
            (main, child, 333_333_333, False),
            (main, child, 1_000_001, True),
            (child, third, 1_234_567, False),
            (third, child, 7, True),
            (child, main, 81_000_001, True),
        ):
            await ledger.move(
                connection,
                from_id=from_id,
                to_id=to_id,
                amount_micros=amount,
                is_taken=is_taken,
                now_ms=NOW,
            )
        await accounts.set_credit(connection, child, 10**9)
        with pytest.raises(ValueError, match="nothing"):
            await ledger.move(connection, from_id=main, to_id=child, amount_micros=81, now_ms=NOW)
        await subclients.change_money(connection, child, now_ms=NOW, currency="KZT")
    for amount, is_taken in ((10**12, False), (500 * MICROS, True)):
        # By far, and what the credit would cover: nobody borrows for somebody else.
        with pytest.raises(NotCovered):
            async with books.database.write() as connection:
                await ledger.move(
                    connection,
                    from_id=child,
                    to_id=main,
                    amount_micros=amount,
                    is_taken=is_taken,
                    now_ms=NOW,
                )
    # What everybody has is worth what there was, but for parts of a micro of each move.
    worth = MICROS * await books.balance(main)
    worth += 170_001 * (await books.balance(child) + await books.balance(third))
    lost = 1_000 * MICROS * MICROS - worth
    assert 0 <= lost < 10 * 81_350_000
    assert (await books.audit()).problems == ()


async def test_a_currency_does_not_change_under_messages(books: Books) -> None:
    main = await books.account("main", 100)
    [message] = ids_of(await books.journal.write(books.submission(main, price=10)))
    with pytest.raises(CurrencyInUse):
        async with books.database.write() as connection:
            await subclients.change_money(connection, main, now_ms=NOW, currency="USD")
    await books.journal.write(finals(final(message, 10)))
    await set_rates(books, RUR=MICROS, USD=9 * MICROS)
    async with books.database.write() as connection:
        await accounts.set_credit(connection, main, 20)
        await subclients.change_money(connection, main, now_ms=NOW, currency="USD")
        assert await ledger.read_balance(connection, main) == (10, 2)
    assert (await books.audit()).problems == ()


async def test_a_currency_does_not_change_under_messages_on_a_balance_given_up(
    books: Books,
) -> None:
    top = await books.account("top", currency="USD")
    main = await below(books, "main", top, AccountKind.OWN, currency="RUR")
    child = await below(books, "child", main, AccountKind.OWN, currency="RUR")
    async with books.database.write() as connection:
        await ledger.pay(connection, child, 100, now_ms=NOW)
    [message] = ids_of(await books.journal.write(books.submission(child, price=10)))
    async with books.database.write() as connection:
        await subclients.change_kind(connection, child, AccountKind.SHARED, now_ms=NOW)
    with pytest.raises(CurrencyInUse):
        async with books.database.write() as connection:
            await subclients.change_money(connection, main, now_ms=NOW, currency="USD")
    with pytest.raises(CurrencyInUse):
        async with books.database.write() as connection:
            await subclients.change_kind(connection, main, AccountKind.SHARED, now_ms=NOW)
    await books.journal.write(finals(final(message, 0)))
    # What came back where nobody spends it goes on to who pays, at the rate of that moment.
    await set_rates(books, RUR=MICROS, USD=2 * MICROS)
    async with books.database.write() as connection:
        await subclients.change_kind(connection, main, AccountKind.SHARED, now_ms=NOW)
        assert await subclients.list_leftovers(connection) == [child]
        await subclients.collect_leftovers(connection, child, now_ms=NOW)
        assert await subclients.list_leftovers(connection) == []
    assert [await books.balance(id) for id in (top, main, child)] == [50, 0, 0]
    assert (await books.audit()).problems == ()


async def test_a_balance_that_is_not_used_keeps_its_currency(books: Books) -> None:
    await set_rates(books, RUR=MICROS, USD=80 * MICROS)
    main = await books.account("main", 10, currency="USD")
    child = await below(books, "child", main, AccountKind.OWN, currency="RUR")
    async with books.database.write() as connection:
        await accounts.set_credit(connection, child, 8_000)
        await subclients.change_kind(connection, child, AccountKind.SHARED, now_ms=NOW)
    assert await look(books, child) == (main, 0, "USD")
    async with books.database.write() as connection:
        await subclients.change_kind(connection, child, AccountKind.OWN, now_ms=NOW)
        assert await ledger.read_balance(connection, child) == (0, 100)
        await subclients.change_kind(connection, child, AccountKind.SHARED_BALANCE, now_ms=NOW)
        await subclients.change_money(connection, main, now_ms=NOW, currency="RUR")
        await subclients.change_kind(connection, child, AccountKind.SHARED_PLAN, now_ms=NOW)
        assert await ledger.read_balance(connection, child) == (0, 8_000)
    assert await look(books, child) == (child, 0, "RUR")
    assert (await books.audit()).problems == ()


async def test_a_price_in_an_old_currency_is_not_taken(books: Books) -> None:
    main = await books.account("main", 100)
    entries = [books.submission(main, price=10) for _ in range(3)]
    for entry, currency in zip(entries, ("RUR", "", "USD"), strict=True):
        entry.currency = currency
    await asyncio.gather(*map(books.journal.write, entries))
    assert [entry.is_funded for entry in entries] == [True, True, False]
    assert [entry.is_outdated for entry in entries] == [False, False, True]
    # One that does not fit is not called outdated, and an outdated one takes nobody's place.
    entries = [books.submission(main, price=price) for price in (90, 70, 10)]
    for entry, currency in zip(entries, ("RUR", "USD", "RUR"), strict=True):
        entry.currency = currency
    await asyncio.gather(*map(books.journal.write, entries))
    assert [entry.is_funded for entry in entries] == [False, False, True]
    assert [entry.is_outdated for entry in entries] == [False, True, False]
    assert await books.balance(main) == 70
    assert (await books.audit()).problems == ()


async def test_the_audit_sees_a_balance_in_another_currency(books: Books) -> None:
    main = await books.account("main", 100)
    async with books.database.write() as connection:
        await connection.execute(text("UPDATE accounts SET currency = 'USD'"))
    [problem] = (await books.audit()).problems
    assert problem.subject == f"account {main}"


async def test_the_audit_sees_a_move_that_is_not_fair(books: Books) -> None:
    await set_rates(books, RUR=MICROS, USD=80 * MICROS)
    main = await books.account("main", 8_000)
    child = await below(books, "child", main, AccountKind.OWN, currency="USD")
    async with books.database.write() as connection:
        await ledger.move(connection, from_id=main, to_id=child, amount_micros=800, now_ms=NOW)
    assert (await books.audit()).problems == ()
    for tampering, rule in (
        ("UPDATE moves SET taker_rate = taker_rate / 2", "worth the same"),
        ("UPDATE moves SET giver_id = taker_id", "a transfer of the purse"),
        ("UPDATE moves SET taken_micros = taken_micros + 1", "its two sides"),
        ("DELETE FROM moves", "its two sides"),
    ):
        async with books.database.write() as connection:
            await connection.execute(text(tampering))
            report = await ledger.audit(connection)
            await connection.rollback()
            break_here = [p for p in report.problems if rule in p.rule]
        assert break_here, tampering


async def test_purses_of_one_account_are_apart(books: Books) -> None:
    main = await books.account("main", 5)
    async with books.database.write() as connection:
        await accounts.open_electronic_purse(connection, main)
        await accounts.open_electronic_purse(connection, main)
        await ledger.pay(connection, -main, 30, now_ms=NOW)
    async with books.database.read() as connection:
        account = await accounts.find_account(connection, main)
    assert account.electronic_id == -main
    entries = [books.submission(main, price=20, payer_id=payer) for payer in (main, -main)]
    await asyncio.gather(*map(books.journal.write, entries))
    assert [entry.is_funded for entry in entries] == [False, True]
    await books.journal.write(finals(final(ids_of(entries[1])[0], 15)))
    assert (await books.balance(main), await books.balance(-main)) == (5, 15)
    assert (await books.audit()).problems == ()


def counted(entry: Entry, *, end: int | None = None) -> Entry:
    """The entry with the totals that services would add."""
    entry.totals = {}
    (call,) = entry.rows[INSERT_SUBMISSIONS]
    columns = INSERT_SUBMISSIONS.columns
    type = call[columns.index("type")]
    for row in entry.rows[INSERT_MESSAGES]:
        values = dict(zip(INSERT_MESSAGES.columns, row, strict=True))
        deltas.add_message(
            entry.totals,
            (values["account_id"], 19_675, values["payer_id"], type, values["mccmnc"], "RUR"),
            part_count=values["part_count"],
            price_micros=values["price_micros"],
            end=end,
        )
    return entry


async def test_totals_count_what_was_written_and_only_once(books: Books) -> None:
    main = await books.account("main", 100)
    child = await below(books, "child", main, AccountKind.SHARED)
    entries = [
        counted(books.submission(child, ["1", "2"], price=10, parts=2, payer_id=main)),
        counted(books.submission(child, ["3"], price=81, payer_id=main)),  # not covered
        counted(books.submission(child, ["4"], price=5, payer_id=main)),
    ]
    await asyncio.gather(*map(books.journal.write, entries))
    first, second = ids_of(entries[0])
    key = next(iter(entries[0].totals or ()))
    for _ in range(2):  # the second end of a message counts for nothing
        ended = finals(final(first, 10), final(second, 0, state=MessageState.EXPIRED))
        ended.ends = {first: (key, totals.DELIVERED), second: (key, totals.FAILED)}
        await books.journal.write(ended)
    async with books.database.read() as connection:
        assert await totals.audit(connection) == []
        (sums,) = await totals.sum_by_account(
            connection, main, days=(19_675, 19_675), is_electronic=False
        )
        assert (sums.account_id, sums.sent, sums.spent_micros) == (child, 3, 15)
        # A month, one of its thirds, and with parts of others.
        for days in ((19_662, 19_691), (19_672, 19_681), (0, 19_700), (19_675, 2_900_000)):
            asked = {"days": days, "is_electronic": False, "child_id": child}
            assert await totals.sum_by_account(connection, main, **asked) == [sums]
        asked = {"days": (0, 20_000), "is_electronic": False, "child_id": main}
        assert not await totals.sum_by_account(connection, main, **asked)
        assert not await totals.sum_by_account(
            connection, main, days=(0, 19_674), is_electronic=False
        )
        assert not await totals.sum_by_account(
            connection, main, days=(0, 20_000), is_electronic=True
        )
        assert not await totals.sum_by_account(
            connection, child, days=(0, 20_000), is_electronic=False
        )
    async with books.database.write() as connection:
        await connection.execute(text("UPDATE totals SET delivered = delivered + 1"))
        ((subject, column, difference),) = await totals.audit(connection)
        await connection.execute(text("UPDATE totals SET failed = failed + 2 WHERE day < 0"))
        _, third = await totals.audit(connection)
    assert (column, difference) == ("delivered", 1)
    assert subject.startswith(f"account {child}, paid by {main}")
    assert third == (f"account {child}, paid by {main}, RUR, thirds of months", "failed", 2)


@pytest.mark.parametrize("paid_in", [("RUR",), ("RUR", "USD")])
async def test_sums_of_any_days(books: Books, paid_in: tuple[str, ...]) -> None:
    """Whole thirds of months, days added and days taken off: always what was sent on these days."""
    main = await books.account("main", 1_000)
    children = [await below(books, f"child{at}", main, AccountKind.OWN) for at in range(3)]
    chance = random.Random(4)
    first = 20_000
    gathered: deltas.Deltas = {}
    for day in range(first, first + 100):
        key = (chance.choice(children), day, main, 0, "25001", chance.choice(paid_in))
        gathered[key] = [chance.randrange(1, 9), 0, 0, 0, 0, 0, 0, chance.randrange(100)]
    async with books.database.write() as connection:
        columns = [column.name for column in schema.totals.columns]
        rows = [dict(zip(columns, row, strict=True)) for row in deltas.make_rows([gathered])]
        await connection.execute(schema.totals.insert(), rows)
    async with books.database.read() as connection:
        for _ in range(40):
            begin = first - 5 + chance.randrange(100)
            days = (begin, begin + chance.randrange(100))
            expected: dict[tuple[int, str], list[int]] = {}
            for key, row in gathered.items():
                if days[0] <= key[1] <= days[1]:
                    each = expected.setdefault((key[0], key[5]), [0, 0])
                    each[0] += row[deltas.MESSAGES]
                    each[1] += row[deltas.CHARGED]
            found = await totals.sum_by_account(connection, main, days=days, is_electronic=False)
            assert {
                (each.account_id, each.currency): [each.sent, each.spent_micros] for each in found
            } == expected, days


async def test_what_was_paid_in(books: Books) -> None:
    main = await books.account("main", 1_000)
    child = await below(books, "child", main, AccountKind.OWN)
    grandchild = await below(books, "grandchild", child, AccountKind.OWN)
    async with books.database.write() as connection:
        for from_id, to_id, amount in (
            (main, child, 100),
            (child, main, 10),
            (child, grandchild, 50),  # what it hands on is not taken back
        ):
            await ledger.move(
                connection, from_id=from_id, to_id=to_id, amount_micros=amount, now_ms=NOW
            )
        await ledger.pay(connection, child, 7, now_ms=NOW)
        await ledger.pay(connection, child, 1_000, now_ms=NOW + 1)
    async with books.database.read() as connection:
        paid = await totals.paid_in(connection, main, span_ms=(NOW, NOW + 1), is_electronic=False)
    assert sum(amount for _, _, amount in paid) == 97
    assert {(id, code) for id, code, _ in paid} == {(child, "RUR")}


async def test_what_was_paid_in_keeps_its_currency(books: Books) -> None:
    await set_rates(books, RUR=MICROS, USD=80 * MICROS, EUR=90 * MICROS)
    main = await books.account("main")
    child = await below(books, "child", main, AccountKind.OWN)
    ids = (main, child)
    async with books.database.write() as connection:
        for step, currency in enumerate(("RUR", "USD", "EUR")):
            now_ms = NOW + step * 10
            for id in ids:
                if step:
                    await subclients.change_money(connection, id, now_ms=now_ms, currency=currency)
                await ledger.pay(connection, id, (step + 1) * MICROS, now_ms=now_ms + 1)
    async with books.database.read() as connection:
        for span, expected in (
            ((NOW, NOW + 100), {"RUR": 1, "USD": 2, "EUR": 3}),
            ((NOW, NOW + 12), {"RUR": 1, "USD": 2}),
            ((NOW + 11, NOW + 12), {"USD": 2}),
            ((NOW + 12, NOW + 100), {"EUR": 3}),
            ((NOW - 100, NOW), {}),
        ):
            mine = await summaries.paid_to(connection, main, currency="EUR", span_ms=span)
            assert {code: micros // MICROS for code, micros in mine} == expected
            theirs = await totals.paid_in(connection, main, span_ms=span, is_electronic=False)
            assert {code: micros // MICROS for _, code, micros in theirs} == expected
