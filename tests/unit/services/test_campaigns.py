"""Mailing lists through the services: what is made of an order, when, for how much, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from tests.unit.services.lists import Lists, open_lists, phones
from tests.unit.services.rig import PuppetConnector, open_rig

from heliograph.connectors.base import OutcomeKind
from heliograph.domain.campaigns import (
    SOURCE_RECIPIENTS,
    CampaignOrder,
    CampaignState,
    Repetition,
)
from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest, Spread
from heliograph.gateways.http.jobs import _divide_entries
from heliograph.runtime import now_ms
from heliograph.services.campaigns import Ordered

HOUR_MS = 3_600_000


@pytest.fixture
async def lists(tmp_path: Path) -> AsyncIterator[Lists]:
    async with open_lists(tmp_path, "sending.repeat_minutes=0") as opened:
        yield opened
        await opened.audited()


async def test_goes_out_at_once(lists: Lists) -> None:
    id = await lists.add("79161234567;+79161234568,79161234567,12", text="hello")
    assert id == 1_000_001
    view = await lists.view(id)
    assert (view.message_count, view.status, view.failed) == (3, 0, 1)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    await lists.rig.reach(str(id), 0, "79161234568")
    await lists.rig.reach(str(id), 22, "12")
    await lists.deliver()
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.delivered, view.failed, view.ended) == (2, 1, 3)
    assert await lists.add("79161234567") == 1_000_002


async def test_own_message_id_and_price(lists: Lists) -> None:
    ordered = await lists.try_add(",".join(phones(3)), client_ref="10", wants_cost=True)
    assert isinstance(ordered, Ordered)
    assert ordered.cost_micros == (await lists.view(ordered.id)).cost_micros > 0
    await lists.rig.reach("10", 0, phones(1)[0])


async def test_more_than_one_portion(lists: Lists) -> None:
    count = 2 * SOURCE_RECIPIENTS + 7
    id = await lists.add(",".join(phones(count)))
    view = await lists.view(id)
    assert (view.message_count, view.campaign.state) == (count, CampaignState.SENDING)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == count)
    assert sorted(lists.puppet.sent_to) == phones(count)
    await lists.rig.reach(str(id), 0, phones(count)[-1])


async def test_waits_for_its_time_and_is_cancelled(lists: Lists) -> None:
    before = await lists.rig.balance()
    at = f"0{now_ms() // 1000 + 3600}"
    id = await lists.add(",".join(phones(5)), time=at)
    view = await lists.view(id)
    assert (view.status, view.message_count) == (-1, 5)
    assert await lists.rig.balance() == before - view.cost_micros
    await lists.rig.reach(str(id), -1, phones(1)[0])
    assert await lists.campaigns.cancel(lists.rig.account, id)
    view = await lists.view(id)
    assert (view.status, view.cost_micros) == (-2, 0)
    assert await lists.rig.balance() == before
    assert (await lists.rig.status(str(id), phones(1)[0])).status == -2
    assert not await lists.campaigns.cancel(lists.rig.account, id)
    assert lists.puppet.sent_to == []


async def test_goes_out_when_its_time_comes(lists: Lists) -> None:
    due = now_ms() // 1000 + 2
    id = await lists.add(",".join(phones(5)), time=f"0{due}")
    assert (await lists.view(id)).status == -1 or now_ms() // 1000 >= due
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 5)
    await lists.until(id, lambda v: v.status == 0)


async def test_spread_over_a_period(lists: Lists) -> None:
    """Four portions, two seconds apart; the last one is cancelled."""
    spread = Spread(period_ms=8_000, step_ms=2_000)
    began = now_ms()
    id = await lists.add(",".join(phones(8)), spread=spread)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 6)
    spans = [at - began for at in lists.puppet.sent_at]
    assert spans[1] < 2_000
    assert spans[2] >= 2_000
    assert spans[4] >= 4_000
    assert await lists.campaigns.cancel(lists.rig.account, id)
    view = await lists.view(id)
    assert (view.status, len(lists.puppet.sent_to)) == (-2, 6)
    await lists.deliver()
    view = await lists.until(id, lambda v: v.ended == 8)
    assert (view.delivered, view.failed) == (6, 0)
    for phone, status in ((phones(8)[0], 1), (phones(8)[7], -2)):
        await lists.rig.reach(str(id), status, phone)


async def test_repeated_runs(lists: Lists) -> None:
    """The first run begins at once, the second in an hour; cancelled between them."""
    id = await lists.add(phones(1)[0], repetition=Repetition.HOURLY, max_runs=2)
    view = await lists.until(id, lambda v: v.status == -1)
    assert view.campaign.run == 1
    assert view.campaign.next_run_at == view.campaign.created_at + HOUR_MS
    job = lists.campaigns.runs._jobs[id]
    job.campaign.next_run_at = now_ms()
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    await asyncio.sleep(0.1)  # for its answer
    await lists.deliver()
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.campaign.run, view.delivered) == (2, 2)


async def test_a_run_that_is_far_too_late_is_left_out(lists: Lists) -> None:
    id = await lists.add(phones(1)[0], repetition=Repetition.DAILY)
    await lists.until(id, lambda v: v.status == -1)
    job = lists.campaigns.runs._jobs[id]
    job.campaign.next_run_at = now_ms() - 2 * HOUR_MS
    view = await lists.until(id, lambda v: v.campaign.next_run_at > now_ms())
    assert (view.campaign.run, view.message_count) == (1, 1)


async def test_second_channel(lists: Lists) -> None:
    """Who did not get it by Viber gets an SMS, once."""
    one, two = phones(2)
    id = await lists.add(f"{one},{two}", text="viber", type=MessageType.VIBER, text2="by sms")
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    await lists.rig.reach(str(id), 0, two)
    await lists.deliver(two, err=1)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 3)
    assert (lists.puppet.sent_to[2], lists.puppet.texts[2]) == (two, "by sms")
    answer = await lists.rig.reach(str(id), 0, two)
    assert (answer.type, answer.text) == (MessageType.SMS, "by sms")
    await lists.deliver(two, err=1)
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.message_count, view.delivered, view.failed) == (2, 1, 1)
    assert len(lists.puppet.sent_to) == 3


async def test_undelivered_ones_are_repeated_once(lists: Lists) -> None:
    one, two = phones(2)
    id = await lists.add(f"{one},{two}", sender="first", sender2="second", repeats=True)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    await lists.rig.reach(str(id), 0, two)
    await lists.deliver(two, err=6)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 3)
    assert lists.puppet.sent_to[2] == two
    assert (await lists.rig.reach(str(id), 0, two)).sender == "second"
    await lists.deliver()
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.message_count, view.delivered, view.failed) == (2, 2, 0)


async def test_what_may_have_arrived_is_not_repeated(lists: Lists) -> None:
    one, two = phones(2)
    id = await lists.add(f"{one},{two}", repeats=True)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 2)
    await lists.rig.reach(str(id), 0, two)
    await lists.deliver(two, err=245)
    view = await lists.until(id, lambda v: v.status == 1)
    assert (view.delivered, view.failed, len(lists.puppet.sent_to)) == (1, 1, 2)


async def test_own_texts(lists: Lists) -> None:
    entries = [Entry(phones(1500), "one"), Entry(["79169999999"], "two", "Other")]
    request = SendRequest(lists.rig.account, [Entry([], "one")])
    ordered = await lists.campaigns.add(
        CampaignOrder(request=request, sources=_divide_entries(iter(entries), 2000), name="x")
    )
    assert isinstance(ordered, Ordered)
    await lists.rig.until(lambda: len(lists.puppet.sent_to) == 1501)
    answer = await lists.rig.reach(str(ordered.id), 0, "79169999999")
    assert (answer.text, answer.sender) == ("two", "Other")
    assert (await lists.rig.reach(str(ordered.id), 0, phones(1)[0])).text == "one"


@pytest.mark.parametrize(
    ("to", "fields", "refusal"),
    [
        (" , ;", {}, Refusal.BAD_PARAMETERS),
        ("G17", {}, Refusal.BAD_PARAMETERS),
        (phones(1)[0], {"text": ""}, Refusal.BAD_PARAMETERS),
        (phones(1)[0], {"time": "tomorrow"}, Refusal.BAD_DATE),
        (phones(1)[0], {"type": MessageType.BINARY, "text": "no"}, Refusal.BAD_PARAMETERS),
    ],
)
async def test_orders_that_are_refused(
    lists: Lists, to: str, fields: dict[str, Any], refusal: Refusal
) -> None:
    outcome = await lists.try_add(to, **fields)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is refusal
    assert await lists.campaigns.find_all(lists.rig.account) == []


async def test_files_wait_on_disk(lists: Lists) -> None:
    """Lists that wait for their runs are in memory; what they carry may be large."""
    files = [("a.txt", "text/plain", b"content")]
    id = await lists.add(
        "one@example.com",
        type=MessageType.EMAIL,
        sender="me@example.com",
        options={"subject": "s", "files": files},
        repetition=Repetition.HOURLY,
    )
    await lists.until(id, lambda v: v.status == -1)
    job = lists.campaigns.runs._jobs[id]
    assert b"content" not in msgspec.json.encode(job.campaign.order)
    assert "files" not in job.campaign.order["options"]
    job.campaign.next_run_at = now_ms()
    await lists.until(id, lambda v: v.campaign.run == 2 and v.status == -1)
    sent = lists.rig.runtime.engine.receipts._tracker.live.values()
    assert [message.submission.options["files"] for message in sent] == [files, files]


async def test_lists_that_wait_are_not_too_many(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.services.campaigns._MAX_ACTIVE", 1)
    id = await lists.add(phones(1)[0], repetition=Repetition.HOURLY)
    refused = await lists.try_add(phones(1)[0])
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.NOT_SAVED
    assert await lists.campaigns.cancel(lists.rig.account, id)
    await lists.rig.until(lambda: not lists.puppet.sent)
    await lists.deliver()
    await lists.rig.until(lambda: not lists.campaigns.runs._jobs)
    await lists.add(phones(1)[0])


async def test_too_many_recipients(tmp_path: Path) -> None:
    async with open_lists(tmp_path, "sending.max_list_recipients=3") as lists:
        assert isinstance(await lists.try_add(",".join(phones(4))), Refused)
        await lists.add(",".join(phones(3)))


async def test_deleted_is_out_of_sight(lists: Lists) -> None:
    id = await lists.add(phones(1)[0])
    await lists.rig.reach(str(id), 0, phones(1)[0])
    assert await lists.campaigns.delete(lists.rig.account, id)
    assert await lists.campaigns.find(lists.rig.account, id) is None
    assert not await lists.campaigns.delete(lists.rig.account, id)
    await lists.rig.reach(str(id), 0, phones(1)[0])  # what was sent stays


async def test_when_the_money_runs_out(tmp_path: Path) -> None:
    """Portion by portion: one that is not covered ends as a whole, later ones are tried again."""
    count = 2 * SOURCE_RECIPIENTS + 10
    async with open_lists(tmp_path, balance=10**12) as lists:
        price = (await lists.view(await lists.add(phones(1)[0]))).cost_micros
    balance = price * (SOURCE_RECIPIENTS + 10)
    async with open_lists(tmp_path / "poor", balance=balance) as lists:
        id = await lists.add(",".join(phones(count)))
        view = await lists.view(id)
        assert (view.message_count, view.failed) == (count, SOURCE_RECIPIENTS)
        assert await lists.rig.balance() == 0
        await lists.rig.reach(str(id), 0, phones(count)[0])
        await lists.rig.reach(str(id), 24, phones(count)[SOURCE_RECIPIENTS])
        await lists.rig.reach(str(id), 0, phones(count)[-1])
        await lists.audited()


async def test_what_was_not_answered_in_the_window_is_cancelled(tmp_path: Path) -> None:
    """Two are on the wire and stay; the others wait in lanes and are stopped, money and all."""
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(1, window=2, answers=False)
        await rig.attach(puppet)
        lists = Lists(rig, puppet)
        before = await rig.balance()
        id = await lists.add(",".join(phones(30)))
        await rig.until(lambda: len(puppet.sent) == 2)
        assert await lists.campaigns.cancel(rig.account, id)
        view = await lists.view(id)
        assert view.ended == 28
        puppet.accept()
        await rig.until(lambda: puppet.free == 2)
        await lists.deliver()
        view = await lists.until(id, lambda v: v.ended == 30)
        assert (view.status, view.delivered) == (-2, 2)
        assert await rig.balance() == before - view.cost_micros
        assert len(puppet.sent_to) == 2
        await lists.audited()


async def test_goes_on_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited, what was half made and what was held is there again; nobody gets it twice."""
    count = 3 * SOURCE_RECIPIENTS
    async with open_lists(tmp_path) as lists:
        runs = lists.campaigns.runs
        await runs.stop()
        monkeypatch.setattr(runs, "settled", lambda *_: asyncio.sleep(0))
        id = await lists.add(",".join(phones(count)))
        assert await runs._step(runs._jobs[id])
        await lists.rig.until(lambda: len(lists.puppet.sent_to) == SOURCE_RECIPIENTS)
        assert (await lists.view(id)).campaign.seq == 1
    # After the restart the network of its name delivers, also what the puppet had taken.
    async with open_rig(tmp_path) as rig:
        lists = Lists(rig, lists.puppet)
        view = await lists.until(id, lambda v: v.ended == count)
        assert (view.message_count, view.delivered) == (count, count)
        async with rig.runtime.database.read() as connection:
            query = text("SELECT count(*), count(DISTINCT recipient) FROM messages")
            assert tuple((await connection.execute(query)).one()) == (count, count)
        await lists.audited()


async def test_a_rejected_message_of_a_list_counts_as_failed(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(1, answers=False)
        await rig.attach(puppet)
        lists = Lists(rig, puppet)
        id = await lists.add(phones(1)[0])
        await rig.until(lambda: puppet.sent)
        puppet.outcome(OutcomeKind.REJECTED, err=255)
        view = await lists.until(id, lambda v: v.status == 1)
        assert (view.failed, view.delivered) == (1, 0)
