"""A gateway at rest, and one with a million messages that the operator does not take: its memory,
and how soon it sends again after a `kill -9`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import BULK_NUMBERS
from bench.measurement import QUIET, Plan, data_folder
from bench.meters import peak_memory, resident_memory
from bench.peers.alternation import set_up
from bench.peers.gateways import Choice
from bench.programs import Sink, run_loader
from bench.scenarios import Stage, Way, load_bulk, load_single
from bench.service import GatewayFailure, Service

_QUEUED = 1_000_000
_NEVER_MS = 3_600_000  # the operator's answer
_REST_S = 3.0
_POLL_S = 0.02
_RESUME_S = 300.0
_DRAIN_S = 20.0  # how long the pace after the restart is looked at
_FEED_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingReport:
    """Memory is resident, of all processes together."""

    idle_mb: float
    queued: int  # accepted, and at the operator only as far as its window goes
    accept_rate: float  # a second, while they were taken
    queued_mb: float
    peak_mb: float  # while they were taken
    resume_s: float  # from the start after the kill to the first message at the operator
    restart_mb: float  # peak, until some were sent
    drain_rate: float  # a second, after the restart


def measure_idle(plan: Plan, choice: Choice) -> float:
    """Megabytes of a gateway that has just been started."""
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder(keep=plan.keep))
        sink = stack.enter_context(Sink(plan.tools))
        service = set_up(choice, plan, folder, sink, stack)
        service.start(smpp=Way.SMPP in choice.ways)
        time.sleep(_REST_S)
        return _megabytes(service)


def measure_queue(plan: Plan, choice: Choice) -> StandingReport:
    """Fills a gateway whose operator never answers, kills it, and sees it go on."""
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder(keep=plan.keep))
        sink = stack.enter_context(Sink(plan.tools))
        for name, value in (QUIET | {"latency": _NEVER_MS}).items():
            sink.command(f"set {name} {value}")
        service = set_up(choice, plan, folder, sink, stack)
        service.start(smpp=False)
        time.sleep(_REST_S)
        idle_mb = _megabytes(service)
        began = time.monotonic()
        queued = _feed(plan, choice, service, folder / "accepted.map")
        accept_rate = queued / (time.monotonic() - began)
        time.sleep(_REST_S)
        queued_mb, peak_mb = _megabytes(service), _megabytes(service, peak_memory)
        service.kill()
        resume_s, drain_rate = _resume(service, sink, queued)
        return StandingReport(
            idle_mb=idle_mb,
            queued=queued,
            accept_rate=accept_rate,
            queued_mb=queued_mb,
            peak_mb=peak_mb,
            resume_s=resume_s,
            restart_mb=_megabytes(service, peak_memory),
            drain_rate=drain_rate,
        )


def _feed(plan: Plan, choice: Choice, service: Service, map_path: Path) -> int:
    """Sends them by the widest door; how many were accepted."""
    messages = max(1000, round(_QUEUED * plan.scale))
    is_bulk = Way.BULK in choice.ways
    if is_bulk:
        messages = max(messages, BULK_NUMBERS)
    stage = Stage(tools=plan.tools, door=service.door, first=0, messages=messages)
    command = load_bulk(stage) if is_bulk else load_single(stage)
    load = run_loader(command, map_path=map_path, timeout_s=_FEED_S)
    return len(load.accepted) - load.accepted.count(0)


def _resume(service: Service, sink: Sink, queued: int) -> tuple[float, float]:
    """(seconds from the start to the first message, messages a second then)."""
    sink.command("set latency 0")
    sink.command("reset")
    began = time.monotonic()
    service.start(smpp=False)
    while not sink.statistics()["arrivals"]:
        if time.monotonic() - began > _RESUME_S:
            raise GatewayFailure("nothing was sent after the restart: all of them are lost")
        time.sleep(_POLL_S)
    resume_s = time.monotonic() - began
    first, until = sink.statistics()["arrivals"], time.monotonic() + _DRAIN_S
    since = time.monotonic()
    while time.monotonic() < until and sink.statistics()["arrivals_distinct"] < queued * 0.99:
        time.sleep(_POLL_S)
    rate = (sink.statistics()["arrivals"] - first) / (time.monotonic() - since)
    return resume_s, rate


def _megabytes(service: Service, read: Callable[[int], int] = resident_memory) -> float:
    return sum(map(read, service.processes().values())) / 1e6
