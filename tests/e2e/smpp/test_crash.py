"""kill -9 under SMPP load: what was answered is there, and gets its receipt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path

from tests.harness.esme import Esme, message
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import DeliverSm, SubmitSmResp, encode

# `HELIOGRAPH_KILLS=20` for more than a usual test run can wait for.
KILLS = int(os.environ.get("HELIOGRAPH_KILLS", "3"))
BINDS = 3
WINDOW = 50


class Load:
    """Submits with a full window on several binds, over every restart."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._number = 0
        self.is_over = False
        self.answered: set[str] = set()
        self.receipts: dict[str, int] = {}

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(BINDS)))

    async def _client(self) -> None:
        while not self.is_over:
            try:
                esme = await Esme.bind(self._gateway.smpp, LOGIN, PASSWORD)
            except (OSError, TimeoutError, AssertionError, ConnectionError):
                await asyncio.sleep(0.05)
                continue
            with contextlib.suppress(OSError, TimeoutError, ConnectionError):
                await self._submit(esme)
            self._collect(esme)
            await esme.close()

    async def _submit(self, esme: Esme) -> None:
        sent = done = seen = 0
        while not self.is_over and not esme.is_closed.is_set():
            done += sum(isinstance(p, SubmitSmResp) for p in esme.log[seen:])
            seen = len(esme.log)
            for _ in range(WINDOW - (sent - done)):
                self._number += 1
                sent += 1
                # The tail keeps clear of the magic numbers of the virtual network.
                pdu = message(f"n{self._number}", phone=f"7916{self._number:06d}1")
                esme.write(encode(pdu, sent + 10))
            await asyncio.sleep(0.005)
        if not esme.is_closed.is_set():
            last = sent + 10
            await esme.find(lambda p: p.is_response and p.sequence_number == last)

    def _collect(self, esme: Esme) -> None:
        for pdu in esme.log:
            if isinstance(pdu, SubmitSmResp) and not pdu.command_status:
                self.answered.add(pdu.message_id)
            elif isinstance(pdu, DeliverSm):
                message_id = pdu.tlvs.text(0x001E) or ""
                self.receipts[message_id] = self.receipts.get(message_id, 0) + 1


async def test_no_answered_message_is_lost(tmp_path: Path) -> None:
    gateway = Gateway(
        tmp_path / "data", "limits.enforce=false", "limits.duplicates=false", doors=("smpp",)
    )
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    load = Load(gateway)
    running = asyncio.create_task(load.run())
    rng = random.Random(7)
    for _ in range(KILLS):
        await asyncio.sleep(0.5 + rng.random())
        gateway.kill()
        await asyncio.to_thread(gateway.start)
    await asyncio.sleep(0.5)
    load.is_over = True
    await asyncio.wait_for(running, 60)
    assert len(load.answered) > 100 * KILLS
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while True:
                missing = load.answered - set(load.receipts)
                missing -= {str(pdu.tlvs.text(0x001E)) for pdu in esme.inbox}
                if not missing:
                    break
                await asyncio.sleep(0.1)
    load._collect(esme)
    await esme.close()
    assert load.answered - set(load.receipts) == set()
    assert not await asyncio.to_thread(gateway.audit)
    assert await asyncio.to_thread(gateway.stop) == 0
