"""One scenario: a fresh gateway, a warm-up, some measured runs; what each run showed."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.gateway import BULK_NUMBERS, WINDOW, Gateway
from bench.meters import peak_memory, read_meters
from bench.programs import Load, Report, Sink, run_loader
from bench.scenarios import Scenario, Stage, Way
from bench.service import GatewayFailure, Service

POLL_S = 0.05
QUIET = {"latency": 0, "delay": -1, "throttle": 0, "window": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run. Rates are the operator's and the callback receiver's; CPU is the gateway's."""

    messages: int  # distinct, seen at the operator
    rate: float  # a second
    callback_rate: float  # a second; 0 without callbacks
    cpu_us: float  # a message, all processes of the gateway
    cpu_by_process: dict[str, float]
    answer_p50_ms: float
    answer_p99_ms: float
    operator_p50_ms: float
    operator_p99_ms: float
    memory_mb: float  # peak resident size since the gateway started
    refused: int  # requests answered otherwise than well, or not at all
    lost: int  # accepted, not seen at the operator
    repeated: int
    callbacks_lost: int  # accepted, no callback
    callbacks_repeated: int
    tools_cpu_us: float  # sink + loader, a message
    foreign_cores: float  # how much of the machine others used
    spoilt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    scenario: Scenario
    samples: list[Sample]  # clean ones; all when too few were clean
    set_aside: int

    def median(self) -> dict[str, float]:
        """The median of every figure, except that errors are added up: none may hide."""
        rows = [asdict(sample) for sample in self.samples]
        errors = ("refused", "lost", "repeated", "callbacks_lost", "callbacks_repeated")
        return {
            name: sum(row[name] for row in rows)
            if name in errors
            else statistics.median(row[name] for row in rows)
            for name in rows[0]
            if name != "cpu_by_process"
        }

    def cpu_by_process(self) -> dict[str, float]:
        """Microseconds a message, medians."""
        rows = [sample.cpu_by_process for sample in self.samples]
        return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to measure: what the command line of the benchmark says."""

    command: Sequence[str]
    tools: Path
    runs: int
    scale: float
    max_foreign: float
    keep: bool
    timeout_s: float


def measure(plan: Plan, scenario: Scenario) -> Result:
    """Measures one scenario. Raises GatewayFailure and ProgramFailure."""
    with data_folder(keep=plan.keep) as folder, Sink(plan.tools) as sink:
        gateway = Gateway(plan.command, folder)
        url = f"http://127.0.0.1:{sink.http_port}/callback?charset=utf-8"
        gateway.prepare(
            operator_port=sink.smpp_port,
            callback_url=url if scenario.callbacks else None,
            window=WINDOW,
        )
        gateway.start(smpp=scenario.way is Way.SMPP)
        try:
            return _measure_runs(plan, scenario, Bench(plan, scenario, gateway, sink, folder))
        finally:
            gateway.stop()


def _measure_runs(plan: Plan, scenario: Scenario, bench: Bench) -> Result:
    bench.run(
        bench.planned(share=0.1)
    )  # imports, caches, connections and database pages come into being
    clean: list[Sample] = []
    spoilt: list[Sample] = []
    while len(clean) < plan.runs and len(spoilt) < plan.runs:
        sample = bench.run(bench.planned())
        (spoilt if sample.spoilt else clean).append(sample)
        print(f"  {scenario.name}: {_in_brief(sample)}", file=sys.stderr, flush=True)
    if len(clean) < plan.runs:
        return Result(scenario=scenario, samples=clean + spoilt, set_aside=0)
    return Result(scenario=scenario, samples=clean, set_aside=len(spoilt))


def _in_brief(sample: Sample) -> str:
    note = f"  set aside: others used {sample.foreign_cores:.2f} cores" if sample.spoilt else ""
    return f"{sample.rate:,.0f}/s  {sample.cpu_us:.0f} us{note}"


@contextlib.contextmanager
def data_folder(*, keep: bool) -> Iterator[Path]:
    """A fresh folder; removed at the end unless it is to be kept."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name:
            yield Path(name)
        return
    folder = Path(tempfile.mkdtemp(prefix="heliograph-bench-"))
    print(f"  data folder: {folder}", file=sys.stderr)
    yield folder


class Bench:
    """A gateway between a loader and a sink; every run uses numbers of its own."""

    def __init__(
        self, plan: Plan, scenario: Scenario, gateway: Service, sink: Sink, folder: Path
    ) -> None:
        self._plan = plan
        self._scenario = scenario
        self._gateway = gateway
        self._sink = sink
        self._folder = folder
        self._first = 0

    def planned(self, share: float = 1.0) -> int:
        """How many messages a run has by plan."""
        return max(1, round(self._scenario.messages * self._plan.scale * share))

    def run(self, messages: int) -> Sample:
        """Sends so many and measures. Raises GatewayFailure and ProgramFailure."""
        stage = self._stage(messages)
        for name, value in (QUIET | dict(self._scenario.operator)).items():
            self._sink.command(f"set {name} {value}")
        self._sink.command("reset")
        began = time.monotonic()
        before = read_meters(gateway=self._gateway.processes(), sink=self._sink.pid)
        load = run_loader(
            self._scenario.load(stage),
            map_path=self._folder / "accepted.map",
            timeout_s=self._plan.timeout_s,
        )
        seen = self._drain(load)
        after = read_meters(gateway=self._gateway.processes(), sink=self._sink.pid)
        elapsed = time.monotonic() - began
        if not self._gateway.is_alive():
            raise GatewayFailure(f"the gateway died:\n{self._gateway.log_tail()}")
        if load.complaints:
            print(f"  {load.complaints.strip()}", file=sys.stderr)
        foreign = after.foreign_since(before) / elapsed
        messages = max(1, seen["arrivals_distinct"])
        spent = after.gateway_since(before)
        tools = after.sink - before.sink + load.report["cpu_s"]
        return Sample(
            messages=seen["arrivals_distinct"],
            rate=seen["arrivals_rate"],
            callback_rate=seen["callbacks_rate"],
            cpu_us=sum(spent.values()) * 1e6 / messages,
            cpu_by_process={name: cpu * 1e6 / messages for name, cpu in spent.items()},
            answer_p50_ms=load.report["latency_us"]["p50"] / 1e3,
            answer_p99_ms=load.report["latency_us"]["p99"] / 1e3,
            operator_p50_ms=seen["latency_us"]["p50"] / 1e3,
            operator_p99_ms=seen["latency_us"]["p99"] / 1e3,
            memory_mb=sum(map(peak_memory, self._gateway.processes().values())) / 1e6,
            refused=load.report["sent"] - load.report["ok"],
            **self._errors(load, seen),
            tools_cpu_us=tools * 1e6 / messages,
            foreign_cores=foreign,
            spoilt=foreign > self._plan.max_foreign,
        )

    def _stage(self, messages: int) -> Stage:
        stage = Stage(
            tools=self._plan.tools, door=self._gateway.door, first=self._first, messages=messages
        )
        self._first += max(messages, BULK_NUMBERS)
        return stage

    def _drain(self, load: Load) -> Report:
        """Waits until everything accepted has arrived, or nothing moves any more."""
        patience_s = self._gateway.patience_s
        wanted = load.report["messages"]
        moved_at = time.monotonic()
        last: tuple[int, ...] = ()
        while True:
            seen = self._sink.statistics()
            callbacks = seen["callbacks_distinct"] if self._scenario.callbacks else wanted
            progress = (seen["arrivals"], seen["callbacks"])
            if progress != last:
                moved_at, last = time.monotonic(), progress
            still_s = time.monotonic() - moved_at
            if min(seen["arrivals_distinct"], callbacks) >= wanted or still_s > patience_s:
                return seen
            time.sleep(POLL_S)

    def _errors(self, load: Load, seen: Report) -> dict[str, int]:
        count = len(load.accepted)
        arrived = self._sink.arrival_map(self._folder / "arrived.map", count)
        called = self._sink.callback_map(self._folder / "called.map", count)
        callbacks = self._scenario.callbacks
        return {
            "lost": count_missing(load.accepted, arrived),
            "repeated": seen["arrivals_repeats"],
            "callbacks_lost": count_missing(load.accepted, called) if callbacks else 0,
            "callbacks_repeated": seen["callbacks_repeats"] if callbacks else 0,
        }


def count_missing(accepted: bytes, arrived: bytes) -> int:
    """How many of the accepted numbers never arrived; a byte a number."""
    return sum(1 for a, b in zip(accepted, arrived, strict=True) if a and not b)
