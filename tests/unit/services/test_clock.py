"""What happens because time passes: with a clock that jumps, and beside a slow operator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.unit.services.rig import PuppetConnector, open_rig

from heliograph.connectors.base import ReceiptReport
from heliograph.domain.messages import Part
from heliograph.runtime import now_ms

DAY_MS = 86_400_000


async def test_a_clock_that_was_a_day_ahead_for_a_moment(tmp_path: Path) -> None:
    """What is accepted afterwards expires although its time had been passed before."""
    async with open_rig(tmp_path, "sending.validity_hours=0.0003") as rig:
        puppet = PuppetConnector(0)
        puppet.is_up = False
        await rig.attach(puppet)
        clockwork = rig.runtime.engine.clockwork
        ahead = now_ms() + DAY_MS
        clockwork._clock = lambda: ahead
        await rig.until(lambda: clockwork._swept_waiting == ahead)
        clockwork._clock = now_ms
        await rig.until(lambda: clockwork._swept_waiting < ahead)
        sent = await rig.send()
        await rig.reach(sent.client_ref, 3)
        assert (await rig.audit()).is_exact


class SilentConnector(PuppetConnector):
    """Is asked about messages without receipts, and keeps the gateway waiting."""

    def __init__(self, id: int) -> None:
        super().__init__(id)
        self.may_answer = asyncio.Event()

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        self.asked += [p.id for p in parts]
        await self.may_answer.wait()
        return {}


async def test_nobody_waits_for_an_operator_that_does_not_answer(tmp_path: Path) -> None:
    lives = ("sending.validity_hours=0.0002", "sending.receipt_wait_hours=0.0002")
    async with open_rig(tmp_path, *lives) as rig:
        silent = SilentConnector(0)
        await rig.attach(silent)
        lost = await rig.send(text="no receipt")
        await rig.until(lambda: silent.asked)
        await rig.send(text="in a moment", due_at=now_ms() + 1_000, valid_ms=60_000)
        await rig.until(lambda: "in a moment" in silent.texts)
        silent.may_answer.set()
        await rig.reach(lost.client_ref, 3)
