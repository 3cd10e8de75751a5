"""`make bench-growth`: what a message costs on an installation that has grown.

Single sends with 0, 1 and 10 million stored messages, with ten thousand accounts, routes or prices,
and with a hundred connectors, each size by turns with the smallest one; besides, how long the start
takes and what memory it needs. *queued* fills the gateway with a million messages, kills it, and
sees how soon it sends again. Everything can be scaled down, and run alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import UnknownName, make_plan, new_parser, run_command
from bench.grown.dimensions import DIMENSIONS, Dimension
from bench.grown.gateway import GrownGateway
from bench.grown.lookups import measure_lookups
from bench.measurement import Plan
from bench.peers.alternation import Contender, compare, measure_each
from bench.peers.gateways import GATEWAYS
from bench.peers.standing import measure_queue
from bench.peers.table import Line, markdown, summary
from bench.report import write_json
from bench.scenarios import SCENARIOS, Scenario

QUEUED = "queued"
NAMES = (*(dimension.name.replace(" ", "-") for dimension in DIMENSIONS), QUEUED)
HEAD = (
    *("grown in", "size", "msg/s", "CPU us a message", "x the smallest", "answer p50 / p99 ms"),
    *("status / history ms", "start s", "idle MB", "peak MB", "lost, repeated", "runs"),
)


def read_arguments() -> argparse.Namespace:
    parser = new_parser(__doc__)
    parser.add_argument("--only", metavar="A,B", help=f"only these: {', '.join(NAMES)}")
    parser.add_argument("--size", type=float, default=1.0, help="share of the sizes (1.0)")
    parser.add_argument("--scenario", default="single", help="what is sent (single)")
    return parser.parse_args()


def measure_dimension(plan: Plan, dimension: Dimension, work: Scenario, size: float) -> list[Line]:
    contenders = compare(plan, work, dimension.choices(size), probe=_look_up)
    lines = [each.line(dimension.name, work, plan.runs) for each in contenders]
    smallest = lines[0].figures.get("cpu_us", 1.0)
    for line in lines:
        if line.figures:
            line.figures["factor"] = line.figures["cpu_us"] / smallest
    return lines


def _look_up(contender: Contender) -> None:
    """The start, and how long one of its stored messages is looked for."""
    service = contender.service
    assert isinstance(service, GrownGateway)
    contender.extra = {"start_s": service.start_s, "idle_mb": service.idle_mb}
    if service.stored:
        contender.extra |= measure_lookups(service.ports["http"], service.stored)


def measure_queued(plan: Plan) -> list[Line]:
    own = [choice for choice in GATEWAYS if choice.name == "heliograph"]
    lines = measure_each(QUEUED, own, lambda choice: asdict(measure_queue(plan, choice)))
    for line in lines:
        if not line.failure:
            line.gateway = f"{line.figures['queued']:,}"
    return lines


def render(lines: Sequence[Line]) -> str:
    table = markdown(HEAD, (_cells(line) for line in lines if line.work != QUEUED))
    return "\n\n".join([table, *(_tell_queue(line) for line in lines if line.work == QUEUED)])


def _cells(line: Line) -> list[str]:
    f = line.figures
    if line.failure:
        return [line.work, line.gateway, line.failure.splitlines()[0], *[""] * (len(HEAD) - 3)]
    return [
        line.work,
        line.gateway,
        f"{f['rate']:,.0f}",
        f"{f['cpu_us']:.0f}",
        f"{f['factor']:.2f}",
        f"{f['answer_p50_ms']:.1f} / {f['answer_p99_ms']:.1f}",
        f"{f['status_ms']:.1f} / {f['history_ms']:.1f}" if "status_ms" in f else "",
        f"{f['start_s']:.1f}",
        f"{f['idle_mb']:.0f}",
        f"{f['memory_mb']:.0f}",
        f"{f['lost']:.0f}, {f['repeated']:.0f}",
        f"{line.runs}, {line.disturbed} disturbed" if line.disturbed else f"{line.runs}",
    ]


def _tell_queue(line: Line) -> str:
    f = line.figures
    if line.failure:
        return f"queued: {line.failure}"
    return (
        f"{f['queued']:,.0f} messages queued: taken at {f['accept_rate']:,.0f}/s, memory "
        f"{f['idle_mb']:.0f} MB before, {f['queued_mb']:.0f} MB with them (peak "
        f"{f['peak_mb']:.0f} MB); killed, it sent again {f['resume_s']:.1f} s after the start, at "
        f"{f['drain_rate']:,.0f}/s, with {f['restart_mb']:.0f} MB at most"
    )


def main() -> int:
    arguments = read_arguments()
    wanted = arguments.only.split(",") if arguments.only else list(NAMES)
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [*set(wanted) - set(NAMES), *{arguments.scenario} - set(known)]:
        raise UnknownName(", ".join(unknown))
    work = known[arguments.scenario]
    plan = make_plan(arguments)
    lines: list[Line] = []
    for dimension in DIMENSIONS:
        if dimension.name.replace(" ", "-") in wanted:
            print(dimension.name, file=sys.stderr, flush=True)
            lines += measure_dimension(plan, dimension, work, arguments.size)
    if QUEUED in wanted:
        print(QUEUED, file=sys.stderr, flush=True)
        lines += measure_queued(plan)
    print(f"{summary(lines)}\n\n{render(lines)}")
    if arguments.json:
        write_json(arguments.json, lines=[asdict(line) for line in lines])
    return int(any(line.failure or line.figures.get("lost") for line in lines))


if __name__ == "__main__":
    run_command(main)
