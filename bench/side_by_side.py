"""`make bench-peers`: the same work through Heliograph and through other gateways, by turns.

One table: messages a second at the operator, CPU a message by process, latency, memory, and what a
`kill -9` loses. Kannel, RabbitMQ and Redis come from Debian's packages, Jasmin from PyPI into an
environment of its own below build/peers. What can not be installed is named with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import UnknownName, make_plan, new_parser, run_command
from bench.measurement import Plan
from bench.peers.alternation import compare, measure_each
from bench.peers.gateways import GATEWAYS, Choice
from bench.peers.goals import Verdict, judge
from bench.peers.kill import kill_gateway
from bench.peers.standing import measure_idle, measure_queue
from bench.peers.table import Line, render, summary
from bench.report import write_json
from bench.scenarios import SCENARIOS, load_single

_COMPARED = ("single", "receipts", "smpp", "smpp-receipts", "bulk", "distant20", "paced")
# Nobody else is asked to hold a million: Kannel without a store would forget it, and Jasmin
# would take half an hour.
_QUEUEING = ("heliograph", "heliograph-postgresql")
_OTHER_WORK = ("kill", "kill-stores", "idle", "queued")
ROWS = (*_COMPARED, *_OTHER_WORK)


def read_arguments() -> argparse.Namespace:
    names = ", ".join(choice.name for choice in GATEWAYS)
    parser = new_parser(__doc__)
    parser.add_argument(
        "--only", action="append", metavar="NAME", help=f"Heliograph and this: {names}"
    )
    parser.add_argument("--rows", metavar="A,B", help=f"only this work: {', '.join(ROWS)}")
    return parser.parse_args()


def choose(arguments: argparse.Namespace) -> tuple[list[Choice], list[str]]:
    """(gateways, rows). Raises UnknownName."""
    wanted = {"heliograph", *(arguments.only or [])}
    rows = arguments.rows.split(",") if arguments.rows else list(ROWS)
    for name in wanted - {choice.name for choice in GATEWAYS} | set(rows) - set(ROWS):
        raise UnknownName(name)
    if arguments.only:
        return [choice for choice in GATEWAYS if choice.name in wanted], rows
    return [choice for choice in GATEWAYS if choice.by_default], rows


def measure_row(row: str, plan: Plan, choices: Sequence[Choice]) -> list[Line]:
    if row == "kill":
        return measure_each(
            row, choices, lambda choice: asdict(kill_gateway(plan, choice, stores=False))
        )
    if row == "kill-stores":
        able = [choice for choice in choices if choice.has_stores]
        return measure_each(
            row, able, lambda choice: asdict(kill_gateway(plan, choice, stores=True))
        )
    if row == "idle":
        return measure_each(row, choices, lambda choice: {"idle_mb": measure_idle(plan, choice)})
    if row == "queued":
        able = [choice for choice in choices if choice.name in _QUEUEING]
        return measure_each(row, able, lambda choice: asdict(measure_queue(plan, choice)))
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == row)
    if row == "distant20":
        # Kannel's listener makes most of more connections than these wait for seconds.
        scenario = replace(scenario, load=load_single)
    contenders = compare(plan, scenario, choices)
    return [each.line(scenario.name, scenario, plan.runs) for each in contenders]


def show(lines: Sequence[Line], verdicts: Sequence[Verdict]) -> None:
    print(summary(lines))
    print()
    print(render(lines))
    print()
    for verdict in verdicts:
        mark = "met   " if verdict.is_met else "MISSED"
        print(f"{mark} {verdict.goal}: {verdict.reached:,.1f} of {verdict.wanted:,.1f}")


def main() -> int:
    arguments = read_arguments()
    choices, rows = choose(arguments)
    plan = make_plan(arguments)
    lines: list[Line] = []
    for row in rows:
        print(row, file=sys.stderr, flush=True)
        lines += measure_row(row, plan, choices)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for line in lines:
        if not line.failure:
            figures.setdefault(line.work, {})[line.gateway] = line.figures
    verdicts = judge(figures)
    show(lines, verdicts)
    if arguments.json:
        write_json(
            arguments.json,
            lines=[asdict(line) for line in lines],
            goals=[asdict(verdict) | {"is_met": verdict.is_met} for verdict in verdicts],
        )
    own = [line for line in lines if line.gateway.startswith("heliograph")]
    return int(any(line.failure or line.figures.get("lost") for line in own))


if __name__ == "__main__":
    run_command(main)
