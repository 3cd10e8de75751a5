"""The comparison of gateways: its arguments, its verdicts, and a run against a stand-in."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bench.peers.goals import judge
from bench.peers.packages import NotInstalled, need_programs
from bench.peers.table import Line, render

ROOT = Path(__file__).resolve().parents[3]
COMPARE = ROOT / "bench" / "side_by_side.py"
RELAY = Path(__file__).with_name("relay.py")

needs_compiler = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make") and sys.platform == "linux"),
    reason="the load tools need Linux, make and a C compiler (cc)",
)
needs_kannel = [
    pytest.mark.debian,
    pytest.mark.skipif(
        not shutil.which("bearerbox", path="/usr/sbin:/usr/local/sbin"), reason="no kannel"
    ),
]


def compare(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMPARE), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_help_names_gateways_and_work() -> None:
    done = compare("--help")
    assert done.returncode == 0
    for name in ("kannel", "jasmin", "receipts", "kill", "queued"):
        assert name in done.stdout


@pytest.mark.parametrize("options", [["--rows", "sideways"], ["--only", "sideways"]])
def test_unknown_names_are_refused(options: list[str]) -> None:
    done = compare(*options)
    assert done.returncode == 2
    assert "sideways" in done.stderr


@needs_compiler
@pytest.mark.parametrize(
    ("peer", "work"),
    [
        ("heliograph", ["receipts", "idle"]),
        pytest.param("kannel", ["receipts"], marks=needs_kannel),
    ],
)
def test_gateways_do_the_same_work_by_turns(tmp_path: Path, peer: str, work: list[str]) -> None:
    figures = tmp_path / "figures.json"
    done = compare(
        *("--command", shlex.join([sys.executable, str(RELAY)]), "--only", peer),
        *("--rows", ",".join(work), "--runs", "1", "--scale", "0.01", "--max-foreign", "64"),
        *("--json", str(figures)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(figures.read_text())["lines"]
    gateways = dict.fromkeys(["heliograph", peer])
    expected = [(row, name) for row in work for name in gateways]
    assert [(line["work"], line["gateway"]) for line in lines] == expected
    for line in lines:
        assert line["failure"] == ""
        if line["work"] == "receipts":
            assert line["figures"]["messages"] > 0
            assert line["figures"]["callbacks_lost"] == line["figures"]["lost"] == 0
            assert line["figures"]["callback_rate"] > 0
    assert "| receipts | heliograph |" in done.stdout
    assert "cpu_us at most 200" in done.stdout


@needs_compiler
def test_a_gateway_that_fails_is_named_and_the_others_go_on() -> None:
    program = "import sys; sys.exit('no such colour')"
    done = compare(
        *("--command", shlex.join([sys.executable, "-c", program]), "--only", "heliograph"),
        *("--rows", "idle", "--runs", "1"),
    )
    assert done.returncode == 1
    assert "no such colour" in done.stdout + done.stderr
    assert "not measured" in done.stdout


def test_verdicts_compare_with_figures_and_with_peers() -> None:
    figures = {
        "single": {
            "heliograph": {"rate": 12_500.0, "cpu_us": 95.0},
            "kannel": {"rate": 9_000.0, "cpu_us": 170.0},
            "jasmin": {"rate": 470.0, "cpu_us": 2_100.0},
            "heliograph-postgresql": {"rate": 6_000.0, "cpu_us": 150.0},
        },
        "paced": {"heliograph": {"answer_p99_ms": 4.0}},
    }
    met = {verdict.goal: verdict.is_met for verdict in judge(figures)}
    assert met == {
        "single: rate at least 12,000": True,
        "single: rate at least 1.25 x kannel": True,
        "single: rate at least 25 x jasmin": True,
        "single: cpu_us at most 90": False,
        "paced: answer_p99_ms at most 5": True,
        "single: on PostgreSQL at least 0.5 x SQLite": False,
    }


def test_table_says_who_was_not_measured_and_which_process_took_what() -> None:
    lines = [
        Line(
            work="single",
            gateway="kannel",
            figures={"rate": 9_000.0, "cpu_us": 170.4},
            cpu_by_process={"bearerbox": 90.0, "smsbox": 80.4},
        ),
        Line(work="single", gateway="jasmin", failure="needs Debian's packages\nand more"),
    ]
    table = render(lines).splitlines()
    assert "170 (bearerbox 90, smsbox 80)" in table[2]
    assert "not measured: needs Debian's packages |" in table[3]
    assert len({row.count("|") for row in table}) == 1


def test_what_can_not_be_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rights to install packages."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotInstalled, match="Debian's packages a-package"):
        need_programs({"a-program-that-nobody-has": "a-package"})
    assert need_programs({"sh": "dash"})["sh"].endswith("/sh")
