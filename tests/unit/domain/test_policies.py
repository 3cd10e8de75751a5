"""What an account's own settings say about sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.planning import Draft
from heliograph.domain.policies import (
    MASS_RECIPIENTS,
    Policy,
    judge,
    parse_codes,
    parse_hours,
    policy_of,
    zone_of,
)
from heliograph.domain.refusals import Refusal

MOSCOW = timezone(timedelta(hours=3))
NOW = 1_700_000_000_000


def at(hour: int, minute: int = 0, day: int = 1, zone: object = MOSCOW) -> int:
    """A moment of March 2024, in epoch ms."""
    return round(datetime(2024, 3, day, hour, minute, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{}, {"fio": "x"}, {"fl[6]": "0"}, {"fl2[15]": "1"}])
def test_an_account_without_rules_has_no_policy(settings: dict[str, str]) -> None:
    assert policy_of(settings) is None


def test_what_is_not_valid_counts_as_not_set() -> None:
    assert policy_of({"fmts": "Russia", "tmlim": "9", "dlim": "many", "vld": "-1"}) is None


def test_all_of_it() -> None:
    found = policy_of(
        {
            "fmts": "7,-77",
            "tmlim": "9-21",
            "dlim": "5",
            "plim": "4",
            "tlim": "3",
            "ilim": "2",
            "vld": "90",
            "fl2[15]": "1",
            "fl2[16]": "1",
            "fl2[23]": "1",
        }
    )
    assert found == Policy(
        may_send_masses=False,
        codes=(("77", False), ("7", True)),
        hours=(9, 21),
        refuses_outside=True,
        uses_recipient_zone=True,
        messages_a_day=5,
        per_number_a_day=4,
        texts_a_day=3,
        per_address_a_day=2,
        max_valid_ms=90 * 60_000,
    )


@pytest.mark.parametrize(
    ("codes", "recipient", "is_allowed"),
    [
        ("7,-77", "79161234567", True),
        ("7,-77", "77011234567", False),
        ("7,-77", "380671234567", False),
        ("-77", "79161234567", True),
        ("-77", "77011234567", False),
        ("-7,7916", "79161234567", True),
        ("-7,7916", "79261234567", False),
        ("+7", "79161234567", True),
        ("", "380671234567", True),
        ("7", "a@example.com", True),
    ],
)
def test_codes(codes: str, recipient: str, is_allowed: bool) -> None:
    assert Policy(codes=parse_codes(codes)).admits(recipient) is is_allowed


@pytest.mark.parametrize("text", ["7;8", "seven", "7,-", "--7", "7" * 16])
def test_codes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="codes"):
        parse_codes(text)


@pytest.mark.parametrize(
    ("hours", "now", "opening"),
    [
        ("9-21", at(8, 59), at(9)),
        ("9-21", at(9), at(9)),
        ("9-21", at(20, 59), at(20, 59)),
        ("9-21", at(21), at(9, day=2)),
        ("22-6", at(23), at(23)),
        ("22-6", at(5, 59), at(5, 59)),
        ("22-6", at(6), at(22)),
        ("9-24", at(23, 30), at(23, 30)),
        ("9-24", at(0, 30), at(9)),
        ("0-6", at(7), at(0, day=2)),
    ],
)
def test_hours(hours: str, now: int, opening: int) -> None:
    assert Policy(hours=parse_hours(hours)).postpone(now, MOSCOW) == opening


@pytest.mark.parametrize("text", ["0-24", "9-9", "24-0"])
def test_hours_of_a_whole_day_are_none(text: str) -> None:
    assert parse_hours(text) is None


@pytest.mark.parametrize("text", ["9", "9-25", "-9-21", "9:00-21:00", "a-b", ""])
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        parse_hours(text)


def test_hours_when_clocks_are_changed() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # on 2024-03-31 the clock jumps from two to three
    evening = at(22, day=30, zone=berlin)
    opening = Policy(hours=(8, 20)).postpone(evening, berlin)
    assert opening == at(8, day=31, zone=berlin)
    assert opening - evening == 9 * 3_600_000
    # Hours that the day does not have: the first moment behind them.
    jumped = Policy(hours=(2, 3)).postpone(evening, berlin)
    assert jumped - evening <= 24 * 3_600_000


@given(
    first=st.integers(0, 23),
    last=st.integers(0, 24),
    now=st.integers(NOW, NOW + 400 * 86_400_000),
    zone=st.sampled_from(["Europe/Moscow", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu"]),
)
def test_an_opening_is_open_and_within_a_day(first: int, last: int, now: int, zone: str) -> None:
    hours = parse_hours(f"{first}-{last}")
    policy = Policy(hours=hours)
    info = zone_of(zone, 0)
    opening = policy.postpone(now, info)
    assert now <= opening <= now + 25 * 3_600_000
    if opening != now and datetime.fromtimestamp(opening / 1000, info).hour == first:
        assert policy.postpone(opening, info) == opening


def test_judging_a_request() -> None:
    drafts = [Draft(r, part_count=1) for r in ("79161234567", "77011234567", "380671234567")]
    policy = Policy(codes=parse_codes("7,-77,380"), hours=(9, 21), uses_recipient_zone=True)
    zones = {"7916": "Europe/Moscow", "3806": "Europe/Kyiv"}
    judge(
        policy,
        drafts,
        recipient_count=3,
        zone_minutes=0,
        zones_of=lambda number: (zones.get(number[:4], ""),),
        now_ms=at(8, 30),
    )
    assert [d.refusal for d in drafts] == [None, Refusal.CODE_DENIED, None]
    assert [d.part_count for d in drafts] == [1, 0, 1]
    assert (drafts[0].due_at, drafts[2].due_at) == (at(9), at(10))  # Kyiv is an hour behind
    strict = Policy(hours=(9, 21), refuses_outside=True)
    again = [Draft("79161234567", part_count=1, due_at=at(12))]
    judge(strict, again, recipient_count=1, zone_minutes=180, zones_of=lambda _: (), now_ms=at(3))
    assert again[0].refusal is None  # it is sent at noon
    again[0].due_at = 0
    judge(strict, again, recipient_count=1, zone_minutes=180, zones_of=lambda _: (), now_ms=at(3))
    assert again[0].refusal is Refusal.OUTSIDE_HOURS


@pytest.mark.parametrize(
    ("policy", "count", "is_refused"),
    [
        (Policy(may_send=False), 1, True),
        (Policy(may_send_masses=False), MASS_RECIPIENTS, False),
        (Policy(may_send_masses=False), MASS_RECIPIENTS + 1, True),
    ],
)
def test_mailings(policy: Policy, count: int, is_refused: bool) -> None:
    drafts = [Draft(str(79160000000 + n), part_count=1) for n in range(count)]
    drafts[0].refusal = Refusal.BAD_NUMBER
    judge(
        policy,
        drafts[:3],
        recipient_count=count,  # the request is a portion of a list
        zone_minutes=180,
        zones_of=lambda _: (),
        now_ms=NOW,
    )
    expected = Refusal.MAILINGS_DENIED if is_refused else None
    assert {d.refusal for d in drafts[1:3]} <= {expected}
    assert drafts[0].refusal is Refusal.BAD_NUMBER


def test_an_unknown_zone_is_the_accounts() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert zone_of("Nowhere/Land", 90).utcoffset(moment) == timedelta(minutes=90)
    assert zone_of("", -60).utcoffset(moment) == timedelta(minutes=-60)
