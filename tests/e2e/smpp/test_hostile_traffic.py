"""Clients that never read or answer, ignore every limit, or come and go in storms.

Beside each of them a neighbour is served, and the memory of the gateway keeps its bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.harness.esme import Esme, eventually, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import (
    BindTransceiver,
    CommandStatus,
    EnquireLink,
    QuerySm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    encode,
)

S = CommandStatus
RATE = 50
LIMIT_S = 60
# What one ill-behaved client may cost: buffers of its socket and caches that were cold.
MEMORY_MB = 40


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("traffic") / "data",
        *("limits.enforce=false", "limits.duplicates=false"),
        "smpp.idle_s=4",
        "smpp.enquire_link_s=2",
        "smpp.response_s=1",
        "smpp.deliver_window=60",
        doors=("smpp",),
    )
    running.create_account()
    running.create_account("other")
    running.create_account("deaf")
    running.create_account("eager", smpp_rate=RATE)
    running.create_account("going")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text(), running.output.read_text()[-5000:]


class Neighbour:
    """Sends one message after the other in the background; `served` counts them."""

    def __init__(self, esme: Esme) -> None:
        self.esme = esme
        self.served = 0

    async def run(self) -> None:
        while True:
            answer = await self.esme.ask(message(f"n{self.served}"), timeout_s=LIMIT_S)
            assert answer.command_status == 0
            self.served += 1
            self.esme.log.clear()
            await asyncio.sleep(0.01)

    async def serve(self, count: int = 3) -> None:
        """Waits until so many more are answered."""
        wanted = self.served + count
        await eventually(lambda: self.served >= wanted)


@pytest.fixture
async def neighbour(door: Gateway) -> AsyncIterator[Neighbour]:
    running = Neighbour(await Esme.bind(door.smpp, "other", PASSWORD))
    task = asyncio.create_task(running.run())
    await running.serve()
    yield running
    await running.serve()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await running.esme.close()


def resident_mb(gateway: Gateway) -> float:
    for line in Path(f"/proc/{gateway.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(gateway.pid)


async def ended(door: Gateway, reason: str, more_than: float) -> None:
    """Waits until the door has ended another connection for this reason."""
    name = f'heliograph_smpp_refused_total{{reason="{reason}"'
    await eventually(lambda: door.metric(name) > more_than)


async def test_who_never_reads_is_closed_and_costs_little(
    door: Gateway, neighbour: Neighbour
) -> None:
    """A bound client asks without end and takes no answer: we stop reading, then close."""
    before = door.metric('heliograph_smpp_refused_total{reason="does_not_read"')
    memory = resident_mb(door)
    esme = await Esme.connect(door.smpp, reads=False)
    esme.write(encode(BindTransceiver(system_id=LOGIN, password=PASSWORD[:8]), 1))
    asked = b"".join(encode(EnquireLink(), n) for n in range(2, 20_000))
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LIMIT_S):
            while True:
                esme.write(asked)
                await esme.drain()
    await ended(door, "does_not_read", before)
    await neighbour.serve()
    assert resident_mb(door) < memory + MEMORY_MB
    await esme.close()


async def test_who_never_answers_is_closed_and_gets_everything_again(
    door: Gateway, neighbour: Neighbour
) -> None:
    esme = await Esme.bind(door.smpp, "deaf", PASSWORD)
    esme.answers = False
    before = door.metric('heliograph_smpp_refused_total{reason="does_not_answer"')
    ids = set()
    for number in range(55):
        ids.add((await esme.ask(message(f"d{number}"))).message_id)
    await esme.closed(LIMIT_S)
    assert door.metric('heliograph_smpp_refused_total{reason="does_not_answer"') == before + 1
    await esme.close()
    again = await Esme.bind(door.smpp, "deaf", PASSWORD)
    await eventually(lambda: {pdu.tlvs.text(0x001E) for pdu in again.inbox} == ids)
    await again.close()


async def test_who_ignores_the_speed_limit_gains_nothing(
    door: Gateway, neighbour: Neighbour
) -> None:
    """No window, no pause, every ESME_RTHROTTLED answered by the next message."""
    esme = await Esme.bind(door.smpp, "eager", PASSWORD, kind="tx")
    began = time.monotonic()
    count = 6_000
    for at in range(0, count, 500):
        esme.write(b"".join(encode(message(f"e{n}"), 100 + n) for n in range(at, at + 500)))
        await esme.drain()
    await esme.find(lambda p: p.sequence_number == 99 + count, timeout_s=LIMIT_S)
    took = time.monotonic() - began
    answers = [p for p in esme.log if isinstance(p, SubmitSmResp)]
    assert [p.sequence_number for p in answers] == list(range(100, 100 + count))
    assert {p.command_status for p in answers} == {0, S.ESME_RTHROTTLED}
    good = sum(not p.command_status for p in answers)
    assert RATE <= good <= RATE * (took + 2)
    assert took > 0.9  # 2000 refusals a second, then the reading rests
    # It slows down, and is served.
    await asyncio.sleep(1.1)
    assert (await esme.ask(message("slow"))).command_status == 0
    await esme.close()


async def test_a_storm_of_binds_with_a_wrong_password(door: Gateway, neighbour: Neighbour) -> None:
    """Each is answered late; a client at the same address that knows its password is not."""
    failed = [
        asyncio.create_task(_bind_badly(door, f"{LOGIN}{n % 3}" if n % 2 else LOGIN))
        for n in range(40)
    ]
    await neighbour.serve(10)
    statuses = await asyncio.gather(*failed)
    assert set(statuses) == {S.ESME_RINVPASWD, S.ESME_RINVSYSID}
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    await esme.close()


async def _bind_badly(door: Gateway, login: str) -> int:
    esme = await Esme.connect(door.smpp)
    answer = await esme.ask(BindTransceiver(system_id=login, password="wrong"), timeout_s=LIMIT_S)
    await esme.close()
    status: int = answer.command_status
    return status


async def test_connections_that_drop_right_after_their_bind(
    door: Gateway, neighbour: Neighbour
) -> None:
    """Before the answer, after it, and with messages under way."""
    for number in range(60):
        esme = await Esme.connect(door.smpp)
        esme.send(BindTransceiver(system_id=LOGIN, password=PASSWORD))
        if number % 3:
            await esme.find(lambda p: p.is_response)
        if number % 3 == 2:
            for each in range(20):
                esme.send(message(f"gone {number} {each}"))
            await esme.drain()
        await esme.close()
    # None of them counts as a bind any more.
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(AssertionError):
                many = [await Esme.bind(door.smpp, LOGIN, PASSWORD) for _ in range(10)]
                break
            await asyncio.sleep(0.1)
    for esme in many:
        await esme.close()


async def test_both_ends_unbind_at_once(door: Gateway, neighbour: Neighbour) -> None:
    """The door asks a client to go while it still submits, asks, and unbinds itself."""
    esme = await Esme.bind(door.smpp, "going", PASSWORD)
    await asyncio.to_thread(door.cli, "account", "block", "going")
    asked = await esme.find(lambda p: isinstance(p, Unbind), timeout_s=LIMIT_S)
    sent = [esme.send(message(f"crossing {n}")) for n in range(5)]
    sent += [esme.send(QuerySm(message_id="1")), esme.send(Unbind())]
    esme.write(encode(UnbindResp(asked.sequence_number), asked.sequence_number))
    await esme.closed(LIMIT_S)
    answered = [p.sequence_number for p in esme.log if p.is_response and p.sequence_number in sent]
    assert answered == sorted(answered)
    await esme.close()


async def test_more_signs_of_life_than_anybody_needs(door: Gateway, neighbour: Neighbour) -> None:
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    count = 20_000
    esme.write(b"".join(encode(EnquireLink(), 10 + n) for n in range(count)))
    await esme.find(lambda p: p.sequence_number == 9 + count, timeout_s=LIMIT_S)
    answer = await esme.ask(message("still served"))
    await receipt_of(esme, answer.message_id)
    await esme.close()
