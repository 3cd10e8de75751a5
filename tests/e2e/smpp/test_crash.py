"""kill -9 under SMPP load: what was answered is there, and gets its receipt.

`make crash-smpp` does it twenty times, with an operator behind.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.harness.gateway import Gateway
from tests.harness.smpp_load import SmppLoad

KILLS = 3


@pytest.mark.timeout(400)  # five starts, on a machine that may be busy
async def test_no_answered_message_is_lost(tmp_path: Path) -> None:
    gateway = Gateway(
        tmp_path / "data",
        *("limits.enforce=false", "limits.duplicates=false"),
        "smpp.join_s=5",  # a kill leaves parts whose rest was never taken
        doors=("smpp",),
    )
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    load = SmppLoad(gateway, cut_every=10)
    running = asyncio.create_task(load.run())
    rng = random.Random(7)
    for _ in range(KILLS):
        await load.answer_more(300)
        await asyncio.sleep(0.3 * rng.random())
        gateway.kill()
        await asyncio.to_thread(gateway.start)
    await load.answer_more(300)
    load.is_over = True
    await asyncio.wait_for(running, 60)
    assert await load.take_receipts(60) == set()
    assert await load.find_lost() == set()
    assert not await asyncio.to_thread(gateway.audit)
    assert await asyncio.to_thread(gateway.stop) == 0
