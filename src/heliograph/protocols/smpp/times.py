"""SMPP time strings to epoch milliseconds and back (SMPP 3.4 section 7.1.1, 5.0 section 4.7.23).

Absolute: ``YYMMDDhhmmsstnnp``, tenths of a second ``t``, then the distance of that local time from
UTC in quarter hours ``nn`` with its direction ``p`` (``+``: local time is ahead). Relative:
``YYMMDDhhmmss000R``, a span from now. Empty means "not set".

Years are 2000 to 2099: schedules and validity periods lie ahead, so the window of 5.0 that gives
38-99 to the last century has no use here. Relative years and months go by the calendar in UTC, and
a day that the target month lacks becomes its last.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone

_LENGTH = 16
_MS = 1_000
_QUARTER_HOURS_MAX = 48
_RELATIVE_DAYS_MAX = 99


class TimeFormatError(ValueError):
    """Not a time by the standard; answer ESME_RINVSCHED or ESME_RINVEXPIRY."""


def parse_time(text: str, now_ms: int) -> int | None:
    """Epoch milliseconds of an absolute or relative time; None for the empty string.

    ``now_ms`` is where relative times start. Raises TimeFormatError.
    """
    if not text:
        return None
    if len(text) != _LENGTH or not (text.isascii() and text[:15].isdigit()):
        raise TimeFormatError("a time has 16 characters: 15 digits and +, - or R")
    pairs = [int(text[at : at + 2]) for at in range(0, 12, 2)]
    tenths, quarters = int(text[12]), int(text[13:15])
    try:
        match text[15]:
            case "+" | "-":
                sign = 1 if text[15] == "+" else -1
                return _parse_absolute(pairs, tenths, sign * quarters)
            case "R":
                return _add_span(pairs, now_ms)
    except (ValueError, OverflowError) as error:
        raise TimeFormatError("no such date or time") from error
    raise TimeFormatError("a time ends with +, - or R")


def format_absolute(epoch_ms: int, *, quarter_hours: int = 0) -> str:
    """``YYMMDDhhmmsstnnp`` in the local time that is ``quarter_hours`` ahead of UTC.

    Raises ValueError beyond the years 2000-2099 or 12 hours of offset.
    """
    if abs(quarter_hours) > _QUARTER_HOURS_MAX:
        raise ValueError("offset above 48 quarter hours")
    zone = timezone(timedelta(minutes=15 * quarter_hours))
    local = datetime.fromtimestamp(epoch_ms // _MS, zone)
    if not 2000 <= local.year <= 2099:
        raise ValueError("two digits hold the years 2000-2099 only")
    tenths = epoch_ms % _MS // 100
    sign = "-" if quarter_hours < 0 else "+"
    return f"{local:%y%m%d%H%M%S}{tenths}{abs(quarter_hours):02d}{sign}"


def format_relative(span_ms: int) -> str:
    """``0000DDhhmmss000R`` of a span of at most 99 days, cut to whole seconds.

    Months are not used: their length differs between operators. Raises ValueError.
    """
    seconds = span_ms // _MS
    days, rest = divmod(seconds, 86_400)
    if not 0 <= days <= _RELATIVE_DAYS_MAX:
        raise ValueError("a relative time holds 0 to 99 days")
    return f"0000{days:02d}{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}000R"


def _parse_absolute(pairs: list[int], tenths: int, quarter_hours: int) -> int:
    if abs(quarter_hours) > _QUARTER_HOURS_MAX:
        raise ValueError("offset above 48 quarter hours")
    year, month, day, hour, minute, second = pairs
    moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    moment -= timedelta(minutes=15 * quarter_hours)
    return int(moment.timestamp()) * _MS + tenths * 100


def _add_span(pairs: list[int], now_ms: int) -> int:
    years, months, days, hours, minutes, seconds = pairs
    start = datetime.fromtimestamp(now_ms // _MS, UTC)
    carried, month = divmod(start.month - 1 + months, 12)
    year = start.year + years + carried
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    moment = start.replace(year=year, month=month + 1, day=day)
    moment += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return int(moment.timestamp()) * _MS + now_ms % _MS
