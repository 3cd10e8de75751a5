"""The benchmark: a gateway between a loader and an operator's sink, scenario by scenario.

Rates are counted where it matters, at the operator; every accepted message must arrive there once.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.measurement import Plan, Result, measure
from bench.programs import ProgramFailure, build_tools
from bench.report import print_table, write_json
from bench.scenarios import SCENARIOS, Scenario
from bench.service import GatewayFailure


def read_arguments() -> argparse.Namespace:
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help=f"only this: {names}")
    parser.add_argument("--runs", type=int, default=3, help="measured runs a scenario (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--keep", action="store_true", help="keep the data folders and logs")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the messages (1.0)")
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds a loader may run (120)"
    )
    parser.add_argument(
        "--max-foreign",
        type=float,
        default=0.25,
        metavar="CORES",
        help="set a run aside when other processes used more of the machine (0.25)",
    )
    parser.add_argument("--command", help="the gateway's program (heliograph of this environment)")
    return parser.parse_args()


def choose_scenarios(names: list[str] | None) -> list[Scenario]:
    """The scenarios by their names, or the usual ones. Raises KeyError."""
    if not names:
        return [scenario for scenario in SCENARIOS if scenario.by_default]
    known = {scenario.name: scenario for scenario in SCENARIOS}
    return [known[name] for name in names]


def find_command(given: str | None) -> list[str]:
    if given:
        return shlex.split(given)
    beside = Path(sys.executable).with_name("heliograph")
    return [str(beside) if beside.exists() else shutil.which("heliograph") or "heliograph"]


def main() -> int:
    arguments = read_arguments()
    # Ended from outside, it still has to end the programs it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        scenarios = choose_scenarios(arguments.scenario)
    except KeyError as error:
        print(f"there is no scenario {error}", file=sys.stderr)
        return 2
    results: list[Result] = []
    try:
        plan = Plan(
            command=find_command(arguments.command),
            tools=build_tools(),
            runs=max(1, arguments.runs),
            scale=arguments.scale,
            max_foreign=arguments.max_foreign,
            keep=arguments.keep,
            timeout_s=arguments.timeout,
        )
        for scenario in scenarios:
            print(f"{scenario.name}: {scenario.about}", file=sys.stderr)
            results.append(measure(plan, scenario))
    except (GatewayFailure, ProgramFailure) as error:
        print(error, file=sys.stderr)
    if not results:
        return 1
    print_table(results)
    if arguments.json:
        write_json(arguments.json, results)
    medians = [result.median() for result in results]
    whole = len(results) == len(scenarios)
    return int(not whole or any(row["lost"] or row["refused"] for row in medians))


if __name__ == "__main__":
    sys.exit(main())
