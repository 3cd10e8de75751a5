"""Starts that fail: one line that says what is in the way, and nothing lost by the attempt."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bench.meters import resident_memory
from tests.harness.gateway import Gateway


def attempt(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to end by itself."""
    command = [sys.executable, "-m", "heliograph", "serve", "--data", str(data_dir)]
    done = subprocess.run(
        [*command, "--http", "127.0.0.1:0", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done


@pytest.fixture
def taken_port() -> object:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


def test_a_taken_port_is_named_and_leaves_nothing_unknown(tmp_path: Path, taken_port: int) -> None:
    gateway = Gateway(tmp_path / "data", "limits.enforce=false")
    gateway.create_account()
    gateway.start()
    # Put off five times, a second each: it waits when the gateway ends.
    sent = gateway.send("790000004005")
    gateway.stop()
    # The answers take longer than it takes to find the port taken.
    gateway.cli("connector", "set", "virtual", "--set", "latency_ms=1000")
    door = f"127.0.0.1:{taken_port}"

    done = attempt(gateway.data_dir, "--smpp", door)
    assert done.returncode == 1
    assert f"smpp.listen = {door}: another program listens there" in done.stderr

    gateway.cli("connector", "set", "virtual", "--set", "latency_ms=0")
    gateway.start()
    try:
        gateway.wait_status(sent["id"], "790000004005", 1, timeout_s=60)
        story = gateway.cli("message", "show", str(sent["id"]))
        assert "unknown" not in story
    finally:
        assert gateway.stop() == 0


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "heliograph.db").write_bytes(b"rubbish" * 1000)
    done = attempt(damaged)
    assert done.returncode == 3
    assert f"{damaged}: file is not a database" in done.stderr

    done = attempt(
        tmp_path / "a", "--set", "database.url=postgresql+asyncpg://u:secret@127.0.0.1:1/x"
    )
    assert done.returncode == 1
    assert "database.url = postgresql+asyncpg://u:***@127.0.0.1:1/x: " in done.stderr
    assert "refused" in done.stderr


def test_a_gateway_at_rest_is_small(tmp_path: Path) -> None:
    """At its first start, every door open, after passwords were verified: a hundred megabytes, its
    writer's included."""
    gateway = Gateway(tmp_path / "data", doors=("smpp", "smtp")).start()
    try:
        for password in ("wrong", "false"):
            assert "error" in gateway.call("balance", login="admin", psw=password)
        assert resident_memory(gateway.pid) < 120e6
    finally:
        assert gateway.stop() == 0
