"""The comparison as one table (Markdown)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.report import machine

HEAD = (
    "work",
    "gateway",
    "msg/s",
    "callbacks/s",
    "CPU us a message",
    "answer p50 / p99 ms",
    "operator p50 / p99 ms",
    "memory MB",
    "accepted, lost, repeated",
    "runs",
)


@dataclass(slots=True, kw_only=True)
class Line:
    """One gateway at one kind of work. Figures that there are not stay out."""

    work: str
    gateway: str
    figures: dict[str, float] = field(default_factory=dict)
    cpu_by_process: dict[str, float] = field(default_factory=dict)
    runs: int = 1
    disturbed: int = 0  # runs that other work on the machine spoilt
    failure: str = ""


def render(lines: Sequence[Line]) -> str:
    """The table."""
    return markdown(HEAD, map(_cells, lines))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells as a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _cells(line: Line) -> Sequence[str]:
    f = line.figures
    if line.failure:
        reason = line.failure.strip().splitlines()[0]
        return [line.work, line.gateway, f"not measured: {reason}", *[""] * (len(HEAD) - 3)]
    return [
        line.work,
        line.gateway,
        _number(f, "rate"),
        _number(f, "callback_rate") if f.get("callback_rate") else "",
        _cpu(line),
        _pair(f, "answer_p50_ms", "answer_p99_ms"),
        _pair(f, "operator_p50_ms", "operator_p99_ms"),
        _memory(f),
        _fate(f),
        f"{line.runs}, {line.disturbed} disturbed" if line.disturbed else f"{line.runs}",
    ]


def _number(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:,.0f}" if name in figures else ""


def _pair(figures: Mapping[str, float], first: str, second: str) -> str:
    return f"{figures[first]:.1f} / {figures[second]:.1f}" if first in figures else ""


def _cpu(line: Line) -> str:
    if "cpu_us" not in line.figures:
        return ""
    shown = {name: us for name, us in line.cpu_by_process.items() if us >= 0.5}
    total = f"{line.figures['cpu_us']:,.0f}"
    if len(shown) < 2:
        return total
    return f"{total} ({', '.join(f'{name} {us:,.0f}' for name, us in shown.items())})"


def _memory(figures: Mapping[str, float]) -> str:
    if "queued_mb" in figures:
        return (
            f"idle {figures['idle_mb']:,.0f}, {figures['queued']:,.0f} queued "
            f"{figures['queued_mb']:,.0f}, sends {figures['resume_s']:.1f} s after a kill"
        )
    if "idle_mb" in figures:
        return f"idle {figures['idle_mb']:,.0f}"
    return f"{figures['memory_mb']:,.0f}" if "memory_mb" in figures else ""


def _fate(figures: Mapping[str, float]) -> str:
    if "lost" not in figures:
        return ""
    names = ("accepted", "lost", "repeated")
    return ", ".join(f"{figures[name]:,.0f}" for name in names if name in figures)


def summary(lines: Sequence[Line]) -> str:
    """Whether the machine was quiet enough for the figures to mean something."""
    about = ", ".join(str(value) for value in machine().values())
    disturbed = sum(line.disturbed for line in lines)
    if not disturbed:
        return about
    runs = sum(line.runs for line in lines if line.cpu_by_process)
    return (
        f"{about}\nThe machine was too busy: in {disturbed} of {runs} runs other processes took "
        "too much of it. Compare figures with their neighbours only, or measure again."
    )
