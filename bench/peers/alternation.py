"""The same work through several gateways by turns, so that a busy minute hits all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gateway import BULK_NUMBERS, WINDOW
from bench.measurement import Bench, Plan, Result, Sample, data_folder
from bench.peers.gateways import Choice
from bench.peers.packages import NotInstalled
from bench.peers.table import Line
from bench.programs import ProgramFailure, Sink
from bench.scenarios import Scenario, Way
from bench.service import GatewayFailure, Service

_FIRST_TRY = 100  # messages
_WARM_UP_S = 2.0
_RUN_S = 8.0  # what a slow gateway is given; a fast one sends what the scenario says
FAILURES = (GatewayFailure, NotInstalled, ProgramFailure, OSError, subprocess.SubprocessError)


@dataclass(slots=True, kw_only=True)
class Contender:
    """A gateway in one scenario, and how it did."""

    choice: Choice
    service: Service | None = None
    bench: Bench | None = None
    messages: int = 0
    clean: list[Sample] = field(default_factory=list)
    spoilt: list[Sample] = field(default_factory=list)
    failure: str = ""
    extra: dict[str, float] = field(default_factory=dict)  # figures that a probe has added

    def result(self, scenario: Scenario, runs: int) -> Result | None:
        """Disturbed runs count when there were too few others; None without any."""
        if not self.clean and not self.spoilt:
            return None
        if len(self.clean) < runs:
            return Result(scenario=scenario, samples=self.clean + self.spoilt, set_aside=0)
        return Result(scenario=scenario, samples=self.clean, set_aside=len(self.spoilt))

    def line(self, work: str, scenario: Scenario, runs: int) -> Line:
        """The medians of its runs, and why there are none if there are not."""
        line = Line(work=work, gateway=self.choice.name, failure=self.failure)
        result = self.result(scenario, runs)
        if result is None or self.failure:
            return line
        line.figures = result.median() | self.extra
        line.figures["accepted"] = sum(s.messages + s.lost for s in result.samples)
        if scenario.callbacks:
            line.figures["end_rate"] = min(line.figures["rate"], line.figures["callback_rate"])
        line.cpu_by_process = result.cpu_by_process()
        line.runs = len(result.samples)
        line.disturbed = sum(sample.spoilt for sample in result.samples)
        return line


def compare(
    plan: Plan,
    scenario: Scenario,
    choices: Sequence[Choice],
    *,
    probe: Callable[[Contender], None] | None = None,
) -> list[Contender]:
    """Measures those that have the scenario's door. What fails is told in `failure`.

    `probe` looks at each once more after its runs, while it is still there.
    """
    contenders = [Contender(choice=c) for c in choices if scenario.way in c.ways]
    with ExitStack() as stack:
        for contender in contenders:
            _guard(contender, _prepare, plan, scenario, stack)
        for _ in range(2 * plan.runs):
            for contender in contenders:
                if not contender.failure and len(contender.clean) < plan.runs:
                    _guard(contender, _run, scenario)
        for contender in contenders:
            if probe is not None and not contender.failure:
                _guard(contender, probe)
    return contenders


def measure_each(
    work: str, choices: Sequence[Choice], measure: Callable[[Choice], dict[str, float]]
) -> list[Line]:
    """Other work than a scenario: one gateway after the other."""
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


def _guard(contender: Contender, step: Callable[..., None], *arguments: Any) -> None:
    try:
        step(contender, *arguments)
    except FAILURES as error:
        contender.failure = str(error)
        print(f"  {contender.choice.name}: {error}", file=sys.stderr, flush=True)


def _prepare(contender: Contender, plan: Plan, scenario: Scenario, stack: ExitStack) -> None:
    folder = stack.enter_context(data_folder(keep=plan.keep))
    sink = stack.enter_context(Sink(plan.tools))
    service = set_up(contender.choice, plan, folder, sink, stack, calls_back=scenario.callbacks)
    service.start(smpp=scenario.way is Way.SMPP)
    contender.service = service
    contender.bench = Bench(plan, scenario, service, sink, folder)
    contender.messages = _size(contender.bench, scenario)


def set_up(
    choice: Choice,
    plan: Plan,
    folder: Path,
    sink: Sink,
    stack: ExitStack,
    *,
    calls_back: bool = False,
    window: int = WINDOW,
) -> Service:
    """A gateway that is ready to start, and that the stack will end."""
    service = choice.build(plan.command, folder)
    stack.callback(service.close)
    url = f"http://127.0.0.1:{sink.http_port}/callback?charset=utf-8"
    service.prepare(
        operator_port=sink.smpp_port, callback_url=url if calls_back else None, window=window
    )
    return service


def _size(bench: Bench, scenario: Scenario) -> int:
    """Warms up; how many messages a run shall have, so that a slow gateway also ends soon."""
    planned = bench.planned()
    if scenario.way is Way.BULK:
        bench.run(BULK_NUMBERS)
        return planned
    least = min(planned, _FIRST_TRY)
    first = bench.run(least).rate
    second = bench.run(max(least, min(planned // 5, round(first * _WARM_UP_S)))).rate
    return max(least, min(planned, round(max(first, second) * _RUN_S)))


def _run(contender: Contender, scenario: Scenario) -> None:
    assert contender.bench is not None
    sample = contender.bench.run(contender.messages)
    (contender.spoilt if sample.spoilt else contender.clean).append(sample)
    note = f", others used {sample.foreign_cores:.2f} cores" if sample.spoilt else ""
    print(
        f"  {contender.choice.name}: {sample.messages:,} messages, {sample.rate:,.0f}/s, "
        f"{sample.cpu_us:,.0f} us{note}",
        file=sys.stderr,
        flush=True,
    )
