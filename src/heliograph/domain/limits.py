"""Limits of requests: how often in a minute, how many at once and in a row. Pure, with bounded
memory.

The numbers are those of the API's error 9 (send.php reference, 6.4; status.php, 1.7; balance.php)
and of status error 251 (smpp reference, section 3).
"""

from __future__ import annotations

from collections.abc import Hashable
from ipaddress import AddressValueError, IPv6Address

__all__ = [
    "AT_ONCE",
    "ESTIMATES_PER_MINUTE",
    "IN_A_ROW",
    "PER_MINUTE",
    "ROW_GAP_MS",
    "SENDS_PER_MINUTE",
    "Row",
    "Window",
    "source_of",
]

MINUTE_MS = 60_000

# "More than one identical send request, more than five identical price requests within a minute."
SENDS_PER_MINUTE = 1
ESTIMATES_PER_MINUTE = 5
# Requests a minute by kind; for `status` of the same message, for the others of the account.
PER_MINUTE = {
    "status": 5,
    "status-many": 1,
    "balance": 10,
    # Equal requests (data reference), and any number of questions for operators.
    "get": 3,
    "info": 3,
    "info-any": 100,
    "get_mnp": 3,
    "tinyurls": 3,
    "receive_phones": 2,
    "wait_call": 10,
    "documents": 3,
    # "More than one identical request for mailing list actions within a minute" (jobs.php
    # reference, section 5); looking at lists has a limit of ours.
    "jobs": 1,
    "jobs-get": 10,
    # "Not more than three requests within a minute to add a sub-client or change the same one"
    # (users.php reference, section 7): the second by sub-client, questions by what they ask.
    "users-add": 3,
    "users-chg": 3,
    "users-stat": 3,
    # Equal requests; new sender names of any kind (senders reference, section 5).
    "contacts": 3,
    "templates": 3,
    "senders": 3,
    "senders-add": 5,
    "ping": 3,
}
# "Fifteen or more requests at once under one login" are refused: fourteen may be under way.
AT_ONCE = 14
# "More than 50 messages to one number in a row less than 30 s apart are blocked."
IN_A_ROW = 50
ROW_GAP_MS = 30_000

_COUNT_BITS = 8


def source_of(address: str) -> str:
    """Who is counted for an address: itself, or of IPv6 the /64, as anybody has all of one."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    mapped = found.ipv4_mapped
    return str(IPv6Address(int(found) >> 64 << 64)) if mapped is None else str(mapped)


class Window:
    """At most `limit` events of one key within any `span_ms`.

    Exact, not rounded to the minute of the clock. Keys live in two generations: the younger one
    takes new keys, the older one is dropped whole once it is older than the span, so nothing is
    ever searched for what has expired. More than `max_keys` keys in a generation begin a new one
    early: then old keys are forgotten too soon, which lets a request pass and never refuses one
    wrongly.
    """

    __slots__ = ("_began_at", "_limit", "_max_keys", "_older", "_span_ms", "_younger")

    def __init__(self, limit: int, *, span_ms: int = MINUTE_MS, max_keys: int = 100_000) -> None:
        self._limit = limit
        self._span_ms = span_ms
        self._max_keys = max_keys
        self._younger: dict[Hashable, tuple[int, ...]] = {}
        self._older: dict[Hashable, tuple[int, ...]] = {}
        self._began_at = 0

    def admit(self, key: Hashable, now_ms: int) -> bool:
        """Counts an event; False: it is one too many, and is not counted."""
        age_ms = now_ms - self._began_at
        if age_ms >= self._span_ms or age_ms < 0 or len(self._younger) >= self._max_keys:
            self._turn(now_ms, age_ms)
        times = self._younger.get(key)
        if times is None:
            times = self._older.get(key)
            if times is None:
                self._younger[key] = (now_ms,)
                return True
        since = now_ms - self._span_ms
        recent = tuple(at for at in times if since < at <= now_ms)
        if len(recent) >= self._limit:
            return False
        self._younger[key] = (*recent, now_ms)
        return True

    def is_full(self, key: Hashable, now_ms: int) -> bool:
        """True when the next event of the key would be one too many; counts nothing."""
        since = now_ms - self._span_ms
        times = self._younger.get(key) or self._older.get(key) or ()
        return sum(since < at <= now_ms for at in times) >= self._limit

    def retract(self, key: Hashable) -> None:
        """Takes back the last event of a key: what it stood for did not happen."""
        for generation in (self._younger, self._older):
            times = generation.get(key)
            if times:
                if len(times) > 1:
                    generation[key] = times[:-1]
                else:
                    del generation[key]
                return

    def __len__(self) -> int:
        """Keys in memory."""
        return len(self._younger) + len(self._older)

    def _turn(self, now_ms: int, age_ms: int) -> None:
        # A clock that was set back ends the generation too: times in the future count for nothing.
        self._older = self._younger if 0 <= age_ms < 2 * self._span_ms else {}
        self._younger = {}
        self._began_at = now_ms


class Row:
    """At most `limit` events of one key that follow one another within `gap_ms`.

    What is refused belongs to the row too: who does not pause stays refused. Keys live in two
    generations as those of a `Window`; a key costs some 100 octets.
    """

    __slots__ = ("_began_at", "_gap_ms", "_limit", "_max_keys", "_older", "_younger")

    def __init__(self, limit: int, *, gap_ms: int, max_keys: int = 100_000) -> None:
        """`limit`: below 255."""
        self._limit = limit
        self._gap_ms = gap_ms
        self._max_keys = max_keys
        # key -> time of the last event and number of events, in one integer.
        self._younger: dict[Hashable, int] = {}
        self._older: dict[Hashable, int] = {}
        self._began_at = 0

    def admit(self, key: Hashable, now_ms: int) -> bool:
        """Counts an event; False: it is one too many."""
        age_ms = now_ms - self._began_at
        if age_ms >= self._gap_ms or age_ms < 0 or len(self._younger) >= self._max_keys:
            self._older = self._younger if 0 <= age_ms < 2 * self._gap_ms else {}
            self._younger = {}
            self._began_at = now_ms
        known = self._younger.get(key) or self._older.get(key, 0)
        count = known & ((1 << _COUNT_BITS) - 1)
        if not 0 <= now_ms - (known >> _COUNT_BITS) < self._gap_ms:
            count = 0
        count = min(count + 1, self._limit + 1)
        self._younger[key] = now_ms << _COUNT_BITS | count
        return count <= self._limit

    def __len__(self) -> int:
        """Keys in memory."""
        return len(self._younger) + len(self._older)
