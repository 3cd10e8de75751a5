"""`kill -9` of a gateway that holds accepted messages: what is lost, what is sent twice."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.measurement import QUIET, Plan, count_missing, data_folder
from bench.peers.alternation import set_up
from bench.peers.gateways import Choice
from bench.programs import Sink, run_loader
from bench.scenarios import Stage, load_single

_MESSAGES = 2_000
_WINDOW = 10
_LATENCY_MS = 200  # with the window: fifty messages a second leave, the others wait inside
_POLL_S = 0.1
_PATIENCE_S = 45.0  # Jasmin tries again after thirty, when the link was not there


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """What became of the messages of one gateway."""

    accepted: int  # answered with "accepted" before the kill
    before: int  # of these, at the operator before the kill
    lost: int  # of these, never at the operator
    repeated: int  # arrivals beside the first
    restart_s: float  # until it took messages again


def kill_gateway(plan: Plan, choice: Choice, *, stores: bool) -> KillReport:
    """One kill, with its databases and brokers or without. Raises GatewayFailure, NotInstalled
    and ProgramFailure."""
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder(keep=plan.keep))
        sink = stack.enter_context(Sink(plan.tools))
        for name, value in (QUIET | {"latency": _LATENCY_MS}).items():
            sink.command(f"set {name} {value}")
        service = set_up(choice, plan, folder, sink, stack, window=_WINDOW)
        service.start(smpp=False)
        messages = max(50, round(_MESSAGES * plan.scale))
        stage = Stage(tools=plan.tools, door=service.door, first=0, messages=messages)
        load = run_loader(
            load_single(stage), map_path=folder / "accepted.map", timeout_s=plan.timeout_s
        )
        service.kill(stores=stores)
        before: int = sink.statistics()["arrivals_distinct"]
        sink.command("set latency 0")
        began = time.monotonic()
        service.start(smpp=False)
        restart_s = time.monotonic() - began
        _wait_until_still(sink, load.report["ok"])
        arrived = sink.arrival_map(folder / "arrived.map", len(load.accepted))
        return KillReport(
            accepted=load.report["ok"],
            before=before,
            lost=count_missing(load.accepted, arrived),
            repeated=sink.statistics()["arrivals_repeats"],
            restart_s=restart_s,
        )


def _wait_until_still(sink: Sink, wanted: int) -> None:
    """Until everything has arrived, or nothing has for a while."""
    moved_at, last = time.monotonic(), -1
    while time.monotonic() - moved_at < _PATIENCE_S:
        seen = sink.statistics()
        if seen["arrivals_distinct"] >= wanted:
            return
        if seen["arrivals"] != last:
            moved_at, last = time.monotonic(), seen["arrivals"]
        time.sleep(_POLL_S)
