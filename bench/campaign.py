"""A mailing list to many recipients on the virtual network, next to single messages of another
account: how long it takes to accept, what memory it needs, at which pace it goes out, and how long
the others wait.

    python bench/campaign.py --recipients 200000 [--pace 5000] [--json FILE]

What it prints: *accepted*, the time of the `jobs.php` request; *made*, until all messages were in
the database; *ended*, until all had their end; *memory*, the peak of the gateway's resident memory
before and with the list; *answer*, the time of the other account's requests, sent on a timetable;
*wire*, the time from their acceptance to their submit, read from the database afterwards.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.gateway import PASSWORD, Gateway
from bench.meters import peak_memory, resident_memory

LIST_LOGIN, OTHER_LOGIN = "lists", "single"
_COMMAND = (sys.executable, "-m", "heliograph")
_SINGLES_PER_SECOND = 20
_POLL_S = 0.5


class Api:
    """One connection of one account."""

    def __init__(self, port: int, login: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._login = login

    def call(self, script: str, **fields: Any) -> Any:
        """POST of a script; its JSON."""
        form = {"login": self._login, "psw": PASSWORD, "charset": "utf-8", "fmt": 3} | fields
        body = urllib.parse.urlencode(form)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", f"/sys/{script}.php", body, headers)
        return json.loads(self._connection.getresponse().read())


class Singles(threading.Thread):
    """Single messages of the other account on a timetable, until `end`."""

    def __init__(self, port: int) -> None:
        super().__init__(name="single messages")
        self._api = Api(port, OTHER_LOGIN)
        self._ended = threading.Event()
        self.answers_s: list[float] = []

    def run(self) -> None:
        """Sends; the time counts from when a message was due."""
        number = 0
        began = time.perf_counter()
        while not self._ended.is_set():
            due = began + number / _SINGLES_PER_SECOND
            self._ended.wait(max(0.0, due - time.perf_counter()))
            reply = self._api.call("send", phones=f"7926{number:07d}", mes=f"single {number}")
            assert "id" in reply, reply
            self.answers_s.append(time.perf_counter() - due)
            number += 1

    def end(self) -> list[float]:
        """Stops; the answers' times since the last `end` in seconds."""
        self._ended.set()
        self.join()
        return self.answers_s


def measure(folder: Path, recipients: int, pace: float) -> dict[str, Any]:
    """One run in an empty folder."""
    for arguments in (
        ["account", "create", LIST_LOGIN, "--password", PASSWORD, "--balance", "100000000"],
        ["account", "create", OTHER_LOGIN, "--password", PASSWORD, "--balance", "1000000"],
        ["connector", "set", "virtual", "--set", f"parts_per_second={pace}"],
    ):
        subprocess.run([*_COMMAND, *arguments, "--data", folder], check=True, capture_output=True)
    gateway = Gateway(_COMMAND, folder)
    gateway.start(smpp=False)
    try:
        figures = _measure(gateway, recipients)
    finally:
        gateway.stop()
    figures["wire ms"] = _spread(_waits(folder / "heliograph.db"))
    figures |= _prove(folder / "heliograph.db", recipients)
    return figures


def _measure(gateway: Gateway, recipients: int) -> dict[str, Any]:
    port = gateway.ports["http"]
    generator = random.Random(1)
    phones = ",".join(f"7916{n:07d}" for n in generator.sample(range(10_000_000), recipients))
    quiet = Singles(port)
    quiet.start()
    time.sleep(3)
    before = [1000 * each for each in quiet.end()]
    idle_mb = round(resident_memory(gateway.pid) / 1e6)
    singles = Singles(port)
    singles.start()
    api = Api(port, LIST_LOGIN)
    began = time.perf_counter()
    reply = api.call("jobs", add=1, name="measured", phones=phones, mes="A list")
    accepted_s = time.perf_counter() - began
    assert "id" in reply, reply
    made_s, ended_s = _follow(api, reply["id"], recipients, began)
    answers = [1000 * each for each in singles.end()]
    return {
        "recipients": recipients,
        "accepted s": round(accepted_s, 2),
        "made s": round(made_s, 1),
        "made per s": round(recipients / (made_s - accepted_s)),
        "ended s": round(ended_s, 1),
        "ended per s": round(recipients / ended_s),
        "memory idle MB": idle_mb,
        "memory peak MB": round(peak_memory(gateway.pid) / 1e6),
        "answer quiet ms": _spread(before),
        "answer ms": _spread(answers),
    }


def _follow(api: Api, id: int, recipients: int, began: float) -> tuple[float, float]:
    """Seconds until all messages were made, and until all had ended."""
    made_s = 0.0
    last = time.perf_counter()
    known = -1
    while True:
        time.sleep(_POLL_S)
        now = time.perf_counter()
        view = api.call("jobs", get=1, id=id)
        if not made_s and view["cnt"] == recipients:
            made_s = now - began
        ended = view["delivered"] + view["failed"]
        if ended != known:
            known, last = ended, now
        if view["status"] == 1:
            return made_s, now - began
        if now - last > 180:
            raise RuntimeError(f"nothing happens any more: {view}")


def _waits(database: Path) -> list[float]:
    """Milliseconds from acceptance to submit of the single messages."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT p.submitted_at - m.created_at FROM messages m "
            "JOIN parts p ON p.id = m.id * 256 + 1 "
            "WHERE m.recipient LIKE '7926%' AND p.submitted_at > 0"
        ).fetchall()
    connection.close()
    return [float(row[0]) for row in rows]


def _prove(database: Path, recipients: int) -> dict[str, int]:
    """Nobody twice, nobody forgotten."""
    with sqlite3.connect(database) as connection:
        made, people = connection.execute(
            "SELECT count(*), count(DISTINCT recipient) FROM messages WHERE recipient LIKE '7916%'"
        ).fetchone()
    connection.close()
    return {"lost": recipients - people, "repeated": made - people}


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p99": round(ordered[int(len(ordered) * 0.99)], 1),
        "max": round(ordered[-1], 1),
        "of": len(ordered),
    }


def main() -> int:
    """Measures once and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recipients", type=int, default=200_000)
    parser.add_argument("--pace", type=float, default=0, help="parts a second of the route; 0: any")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--folder", type=Path, help="use this empty folder, and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.folder or Path(folder), options.recipients, options.pace)
    for name, value in figures.items():
        print(f"{name:18} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(bool(figures["lost"] or figures["repeated"]))


if __name__ == "__main__":
    raise SystemExit(main())
