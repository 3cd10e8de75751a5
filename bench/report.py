"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.measurement import Result
from rich.console import Console
from rich.table import Table

COLUMNS = (
    ("msg/s", "rate", ",.0f"),
    ("callbacks/s", "callback_rate", ",.0f"),
    ("CPU us", "cpu_us", ".1f"),
    ("answer p50 ms", "answer_p50_ms", ".2f"),
    ("p99", "answer_p99_ms", ".2f"),
    ("operator p50 ms", "operator_p50_ms", ".1f"),
    ("p99", "operator_p99_ms", ".1f"),
    ("peak MB", "memory_mb", ".0f"),
    ("refused", "refused", ".0f"),
    ("lost", "lost", ".0f"),
    ("repeated", "repeated", ".0f"),
)


def print_table(results: Sequence[Result]) -> None:
    """One row a scenario: medians of its runs; refused, lost and repeated are sums."""
    table = Table(
        caption="msg/s at the operator; CPU of the gateway a message; medians of the runs"
    )
    table.add_column("scenario", no_wrap=True)
    for title, _name, _form in COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("runs", justify="right")
    for result in results:
        median = result.median()
        cells = [format(median[name], form) for _title, name, form in COLUMNS]
        table.add_row(result.scenario.name, *cells, _runs(result))
    # A file or a pipe has no width; a table cut to 80 columns would lose its figures there.
    Console(width=None if os.isatty(1) else 160).print(table)


def _runs(result: Result) -> str:
    spoilt = sum(sample.spoilt for sample in result.samples)
    text = str(len(result.samples))
    if result.set_aside:
        text += f", {result.set_aside} set aside"
    return f"{text}, {spoilt} disturbed" if spoilt else text


def scenario_figures(results: Sequence[Result]) -> dict[str, Any]:
    """{name: {"about", "median", "runs", "set_aside"}}"""
    return {
        result.scenario.name: {
            "about": result.scenario.about,
            "median": result.median(),
            "runs": [asdict(sample) for sample in result.samples],
            "set_aside": result.set_aside,
        }
        for result in results
    }


def write_json(path: Path, **figures: Any) -> None:
    """{"machine": {...}, ...}"""
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """Where and when the figures were taken."""
    model = ""
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            model = text.partition(":")[2].strip()
            break
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "processor": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
