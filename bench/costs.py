"""`make bench-costs`: the CPU a message takes, stage by stage, on the real code in one process.

Each stage is measured beside a reference loop of plain Python; their ratio is compared with the one
in bench/costs.json. A stage that costs twice as much fails. `--save` writes the ratios of this run
as the new expectation: do so with the change that explains them, on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.cost_model.clock import Cost, Measure, measure, reference_us
from bench.cost_model.ends import Ends
from bench.cost_model.rig import open_rig
from bench.cost_model.stages import Stages
from bench.programs import Sink, build_tools
from bench.report import machine, write_json

from heliograph.observability import set_up_logging

EXPECTED = Path(__file__).with_name("costs.json")
DOUBLED = 2.0
# A stage of a microsecond doubles with the mood of a cache; that is no change of the program.
SLACK_TURNS = 1.5
_TRIES = 3  # a stage that seems to have doubled is measured again: a busy machine looks alike

WITH_TOOLS = {"http", "smpp", "submit", "callback"}
# What a message of each kind passes through; `http` and `smpp` contain `parse` to `accept`.
WALKS = {
    "HTTP to operator": ("http", "journal", "submit", "outcome"),
    "the same + receipt + callback": (
        *("http", "journal", "submit", "outcome"),
        *("receipt", "callback"),
    ),
    "SMPP to operator": ("smpp", "journal", "submit", "outcome"),
}


async def measure_all(names: set[str], *, messages: int, repeats: int) -> dict[str, Cost]:
    """The stages with these names, or all; `callback` brings `receipt` with it.

    The load tools are built only for stages that need them.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-costs-")))
        tools = sink = None
        if not names or names & WITH_TOOLS:
            tools = build_tools()
            sink = stack.enter_context(Sink(tools))
        async with open_rig(folder, callback_url=_callback_url(sink)) as rig:
            stages = Stages(rig, lambda: _count_callbacks(sink))
            every: dict[str, Measure] = stages.all()
            if tools is not None and sink is not None:
                every |= Ends(rig, stages, tools=tools, sink=sink, folder=folder).all()
                every["callback"] = stages.receipt_and_callback
            chosen = {
                stage: work
                for stage, work in every.items()
                if not names or stage in names or (stage == "receipt" and "callback" in names)
            }
            return await _measure_chosen(chosen, messages, repeats)


async def _measure_chosen(
    chosen: Mapping[str, Measure], messages: int, repeats: int
) -> dict[str, Cost]:
    costs: dict[str, Cost] = {}
    gc.collect()
    gc.freeze()
    gc.disable()  # it is rare in the server, and must not hit one stage by chance
    for stage, work in chosen.items():
        costs[stage] = await measure(work, messages, repeats)
        gc.collect()
    gc.enable()
    if "callback" in costs:  # it was measured together with the receipt that it follows
        both, alone = costs["callback"], costs["receipt"]
        costs["callback"] = Cost(us=both.us - alone.us, ratio=both.ratio - alone.ratio)
    return costs


def _callback_url(sink: Sink | None) -> str:
    return f"http://127.0.0.1:{sink.http_port}/callback" if sink else ""


def _count_callbacks(sink: Sink | None) -> int:
    return int(sink.statistics()["callbacks"]) if sink else 0


def run(names: set[str], options: argparse.Namespace) -> dict[str, Cost]:
    """On the event loop that the server has."""
    set_up_logging("error", "text")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure_all(names, messages=options.messages, repeats=options.repeats))


def dearer(
    costs: Mapping[str, Cost], expected: Mapping[str, float], factor: float = DOUBLED
) -> set[str]:
    """Stages that cost more than `factor` times what is expected."""
    return {
        name
        for name, cost in costs.items()
        if name in expected and cost.ratio > factor * expected[name] + SLACK_TURNS
    }


def show(costs: Mapping[str, Cost], expected: Mapping[str, float]) -> None:
    print(", ".join(str(value) for value in machine().values()))
    print(f"one turn of the reference loop: {reference_us():.2f} us\n")
    print("| stage | us a message | in reference turns | expected |")
    print("| --- | --- | --- | --- |")
    for name, cost in costs.items():
        known = f"{expected[name]:.1f}" if name in expected else "new"
        print(f"| {name} | {cost.us:.1f} | {cost.ratio:.1f} | {known} |")
    for name, walk in WALKS.items():
        if all(stage in costs for stage in walk):
            print(f"\n{name}: {sum(costs[stage].us for stage in walk):.0f} us ({' + '.join(walk)})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--stages", default="", metavar="A,B", help="only these")
    parser.add_argument("--messages", type=int, default=2_000, help="in each repetition (2000)")
    parser.add_argument("--repeats", type=int, default=7, help="the least of so many counts (7)")
    parser.add_argument(
        "--factor", type=float, default=DOUBLED, help="fail from so many times as much on (2)"
    )
    parser.add_argument("--save", action="store_true", help="these ratios are expected from now on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    options = parser.parse_args()
    expected: dict[str, float] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    wanted = {name for name in options.stages.split(",") if name}
    costs = run(wanted, options)
    for _ in range(_TRIES - 1):
        if options.save or not (suspects := dearer(costs, expected, options.factor)):
            break
        again = run(suspects, options)
        costs |= {n: c for n, c in again.items() if c.ratio < costs[n].ratio}
    show(costs, expected)
    if options.json:
        figures = {name: {"us": cost.us, "ratio": cost.ratio} for name, cost in costs.items()}
        write_json(options.json, stages=figures)
    if options.save:
        merged = expected | {name: round(cost.ratio, 2) for name, cost in costs.items()}
        EXPECTED.write_text(json.dumps(merged, indent=2) + "\n")
        return 0
    failed = sorted(dearer(costs, expected, options.factor))
    for name in failed:
        print(f"\n{name} costs {costs[name].ratio:.1f} turns, expected {expected[name]:.1f}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
