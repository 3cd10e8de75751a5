"""When to send: the forms of the `time` parameter, and spreading a mailing over a span.

All instants are UTC epoch milliseconds; a zone is minutes east of UTC, since the API names zones by
hours from Moscow (send.php reference, 2.3) and knows no daylight saving.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime

__all__ = ["MAX_AHEAD_MS", "parse_time", "portion_delay_ms"]

_DAY_MS = 86_400_000
_EXACT = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)|(\d\d)\.(\d\d)\.(\d\d) (\d\d):(\d\d)")
_WINDOW = re.compile(r"(\d{1,2})-(\d{1,2})")
_UNIX = re.compile(r"0(\d{9,11})")
_OFFSET = re.compile(r"[+ ](\d{1,6})")
# A time beyond this is surely a mistake of units or of the century.
MAX_AHEAD_MS = 366 * _DAY_MS


def parse_time(text: str, zone_minutes: int, now_ms: int) -> int:
    """Instant at which to send; 0 for at once (empty, ``0``, past, or inside the hour window).

    Forms: ``DDMMYYhhmm``, ``DD.MM.YY hh:mm``, ``h1-h2``, ``0<Unix time>``, ``+<minutes>``.
    Raises ValueError for anything else, and for a time more than a year ahead.
    """
    if not text or text == "0":
        return 0
    if match := _OFFSET.fullmatch(text):
        at = now_ms + int(match[1]) * 60_000
    elif match := _WINDOW.fullmatch(text.strip()):
        return _open_window(int(match[1]), int(match[2]), zone_minutes, now_ms)
    elif match := _EXACT.fullmatch(text.strip()):
        day, month, year, hour, minute = (int(g) for g in match.groups() if g is not None)
        moment = datetime(2000 + year, month, day, hour, minute)
        at = (timegm(moment.timetuple()) - zone_minutes * 60) * 1000
    elif match := _UNIX.fullmatch(text.strip()):
        at = int(match[1]) * 1000
    else:
        raise ValueError(f"not a time: {text!r}")
    if at > now_ms + MAX_AHEAD_MS:
        raise ValueError(f"more than a year ahead: {text!r}")
    return at if at > now_ms else 0


def _open_window(first_hour: int, last_hour: int, zone_minutes: int, now_ms: int) -> int:
    if first_hour > 23 or last_hour > 24 or first_hour == last_hour:
        raise ValueError(f"not hours of a day: {first_hour}-{last_hour}")
    local_ms = now_ms + zone_minutes * 60_000
    midnight_ms = local_ms - local_ms % _DAY_MS
    opens, closes = midnight_ms + first_hour * 3_600_000, midnight_ms + last_hour * 3_600_000
    if last_hour < first_hour:  # over midnight: 22-6
        if local_ms < closes or local_ms >= opens:
            return 0
        return opens - zone_minutes * 60_000
    if local_ms < opens:
        return opens - zone_minutes * 60_000
    if local_ms < closes:
        return 0
    return opens + _DAY_MS - zone_minutes * 60_000


def portion_delay_ms(index: int, total: int, *, period_ms: int, step_ms: int) -> int:
    """How long recipient `index` (from 0) of `total` waits when a mailing is spread.

    Portions go out every `step_ms`, the first at once and the last before `period_ms` is over; they
    are as even as whole numbers allow.
    """
    steps = max(1, -(-period_ms // step_ms))
    return index * min(steps, total) // total * step_ms
