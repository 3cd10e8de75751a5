"""The doctor: each illness is found and comes with what to do."""

from __future__ import annotations

import json
import shutil
import socket
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.harness.ports import free_ports

from heliograph.cli import checks
from heliograph.cli.main import program

Ask = Callable[..., Any]
# Doors on free ports: the usual ones may be in use on the machine that tests.
QUIET = ("--set", "http.listen=127.0.0.1:0")


def findings(report: Any, check: str) -> list[Any]:
    return [each for each in report["findings"] if each["check"] == check]


def test_a_healthy_folder(ask: Ask) -> None:
    report = ask("doctor", *QUIET)
    assert report["ok"]
    looked_at = {each["check"] for each in report["findings"]}
    assert {
        *("program", "settings", "data folder", "disk space", "open files", "clock", "database"),
        *("accounts", "connectors", "routes", "server", "ports"),
    } <= looked_at
    assert all(each["todo"] for each in report["findings"] if each["verdict"] != "good")


def test_an_empty_folder_is_no_illness_and_stays_empty(tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["doctor", "--data", str(tmp_path), "--json", *QUIET])
    assert done.exit_code == 0
    assert findings(json.loads(done.stdout), "database")[0]["verdict"] == "warn"
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting(ask: Ask) -> None:
    report = ask("doctor", "--set", "http.lissten=x", code=1)
    assert [each["verdict"] for each in report["findings"]] == ["bad"]
    assert "http.listen" in report["findings"][0]["what"]


def test_a_damaged_database(data: Path, ask: Ask) -> None:
    (data / "heliograph.db").write_bytes(b"rubbish" * 5000)
    report = ask("doctor", *QUIET, code=1)
    assert findings(report, "database")[0]["verdict"] == "bad"


def test_a_connector_that_nobody_answers_and_a_route_that_is_missing(run: Ask, ask: Ask) -> None:
    [port] = free_ports(1)
    run("connector", "add", "gone", "--set", "host=127.0.0.1", "--set", f"port={port}")
    report = ask("doctor", *QUIET, code=1)
    found = findings(report, "connectors")
    assert [each["verdict"] for each in found] == ["good", "bad"]
    assert "gone" in findings(report, "routes")[0]["what"]
    with socket.create_server(("127.0.0.1", 0)) as answering:
        port = answering.getsockname()[1]
        run("connector", "set", "gone", "--set", f"port={port}")
        run("route", "add", "--connector", "gone")
        assert ask("doctor", *QUIET)["ok"]
    run("connector", "disable", "gone")
    run("connector", "disable", "virtual")
    assert findings(ask("doctor", *QUIET), "connectors")[0]["verdict"] == "warn"


def test_accounts_without_a_price(run: Ask, ask: Ask) -> None:
    run("tariff", "create", "empty")
    assert "empty" in findings(ask("doctor", *QUIET), "tariffs")[0]["what"]


def test_doors_to_the_world(ask: Ask) -> None:
    report = ask(
        *("doctor", "--set", "http.listen=0.0.0.0:0", "--set", "webhooks.allow_private=true")
    )
    assert len([f for f in findings(report, "settings") if f["verdict"] == "warn"]) == 3


def test_a_port_in_use_and_a_server_that_was_killed(data: Path, ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        report = ask("doctor", "--set", f"http.listen=127.0.0.1:{port}", code=1)
        assert f"sport = :{port}" in findings(report, "ports")[0]["todo"]
        several = f"smpp.listen=127.0.0.1:0, 127.0.0.1:{port}"
        ports = findings(ask("doctor", *QUIET, "--set", several, code=1), "ports")
        assert [each["verdict"] for each in ports] == ["good", "good", "bad"]
    (data / "ports.json").write_text(json.dumps({"http": port, "smpp": None}))
    assert "by force" in findings(ask("doctor", *QUIET), "server")[0]["what"]


def test_a_full_disk(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, 100 << 20))
    assert findings(ask("doctor", *QUIET, code=1), "disk space")[0]["verdict"] == "bad"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, 1 << 30))
    assert findings(ask("doctor", *QUIET), "disk space")[0]["verdict"] == "warn"


def test_a_clock_without_a_battery(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_BUILT_S", 4_102_444_800)  # 2100-01-01
    assert findings(ask("doctor", *QUIET, code=1), "clock")[0]["verdict"] == "bad"


def test_the_report_for_people(run: Ask) -> None:
    lines = run("doctor", "--set", "http.listen=0.0.0.0:0").stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("WARN"))
    assert lines[at + 1].strip().startswith("-> ")
