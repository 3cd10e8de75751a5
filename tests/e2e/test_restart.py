"""Stops, kills and restarts: what was accepted stays, and goes on where it was."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.crash import WINDOW, crash, judge
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import Gateway, wait_for

PHONE = "79165556677"


def test_killed_and_started_again(tmp_path: Path) -> None:
    """Scheduled and sent messages, balances, ids and statuses are there after kill -9."""
    gateway = Gateway(tmp_path / "data", *UNLIMITED)
    gateway.create_account()
    gateway.start()
    try:
        done = gateway.send(PHONE, "before")
        gateway.wait_status(done["id"], PHONE, 1)
        due = int(time.time()) + 6
        later = gateway.send(PHONE, "after the restart", time=f"0{due}")
        # The receipt comes after two seconds, when nobody is there to take it.
        on_its_way = gateway.send("791600003002", "on its way")
        gateway.wait_status(on_its_way["id"], "791600003002", 0)
        balance = gateway.call("balance")
        gateway.kill()

        gateway.start()
        assert gateway.call("balance") == balance
        assert gateway.status(done["id"], PHONE, all=1)["message"] == "before"
        # Or its time has come: a start may take that long.
        assert gateway.status(later["id"], PHONE)["status"] == -1 or time.time() >= due
        assert gateway.send(PHONE)["id"] > on_its_way["id"]
        found = gateway.wait_status(later["id"], PHONE, 1)
        assert found["last_timestamp"] >= due
        gateway.wait_status(on_its_way["id"], "791600003002", 1)
        assert gateway.audit() == []
    finally:
        assert gateway.stop() == 0


def test_stop_in_good_order(tmp_path: Path) -> None:
    """What waits for its answer gets it; the lock, the ports and the process are gone."""
    gateway = Gateway(tmp_path / "data", *UNLIMITED, "server.drain_s=40")
    gateway.create_account()
    gateway.start()
    sent = gateway.send(PHONE)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 30
    assert not (tmp_path / "data" / "ports.json").exists()
    gateway.start()
    gateway.wait_status(sent["id"], PHONE, 1)
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text()


def test_two_servers_on_one_folder(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", *UNLIMITED)
    gateway.create_account()
    gateway.start()
    try:
        second = Gateway(tmp_path / "data", *UNLIMITED)
        command = [sys.executable, "-m", "heliograph", "serve", "--data", str(tmp_path / "data")]
        done = subprocess.run(
            [*command, "--http", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode not in (0, -signal.SIGTERM)
        assert "another heliograph serves from" in done.stderr
        assert "Traceback" not in done.stderr
        # The first one is not disturbed, and commands work beside it.
        assert gateway.send(PHONE)["cnt"] == 1
        second.create_account("late")
        wait_for(lambda: "balance" in gateway.call("balance", login="late"))
    finally:
        assert gateway.stop() == 0


def test_life_runs_out(tmp_path: Path) -> None:
    """No receipt until the message's life and the wait for the receipt are over: expired."""
    gateway = Gateway(
        tmp_path / "data",
        *UNLIMITED,
        "sending.validity_hours=0.0002",
        "sending.receipt_wait_hours=0.0002",
    )
    gateway.create_account()
    gateway.start()
    try:
        sent = gateway.send("791600006000")
        found = gateway.wait_status(sent["id"], "791600006000", 3)
        assert found["err"] == 245
        assert gateway.audit() == []
    finally:
        assert gateway.stop() == 0


async def test_crashes_under_load(tmp_path: Path) -> None:
    """kill -9 between an SMPP operator and 32 clients: `make crash` in small."""
    report = await crash(
        tmp_path / "data", messages=1500, blows=2, what="kill", seed=7, database=""
    )
    assert judge(report) == []
    assert report["accepted"] >= 1500
    assert report["blows"] == 2
    assert report["unknown allowed"] == 2 * WINDOW
