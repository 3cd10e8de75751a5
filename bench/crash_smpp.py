"""`make crash-smpp`: kill -9 under SMPP load, again and again, and prove that nothing was lost.

Clients submit on several binds with full windows, some messages in two parts; at random moments the
gateway is killed and started again. At the end every message and part that got a good
`submit_sm_resp` must be known and have its receipt, must have arrived at the operator at most once,
and the ledger must be exact.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from crash import WINDOW, prepare

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.harness.gateway import Gateway
from tests.harness.smpp_load import SmppLoad

from heliograph.connectors.virtual.chaos import Chaos
from heliograph.connectors.virtual.smsc import SmscServer, serve_smsc

CUT_EVERY = 10
JOIN_S = 5  # a kill leaves parts whose rest was never taken
# Receipts of what a kill left unknown match nothing, and hold up those around them for a while.
RECEIPTS_S = 900.0


async def crash(
    folder: Path, *, messages: int, kills: int, seed: int, database: str
) -> dict[str, object]:
    """One run: so many answers and kills on one data folder."""
    chance = random.Random(seed)
    smsc = await serve_smsc(chaos=Chaos(latency_ms=5))
    settings = ["limits.enforce=false", "limits.duplicates=false", "log.level=error"]
    settings.append(f"smpp.join_s={JOIN_S}")
    if database:
        settings.append(f"database.url={database}")
    gateway = Gateway(folder, *settings, doors=("smpp",))
    prepare(gateway, smsc.port)
    await asyncio.to_thread(gateway.start)
    load = SmppLoad(gateway, cut_every=CUT_EVERY)
    started = time.monotonic()
    sending = asyncio.create_task(load.run())
    try:
        for kill in range(1, kills + 1):
            await load.answer_more(messages // (kills + 1))
            await asyncio.sleep(chance.random() * 0.3)
            print(f"\r  kill {kill} of {kills}, {len(load.answered)} answered ", end="", flush=True)
            await asyncio.to_thread(gateway.kill)
            await asyncio.to_thread(gateway.start)
        await load.answer_more(messages // (kills + 1))
        print()
        load.is_over = True
        await sending
        report = await check(gateway, load, smsc)
        return report | {"kills": kills, "seconds": round(time.monotonic() - started, 1)}
    finally:
        load.is_over = True
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.to_thread(gateway.stop)
        await smsc.close()


async def check(gateway: Gateway, load: SmppLoad, smsc: SmscServer) -> dict[str, object]:
    """What became of everything that was answered."""
    without_receipt = await load.take_receipts(RECEIPTS_S)
    lost = await load.find_lost()
    # Every message has a number of its own, and those of two parts fit into one again.
    arrivals = Counter(a.destination.lstrip("+") for a in smsc.inbox)
    audit = json.loads(await asyncio.to_thread(gateway.cli, "ledger", "audit", "--json"))
    return {
        "answered": len(load.answered),
        "lost": len(lost),
        "without receipt": len(without_receipt),
        "receipts repeated": sum(n - 1 for n in load.receipts.values()),
        "at the operator": len(smsc.inbox),
        "arrived twice": sum(1 for n in arrivals.values() if n > 1),
        "ledger": "exact" if audit["is_exact"] else "WRONG",
    }


def judge(report: dict[str, object]) -> list[str]:
    """What is wrong with a report."""
    names = ("lost", "without receipt", "arrived twice")
    faults = [f"{name}: {report[name]}" for name in names if report[name]]
    if report["ledger"] != "exact":
        faults.append("the ledger is not exact")
    return faults


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="at least")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--database", default="", help="postgresql+asyncpg://...; SQLite without it"
    )
    args = parser.parse_args()
    print(
        f"{args.messages} answers over SMPP, {args.kills} kills, window of the operator {WINDOW}, "
        f"seed {args.seed}"
    )
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            crash(
                Path(folder),
                messages=args.messages,
                kills=args.kills,
                seed=args.seed,
                database=args.database,
            )
        )
    for name, value in report.items():
        print(f"  {name:18} {value}")
    faults = judge(report)
    print("FAILED: " + "; ".join(faults) if faults else "no answered message was lost")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
