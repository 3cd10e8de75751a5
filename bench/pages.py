"""Pages about the past, over HTTP, among the messages that `bench/fill.py` has made.

    python bench/pages.py --data DIR
    python bench/pages.py --data DIR --url postgresql+asyncpg://user@host/name

Starts a gateway on that database, and asks for every page of history, statistics, incoming
messages, statuses and balance: once when the gateway has just started, then `--times` times more.
`--forget DIR` has the system forget what it holds in memory of the files below a folder before each
first request, so that it comes from the disk; more of it may be in the memory of PostgreSQL.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import find_command
from bench.fill import PASSWORD
from bench.gateway import Gateway
from bench.service import GatewayFailure

_LOGIN = "full1"
_LIMIT_MS = 50.0


def phone_of(n: int) -> str:
    """The recipient of the message with that place in the order of `bench/fill.py`."""
    return f"79{100_000_000 + n * 7919 % 900_000_000}"[:11]


def questions(messages: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(what it is, script, parameters) of each page. The account has the even places."""
    now = datetime.now(tz=UTC) + timedelta(hours=3)

    def ago(days: float) -> str:
        return (now - timedelta(days=days)).strftime("%d.%m.%Y")

    half = {"get_messages": 1, "start": ago(179)}
    numbers = [phone_of(n * messages // 24 // 2 * 2) for n in range(1, 11)]
    yield "newest 100 messages", "get", {**half, "cnt": 100}
    yield "newest 1000", "get", {**half, "cnt": 1000}
    yield "100 of today", "get", {"get_messages": 1}
    yield "1000 of a day in the middle", "get", {**_day(ago(90)), "cnt": 1000}
    yield "100 of the first day", "get", _day(ago(179))
    yield "one number in half a year", "get", {**half, "phone": numbers[0]}
    yield "ten numbers in half a year", "get", {**half, "phone": ",".join(numbers)}
    yield "a number that got nothing", "get", {**half, "phone": "79000000001"}
    yield "e-mails in half a year: none", "get", {**half, "format": 8}
    yield "statistics of today", "get", {"get_stat": 1}
    yield "statistics of half a year", "get", {"get_stat": 1, "start": ago(179)}
    yield "statistics since the middle of a month", "get", {"get_stat": 1, "start": ago(46)}
    yield "answers of a day, 1000", "get", {"get_answers": 1, "hour": 24, "cnt": 1000}
    yield "newest 100 answers", "get", {"get_answers": 1, "cnt": 100}
    yield "answers to a number", "get", {"get_answers": 1, "to_phone": "4444", "cnt": 100}
    yield "answers to another number", "get", {"get_answers": 1, "to_phone": "5555", "cnt": 100}
    yield "answers after an id, 1000", "get", {"get_answers": 1, "after_id": messages, "cnt": 1000}
    single = [n // 2000 * 2000 + n % 500 * 2 for n in range(1, messages, messages // 12 + 1)]
    one = {"id": single[7] + 1, "phone": phone_of(single[7])}
    yield "status of a message", "status", one
    yield "status with everything", "status", {**one, "all": 2}
    many = {"id": _joined(n + 1 for n in single), "phone": _joined(phone_of(n) for n in single)}
    yield "status of twelve messages", "status", {**many, "all": 2}
    yield "balance", "balance", {}
    yield "prices", "get", {"get_price": 1}


def _day(date: str) -> dict[str, Any]:
    return {"get_messages": 1, "start": date, "end": date}


def _joined(values: Any) -> str:
    return ",".join(map(str, values))


class Client:
    """One kept connection of the account with most of the messages."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, script: str, fields: dict[str, Any]) -> tuple[float, bytes]:
        """Milliseconds, and the reply."""
        given = {"login": _LOGIN, "psw": PASSWORD, "fmt": 3, "charset": "utf-8", **fields}
        began = time.perf_counter()
        self._connection.request("GET", f"/sys/{script}.php?{urllib.parse.urlencode(given)}")
        reply = self._connection.getresponse().read()
        return (time.perf_counter() - began) * 1e3, reply


def forget(folder: Path) -> None:
    """Has the system drop its copies of a folder's files from memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(port: int, options: argparse.Namespace) -> bool:
    """Prints a line for each page; whether all of them kept within the limit when warm."""
    client = Client(port)
    client.ask("balance", {})  # the password is verified once
    print(f"{'':40} {'octets':>8} {'first':>8} {'median':>8} {'longest':>8}  ms")
    is_good = True
    for what, script, fields in questions(options.messages):
        if options.forget:
            forget(options.forget)
        first, reply = client.ask(script, fields)
        taken = sorted(client.ask(script, fields)[0] for _ in range(options.times))
        mark = "" if taken[-1] < _LIMIT_MS else "  over the limit"
        is_good = is_good and not mark
        median = taken[len(taken) // 2]
        print(f"{what:40} {len(reply):8} {first:8.1f} {median:8.1f} {taken[-1]:8.1f}{mark}")
    return is_good


def run(options: argparse.Namespace) -> bool:
    options.data.mkdir(parents=True, exist_ok=True)
    environ = {"HELIOGRAPH_DATABASE__URL": options.url} if options.url else {}
    gateway = Gateway(find_command(None), options.data, environ=environ)
    began = time.monotonic()
    gateway.start(smpp=False)
    try:
        print(f"started in {time.monotonic() - began:.1f} s")
        return measure(gateway.ports["http"], options)
    finally:
        gateway.close()


def main() -> int:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="data folder of the gateway")
    parser.add_argument("--url", default="", help="address of a PostgreSQL database")
    parser.add_argument("--messages", type=int, default=10_000_000, help="that were filled in")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--forget", type=Path, metavar="DIR")
    try:
        return int(not run(parser.parse_args()))
    except GatewayFailure as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
