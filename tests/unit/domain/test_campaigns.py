"""Mailing lists: when they run, also over changes of clocks, and how recipients are divided."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from heliograph.domain.campaigns import (
    SOURCE_RECIPIENTS,
    Campaign,
    CampaignState,
    Repetition,
    Seen,
    Source,
    SourceKind,
    api_status,
    divide_recipients,
    first_run,
    next_run,
)
from heliograph.domain.messages import MessageType

BERLIN = ZoneInfo("Europe/Berlin")
MOSCOW = timezone(timedelta(hours=3))
R = Repetition


def ms(text: str, zone: tzinfo) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def runs(repetition: Repetition, start: str, zone: tzinfo, count: int) -> list[str]:
    """Wall clock times of a series, each run computed after the one before."""
    anchor = at = first_run(repetition, ms(start, zone), zone)
    found = [at]
    while len(found) < count:
        at = next_run(repetition, anchor, at, zone)
        found.append(at)
    return [
        datetime.fromtimestamp(each / 1000, zone).isoformat(sep=" ", timespec="minutes")[:16]
        for each in found
    ]


@pytest.mark.parametrize(
    ("repetition", "start", "expected"),
    [
        (R.HOURLY, "2026-03-31 23:30", ["2026-03-31 23:30", "2026-04-01 00:30"]),
        (R.DAILY, "2026-02-27 10:00", ["2026-02-27 10:00", "2026-02-28 10:00", "2026-03-01 10:00"]),
        (R.WORKING_DAYS, "2026-06-05 10:00", ["2026-06-05 10:00", "2026-06-08 10:00"]),
        (R.WORKING_DAYS, "2026-06-06 10:00", ["2026-06-08 10:00", "2026-06-09 10:00"]),
        (
            R.WEEKENDS,
            "2026-06-05 10:00",
            ["2026-06-06 10:00", "2026-06-07 10:00", "2026-06-13 10:00"],
        ),
        (R.WEEKLY, "2026-12-28 09:15", ["2026-12-28 09:15", "2027-01-04 09:15"]),
        (
            R.MONTHLY,
            "2026-12-31 10:00",
            ["2026-12-31 10:00", "2027-01-31 10:00", "2027-02-28 10:00", "2027-03-31 10:00"],
        ),
        (
            R.YEARLY,
            "2028-02-29 10:00",
            ["2028-02-29 10:00", "2029-02-28 10:00", "2030-02-28 10:00", "2031-02-28 10:00",
             "2032-02-29 10:00"],
        ),
    ],
)  # fmt: skip
def test_series(repetition: Repetition, start: str, expected: list[str]) -> None:
    assert runs(repetition, start, MOSCOW, len(expected)) == expected


def test_the_clock_on_the_wall_counts_over_changes_of_clocks() -> None:
    """Spring forward on 29 March 2026, back on 25 October, at two and at three o'clock."""
    assert runs(R.DAILY, "2026-03-28 10:00", BERLIN, 3) == [
        "2026-03-28 10:00",
        "2026-03-29 10:00",
        "2026-03-30 10:00",
    ]
    anchor = ms("2026-03-28 10:00", BERLIN)
    following = next_run(R.DAILY, anchor, anchor, BERLIN)
    assert following - anchor == 23 * 3_600_000
    anchor = ms("2026-10-18 10:00", BERLIN)
    assert next_run(R.WEEKLY, anchor, anchor, BERLIN) - anchor == (7 * 24 + 1) * 3_600_000
    anchor = ms("2026-09-30 08:00", BERLIN)
    assert runs(R.MONTHLY, "2026-09-30 08:00", BERLIN, 3)[1:] == [
        "2026-10-30 08:00",
        "2026-11-30 08:00",
    ]


def test_a_time_that_is_skipped_and_one_that_comes_twice() -> None:
    assert runs(R.DAILY, "2026-03-28 02:30", BERLIN, 3) == [
        "2026-03-28 02:30",
        "2026-03-29 03:30",
        "2026-03-30 02:30",
    ]
    anchor = ms("2026-10-24 02:30", BERLIN)
    first = next_run(R.DAILY, anchor, anchor, BERLIN)
    second = next_run(R.DAILY, anchor, first, BERLIN)
    assert first - anchor == 24 * 3_600_000  # the first of both
    assert second - first == 25 * 3_600_000


def test_hours_are_counted_over_changes_of_clocks() -> None:
    anchor = ms("2026-10-25 00:10", BERLIN)
    at = anchor
    for _ in range(6):
        following = next_run(R.HOURLY, anchor, at, BERLIN)
        assert following - at == 3_600_000
        at = following


@pytest.mark.parametrize("repetition", [each for each in R if each is not R.ONCE])
@pytest.mark.parametrize("zone", [BERLIN, MOSCOW, ZoneInfo("America/New_York"), UTC])
def test_every_run_is_the_next_one_of_any_moment_before(
    repetition: Repetition, zone: tzinfo
) -> None:
    anchor = first_run(repetition, ms("2026-01-31 02:30", zone), zone)
    series = [anchor]
    while len(series) < 40:
        series.append(next_run(repetition, anchor, series[-1], zone))
    generator = random.Random(repetition)
    for before, after in pairwise(series):
        assert before < after
        assert next_run(repetition, anchor, generator.randrange(before, after), zone) == after


def test_no_second_run_of_one() -> None:
    with pytest.raises(ValueError, match="no second run"):
        next_run(R.ONCE, 0, 0, UTC)


def recipients(sources: list[Source]) -> list[str]:
    return [line for source in sources for line in source.content.split("\n")]


def test_recipients_in_portions_without_repetitions() -> None:
    numbers = [str(79160000000 + n) for n in range(2 * SOURCE_RECIPIENTS + 5)]
    text = ",".join([*numbers, "8" + numbers[0][1:], " +" + numbers[1] + " ", numbers[2]])
    sources = list(divide_recipients(text, limit=10_000))
    assert [source.count for source in sources] == [SOURCE_RECIPIENTS, SOURCE_RECIPIENTS, 5]
    assert recipients(sources) == numbers


def test_recipients_of_every_kind_stay_as_they_were_written() -> None:
    text = "a@example.com;+79161234567\r\n#17, @nick,,;12;a@example.com"
    sources = list(divide_recipients(text, limit=10))
    assert recipients(sources) == ["a@example.com", "+79161234567", "#17", "@nick", "12"]


def test_groups_are_sources_of_their_own() -> None:
    sources = list(divide_recipients("79161234567,G5,79161234568,g5,G6", limit=10))
    kinds = [(source.kind, source.content) for source in sources]
    group, numbers = SourceKind.GROUP, SourceKind.RECIPIENTS
    assert kinds == [
        (numbers, "79161234567"),
        (group, "5"),
        (numbers, "79161234568"),
        (group, "6"),
    ]


def test_too_many_recipients() -> None:
    with pytest.raises(ValueError, match="more than 3"):
        list(divide_recipients("1,2,3,4", limit=3))
    assert recipients(list(divide_recipients("1,2,3", limit=3))) == ["1", "2", "3"]
    assert list(divide_recipients(" ,;\n", limit=3)) == []


def test_addresses_full_of_digits_are_no_numbers() -> None:
    given = ["79161234567@example.com", "79161234567@example.org", "#9161234567", "79161234567"]
    assert recipients(list(divide_recipients(",".join(given), limit=10))) == given


def test_more_recipients_than_were_expected_are_told_apart() -> None:
    seen = Seen()
    numbers = [str(79160000000 + n) for n in range(5000)]
    assert all(map(seen.add, numbers))
    assert not any(map(seen.add, numbers))


@pytest.mark.parametrize(
    ("state", "planned_at", "status"),
    [
        (CampaignState.WAITING, 0, -1),
        (CampaignState.LOADING, 0, 0),
        (CampaignState.SENDING, 1_500, -1),
        (CampaignState.SENDING, 500, 0),
        (CampaignState.STOPPING, 1_500, -2),
        (CampaignState.CANCELLED, 0, -2),
        (CampaignState.DONE, 0, 1),
    ],
)
def test_status(state: CampaignState, planned_at: int, status: int) -> None:
    campaign = Campaign(
        id=1,
        account_id=1,
        name="",
        client_ref="1",
        type=MessageType.SMS,
        sender="",
        text="",
        order={},
        created_at=0,
        state=state,
        planned_at=planned_at,
    )
    assert api_status(campaign, 1_000) == status
