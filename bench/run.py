"""The benchmark: a gateway between a loader and an operator's sink, scenario by scenario.

Rates are counted where it matters, at the operator; every accepted message must arrive there once.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import UnknownName, make_plan, new_parser, run_command
from bench.measurement import Result, measure
from bench.programs import ProgramFailure
from bench.report import print_table, scenario_figures, write_json
from bench.scenarios import SCENARIOS, Scenario
from bench.service import GatewayFailure


def choose_scenarios(names: list[str] | None) -> list[Scenario]:
    """The scenarios by their names, or the usual ones. Raises UnknownName."""
    if not names:
        return [scenario for scenario in SCENARIOS if scenario.by_default]
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := set(names) - set(known):
        raise UnknownName(f"scenario {', '.join(unknown)}")
    return [known[name] for name in names]


def main() -> int:
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser = new_parser(__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help=f"only this: {names}")
    arguments = parser.parse_args()
    scenarios = choose_scenarios(arguments.scenario)
    plan = make_plan(arguments)
    results: list[Result] = []
    try:
        for scenario in scenarios:
            print(f"{scenario.name}: {scenario.about}", file=sys.stderr)
            results.append(measure(plan, scenario))
    except (GatewayFailure, ProgramFailure) as error:  # what was measured before is shown
        print(error, file=sys.stderr)
    if not results:
        return 1
    print_table(results)
    if arguments.json:
        write_json(arguments.json, scenarios=scenario_figures(results))
    medians = [result.median() for result in results]
    whole = len(results) == len(scenarios)
    return int(not whole or any(row["lost"] or row["refused"] for row in medians))


if __name__ == "__main__":
    run_command(main)
