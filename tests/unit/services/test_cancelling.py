"""Ending what is just being let go: it is either sent and paid for, or neither."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.services.rig import PHONE, PuppetConnector, open_rig

from heliograph.runtime import now_ms

_HOUR_MS = 3_600_000


@pytest.mark.parametrize("door", ["status", "cancel"])
async def test_deleted_while_its_time_comes(tmp_path: Path, door: str) -> None:
    """Both read the message from disk, in every order of their steps."""
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(1)
        await rig.attach(puppet)
        before = await rig.balance()
        price = (await rig.send("79161234567")).cost_micros
        await rig.until(lambda: puppet.sent_to)

        async def delete(ref: str, turns: int) -> object:
            for _ in range(turns):
                await asyncio.sleep(0)
            services = rig.runtime.services
            if door == "status":
                return await services.statuses.delete(rig.account, [(ref, PHONE)])
            return await services.references.cancel(rig.account, ref)

        async def let_go(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await rig.runtime.engine.clockwork._release(now_ms() + 2 * _HOUR_MS)

        for turns in range(16):
            sent = await rig.send(text=f"later {turns}", due_at=now_ms() + _HOUR_MS)
            await asyncio.gather(
                delete(sent.client_ref, turns % 4), let_go(0 if turns < 8 else turns % 8)
            )
            await asyncio.sleep(0.02)
        paid = before - await rig.balance()
        assert paid == price * len(puppet.sent_to)
        assert not (await rig.audit()).problems


async def test_held_longer_than_its_life(tmp_path: Path) -> None:
    """A mailing list may come to let it go when there is nothing left of its time."""
    async with open_rig(tmp_path) as rig:
        await rig.attach(PuppetConnector(1))
        before = await rig.balance()
        late = await rig.send(due_at=now_ms() + 50, valid_ms=1, campaign_id=1)
        assert (await rig.reach(late.client_ref, 3)).err == 6
        assert await rig.balance() == before
        assert not (await rig.audit()).problems
