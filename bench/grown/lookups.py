"""How long one message, or the newest hundred, are looked for among those that are stored."""

from __future__ import annotations

import http.client
import json
import random
import statistics
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.fill import PASSWORD
from bench.service import GatewayFailure

_LOGIN = "full1"
_TRIES = 100
_SEED = 7


def measure_lookups(port: int, stored: int) -> dict[str, float]:
    """Milliseconds of HTTP requests, medians and the slowest of a hundred, among `stored` messages
    that `bench/fill.py` has made. Raises GatewayFailure."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        _call(connection, "balance")  # the password is verified once
        chance = random.Random(_SEED)
        statuses = [_look_for(connection, chance.randrange(stored)) for _ in range(_TRIES)]
        began = (datetime.now(tz=UTC) - timedelta(days=183)).strftime("%d.%m.%Y")
        histories = [
            _timed(connection, "get", get_messages=1, cnt=100, start=began) for _ in range(_TRIES)
        ]
        if len(histories[0][1]) != min(100, stored // 2):
            raise GatewayFailure(f"the history is not whole: {len(histories[0][1])} messages")
    finally:
        connection.close()
    return {
        "status_ms": statistics.median(statuses),
        "status_worst_ms": max(statuses),
        "history_ms": statistics.median(ms for ms, _ in histories),
        "history_worst_ms": max(ms for ms, _ in histories),
    }


def _look_for(connection: http.client.HTTPConnection, near: int) -> float:
    # Of every two thousand the first thousand are single sends; the even ones are this account's.
    number = near // 2000 * 2000 + near % 1000 // 2 * 2
    phone = f"79{100_000_000 + number * 7919 % 900_000_000}"[:11]
    took, answer = _timed(connection, "status", id=number + 1, phone=phone)
    if answer.get("status") != 1:
        raise GatewayFailure(f"a stored message is not found: {answer}")
    return took


def _timed(connection: http.client.HTTPConnection, script: str, **fields: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = _call(connection, script, **fields)
    return (time.perf_counter() - began) * 1e3, answer


def _call(connection: http.client.HTTPConnection, script: str, **fields: Any) -> Any:
    query = urllib.parse.urlencode(
        {"login": _LOGIN, "psw": PASSWORD, "fmt": 3, "charset": "utf-8"} | fields
    )
    connection.request("GET", f"/sys/{script}.php?{query}")
    return json.loads(connection.getresponse().read())
