"""Where the CPU of a message goes: a sampled profile of the gateway while a scenario runs.

    python bench/profile_cpu.py --scenario single --scenario smpp
    python bench/profile_cpu.py --command .compiled/bin/heliograph --json profile.json

Samples every process of the gateway two thousand times a second with `perf` (Debian: linux-perf; as
root, or with kernel.perf_event_paranoid at 1 or below), and tells the microseconds a message in
Python, in compiled modules, in the kernel, in SQLite and elsewhere.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import make_plan, new_parser, run_command
from bench.gateway import Gateway
from bench.measurement import Bench, Plan, data_folder
from bench.meters import family_of
from bench.programs import ProgramFailure, Sink
from bench.report import write_json
from bench.run import choose_scenarios
from bench.scenarios import Scenario, Way

# By what the name of a shared object, or of the interpreter, begins or ends with.
_KINDS = (
    ("Python", re.compile(r"^(lib)?python3")),
    ("compiled", re.compile(r"__mypyc\.")),
    ("kernel", re.compile(r"^\[kernel")),
    ("SQLite", re.compile(r"^libsqlite3")),
)
_ELSE = "the rest"
_PER_SECOND = 2_000


@contextlib.contextmanager
def sampled(pids: dict[str, int], folder: Path) -> Iterator[None]:
    """Samples processes while the context lasts, each into a file of its name."""
    recorders = []
    for name, pid in pids.items():
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_PER_SECOND)]
        into = ["-o", str(folder / f"{name}.data"), "-p", str(pid)]
        recorders.append(subprocess.Popen([*command, *into], stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for each in recorders:
            each.send_signal(signal.SIGINT)
            each.wait()


def read_samples(data: Path) -> Counter[str]:
    """Seconds of CPU by kind of code. Raises ProgramFailure."""
    show = ["--field-separator=|", "--stdio", "--sort=dso", "--show-nr-samples", "-i", str(data)]
    done = subprocess.run(["perf", "report", *show], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProgramFailure(f"perf made no report: {done.stderr.strip()}")
    seconds: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if line.startswith("#") or len(fields) != 3:
            continue
        kind = next((kind for kind, name in _KINDS if name.search(fields[2])), _ELSE)
        seconds[kind] += int(fields[1]) / _PER_SECOND
    return seconds


def profile(plan: Plan, scenario: Scenario) -> dict[str, dict[str, float]]:
    """Microseconds a message by process and kind of code. Raises GatewayFailure, ProgramFailure."""
    with data_folder(keep=plan.keep) as folder, Sink(plan.tools) as sink:
        gateway = Gateway(plan.command, folder)
        url = f"http://127.0.0.1:{sink.http_port}/callback?charset=utf-8"
        gateway.prepare(
            operator_port=sink.smpp_port, callback_url=url if scenario.callbacks else None
        )
        gateway.start(smpp=scenario.way is Way.SMPP)
        try:
            bench = Bench(plan, scenario, gateway, sink, folder)
            bench.run(bench.planned(share=0.1))
            main, *others = family_of(gateway.pid)
            pids = {"gateway": main, **{f"writer-{pid}": pid for pid in others}}
            with sampled(pids, folder):
                sample = bench.run(bench.planned())
            found = {name: read_samples(folder / f"{name}.data") for name in pids}
        finally:
            gateway.stop()
    return {
        name.partition("-")[0]: {
            kind: seconds[kind] * 1e6 / sample.messages for kind in [*dict(_KINDS), _ELSE]
        }
        for name, seconds in found.items()
    }


def main() -> int:
    parser = new_parser(__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this")
    arguments = parser.parse_args()
    scenarios = choose_scenarios(arguments.scenario)
    if shutil.which("perf") is None:
        raise ProgramFailure("perf is missing (Debian: apt install linux-perf)")
    plan = make_plan(arguments)
    figures = {}
    kinds = [*dict(_KINDS), _ELSE]
    print(
        f"{'work':16}{'process':10}" + "".join(f"{kind:>10}" for kind in kinds) + "   us a message"
    )
    for scenario in scenarios:
        figures[scenario.name] = found = profile(plan, scenario)
        for process, costs in found.items():
            row = "".join(f"{costs[kind]:10.1f}" for kind in kinds)
            print(f"{scenario.name:16}{process:10}{row}", flush=True)
    if arguments.json:
        write_json(arguments.json, profile=figures)
    return 0


if __name__ == "__main__":
    run_command(main)
