"""Throws damaged SMPP at a running gateway, beside a neighbour that does everything right.

The invariants: *the gateway goes on serving the neighbour, whose p99 stays below twice the quiet
figure (or below a floor that hides the noise of a shared machine); its memory stays flat; its log
shows no traceback.* Attacks and quiet times take turns, so that both figures meet the same machine;
`--seconds` is the time under attack.

    python tests/fuzz/smpp_door.py --seconds 600 [--seed 1]

The seed is printed first; the same seed throws the same octets.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.smpp_framing import make_segment
from tests.harness.esme import Esme
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import BindTransceiver, SubmitSm, encode

ATTACKERS = 4
NEIGHBOUR_PAUSE_S = 0.02
ROUND_S = 40.0
QUIET_S = 10.0
# A latency below it says more about the machine than about the gateway.
FLOOR_S = 0.01
# What may be added once the first fifth is over: the page cache of SQLite fills up to 64 MB.
MEMORY_MB = 64
# Messages whose receipts may be repeated are kept in memory, up to a bound. A long run fills it
# first, so that only what grows without a bound is seen to grow.
LONG_RUN_S = 300
KEPT_MESSAGES = 60_000
WINDOW = 200


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def p99(values: list[float]) -> float:
    """The value below which 99 of 100 are."""
    return sorted(values)[int(len(values) * 0.99)]


class Neighbour:
    """Sends one message after the other; `latencies` of the answers, by what goes on meanwhile."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.phase = "quiet"
        self.latencies: dict[str, list[float]] = {"quiet": [], "attack": []}

    async def behave(self) -> None:
        """Until it is cancelled. Raises AssertionError for an answer that is not good."""
        esme = await Esme.bind(self._port, "neighbour", PASSWORD)
        number = 0
        try:
            while True:
                number += 1
                pdu = SubmitSm(
                    source_addr="good",
                    destination_addr="79161234567",
                    short_message=b"n%d" % number,
                )
                began = time.monotonic()
                phase = self.phase
                answer = await esme.ask(pdu)
                assert answer.command_status == 0, answer
                self.latencies[phase].append(time.monotonic() - began)
                esme.log.clear()
                await asyncio.sleep(NEIGHBOUR_PAUSE_S)
        finally:
            await esme.close()


async def fill(port: int, count: int) -> None:
    """Sends so many messages, a window at a time."""
    esme = await Esme.bind(port, "neighbour", PASSWORD)
    pdu = SubmitSm(source_addr="good", destination_addr="79161234567", short_message=b"filling")
    for last in range(WINDOW, count + WINDOW, WINDOW):
        esme.write(b"".join(encode(pdu, last - n) for n in reversed(range(WINDOW))))
        await esme.find(lambda p, n=last: p.sequence_number == n, timeout_s=60)
        esme.log.clear()
    await esme.close()


async def attack(port: int, rng: random.Random, until: float) -> int:
    """Connects, says something wrong, goes; how often."""
    lives = 0
    while time.monotonic() < until:
        lives += 1
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                await live_once(port, rng)
        await asyncio.sleep(rng.random() * 0.02)
    return lives


async def live_once(port: int, rng: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if rng.random() < 0.7:
            password = PASSWORD[:8] if rng.random() < 0.05 else "attack12"
            writer.write(encode(BindTransceiver(system_id=LOGIN, password=password), 1))
            await asyncio.wait_for(reader.read(4096), 3)
        for _ in range(rng.randint(1, 20)):
            segment = make_segment(rng)
            writer.write(segment * rng.choice((1, 1, 1, 200)))
            await writer.drain()
            if writer.is_closing():
                break
            if rng.random() < 0.3:
                await asyncio.wait_for(reader.read(65_536), 0.05)
    except TimeoutError:
        pass
    finally:
        writer.transport.abort()


async def attack_all(port: int, seed: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    rngs = [random.Random(seed + n) for n in range(ATTACKERS)]
    return sum(await asyncio.gather(*(attack(port, rng, until) for rng in rngs)))


async def watch(pid: int, memory: list[float]) -> None:
    """Notes the memory of a process every second."""
    while True:
        memory.append(resident_mb(pid))
        await asyncio.sleep(1)


async def run(gateway: Gateway, seconds: float, seed: int) -> None:
    if seconds >= LONG_RUN_S:
        await fill(gateway.smpp, KEPT_MESSAGES)
    rounds = max(1, round(seconds / ROUND_S))
    neighbour = Neighbour(gateway.smpp)
    behaving = asyncio.create_task(neighbour.behave())
    memory: list[float] = []
    watching = asyncio.create_task(watch(gateway.pid, memory))
    lives = 0
    # In a process of their own: what they compute must not count as latency.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number in range(rounds):
            neighbour.phase = "quiet"
            await asyncio.wait([behaving], timeout=QUIET_S)
            neighbour.phase = "attack"
            attacking = pool.submit(_attack, gateway.smpp, seed + number, seconds / rounds)
            lives += await asyncio.wrap_future(attacking)
            if behaving.done():
                break
    watching.cancel()
    behaving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await behaving
    quiet, attacked = (p99(neighbour.latencies[phase]) for phase in ("quiet", "attack"))
    # The first fifth warms up caches, pools and the memory of receipts.
    warm = max(memory[: len(memory) // 5 + 1])
    print(
        f"smpp_door: {lives} connections; neighbour p99 {attacked * 1000:.1f} ms of "
        f"{len(neighbour.latencies['attack'])} (quiet {quiet * 1000:.1f} of "
        f"{len(neighbour.latencies['quiet'])}); memory {warm:.0f} -> {memory[-1]:.0f} MB, "
        f"at most {max(memory):.0f}",
        flush=True,
    )
    assert attacked < max(2 * quiet, FLOOR_S), "the neighbour suffers"
    assert max(memory) < warm + MEMORY_MB, "the memory grows"


def _attack(port: int, seed: int, seconds: float) -> int:
    os.nice(15)
    return asyncio.run(attack_all(port, seed, seconds))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fuzz the SMPP door of a running gateway.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    arguments = parser.parse_args()
    seed = time.time_ns() % 2**32 if arguments.seed is None else arguments.seed
    print(f"smpp_door: seed {seed}, {arguments.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(
            Path(folder) / "data",
            "limits.enforce=false",
            "limits.duplicates=false",
            "smpp.max_binds=50",
            "smpp.bind_s=5",
            doors=("smpp",),
        )
        gateway.create_account()
        gateway.cli("account", "set", LOGIN, "--smpp-password", "attack12")
        gateway.create_account("neighbour")
        gateway.start()
        try:
            asyncio.run(run(gateway, arguments.seconds, seed))
        finally:
            code = gateway.stop()
        log = gateway.output.read_text()
        assert "Traceback" not in log, log[-5000:]
        assert code == 0


if __name__ == "__main__":
    main()
