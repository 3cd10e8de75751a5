"""A clock that jumps: what waits is ended in its time all the same."""

from __future__ import annotations

from pathlib import Path

from tests.unit.services.rig import PuppetConnector, open_rig

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
