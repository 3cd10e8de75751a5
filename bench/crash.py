"""`make crash`: kill -9 under load, again and again, and prove that nothing was lost.

Messages are sent over HTTP as fast as the gateway takes them; at random moments the gateway is
killed (or its link to the operator cut) and started again. At the end every message that was
acknowledged must be there, in exactly one final state, arrived at the operator at most once unless
its outcome was listed as unknown, and the ledger must be exact.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.connectors.virtual.chaos import Chaos
from heliograph.connectors.virtual.smsc import SmscServer, serve_smsc

WINDOW = 50
CLIENTS = 32
FINAL = {1, 3, 20}


class Link:
    """A TCP relay between the gateway and the operator, which can be cut."""

    def __init__(self, operator_port: int) -> None:
        self._operator_port = operator_port
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_cut = False
        self.port = 0

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._operator_port)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))
        self._writers -= {writer, far_writer}

    @staticmethod
    async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


class Load:
    """Sends numbered messages and remembers which were acknowledged under which id.

    It does not run more than a `stride` ahead of what `reach` waits for, so that every blow falls
    into a load and the last one as well as the first.
    """

    def __init__(self, gateway: Gateway, wanted: int, stride: int) -> None:
        self._gateway = gateway
        self._wanted = wanted
        self._stride = stride
        self._next = 0
        self._goal = 0
        self._most = stride
        self._reached = asyncio.Event()
        self.accepted: dict[str, str] = {}  # phone -> id
        self.failed = 0

    @property
    def is_done(self) -> bool:
        return len(self.accepted) >= self._wanted

    async def reach(self, count: int) -> None:
        """Waits until so many are acknowledged."""
        self._goal, self._reached = count, asyncio.Event()
        self._most = count + self._stride
        if len(self.accepted) < count:
            await self._reached.wait()

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._client(session) for _ in range(CLIENTS)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self.is_done:
            if len(self.accepted) >= self._most:
                await asyncio.sleep(0.01)
                continue
            number = self._next
            self._next += 1
            # The tail keeps clear of the magic numbers of the carrier.
            phone = f"7916{number:06d}1"
            query = {
                "login": LOGIN,
                "psw": PASSWORD,
                "phones": phone,
                "mes": f"n{number}",
                "fmt": "3",
            }
            try:
                address = f"{self._gateway.base}/sys/send.php"
                async with session.get(address, params=query) as reply:
                    answer = json.loads(await reply.read())
            except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
                self.failed += 1
                await asyncio.sleep(0.05)
                continue
            if "id" in answer and "error" not in answer:
                self.accepted[phone] = str(answer["id"])
                if len(self.accepted) >= self._goal:
                    self._reached.set()
            else:
                self.failed += 1
                await asyncio.sleep(0.05)


async def check(gateway: Gateway, load: Load, smsc: SmscServer) -> dict[str, object]:
    """Asks for every acknowledged message until all are final."""
    open_ids = dict(load.accepted)
    statuses: Counter[int] = Counter()
    ends = time.monotonic() + 120
    async with aiohttp.ClientSession() as session:
        while open_ids and time.monotonic() < ends:
            for at in range(0, len(open_ids), 400):
                page = list(open_ids.items())[at : at + 400]
                query = {
                    "login": LOGIN,
                    "psw": PASSWORD,
                    "fmt": "3",
                    "phone": ",".join(p for p, _ in page) + ",",
                    "id": ",".join(i for _, i in page) + ",",
                }
                address = f"{gateway.base}/sys/status.php"
                async with session.post(address, data=query) as reply:
                    answers = json.loads(await reply.read())
                for (phone, _), answer in zip(page, answers, strict=True):
                    if answer["status"] in FINAL or answer["status"] == -3:
                        statuses[answer["status"]] += 1
                        open_ids[phone] = ""
            open_ids = {p: i for p, i in open_ids.items() if i}
            await asyncio.sleep(0.5)
    arrivals = Counter(a.destination.lstrip("+") for a in smsc.inbox)
    delivered_twice = sum(1 for n in arrivals.values() if n > 1)
    audit = json.loads(gateway.cli("ledger", "audit", "--json"))
    return {
        "accepted": len(load.accepted),
        "not answered": load.failed,
        "lost": statuses.pop(-3, 0),
        "without an end": len(open_ids),
        "delivered": statuses[1],
        "unknown": statuses[3],
        "arrived twice": delivered_twice,
        "ledger": "exact" if audit["is_exact"] else "WRONG",
    }


async def crash(
    folder: Path, *, messages: int, blows: int, what: str, seed: int, database: str
) -> dict[str, object]:
    """One run. `what` is ``kill`` or ``cut``."""
    chance = random.Random(seed)
    smsc = await serve_smsc(chaos=Chaos(latency_ms=5))
    link = Link(smsc.port)
    relay = await link.listen()
    settings = ["limits.enforce=false", "limits.duplicates=false", "log.level=error"]
    if database:
        settings.append(f"database.url={database}")
    gateway = Gateway(folder, *settings)
    prepare(gateway, link.port)
    await asyncio.to_thread(gateway.start)
    load = Load(gateway, messages, stride=messages // (blows + 1))
    started = time.monotonic()
    sending = asyncio.create_task(load.run())
    struck = 0
    try:
        while struck < blows and not sending.done():
            goal = messages * (struck + 1) // (blows + 1)
            await load.reach(goal)
            await asyncio.sleep(chance.random() * 0.2)
            struck += 1
            print(f"\r  {what} {struck} of {blows}, {len(load.accepted)} accepted ", end="")
            if what == "kill":
                await asyncio.to_thread(gateway.kill)
                await asyncio.to_thread(gateway.start)
            else:
                link.cut()
                await asyncio.sleep(chance.random())
                link.is_cut = False
        await load.reach(messages)
        await sending
        print()
        report = await check(gateway, load, smsc)
        report |= {"blows": struck, "seconds": round(time.monotonic() - started, 1)}
        # Each blow may leave at most one window of unknown outcomes.
        report["unknown allowed"] = struck * WINDOW
        return report
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.to_thread(gateway.stop)
        relay.close()
        await smsc.close()


def prepare(gateway: Gateway, operator_port: int) -> None:
    """An account, the operator and a route to it."""
    gateway.create_account()
    gateway.cli(
        *("connector", "add", "operator", "--kind", "smpp"),
        *("--set", "host=127.0.0.1", "--set", f"port={operator_port}"),
        *("--set", "system_id=gw", "--set", "password=pw", "--set", f"window={WINDOW}"),
        *("--set", "reconnect_first_s=0.1", "--set", "reconnect_max_s=0.5"),
    )
    gateway.cli("route", "add", "--connector", "operator", "--order", "1", "--type", "sms")


def judge(report: dict[str, object]) -> list[str]:
    """What is wrong with a report."""
    faults = []
    for name in ("lost", "without an end", "arrived twice"):
        if report[name]:
            faults.append(f"{name}: {report[name]}")
    if report["ledger"] != "exact":
        faults.append("the ledger is not exact")
    if int(str(report["unknown"])) > int(str(report["unknown allowed"])):
        faults.append(f"unknown: {report['unknown']}")
    return faults


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--blows", type=int, default=20)
    parser.add_argument("--what", choices=["kill", "cut", "both"], default="both")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--database", default="", help="postgresql+asyncpg://...; SQLite without it"
    )
    args = parser.parse_args()
    faults: list[str] = []
    for what in ["kill", "cut"] if args.what == "both" else [args.what]:
        print(f"{what}: {args.messages} messages, {args.blows} blows, seed {args.seed}")
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(
                crash(
                    Path(folder),
                    messages=args.messages,
                    blows=args.blows,
                    what=what,
                    seed=args.seed,
                    database=args.database,
                )
            )
        for name, value in report.items():
            print(f"  {name:16} {value}")
        faults += judge(report)
    print("FAILED: " + "; ".join(faults) if faults else "nothing lost")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
