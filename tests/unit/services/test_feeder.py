"""What waits on disk only: nothing of it is forgotten, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.connectors.base import OutcomeKind
from heliograph.services import dispatch as dispatch_module
from heliograph.services import feeder as feeder_module
from heliograph.storage.messages import messages_of


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data") as opened:
        yield opened


async def test_more_than_memory_holds_waits_on_disk(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.queueing.lanes.LANE_CAPACITY", 50)
    monkeypatch.setattr(feeder_module, "FEED_PAGE", 60)
    puppet = PuppetConnector(0, window=0)
    await rig.attach(puppet)
    for batch in range(4):
        await rig.send(",".join(f"7916{batch:03d}{n:04d}" for n in range(100)))
    assert rig.dispatch.upstreams[puppet.id].lanes.spilled
    puppet.free = 20
    await rig.until(lambda: len(puppet.sent_to) >= 400)
    await asyncio.sleep(0.3)
    assert len(puppet.sent_to) == len(set(puppet.sent_to)) == 400
    assert (await rig.status("4", "79160030099")).status == 0


async def test_what_stands_in_two_lanes_is_sent_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was put off makes the feeder begin anew at its place, before what waits in
    memory: the same part then stands in the lane in which it was and in that of the feeder."""
    monkeypatch.setattr("heliograph.queueing.lanes.LANE_CAPACITY", 50)
    monkeypatch.setattr(feeder_module, "FEED_PAGE", 60)
    puppet = PuppetConnector(0, window=1, answers=False)
    await rig.attach(puppet)
    lanes = rig.dispatch.upstreams[puppet.id].lanes
    phones = [f"7916{n:07d}" for n in range(200)]
    await asyncio.gather(*(rig.send(phone) for phone in phones))
    await rig.until(lambda: puppet.sent)
    puppet.is_up = False
    put_off = puppet.outcome(OutcomeKind.DEFERRED, retry_after_ms=1)[0]
    await rig.until(lambda: lanes.spilled and min(lanes.spilled.values()) < put_off.id)
    puppet.is_up, puppet.free = True, 25
    await rig.until(lambda: len(puppet.sent) == 25 and len(lanes) > 25)  # the feeder has been there
    puppet.answers, puppet.free = True, 100
    await rig.until(lambda: len(puppet.sent_to) > 200)
    await rig.until(lambda: not len(lanes))
    assert sorted(puppet.sent_to) == sorted([*phones, put_off.message.recipient])


async def message_id(rig: Rig, client_ref: str) -> int:
    async with rig.runtime.database.read() as connection:
        return (await messages_of(connection, rig.account.id, client_ref))[0].id


@pytest.mark.interpreted
async def test_what_ends_while_the_feeder_reads_is_not_sent_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = feeder_module.waiting_messages
    has_read, go_on = asyncio.Event(), asyncio.Event()

    async def read_slowly(*arguments: Any, **fields: Any) -> Any:
        page = await read(*arguments, **fields)
        has_read.set()
        await go_on.wait()
        return page

    monkeypatch.setattr("heliograph.queueing.lanes.LANE_CAPACITY", 2)
    monkeypatch.setattr(feeder_module, "waiting_messages", read_slowly)
    puppet = PuppetConnector(0, window=1)
    puppet.answers = False
    await rig.attach(puppet)
    phones = [f"7916{n:07d}" for n in range(6)]
    sent = [await rig.send(phone) for phone in phones]
    await rig.until(lambda: puppet.sent)
    puppet.is_up = False
    puppet.outcome(OutcomeKind.DEFERRED, retry_after_ms=1)
    puppet.free = 2
    await asyncio.wait_for(has_read.wait(), 30)
    puppet.is_up = True
    await rig.until(lambda: len(puppet.sent) == 2)
    for end, part in zip(sent[1:3], puppet.sent, strict=True):
        assert part.message.submission.client_ref == end.client_ref
    puppet.accept()
    for end, phone in zip(sent[1:3], phones[1:3], strict=True):
        external = str(
            rig.dispatch._tracker.live[await message_id(rig, end.client_ref)].parts[0].id
        )
        assert await puppet.tell(puppet.receipt(external))
        await rig.reach(end.client_ref, 1, phone)
    puppet.answers, puppet.free = True, 100
    go_on.set()
    for end, phone in zip(sent[3:], phones[3:], strict=True):
        await rig.reach(end.client_ref, 0, phone)
    assert sorted(puppet.sent_to) == sorted([*phones, phones[0]])
    assert (await rig.audit()).is_exact


async def test_what_does_not_fit_into_the_other_way_waits_and_is_not_forgotten(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of these messages name the upstream that is down: it reads them, and passes them on
    as the other one has room."""
    monkeypatch.setattr("heliograph.queueing.lanes.LANE_CAPACITY", 3)
    monkeypatch.setattr(dispatch_module, "_FAILOVER_MS", 100)
    down, slow = PuppetConnector(1), PuppetConnector(2, window=1, answers=False)
    await rig.attach(down, slow)
    down.is_up = False
    phones = [f"7916{n:07d}" for n in range(20)]
    for phone in phones:
        await rig.send(phone)
    lanes = rig.dispatch.upstreams[down.id].lanes
    assert lanes.spilled
    await rig.until(lambda: not lanes.spilled and len(lanes) > 10)  # read, and no room for it
    slow.answers = True
    slow.accept()
    await rig.until(lambda: len(slow.sent_to) == 20)
    assert sorted(slow.sent_to) == phones
    assert not down.sent_to
