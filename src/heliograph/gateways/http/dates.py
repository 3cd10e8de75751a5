"""Dates in requests and replies of the data scripts: `DD.MM.YYYY`, in the zone of replies."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

__all__ = ["day_begins_ms", "day_of", "format_day", "parse_day"]

_DAY = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_day(text: str) -> date | None:
    """The day of a parameter, None for an empty one. Raises ValueError for anything else."""
    if not text:
        return None
    match = _DAY.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a day of the form DD.MM.YYYY")
    day, month, year = map(int, match.groups())
    if not 1970 <= year <= 9000:
        raise ValueError("a year out of range")
    return date(year, month, day)


def day_of(time_ms: int, zone: tzinfo) -> date:
    """The day of a moment in the zone."""
    return datetime.fromtimestamp(time_ms // 1000, zone).date()


def day_begins_ms(day: date, zone: tzinfo) -> int:
    """Epoch milliseconds at which the day begins in the zone."""
    begins = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (begins - _EPOCH) // timedelta(milliseconds=1)


def format_day(day: date) -> str:
    """`DD.MM.YYYY`."""
    return day.strftime("%d.%m.%Y")
