"""What mailing lists do when something changes between their order and their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.services.lists import Lists, open_lists, phones
from tests.unit.services.rig import PuppetConnector, open_rig

from heliograph.domain.accounts import Account, AccountKind
from heliograph.domain.blacklists import BlackType
from heliograph.domain.campaigns import (
    SOURCE_RECIPIENTS,
    CampaignOrder,
    CampaignState,
    Repetition,
    divide_recipients,
)
from heliograph.domain.contacts import ContactKind
from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, SendRequest
from heliograph.domain.subclients import SubclientChanges
from heliograph.runtime import now_ms
from heliograph.services import administration
from heliograph.services.campaigns import Ordered
from heliograph.services.contacts import Contacts

HOUR_MS = 3_600_000
ONE, TWO, THREE = phones(3)


@pytest.fixture
async def lists(tmp_path: Path) -> AsyncIterator[Lists]:
    async with open_lists(tmp_path, "sending.repeat_minutes=0") as opened:
        yield opened
        await opened.audited()


def books(lists: Lists) -> Contacts:
    return lists.rig.runtime.services.books.contacts


async def add_group(lists: Lists, number: str, *members: str) -> int:
    made = await books(lists).add_group(
        lists.rig.account, ContactKind.PHONE, name=number, number=number
    )
    assert isinstance(made, int)
    rows: list[tuple[str, dict[str, str]]] = [(each, {}) for each in members]
    for row in rows:
        known = await books(lists).move(
            lists.rig.account, ContactKind.PHONE, row[0], group_id=made, way=2
        )
        if known is Refusal.NOT_FOUND:
            await books(lists).add(lists.rig.account, ContactKind.PHONE, [row], group_ids=[made])
    return made


async def set_account(lists: Lists, **changes: Any) -> None:
    database = lists.rig.runtime.database
    settings = changes.pop("settings", None)
    if settings:
        await administration.change_settings(database, "shop", settings)
    if changes:
        await administration.update_account(database, "shop", **changes)
    await lists.rig.runtime.directory.refresh_if_changed()


# --- the same people again ------------------------------------------------------------------------


async def test_who_is_in_two_groups_gets_one_message(lists: Lists) -> None:
    await add_group(lists, "17", ONE, TWO)
    await add_group(lists, "18", TWO, THREE)
    id = await lists.add(f"{ONE},G17,G18")
    view = await lists.until(id, lambda v: v.campaign.state is CampaignState.SENDING)
    assert view.message_count == 3
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 3)
    assert sorted(lists.puppet.sent_to) == [ONE, TWO, THREE]


async def test_and_so_it_is_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_lists(tmp_path) as lists:
        await add_group(lists, "17", ONE, TWO)
        runs = lists.campaigns.runs
        await runs.stop()
        monkeypatch.setattr(runs, "settled", lambda *_: asyncio.sleep(0))
        id = await lists.add(f"{ONE},G17")
        assert await runs._step(runs._jobs[id])
        await lists.rig.until(lambda: lists.puppet.sent_to == [ONE])
    async with open_rig(tmp_path) as rig:
        lists = Lists(rig, lists.puppet)
        await lists.until(id, lambda v: v.campaign.state is not CampaignState.LOADING)
        async with lists.rig.runtime.database.read() as connection:
            found = await connection.execute(text("SELECT recipient FROM messages ORDER BY id"))
            assert [row[0] for row in found] == [ONE, TWO]


async def test_who_was_in_a_portion_that_was_not_stored_is_not_forgotten(lists: Lists) -> None:
    await add_group(lists, "17", ONE, TWO)
    runs = lists.campaigns.runs
    send, fails = runs._send, [True]

    async def fail_once(*arguments: Any) -> bool:
        if fails:
            fails.clear()
            runs._wake.set()
            raise OSError("not stored now")
        return await send(*arguments)

    runs._send = fail_once  # type: ignore[method-assign]
    adding = asyncio.create_task(lists.add(f"{THREE},G17"))
    await lists.rig.until(lambda: any(job.paused_until for job in runs._jobs.values()))
    for job in runs._jobs.values():
        job.paused_until = 0
    await adding
    await lists.rig.until(lambda: sorted(lists.puppet.sent_to) == [ONE, TWO, THREE])


# --- a list is a whole ----------------------------------------------------------------------------


async def test_a_list_is_judged_as_a_whole(lists: Lists) -> None:
    """A portion of one recipient is no single message, and two of fifteen are a mass mailing."""
    four, five, six = phones(3, first=79160001000)
    await add_group(lists, "17", *phones(15))
    await add_group(lists, "18", *phones(15, first=79170000000))
    for phone, type in ((four, BlackType.MASS), (five, BlackType.SINGLE), (six, BlackType.ALL)):
        await books(lists).add_black(lists.rig.account, phone, type)
    for phone, outcome in ((four, 23), (five, 0), (six, 23)):
        id = await lists.add(f"{phone},G17")
        await lists.rig.reach(str(id), outcome, phone)
    sent = len(lists.puppet.sent_to)
    await set_account(lists, settings={"fl2[23]": "1"})
    id = await lists.add("G17,G18")
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.message_count, view.failed, len(lists.puppet.sent_to)) == (30, 30, sent)


async def test_a_portion_is_no_request_with_too_many_recipients(tmp_path: Path) -> None:
    async with open_lists(tmp_path, "sending.max_recipients=2") as lists:
        await lists.add(f"{ONE},{TWO},{THREE}")
        await lists.rig.until(lambda: len(lists.puppet.sent_to) == 3)


async def test_second_messages_are_written_as_the_list_says(lists: Lists) -> None:
    id = await lists.add(
        ONE,
        "viber",
        type=MessageType.VIBER,
        text2="ещё https://example.com/a/long/address",
        translit=1,
        options={"tinyurl": True},
    )
    await lists.rig.reach(str(id), 0, ONE)
    await lists.deliver(ONE, err=1)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    assert lists.puppet.texts[1].isascii()
    assert "example.com" not in lists.puppet.texts[1]


async def test_a_list_is_not_made_faster_than_it_is_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a single message of the account itself does not wait behind all of its list."""
    monkeypatch.setattr("heliograph.services.campaign_runs._MAX_AHEAD", SOURCE_RECIPIENTS)
    monkeypatch.setattr("heliograph.services.campaigns._PATIENCE_S", 0)
    async with open_rig(tmp_path, balance=10**11) as rig:
        puppet = PuppetConnector(1, window=2, answers=False)
        await rig.attach(puppet)
        lists = Lists(rig, puppet)
        count = 4 * SOURCE_RECIPIENTS
        id = await lists.add(",".join(phones(count)))
        await lists.until(id, lambda v: v.message_count == 2 * SOURCE_RECIPIENTS)
        for _ in range(3):
            assert not await lists.campaigns.runs._turn(lists.campaigns.runs._jobs[id])
        await rig.send("79261234567")
        puppet.accept()
        await rig.until(lambda: "79261234567" in puppet.sent_to[:4])
        puppet.answers, puppet.free = True, 2 * count
        puppet.accept()
        await rig.until(lambda: len(puppet.sent_to) == count + 1)
        assert (await lists.view(id)).message_count == count


# --- additional logins ----------------------------------------------------------------------------


async def test_a_list_of_an_additional_login_keeps_to_what_it_may(lists: Lists) -> None:
    runtime = lists.rig.runtime
    silent = SubclientChanges(settings={"fl[6]": "1"})
    player = SubclientChanges(is_test=True)
    for login, changes, status, err in (("silent", silent, 23, 244), ("player", player, 1, 200)):
        changes.kind, changes.password = AccountKind.LOGIN, "Secret-123"
        await runtime.services.subclients.add(lists.rig.account, login, changes)
        await runtime.directory.refresh_if_changed()
        account = runtime.directory.account(login)
        assert account is not None
        acting = runtime.directory.principal(account)
        assert acting is not None
        id = await _add_as(lists, acting, f"{ONE},{TWO}")
        answer = await lists.rig.reach(str(id), status, ONE)
        assert answer.err == err
    assert lists.puppet.sent_to == []


async def _add_as(lists: Lists, account: Account, to: str) -> int:
    request = SendRequest(account, [Entry([], "hello")])
    order = CampaignOrder(request=request, sources=divide_recipients(to, limit=10), name="x")
    ordered = await lists.campaigns.add(order)
    assert isinstance(ordered, Ordered)
    return ordered.id


# --- while messages wait --------------------------------------------------------------------------


async def come_due(lists: Lists, id: int, **columns: int) -> None:
    """The time of a planned list has come."""
    changes = {"due_at": now_ms(), **columns}
    sets = ", ".join(f"{name} = {value}" for name, value in changes.items())
    async with lists.rig.runtime.database.write() as connection:
        await connection.execute(text(f"UPDATE messages SET {sets} WHERE due_at > 0"))
    for chunk in lists.campaigns.runs._jobs[id].chunks.values():
        chunk.held_until = 1


def in_an_hour() -> str:
    return f"0{(now_ms() + HOUR_MS) // 1000}"


async def test_nothing_of_a_blocked_account_goes_out_until_it_is_let_go(lists: Lists) -> None:
    """Of a planned list and of a repeated one."""
    planned = await lists.add(ONE, time=in_an_hour())
    repeated = await lists.add(TWO, repetition=Repetition.HOURLY)
    await lists.until(repeated, lambda v: v.status == -1)
    await set_account(lists, is_blocked=True)
    jobs = lists.campaigns.runs._jobs
    jobs[repeated].campaign.next_run_at = late = now_ms() - 2 * HOUR_MS
    await come_due(lists, planned)
    for _ in range(3):
        assert not await lists.campaigns.runs._turn(jobs[planned])
        assert not await lists.campaigns.runs._turn(jobs[repeated])
    assert (lists.puppet.sent_to, jobs[repeated].campaign.next_run_at) == ([TWO], late)
    await set_account(lists, is_blocked=False)
    await lists.rig.until(lambda: lists.puppet.sent_to == [TWO, ONE])
    # What is too late by now is left out.
    view = await lists.until(repeated, lambda v: v.campaign.next_run_at > now_ms())
    assert view.campaign.run == 1


async def test_what_waits_is_looked_at_once_more_before_it_goes(lists: Lists) -> None:
    """Numbers that were put on the black list get nothing, nor does what has outlived its life."""
    before = await lists.rig.balance()
    late = await lists.add(THREE, time=in_an_hour())
    await come_due(lists, late, expires_at=now_ms() - 1)
    answer = await lists.rig.reach(str(late), 3, THREE)
    assert answer.err == 6
    view = await lists.until(late, lambda v: v.status == 1)
    assert (view.failed, view.cost_micros, lists.puppet.sent_to) == (1, 0, [])
    assert await lists.rig.balance() == before
    id = await lists.add(f"{ONE},{TWO}", time=in_an_hour())
    price = (await lists.view(id)).cost_micros // 2
    await books(lists).add_black(lists.rig.account, ONE, BlackType.MASS)
    await come_due(lists, id)
    await lists.rig.until(lambda: lists.puppet.sent_to == [TWO])
    answer = await lists.rig.reach(str(id), 23, ONE)
    assert answer.err == 250
    assert await lists.rig.balance() == before - price


async def test_what_is_late_keeps_to_the_allowed_hours(lists: Lists) -> None:
    id = await lists.add(ONE, time=in_an_hour())
    hour = (now_ms() // HOUR_MS + 3 + 5) % 24  # in Moscow, five hours from now
    await set_account(lists, settings={"tmlim": f"{hour}-{hour + 1}"})
    await come_due(lists, id)
    chunks = lists.campaigns.runs._jobs[id].chunks
    await lists.rig.until(lambda: all(chunk.held_until > now_ms() for chunk in chunks.values()))
    assert {chunk.held_until // HOUR_MS % 24 for chunk in chunks.values()} == {(hour - 3) % 24}
    assert lists.puppet.sent_to == []
    await set_account(lists, settings={"tmlim": ""})
    await come_due(lists, id)
    await lists.rig.until(lambda: lists.puppet.sent_to == [ONE])


async def test_a_group_that_is_gone_when_a_run_begins_is_left_out(lists: Lists) -> None:
    group = await add_group(lists, "17", ONE)
    id = await lists.add(f"G17,{TWO}", repetition=Repetition.HOURLY)
    await lists.until(id, lambda v: v.status == -1)
    assert lists.puppet.sent_to == [ONE, TWO]
    await books(lists).delete_group(lists.rig.account, ContactKind.PHONE, group)
    lists.campaigns.runs._jobs[id].campaign.next_run_at = now_ms()
    await lists.rig.until(lambda: len(lists.puppet.sent_to) > 2)
    await lists.until(id, lambda v: v.status == -1 and v.campaign.run == 2)
    assert lists.puppet.sent_to == [ONE, TWO, TWO]
