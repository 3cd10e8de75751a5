"""`make bench-peers`: the same work through Heliograph and through other gateways, by turns.

One table: messages a second at the operator, CPU a message by process, latency, memory, and what a
`kill -9` loses. Kannel, RabbitMQ and Redis come from Debian's packages, Jasmin from PyPI into an
environment of its own below build/peers. What can not be installed is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measurement import Plan
from bench.peers.alternation import FAILURES, Contender, compare
from bench.peers.gateways import GATEWAYS, Choice
from bench.peers.goals import Verdict, judge
from bench.peers.kill import kill_gateway
from bench.peers.standing import measure_idle, measure_queue
from bench.peers.table import Line, machine, render, summary
from bench.programs import build_tools
from bench.run import find_command
from bench.scenarios import SCENARIOS, Scenario, load_single

_COMPARED = ("single", "receipts", "smpp", "smpp-receipts", "bulk", "distant20", "paced")
# Nobody else is asked to hold a million: Kannel without a store would forget it, and Jasmin
# would take half an hour.
_QUEUEING = ("heliograph", "heliograph-postgresql")
_OTHER_WORK = ("kill", "kill-stores", "idle", "queued")
ROWS = (*_COMPARED, *_OTHER_WORK)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    names = ", ".join(choice.name for choice in GATEWAYS)
    parser.add_argument(
        "--only", action="append", metavar="NAME", help=f"Heliograph and this: {names}"
    )
    parser.add_argument("--rows", metavar="A,B", help=f"only this work: {', '.join(ROWS)}")
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the messages (1.0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--keep", action="store_true", help="keep the data folders and logs")
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds a loader may run (120)"
    )
    parser.add_argument(
        "--max-foreign",
        type=float,
        default=0.25,
        metavar="CORES",
        help="a run is disturbed when other processes used more of the machine (0.25)",
    )
    parser.add_argument("--command", help="Heliograph's program (that of this environment)")
    return parser.parse_args()


def choose(arguments: argparse.Namespace) -> tuple[list[Choice], list[str]]:
    """(gateways, rows). Raises KeyError for a name that there is not."""
    wanted = {"heliograph", *(arguments.only or [])}
    rows = arguments.rows.split(",") if arguments.rows else list(ROWS)
    for name in wanted - {choice.name for choice in GATEWAYS} | set(rows) - set(ROWS):
        raise KeyError(name)
    if arguments.only:
        return [choice for choice in GATEWAYS if choice.name in wanted], rows
    return [choice for choice in GATEWAYS if choice.by_default], rows


def compare_lines(plan: Plan, scenario: Scenario, choices: Sequence[Choice]) -> list[Line]:
    return [_line(plan, scenario, each) for each in compare(plan, scenario, choices)]


def _line(plan: Plan, scenario: Scenario, contender: Contender) -> Line:
    line = Line(work=scenario.name, gateway=contender.choice.name, failure=contender.failure)
    result = contender.result(scenario, plan.runs)
    if result is None or contender.failure:
        return line
    line.figures = result.median()
    line.figures["accepted"] = sum(s.messages + s.lost for s in result.samples)
    if scenario.callbacks:
        rates = line.figures["rate"], line.figures["callback_rate"]
        line.figures["end_rate"] = min(rates)
    line.cpu_by_process = result.cpu_by_process()
    line.runs = len(result.samples)
    line.disturbed = sum(sample.spoilt for sample in result.samples)
    return line


def measure_each(
    work: str, choices: Sequence[Choice], measure: Callable[[Choice], dict[str, float]]
) -> list[Line]:
    """One gateway after the other."""
    lines = []
    for choice in choices:
        line = Line(work=work, gateway=choice.name)
        try:
            line.figures = measure(choice)
            print(f"  {choice.name}: {line.figures}", file=sys.stderr, flush=True)
        except FAILURES as error:
            line.failure = str(error)
            print(f"  {choice.name}: {error}", file=sys.stderr, flush=True)
        lines.append(line)
    return lines


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
    return compare_lines(plan, scenario, choices)


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
    # Ended from outside, it still has to end the programs it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        choices, rows = choose(arguments)
    except KeyError as error:
        print(f"there is no {error}", file=sys.stderr)
        return 2
    plan = Plan(
        command=find_command(arguments.command),
        tools=build_tools(),
        runs=max(1, arguments.runs),
        scale=arguments.scale,
        max_foreign=arguments.max_foreign,
        keep=arguments.keep,
        timeout_s=arguments.timeout,
    )
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
        document = {
            "machine": machine(),
            "lines": [asdict(line) for line in lines],
            "goals": [asdict(verdict) | {"is_met": verdict.is_met} for verdict in verdicts],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    own = [line for line in lines if line.gateway.startswith("heliograph")]
    return int(any(line.failure or line.figures.get("lost") for line in own))


if __name__ == "__main__":
    sys.exit(main())
