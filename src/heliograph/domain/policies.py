"""Policies: what an account may send, by its own settings (users.php reference, sections 4 and 8).

A policy is read once from the settings of an account and kept with it. An account without any
such setting has none at all, so its messages are not looked at here.

The day of the daily limits and the allowed hours are those of the account's zone; with `fl2[16]`
the hours are those of each recipient's zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from heliograph.domain.refusals import Refusal

__all__ = [
    "MASS_RECIPIENTS",
    "Policy",
    "judge",
    "parse_codes",
    "parse_hours",
    "policy_of",
    "zone_of",
]

# A request to more recipients than this is a mass mailing (`fl2[23]`).
MASS_RECIPIENTS = 20
# Phone codes have up to 15 digits, and there are fewer than 300 countries.
_MAX_CODES = 1_000
_CODE = re.compile(r"-?\+?\d{1,15}", re.ASCII)
_HOURS = re.compile(r"([01]?\d|2[0-4])\s*-\s*([01]?\d|2[0-4])", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_MINUTE_MS = 60_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one account. Limits of 0, and empty codes and hours, are none.

    `hours`: (from, to), over midnight when the first is the larger one. `codes`: leading digits of
    numbers with whether they are allowed, the longest that fits decides; what nothing fits is
    allowed unless some code allows. `texts_a_day` counts one text to one number.
    """

    may_send: bool = True
    may_send_masses: bool = True
    codes: tuple[tuple[str, bool], ...] = ()
    hours: tuple[int, int] | None = None
    refuses_outside: bool = False
    uses_recipient_zone: bool = False
    messages_a_day: int = 0
    per_number_a_day: int = 0
    texts_a_day: int = 0
    per_address_a_day: int = 0
    max_valid_ms: int = 0

    @property
    def has_counts(self) -> bool:
        """Whether messages have to be counted by the day."""
        return bool(
            self.messages_a_day
            or self.per_number_a_day
            or self.texts_a_day
            or self.per_address_a_day
        )

    def admits(self, recipient: str) -> bool:
        """Whether the number's code is allowed (`fmts`). Addresses that are no numbers are."""
        if not self.codes or not recipient.isdigit():
            return True
        for code, is_allowed in self.codes:  # the longest first
            if recipient.startswith(code):
                return is_allowed
        return not any(is_allowed for _, is_allowed in self.codes)

    def postpone(self, at_ms: int, zone: tzinfo) -> int:
        """The first moment from `at_ms` on, within the allowed hours of that zone (`tmlim`)."""
        if self.hours is None:
            return at_ms
        first, last = self.hours
        # Midnights are found again on each day, as a day of a change of clocks has 23 or 25 hours.
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        hour = local.hour
        is_open = first <= hour < last if first < last else hour >= first or hour < last
        if is_open:
            return at_ms
        opening = local.replace(hour=first % 24, minute=0, second=0, microsecond=0, fold=0)
        if opening.timestamp() * 1000 <= at_ms:
            opening = (opening.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        return round(opening.timestamp() * 1000)


class Judged(Protocol):
    """What is looked at of one recipient of a request."""

    recipient: str
    part_count: int
    due_at: int
    refusal: Refusal | None


def judge(
    policy: Policy,
    drafts: Sequence[Judged],
    *,
    recipient_count: int,
    zone_minutes: int,
    zones_of: Callable[[str], Iterable[str]],
    now_ms: int,
) -> None:
    """Refuses and postpones recipients of one request as the policy says.

    `recipient_count`: of the whole mailing, of which the request may be a part.
    `zone_minutes` is the account's zone, `zones_of` gives the IANA names of a number's zones, the
    likeliest first.
    """
    is_mass = recipient_count > MASS_RECIPIENTS
    is_closed = not policy.may_send or (is_mass and not policy.may_send_masses)
    home = zone_of("", zone_minutes)
    openings: dict[tuple[tzinfo, int], int] = {}
    for draft in drafts:
        if draft.refusal is not None:
            continue
        if is_closed:
            draft.refusal = Refusal.MAILINGS_DENIED
        elif not policy.admits(draft.recipient):
            draft.refusal = Refusal.CODE_DENIED
        elif policy.hours is not None:
            zone = home
            if policy.uses_recipient_zone:
                zone = zone_of(next(iter(zones_of(draft.recipient)), ""), zone_minutes)
            at_ms = draft.due_at or now_ms
            opening = openings.get((zone, at_ms))
            if opening is None:
                opening = openings[zone, at_ms] = policy.postpone(at_ms, zone)
            if opening == at_ms:
                continue
            if policy.refuses_outside:
                draft.refusal = Refusal.OUTSIDE_HOURS
            else:
                draft.due_at = opening
        if draft.refusal is not None:
            draft.part_count = 0


def policy_of(settings: Mapping[str, str]) -> Policy | None:
    """The policy in an account's settings, None when there is none.

    What is not valid counts as not set: the doors refuse it before it is stored.
    """
    if not settings:
        return None

    def is_on(flag: str) -> bool:
        return settings.get(flag, "0") not in ("", "0")

    def count(name: str, unit: int = 1) -> int:
        text = settings.get(name, "")
        return int(text) * unit if _COUNT.fullmatch(text) else 0

    def read(name: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
        try:
            return parse(settings[name]) if settings.get(name) else default
        except ValueError:
            return default

    found = Policy(
        may_send=not is_on("fl[6]"),
        may_send_masses=not is_on("fl2[23]"),
        codes=read("fmts", parse_codes, ()),
        hours=read("tmlim", parse_hours, None),
        refuses_outside=is_on("fl2[15]"),
        uses_recipient_zone=is_on("fl2[16]"),
        messages_a_day=count("dlim"),
        per_number_a_day=count("plim"),
        texts_a_day=count("tlim"),
        per_address_a_day=count("ilim"),
        max_valid_ms=count("vld", _MINUTE_MS),
    )
    bare = Policy(
        refuses_outside=found.refuses_outside, uses_recipient_zone=found.uses_recipient_zone
    )
    return None if found == bare else found


def parse_codes(text: str) -> tuple[tuple[str, bool], ...]:
    """Codes of `fmts` (``7,-77``), the longest first. Raises ValueError."""
    found: dict[str, bool] = {}
    for each in text.split(","):
        code = each.strip()
        if not code:
            continue
        if not _CODE.fullmatch(code) or len(found) >= _MAX_CODES:
            raise ValueError(f"not a list of phone codes: {text[:40]!r}")
        found[code.lstrip("-+")] = not code.startswith("-")
    return tuple(sorted(found.items(), key=lambda pair: (-len(pair[0]), pair[0])))


def parse_hours(text: str) -> tuple[int, int] | None:
    """Hours of `tmlim` (``9-21``); None when they are the whole day. Raises ValueError."""
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not hours of a day: {text[:40]!r}")
    first, last = int(match[1]), int(match[2])
    if first % 24 == last % 24:
        return None
    return first % 24, last


@lru_cache(maxsize=1024)
def zone_of(name: str, minutes: int) -> tzinfo:
    """The zone with that IANA name; without a known one, the zone `minutes` east of UTC."""
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            pass
    return timezone(timedelta(minutes=minutes))
