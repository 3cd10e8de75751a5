"""Sub-clients through the services: who may log in, who is told what, what is known at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.services.rig import PHONE, PuppetConnector, Rig, open_rig

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.campaigns import CampaignOrder, divide_recipients
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.subclients import SubclientChanges, restrictions_of
from heliograph.runtime import now_ms
from heliograph.services import administration, inbound
from heliograph.services.authentication import SessionRefusal
from heliograph.services.campaigns import Ordered
from heliograph.services.leftovers import Leftovers
from heliograph.storage import currencies, subclients, tariffs

HOME = "192.0.2.1"
PASSWORD = "mypassword"
MICROS = 10**6


async def add(rig: Rig, login: str, **fields: Any) -> Account:
    """A sub-client of `shop`."""
    changes = SubclientChanges(password=PASSWORD, **fields)
    assert isinstance(await rig.runtime.services.subclients.add(rig.account, login, changes), int)
    found = rig.runtime.directory.account(login)
    assert found is not None
    return found


async def test_sessions_are_for_whom_they_were_switched_on(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await add(rig, "without")
        await add(rig, "with", settings={"fl[2]": "1"})
        await add(rig, "extra", kind=AccountKind.LOGIN, settings={"fl[2]": "1"})
        door = rig.runtime.services.authentication
        assert await door.open_session("without", PASSWORD, HOME) is SessionRefusal.NOT_ADMITTED
        opened = await door.open_session("with", PASSWORD, HOME)
        assert isinstance(opened, Account)
        assert opened.login == "with"
        acting = await door.open_session("extra", PASSWORD, HOME)
        assert isinstance(acting, Account)
        assert acting.id == rig.account.id
        assert await door.login("extra", PASSWORD, HOME) == acting
        await administration.update_account(rig.runtime.database, "shop", is_blocked=True)
        await rig.runtime.directory.refresh_if_changed()
        assert await door.login("extra", PASSWORD, HOME) is Refusal.NOT_AUTHORISED


async def test_the_handler_is_told_what_was_asked_for(tmp_path: Path) -> None:
    url = "https://example.invalid/handler"
    async with open_rig(tmp_path) as rig:
        await rig.attach(PuppetConnector(0))
        told = {
            "silent": {},
            "statuses": {"fl[10]": "1"},
            "incoming": {"fl[11]": "1"},
        }
        for login, settings in told.items():
            account = await add(rig, login, is_test=True, callback_url=url, settings=dict(settings))
            await rig.send(account=account)
            await inbound.receive(
                rig.runtime.database,
                account,
                source=PHONE,
                destination="79990000000",
                text="hello",
                now_ms=now_ms(),
            )
        async with rig.runtime.database.read() as connection:
            rows = await connection.execute(
                text(
                    "SELECT a.login, o.kind FROM outbox o JOIN accounts a ON a.id = o.account_id "
                    "ORDER BY o.id"
                )
            )
            assert [tuple(row) for row in rows] == [
                ("statuses", "status"),
                ("incoming", "incoming"),
            ]


async def test_a_plan_in_another_currency_is_paid_in_ones_own(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await rig.attach(PuppetConnector(0))
        database = rig.runtime.database
        async with database.write() as connection:
            await currencies.set_rates(
                connection, {"RUR": MICROS, "USD": 90 * MICROS}, now_ms=now_ms()
            )
        account = await add(rig, "abroad", currency="USD")
        await administration.pay(database, "abroad", MICROS, now_ms=now_ms())
        sent = await rig.send(account=account)  # one rouble
        assert sent.cost_micros == 11_112  # and not a micro less than it is worth
        async with database.write() as connection:
            plan = (await tariffs.list_plans(connection))[0]
            await tariffs.number_plan(connection, plan.id, 0)
        refused = await rig.runtime.services.subclients.change(
            rig.account, "abroad", SubclientChanges(plan_number=1)
        )
        assert refused is Refusal.BAD_PARAMETERS
        assert (await rig.audit()).problems == ()


@pytest.mark.parametrize("is_strict", [False, True])
async def test_passwords(tmp_path: Path, is_strict: bool) -> None:
    setting = f"limits.strict_passwords={str(is_strict).lower()}"
    async with open_rig(tmp_path, setting) as rig:
        services = rig.runtime.services
        made = await services.subclients.add(
            rig.account, "one", SubclientChanges(password="mypassword")
        )
        assert (made is Refusal.BAD_PARAMETERS) is is_strict
        await services.subclients.add(rig.account, "two", SubclientChanges(password="Good-pass1"))
        changed = await services.subclients.change(
            rig.account, "two", SubclientChanges(password="Other-pass1"), present_password="wrong"
        )
        assert changed is Refusal.NOT_ALLOWED
        changed = await services.subclients.change(
            rig.account,
            "two",
            SubclientChanges(password="Other-pass1"),
            present_password="Good-pass1",
        )
        assert changed is None
        door = services.authentication
        assert await door.login("two", "Good-pass1", HOME) is Refusal.NOT_AUTHORISED
        assert isinstance(await door.login("two", "Other-pass1", HOME), Account)


async def test_a_currency_waits_for_messages_under_way(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(0, answers=False)
        await rig.attach(puppet)
        account = await add(rig, "waiting")
        subclients = rig.runtime.services.subclients
        assert await subclients.pay(rig.account, "waiting", 10 * MICROS) is None
        sent = await rig.send(account=account)
        change = SubclientChanges(currency="USD")
        assert await subclients.change(rig.account, "waiting", change) is Refusal.NOT_SAVED
        part = puppet.sent[0]
        puppet.accept()
        await puppet.tell(puppet.receipt(str(part.id)))
        assert await subclients.change(rig.account, "waiting", change) is None
        assert sent.cost_micros
        assert (await rig.audit()).problems == ()


async def test_a_message_priced_before_the_currency_changed_may_be_sent_again(
    tmp_path: Path,
) -> None:
    """The currency is changed by another process, which tells this one within a second."""
    async with open_rig(tmp_path, balance=100 * MICROS) as rig:
        await rig.attach(PuppetConnector(0))
        async with rig.runtime.database.write() as connection:
            rates = {"RUR": MICROS, "USD": 80 * MICROS}
            await currencies.set_rates(connection, rates, now_ms=now_ms())
        await rig.runtime.directory.refresh_if_changed()
        old = rig.account
        async with rig.runtime.database.write() as connection:
            await subclients.change_money(connection, old.id, now_ms=now_ms(), currency="USD")
        refused = await rig.try_send(account=old)
        assert isinstance(refused, Refused)
        assert refused.refusal is Refusal.OVERLOADED
        assert not refused.client_ref
        assert await rig.balance() == 1_250_000
        await rig.runtime.directory.refresh_if_changed()
        sent = await rig.send()
        assert sent.cost_micros == 12_500
        assert await rig.balance() == 1_237_500
        assert (await rig.audit()).is_exact


async def test_what_comes_back_to_a_balance_given_up_goes_to_the_payer(tmp_path: Path) -> None:
    async with open_rig(tmp_path, balance=100 * MICROS) as rig:
        await rig.attach(PuppetConnector(0))
        child = await add(rig, "child")
        services = rig.runtime.services
        assert await services.subclients.pay(rig.account, "child", 10 * MICROS) is None
        sent = await rig.send(account=child, time="+60")
        shared = SubclientChanges(kind=AccountKind.SHARED)
        assert await services.subclients.change(rig.account, "child", shared) is None
        assert await rig.balance() == 99 * MICROS
        assert await services.statuses.delete(child, [(sent.client_ref, PHONE)])
        leftovers = Leftovers(database=rig.runtime.database, clock=now_ms)
        await leftovers.work()
        assert await rig.balance() == 100 * MICROS
        await leftovers.work()
        assert (await rig.audit()).is_exact


async def test_what_is_forbidden_to_a_login_is_so_in_its_mailing_lists(tmp_path: Path) -> None:
    """A list goes on when nobody is logged in any more."""
    async with open_rig(tmp_path, balance=100 * MICROS) as rig:
        await rig.attach(PuppetConnector(0))
        login = await add(rig, "player", kind=AccountKind.LOGIN, is_test=True)
        acting = rig.runtime.directory.principal(login)
        assert acting is not None
        request = SendRequest(acting, [Entry([], "hello")])
        order = CampaignOrder(
            request=request, sources=divide_recipients(PHONE, limit=10), name="list"
        )
        campaigns = rig.runtime.services.campaigns
        ordered = await campaigns.add(order)
        assert isinstance(ordered, Ordered)
        view = await campaigns.find(rig.account, ordered.id)
        assert view is not None
        assert (view.message_count, view.delivered, view.cost_micros) == (1, 1, 0)
        assert await rig.balance() == 100 * MICROS


async def test_who_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        directory = rig.runtime.directory
        login = await add(rig, "login", kind=AccountKind.LOGIN, settings={"fl[6]": "1"})
        child = await add(rig, "child", kind=AccountKind.SHARED)
        main = rig.account
        assert directory.still_acting(main.id, 0) is main
        assert directory.still_acting(child.id, 0) is child
        acting = directory.still_acting(main.id, login.id)
        assert acting is directory.principal(login)
        assert acting is not None
        assert (acting.id, acting.md5_hash) == (main.id, login.md5_hash)
        assert restrictions_of(acting) == {"fl[6]"}
        assert directory.still_acting(child.id, login.id) is None
        assert directory.still_acting(main.id, 999) is None
        await administration.update_account(rig.runtime.database, "login", is_blocked=True)
        await directory.refresh_if_changed()
        assert directory.still_acting(main.id, login.id) is None
        assert directory.still_acting(main.id, 0) is not None
