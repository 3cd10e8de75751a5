"""The benchmark driver: its arguments, and whole runs against a stand-in for the gateway."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUN = ROOT / "bench" / "run.py"
RELAY = Path(__file__).with_name("relay.py")

needs_compiler = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make") and sys.platform == "linux"),
    reason="the load tools need Linux, make and a C compiler (cc)",
)


def run_driver(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_help_names_the_scenarios() -> None:
    done = run_driver("--help")
    assert done.returncode == 0
    for name in ("single", "bulk", "receipts", "distant20", "distant100"):
        assert name in done.stdout


def test_unknown_scenario_is_refused() -> None:
    done = run_driver("--scenario", "sideways")
    assert done.returncode == 2
    assert "sideways" in done.stderr


@needs_compiler
def test_driver_measures_what_the_operator_and_the_callbacks_saw(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = run_driver(
        *("--command", shlex.join([sys.executable, str(RELAY)])),
        *("--scenario", "receipts", "--scenario", "bulk", "--runs", "2"),
        *("--scale", "0.02", "--max-foreign", "64", "--json", str(figures)),
    )
    assert done.returncode == 0, done.stderr
    scenarios = json.loads(figures.read_text())["scenarios"]
    assert set(scenarios) == {"receipts", "bulk"}
    receipts, bulk = scenarios["receipts"], scenarios["bulk"]
    assert [run["messages"] for run in receipts["runs"]] == [600, 600]
    assert [run["messages"] for run in bulk["runs"]] == [10_000, 10_000]
    for median in (receipts["median"], bulk["median"]):
        assert median["rate"] > 0
        assert median["memory_mb"] > 1
        assert (median["lost"], median["refused"], median["repeated"]) == (0, 0, 0)
    assert receipts["median"]["callback_rate"] > 0
    assert receipts["median"]["callbacks_lost"] == 0


@needs_compiler
def test_gateway_that_does_not_start_is_told_with_its_words() -> None:
    program = "import sys; sys.exit('no such colour')"
    done = run_driver("--command", shlex.join([sys.executable, "-c", program]), "--runs", "1")
    assert done.returncode == 1
    assert "no such colour" in done.stderr
