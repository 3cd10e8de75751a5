"""The command line next to a running gateway: separate processes on one data folder."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from bench.gateway import setup_commands
from click.testing import CliRunner, Result
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for
from tests.harness.handler import Handler, run_handler
from tests.harness.ports import free_ports

from heliograph.cli.main import program

CREDENTIALS = ("--login", LOGIN, "--password", PASSWORD)
LENIENT = ("limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("cli") / "data", *LENIENT)
    running.create_account()
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    with run_handler() as running:
        yield running


def command(gateway: Gateway, *arguments: str, code: int = 0) -> Result:
    """Runs a command in this process, which is another one than the gateway's."""
    done = CliRunner().invoke(program, [*arguments, "--data", str(gateway.data_dir)])
    assert done.exit_code == code, (arguments, done.output, done.exception)
    return done


def ask(gateway: Gateway, *arguments: str) -> Any:
    return json.loads(command(gateway, *arguments, "--json").stdout)


def attempt(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as people do: in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "heliograph", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(*arguments: str) -> Iterator[IO[str]]:
    """The standard output of a command that goes on; it has to end well when it is interrupted."""
    started = [sys.executable, "-m", "heliograph", *arguments]
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0


def send(gateway: Gateway, phone: str, text: str = "hello", *options: str) -> str:
    """Sends and waits until it is over; the message's id."""
    sent = ask(gateway, "send", phone, text, *CREDENTIALS, *options)
    number = str(sent["id"])

    def is_over() -> bool:
        told = ask(gateway, "message", "show", number, "--account", LOGIN, "--phone", phone)
        return bool(told[0]["charged"])

    wait_for(is_over, what="the end of the message")
    return number


def test_a_message_from_the_wish_to_its_story(gateway: Gateway) -> None:
    sent = ask(gateway, "send", "+7 916 100-00-01", "Привет, " + "x" * 70, *CREDENTIALS)
    assert (sent["cnt"], sent["cost"]) == (2, "2.00")
    number = str(sent["id"])
    wait_for(
        lambda: ask(gateway, "status", number, "79161000001", *CREDENTIALS)["status"] == 1,
        what="the receipt",
    )
    (story,) = ask(gateway, "message", "show", number, "--account", LOGIN)
    assert story["state"] == "delivered"
    assert story["recipient"] == "7916*****01"
    assert "text" not in story
    assert (story["price"], story["charged"]) == ("2.00", "2.00")
    told = [
        (event["part"], event["what"].split(":")[0].split(" to ")[0]) for event in story["events"]
    ]
    assert told[:2] == [(0, "came in by http"), (0, "accepted")]
    assert {part for part, what in told if what == "receipt"} == {1, 2}
    assert told[-1] == (0, "ended delivered; charged 2.00")
    assert [event["after_ms"] for event in story["events"]] == sorted(
        event["after_ms"] for event in story["events"]
    )
    (whole,) = ask(gateway, "message", "show", number, "--account", LOGIN, "--text", "--numbers")
    assert whole["recipient"] == "79161000001"
    assert whole["text"].startswith("Привет")
    shown = command(gateway, "message", "show", number, "--account", LOGIN).stdout
    assert "virtual took it as" in shown
    assert "79161000001" not in shown


def test_a_handset_shows_what_arrived(gateway: Gateway) -> None:
    send(gateway, "79161000002", "for two", "--sender", "Shop")
    send(gateway, "79161000003", "for\x1b[31m three")
    (message,) = ask(gateway, "inbox", "--number", "+79161000002")
    assert (message["from"], message["text"]) == ("Shop", "for two")
    lines = command(gateway, "inbox", "--limit", "1000").stdout.splitlines()
    assert any("for two" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_following_the_handsets(gateway: Gateway) -> None:
    place = ("--data", str(gateway.data_dir))
    send(gateway, "79161000004", "before")
    with running("inbox", "--number", "79161000004", "--follow", "--json", *place) as output:
        assert json.loads(output.readline())["text"] == "before"
        send(gateway, "79161000004", "after one")
        send(gateway, "79161000005", "another handset")
        send(gateway, "79161000004", "after two")
        assert json.loads(output.readline())["text"] == "after one"
        assert json.loads(output.readline())["text"] == "after two"


def test_the_end_that_a_number_chooses_is_told(gateway: Gateway) -> None:
    number = send(gateway, "79000000006")
    (story,) = ask(gateway, "message", "show", number, "--account", LOGIN)
    assert (story["state"], story["err"]) == ("undeliverable", 6)
    assert any("subscriber not in the network" in event["what"] for event in story["events"])


def test_what_the_gateway_refuses_ends_with_one(gateway: Gateway) -> None:
    stranger = ("--login", LOGIN, "--password", "wrong")
    wrong = attempt("send", "79161000006", "x", *stranger, "--data", str(gateway.data_dir))
    assert wrong.returncode == 1
    assert "check --login" in wrong.stderr
    assert "error 7" in command(gateway, "send", "12", "x", *CREDENTIALS, code=1).stderr
    command(gateway, "status", "987654", "79161000006", *CREDENTIALS, code=1)
    assert command(gateway, "message", "show", "987654", code=1).stdout == ""


def test_a_text_from_standard_input_and_an_estimate(gateway: Gateway) -> None:
    estimate = [sys.executable, "-m", "heliograph", "send", "79161000007", "-", "--estimate"]
    done = subprocess.run(
        [*estimate, *CREDENTIALS, "--url", gateway.base],
        input="x" * 161 + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["parts", "2", "cost", "2.00"]


def test_the_running_gateway_notices_changes(gateway: Gateway) -> None:
    command(gateway, "account", "create", "late", "--password", "Late-comer-1", "--balance", "1")
    key = ask(gateway, "account", "key", "create", "late")["key"]

    def code() -> int:
        asked = ["send", "79161000008", "x", "--apikey", key, "--url", gateway.base]
        return CliRunner().invoke(program, asked).exit_code

    wait_for(lambda: code() == 0, what="the new account's key")
    command(gateway, "account", "block", "late")
    wait_for(lambda: code() == 1, what="the block")


def test_callbacks_are_listed_and_made_again(gateway: Gateway, handler: Handler) -> None:
    [port] = free_ports(1)
    command(gateway, "account", "set", LOGIN, "--callback", f"http://127.0.0.1:{port}/gone")
    wait_for(
        lambda: send(gateway, "79161000009") and ask(gateway, "callbacks", "list"),
        what="a callback",
    )
    failed = wait_for(
        lambda: [c for c in ask(gateway, "callbacks", "list", "--account", LOGIN) if c["attempts"]],
        what="a failed attempt",
    )[0]
    assert (failed["kind"], failed["state"]) == ("status", "waiting")
    told = ask(gateway, "callbacks", "show", str(failed["id"]))
    assert told["says"]["phone"] == "7916*****09"
    assert told["failed_attempts"][0]["result"]
    command(gateway, "account", "set", LOGIN, "--callback", handler.url("charset=utf-8"))
    assert ask(gateway, "callbacks", "replay", str(failed["id"])) == {"replayed": 1}
    wait_for(
        lambda: any(c.form["phone"] == "79161000009" for c in handler.calls),
        what="the call, made again",
    )
    wait_for(
        lambda: ask(gateway, "callbacks", "show", str(failed["id"]))["state"] == "done",
        what="the end of the callback",
    )
    command(gateway, "callbacks", "replay", "1", code=1)

    command(gateway, "inbox", "send", "79161000010", "4444", "STOP", "--account", LOGIN)
    call = wait_for(
        lambda: [c.form for c in handler.calls if "mes" in c.form], what="the incoming message"
    )[0]
    assert (call["phone"], call["mes"], call["to"]) == ("79161000010", "STOP", "4444")
    command(gateway, "account", "set", LOGIN, "--callback", "")


def test_a_simulated_operator(gateway: Gateway) -> None:
    habits = ("--id-base", "hex", "--receipt-id-base", "decimal", "--receipt-twice")
    with running("simulate", "smsc", "--port", "0", "--json", *habits) as output:
        port = json.loads(output.readline())["port"]
        command(
            gateway,
            *("connector", "add", "sim", "--set", "host=127.0.0.1", "--set", f"port={port}"),
            *("--set", "system_id=me"),
        )
        command(gateway, "route", "add", "--connector", "sim", "--prefix", "4477", "--order", "1")

        def goes_there() -> bool:
            number = send(gateway, "447700900123", "over there")
            (story,) = ask(gateway, "message", "show", number, "--account", LOGIN)
            return any("sim took it" in event["what"] for event in story["events"])

        wait_for(goes_there, what="a message by the new route")
        told = [json.loads(output.readline()) for _ in range(3)]
    message, *receipts = told
    assert (message["event"], message["system_id"], message["text"]) == (
        "message",
        "me",
        "over there",
    )
    assert message["to"] == "4477******23"
    assert [each["event"] for each in receipts] == ["receipt", "receipt"]
    assert f"id:{int(message['id'], 16)}" in receipts[0]["receipt"]
    command(gateway, "connector", "disable", "sim")
    gateway.settle()


def test_the_doctor_finds_a_healthy_gateway(gateway: Gateway) -> None:
    report = ask(gateway, "doctor")
    assert report["ok"], report
    assert {"check": "server", "verdict": "good"}.items() <= next(
        each for each in report["findings"] if each["check"] == "server"
    ).items()


def test_the_ledger_is_exact_after_all_that(gateway: Gateway) -> None:
    assert ask(gateway, "ledger", "audit")["is_exact"]


def test_one_gateway_a_folder(gateway: Gateway) -> None:
    second = attempt("serve", "--http", "127.0.0.1:0", "--data", str(gateway.data_dir))
    assert second.returncode == 1
    assert second.stderr.count("Error: ") == 1
    assert "another heliograph" in second.stderr
    assert "Traceback" not in second.stderr
    assert ask(gateway, "account", "list"), "the first one goes on"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        listen = f"127.0.0.1:{holder.getsockname()[1]}"
        done = attempt("serve", "--http", listen, "--data", str(tmp_path))
        assert done.returncode == 1
        assert "doctor" in done.stderr
        assert "Traceback" not in done.stderr
        looked = attempt("doctor", "--set", f"http.listen={listen}", "--data", str(tmp_path))
        assert looked.returncode == 1
        assert "in use" in looked.stdout


def test_the_first_start_makes_an_account_with_money(tmp_path: Path) -> None:
    fresh = Gateway(tmp_path / "data")
    fresh.start()
    try:
        text = fresh.output.read_text()
        found = re.search(r"account (\w+), password (\S+)", text)
        assert found is not None, text
        login, password = found.groups()
        who = ("--login", login, "--password", password)
        sent = json.loads(fresh.cli("send", "79161234567", "first", *who, "--json"))
        assert sent["id"] == 1
    finally:
        assert fresh.stop() == 0
    assert not (fresh.data_dir / "ports.json").exists()
    fresh.start()
    try:
        assert fresh.output.read_text().count("first start") == 1, "shown once"
    finally:
        fresh.stop()


def test_the_benchmark_is_set_up_as_it_says(tmp_path: Path) -> None:
    place = ["--data", str(tmp_path)]
    commands = setup_commands(operator_port=2775, callback_url="http://127.0.0.1:9/cb")
    for each in commands:
        done = CliRunner().invoke(program, [*each, *place])
        assert done.exit_code == 0, done.output
    who = ["--account", commands[0][2]]
    asked = ["route", "explain", "79161234567", *who, "--json", *place]
    explained = json.loads(CliRunner().invoke(program, asked).stdout)
    assert explained["order"] == ["sink"]
    assert explained["price_of_a_part"] == "0.01 RUR"


def test_an_operator_that_refuses_the_bind(gateway: Gateway) -> None:
    """Health and doctor tell the operator's own word, which tells what to do."""
    with running("simulate", "smsc", "--port", "0", "--json", "--password", "right") as output:
        port = json.loads(output.readline())["port"]
        where = ("--set", "host=127.0.0.1", "--set", f"port={port}")
        command(gateway, "connector", "add", "strict", *where, "--set", "password=wrong")
        reason = "not connected: strict (bind refused: ESME_RINVPASWD)"
        wait_for(
            lambda: json.loads(gateway.get("/health"))["checks"]["connectors"] == reason,
            what="the reason in /health",
        )
        told = command(gateway, "doctor", "--json", code=1).stdout
        (found,) = [e for e in json.loads(told)["findings"] if e["check"] == "health"]
        assert reason in found["what"]
        assert "connect-an-operator" in found["todo"]

        command(gateway, "connector", "set", "strict", "--set", "password=right")
        wait_for(lambda: json.loads(gateway.get("/health"))["ok"], what="the bind")
    command(gateway, "connector", "disable", "strict")
