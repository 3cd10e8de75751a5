"""SMPP time strings, absolute and relative."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from heliograph.protocols.smpp import (
    TimeFormatError,
    format_absolute,
    format_relative,
    parse_time,
)


def ms(*when: int) -> int:
    """Epoch milliseconds of a moment in UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]


NOW = ms(2026, 1, 31, 12, 0, 0) + 250


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("261122120000000+", ms(2026, 11, 22, 12)),
        ("261122120000012+", ms(2026, 11, 22, 9)),
        ("261122120000020-", ms(2026, 11, 22, 17)),
        ("261122120000023+", ms(2026, 11, 22, 6, 15)),
        ("261122120000722+", ms(2026, 11, 22, 6, 30) + 700),
        ("991231235959000+", ms(2099, 12, 31, 23, 59, 59)),
        ("000001000000000R", ms(2026, 2, 1, 12) + 250),
        ("000000000000000R", NOW),
        ("000000013000000R", NOW + 90 * 60_000),
        ("000100000000000R", ms(2026, 2, 28, 12) + 250),
        ("020000000000000R", ms(2028, 1, 31, 12) + 250),
        ("001300000000000R", ms(2027, 2, 28, 12) + 250),
    ],
)
def test_parse(text: str, expected: int | None) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "261122120000000",
        "261122120000000++",
        "261122120000000Z",
        "261122120000049+",
        "261322120000000+",
        "260230120000000+",
        "261122240000000+",
        "0000000000000000",
        "2611221200 0000+",
        "٢٦١١٢٢١٢٠٠٠٠٠٠٠+",
        "26-11-22 12:00:0",
        "now",
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(TimeFormatError):
        parse_time(text, NOW)


@pytest.mark.parametrize("quarter_hours", [-48, -13, 0, 1, 12, 23, 48])
def test_absolute_there_and_back(quarter_hours: int) -> None:
    moment = ms(2026, 3, 29, 1, 59, 59) + 900
    text = format_absolute(moment, quarter_hours=quarter_hours)
    assert len(text) == 16
    assert parse_time(text, 0) == moment


def test_absolute_in_moscow() -> None:
    assert format_absolute(ms(2026, 11, 22, 9), quarter_hours=12) == "261122120000012+"


def test_absolute_limits() -> None:
    with pytest.raises(ValueError, match="quarter"):
        format_absolute(NOW, quarter_hours=49)
    with pytest.raises(ValueError, match="years"):
        format_absolute(ms(1999, 12, 31))


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (0, "000000000000000R"),
        (86_400_000, "000001000000000R"),
        ((86_400 + 2 * 3600 + 3 * 60 + 4) * 1000 + 999, "000001020304000R"),
        (99 * 86_400_000, "000099000000000R"),
    ],
)
def test_relative(span_ms: int, text: str) -> None:
    assert format_relative(span_ms) == text
    assert parse_time(text, 0) == span_ms // 1000 * 1000


@pytest.mark.parametrize("span_ms", [-1, 100 * 86_400_000])
def test_relative_limits(span_ms: int) -> None:
    with pytest.raises(ValueError, match="99 days"):
        format_relative(span_ms)
