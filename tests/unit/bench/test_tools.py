"""The load tools, against each other: what one says it sent, another must say it saw."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make") and sys.platform == "linux"),
    reason="the load tools need Linux, make and a C compiler (cc)",
)


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    flags = "-O1 -g -Werror -fsanitize=undefined -fno-sanitize-recover"
    command = ["make", "-s", "-C", str(ROOT / "bench"), f"BIN={folder}"]
    built = subprocess.run(
        [*command, f"CFLAGS={flags}"], capture_output=True, text=True, check=False
    )
    if "sanitize" in built.stderr or "ubsan" in built.stderr:  # a compiler without that library
        built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@dataclass
class Sink:
    process: subprocess.Popen[bytes]
    ports: dict[str, int]

    def ask(self, line: str) -> str:
        with socket.create_connection(("127.0.0.1", self.ports["control"]), timeout=30) as control:
            control.sendall(line.encode() + b"\n")
            return control.makefile().readline().rstrip("\n")

    def stats(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.ask("stats"))
        return report


@pytest.fixture
def sink(tools: Path) -> Iterator[Sink]:
    process = subprocess.Popen([str(tools / "sink"), "--timeout", "60"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Sink(process, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def run_tool(program: Path, *options: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [str(program), "--timeout", "30", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return json.loads(done.stdout), done.stderr


def test_smppload_and_sink_agree_on_every_message(tools: Path, sink: Sink, tmp_path: Path) -> None:
    sent, seen = tmp_path / "sent", tmp_path / "seen"
    options = ["-P", str(sink.ports["smpp"]), "-b", "2", "-W", "7", "-n", "500", "-s", "40"]
    report, complaints = run_tool(tools / "smppload", *options, "-m", str(sent))
    assert (report["ok"], report["unanswered"], complaints) == (500, 0, "")
    assert report["statuses"] == {"0x0": 500}
    stats = sink.stats()
    assert (stats["arrivals"], stats["arrivals_distinct"], stats["bound"]) == (500, 500, 0)
    assert stats["latency_us"]["count"] == 500
    assert 0 < stats["latency_us"]["p50"] <= stats["latency_us"]["max"] < 30e6
    assert sink.ask(f"map {seen} 540") == "ok"
    assert sent.read_bytes() == seen.read_bytes() == bytes(40) + b"\1" * 500


def test_sink_counts_repeats_and_losses(tools: Path, sink: Sink) -> None:
    for _ in range(2):
        run_tool(tools / "smppload", "-P", str(sink.ports["smpp"]), "-n", "100")
    assert sink.ask("set expected 130") == "ok"
    stats = sink.stats()
    assert (stats["arrivals_distinct"], stats["arrivals_repeats"], stats["lost"]) == (100, 100, 30)
    assert sink.ask("reset") == "ok"
    assert sink.stats()["arrivals"] == 0
    assert sink.ask("set colour 1").startswith("error")


def test_receipts_come_back_with_the_ids_of_the_answers(tools: Path, sink: Sink) -> None:
    assert sink.ask("set delay 10") == "ok"
    assert sink.ask("set window 5") == "ok"
    options = ["-P", str(sink.ports["smpp"]), "-n", "300", "-r", "-L", "5"]
    report, _ = run_tool(tools / "smppload", *options)
    assert report["receipts_distinct"] == report["receipts"] == 300
    assert report["receipts_mismatched"] == report["receipts_early"] == 0
    stats = sink.stats()
    assert (stats["receipts_sent"], stats["receipts_answered"]) == (300, 300)
    assert stats["receipts_waiting"] == 0


def test_latency_and_window_limit_the_rate(tools: Path, sink: Sink) -> None:
    assert sink.ask("set latency 20") == "ok"
    options = ["-P", str(sink.ports["smpp"]), "-n", "200", "-W", "20"]
    report, _ = run_tool(tools / "smppload", *options)
    assert report["latency_us"]["p50"] >= 20_000
    assert report["rate"] < 1_050  # window / latency, and the last window needs no successor
    assert sink.stats()["waiting_max"] == 20


def test_throttled_messages_are_refused_and_not_counted_as_arrivals(
    tools: Path, sink: Sink
) -> None:
    assert sink.ask("set throttle 10") == "ok"
    report, _ = run_tool(tools / "smppload", "-P", str(sink.ports["smpp"]), "-n", "200")
    assert report["statuses"] == {"0x0": 180, "0x58": 20}
    stats = sink.stats()
    assert (stats["arrivals"], stats["throttled"]) == (180, 20)


def test_httpload_posts_and_gets_reach_the_callback_counter(tools: Path, sink: Sink) -> None:
    url = f"http://127.0.0.1:{sink.ports['http']}/callback"
    body = "id=7&phone=791{seq}&status=1&mes=Tx{ts}"
    report, _ = run_tool(tools / "httpload", "-c", "4", "-n", "300", "-e", "ACK", "-B", body, url)
    assert (report["ok"], report["failed"], report["other"]) == (300, 0, 0)
    query = url + "?id=7&phone=791{seq}&status=2"
    options = ["-c", "4", "-n", "100", "-s", "250", "-R", "2000"]
    report, _ = run_tool(tools / "httpload", *options, query)
    assert report["ok"] == 100
    stats = sink.stats()
    assert (stats["callbacks_distinct"], stats["callbacks_repeats"]) == (350, 50)
    assert stats["callbacks_delivered"] == 300


def test_httpload_tells_wrong_answers_and_keeps_them_out_of_its_map(
    tools: Path, sink: Sink, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{sink.ports['http']}/?phone=791{{seq}}"
    accepted = tmp_path / "accepted"
    options = ["-n", "50", "-e", "OK - ", "-m", str(accepted)]
    report, complaints = run_tool(tools / "httpload", *options, url)
    assert (report["ok"], report["failed"]) == (0, 50)
    assert complaints == "httpload: ACK/Jasmin\n"
    assert accepted.read_bytes() == bytes(50)


def test_httpload_counts_every_number_of_a_list(tools: Path, sink: Sink, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{sink.ports['http']}/"
    accepted = tmp_path / "accepted"
    body = "phones={list:791:100}&mes=x"
    options = ["-c", "2", "-n", "3", "-B", body, "-m", str(accepted)]
    report, _ = run_tool(tools / "httpload", *options, url)
    assert report["messages"] == 300
    assert accepted.read_bytes() == b"\1" * 300


def test_sink_survives_garbage_on_every_port(tools: Path, sink: Sink) -> None:
    garbage = bytes(range(256)) * 20
    for port in sink.ports.values():
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(garbage)
    report, _ = run_tool(tools / "smppload", "-P", str(sink.ports["smpp"]), "-n", "10")
    assert report["ok"] == 10


@pytest.mark.parametrize("name", ["sink", "httpload", "smppload"])
def test_every_tool_explains_itself(tools: Path, name: str) -> None:
    done = subprocess.run(
        [str(tools / name), "-h"], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {name}")
