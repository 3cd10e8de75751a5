"""Rules of forwarded mail: hours, lengths, phones."""

from __future__ import annotations

import pytest

from heliograph.domain.mail_forwarding import (
    MAX_PHONES,
    ForwardingRules,
    compose_text,
    is_open_at,
    read_rules,
    take_phones,
)

HOUR_MS = 3_600_000


def open_hours(first: str, last: str, timezone_minutes: int = 0) -> list[int]:
    rules = read_rules({"mh1": first, "mh2": last})
    return [h for h in range(24) if is_open_at(rules, h * HOUR_MS, timezone_minutes)]


@pytest.mark.parametrize(
    ("first", "last", "hours"),
    [
        ("9", "12", [9, 10, 11]),
        ("09:00", "12:00", [9, 10, 11]),
        ("22", "2", [0, 1, 22, 23]),
        ("", "2", [0, 1]),
        ("22", "", [22, 23]),
        ("0", "24", list(range(24))),
        ("", "", list(range(24))),
        ("7", "7", list(range(24))),
        ("25", "x", list(range(24))),
    ],
)
def test_hours(first: str, last: str, hours: list[int]) -> None:
    assert open_hours(first, last) == hours


def test_hours_are_those_of_the_account() -> None:
    assert open_hours("9", "10", 180) == [6]
    assert open_hours("9", "10", -90) == [11]


def test_nothing_set_is_nobody_told() -> None:
    assert read_rules({}) == ForwardingRules(hours=(0, 24))
    assert read_rules({"mlen": "-1", "mph": " , ", "mfrom": "x"}) == ForwardingRules(hours=(0, 24))


def test_lengths() -> None:
    for settings, length in (({}, 1000), ({"mlen": "9999"}, 1000), ({"mlen": "70"}, 70)):
        text = compose_text(read_rules(settings), sender="", subject="", body="x" * 5000)
        assert len(text) == length


def test_phones_of_a_body() -> None:
    assert take_phones("79161234567\ntext") == (["79161234567"], "text")
    assert take_phones("79161234567:") == (["79161234567"], "")
    assert take_phones("Call 79161234567\ntext") == ([], "Call 79161234567\ntext")
    assert take_phones("") == ([], "")
    assert len(take_phones(",".join(["79161234567"] * 500))[0]) == MAX_PHONES
