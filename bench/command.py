"""What the commands that measure scenarios have in common: their options, their plan, their end."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench.measurement import Plan
from bench.programs import ProgramFailure, build_tools
from bench.service import GatewayFailure


class UnknownName(Exception):
    """An option names what there is not."""


def new_parser(about: str | None) -> argparse.ArgumentParser:
    """A parser with the options that `make_plan` reads, and --json. Of `about` it shows the first
    paragraph."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n\n")[0])
    add = parser.add_argument
    add("--runs", type=int, default=3, help="measured runs of each (3)")
    add("--scale", type=float, default=1.0, help="share of the messages sent (1.0)")
    add("--json", type=Path, metavar="FILE", help="write all figures here too")
    add("--keep", action="store_true", help="keep the data folders and logs")
    add("--timeout", type=float, default=120.0, help="seconds a loader may run (120)")
    add(
        "--max-foreign",
        type=float,
        default=0.25,
        metavar="CORES",
        help="a run is disturbed when other processes used more of the machine (0.25)",
    )
    add("--command", help="Heliograph's program (that of this environment)")
    return parser


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Builds the load tools, too. Raises ProgramFailure."""
    return Plan(
        command=find_command(arguments.command),
        tools=build_tools(),
        runs=max(1, arguments.runs),
        scale=arguments.scale,
        max_foreign=arguments.max_foreign,
        keep=arguments.keep,
        timeout_s=arguments.timeout,
    )


def find_command(given: str | None) -> list[str]:
    if given:
        return shlex.split(given)
    beside = Path(sys.executable).with_name("heliograph")
    return [str(beside) if beside.exists() else shutil.which("heliograph") or "heliograph"]


def run_command(main: Callable[[], int]) -> None:
    """Exits with what `main` returns; with 2 for an UnknownName, with 1 and one line for programs
    that failed."""
    # Ended from outside, it still has to end the programs it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except UnknownName as error:
        print(f"there is no {error}", file=sys.stderr)
        sys.exit(2)
    except (GatewayFailure, ProgramFailure) as error:
        sys.exit(str(error))
