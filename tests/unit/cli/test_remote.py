"""`send` and `status` against servers that are not the gateway they hope for."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heliograph.cli.main import program

Seen = list[tuple[str, dict[str, str]]]


@contextmanager
def answering(body: bytes, *, status: int = 200) -> Iterator[tuple[str, Seen]]:
    """A server that answers everything alike, and what it was asked."""
    seen: Seen = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            seen.append((self.path, dict(urllib.parse.parse_qsl(form, keep_blank_values=True))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(program, ["send", "79161234567", "Hi", *arguments], env=environ)


def test_what_is_asked_for() -> None:
    with answering(b'{"id": 5, "cnt": 1, "cost": "1.5", "balance": "8"}') as (url, seen):
        done = send(
            *("--url", url + "/", "--login", "shop", "--password", "p&w", "--sender", "Shop"),
            *("--type", "flash", "--time", "+30", "--translit", "1", "--param", "tinyurl=1"),
        )
        asked = send("--json", HELIOGRAPH_URL=url, HELIOGRAPH_APIKEY="key")
    assert done.stdout.split() == ["id", "5", "parts", "1", "cost", "1.5", "balance", "8"]
    assert json.loads(asked.stdout)["id"] == 5
    assert seen[0] == (
        "/sys/send.php",
        {
            "login": "shop",
            "psw": "p&w",
            "phones": "79161234567",
            "mes": "Hi",
            "cost": "3",
            "flash": "1",
            "sender": "Shop",
            "time": "+30",
            "translit": "1",
            "tinyurl": "1",
            "fmt": "3",
            "charset": "utf-8",
        },
    )
    assert seen[1][1]["apikey"] == "key"
    assert "login" not in seen[1][1]


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b'{"error": "no money", "error_code": 3}', 200, 1, "account credit"),
        (b'{"error": "x\\u001b[2J", "error_code": 77}', 200, 1, "error 77"),
        (b"<html>", 200, 4, "is it a gateway?"),
        (b"[]", 200, 4, "is it a gateway?"),
        (b"{}", 404, 4, "HTTP 404"),
        (b"\xff\xfe", 200, 4, "is it a gateway?"),
    ],
)
def test_strange_answers(body: bytes, status: int, code: int, words: str) -> None:
    with answering(body, status=status) as (url, _):
        done = send("--url", url, "--apikey", "k")
    assert done.exit_code == code
    assert words in done.stderr
    assert "\x1b" not in done.stderr


def test_the_address_of_the_running_gateway_is_read(tmp_path: Path) -> None:
    with answering(b'{"status": -3}') as (url, seen):
        (tmp_path / "ports.json").write_text(json.dumps({"http": int(url.rsplit(":")[-1])}))
        arguments = ["status", "9", "79161234567", "--apikey", "k", "--data", str(tmp_path)]
        listen = ["--set", "http.listen=0.0.0.0:0"]
        done = CliRunner().invoke(program, [*arguments, *listen])
    assert seen[0][0] == "/sys/status.php"
    assert done.exit_code == 1, "there is no such message"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda file: file.write_text('{"http": null}'), "HTTP door is off"),
        (lambda file: file.write_text("half of it"), "no gateway runs"),
        (lambda file: file.write_text('{"http": 1}'), "is the gateway running?"),
    ],
)
def test_no_gateway(tmp_path: Path, write: Callable[[Path], int], words: str) -> None:
    write(tmp_path / "ports.json")
    done = send("--apikey", "k", "--data", str(tmp_path))
    assert done.exit_code == 4
    assert words in done.stderr
