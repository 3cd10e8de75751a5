"""Mailing lists (campaigns): what one is, when its runs are, how its recipients are divided.

A campaign is ordered once and runs once or again and again. Its recipients are kept as numbered
*sources* of some thousand; a run turns one source after the other into submissions, which all bear
the campaign's message id. What became of them is counted per submission, in *chunks*.

Rules of the mailing list reference (jobs.php), sections 2 and 4.
"""

from __future__ import annotations

import re
from array import array
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import IntEnum, unique
from typing import Any

from heliograph.domain.messages import MessageState, MessageType
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.requests import SendRequest

__all__ = [
    "ACTIVE_STATES",
    "MAX_LATE_MS",
    "MOBILE_TYPES",
    "NO_STATUS_ERR",
    "REPEATED_STATES",
    "SECOND_CHANNEL_STATES",
    "SOURCE_RECIPIENTS",
    "Campaign",
    "CampaignOrder",
    "CampaignState",
    "CampaignView",
    "Chunk",
    "ChunkKind",
    "Repetition",
    "Seen",
    "Source",
    "SourceKind",
    "api_status",
    "divide_recipients",
    "first_run",
    "next_run",
]

# Recipients of one source, and so of one transaction: some tens of milliseconds of the journal.
SOURCE_RECIPIENTS = 1_000
# A run that the gateway slept through is made up for when it is no later than this.
MAX_LATE_MS = 3_600_000

_HOUR_MS = 3_600_000
_RECIPIENT = re.compile(r"[^,;\r\n]+")
_GROUP = re.compile(r"[Gg](\d{1,18})", re.ASCII)


@unique
class CampaignState(IntEnum):
    """Where a campaign is. Stored as a number: values never change their meaning."""

    WAITING = 1  # for its next run
    LOADING = 2  # a run makes its messages
    SENDING = 3  # all messages of its last run are made
    STOPPING = 4  # what has not gone out is being stopped
    DONE = 10
    CANCELLED = 11


ACTIVE_STATES = frozenset(state for state in CampaignState if state < CampaignState.DONE)


@unique
class Repetition(IntEnum):
    """How often a campaign runs; the numbers are those of `rpt`."""

    ONCE = 0
    HOURLY = 1
    DAILY = 2
    WORKING_DAYS = 3
    WEEKENDS = 4
    WEEKLY = 5
    MONTHLY = 6
    YEARLY = 7


@unique
class SourceKind(IntEnum):
    """What the content of a source is."""

    RECIPIENTS = 0  # one a line
    ENTRIES = 1  # JSON: recipients, text, sender, zone of each
    GROUP = 2  # the number of a contact group: its members at the time of the run


@unique
class ChunkKind(IntEnum):
    """Why a submission of a campaign was made."""

    FIRST = 0
    SECOND_CHANNEL = 1  # `mes2` to those whom the first channel did not reach
    REPEAT = 2  # the same once more to those who were not reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A portion of a campaign's recipients as they were given; `count` of them (a group: 0)."""

    kind: SourceKind
    count: int
    content: str


@dataclass(slots=True, kw_only=True)
class CampaignOrder:
    """What a client orders. The one entry of `request` holds the text of all, without recipients,
    which are in `sources`; these may raise ValueError when they are asked for.

    `text2` goes out as SMS, from `sender2`, to whom the first channel did not reach; `repeats`: who
    was not reached is sent the same once more, from `sender2`. `wants_cost`: the price is asked
    for. `max_runs` 0: without end. `zone`: IANA name of the zone of its times, when it has one; ''
    means that of the request.
    """

    request: SendRequest
    sources: Iterable[Source]
    name: str = ""
    repetition: Repetition = Repetition.ONCE
    max_runs: int = 0
    text2: str = ""
    sender2: str | None = None
    repeats: bool = False
    wants_cost: bool = False
    zone: str = ""


@dataclass(slots=True, kw_only=True)
class Campaign:
    """An order and how far it is. `order` holds what its requests are made from.

    `seq` and `place` tell what the run makes next: the source, and where in it (the last contact of
    a group). `position` counts the recipients of the run that lie before. `zone_minutes` is the
    zone of its times, east of UTC.
    """

    id: int
    account_id: int
    name: str
    client_ref: str
    type: MessageType
    sender: str
    text: str
    order: dict[str, Any]
    created_at: int
    repetition: Repetition = Repetition.ONCE
    max_runs: int = 0
    state: CampaignState = CampaignState.LOADING
    is_deleted: bool = False
    recipient_count: int = 0
    zone_minutes: int = 180
    planned_at: int = 0
    run: int = 0
    run_at: int = 0
    next_run_at: int = 0
    seq: int = 0
    place: str = ""
    position: int = 0

    @property
    def actor_id(self) -> int:
        """The additional login that ordered it; 0: the account itself."""
        return int(self.order.get("actor", 0))


@dataclass(slots=True, kw_only=True)
class Chunk:
    """One submission of a campaign and what became of its messages.

    `held_until`: the first time at which messages of it are due; 0: none wait for their time.
    `cost_micros`: prices of open messages and charges of ended ones.
    """

    submission_id: int
    campaign_id: int
    run: int
    kind: ChunkKind = ChunkKind.FIRST
    is_closed: bool = False
    held_until: int = 0
    message_count: int = 0
    cost_micros: int = 0
    ended: int = 0
    delivered: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """A campaign as its owner sees it. `status` is the API's code of the list as a whole."""

    campaign: Campaign
    status: int
    message_count: int
    cost_micros: int
    delivered: int
    failed: int
    ended: int = 0


def api_status(campaign: Campaign, now_ms: int) -> int:
    """-1 waits for its time, -2 cancelled, 0 going out, 1 finished (jobs.php, section 3)."""
    match campaign.state:
        case CampaignState.CANCELLED | CampaignState.STOPPING:
            return -2
        case CampaignState.DONE:
            return 1
        case CampaignState.WAITING:
            return -1
        case _:
            return -1 if campaign.planned_at > now_ms else 0


# --- who is asked again ---------------------------------------------------------------------------

# To these `mes2` would come the same way again.
MOBILE_TYPES = frozenset(
    {
        MessageType.SMS,
        MessageType.FLASH,
        MessageType.BINARY,
        MessageType.WAP_PUSH,
        MessageType.HLR,
        MessageType.PING,
    }
)
_NOT_REACHED = (MessageState.EXPIRED, MessageState.UNDELIVERABLE, MessageState.REJECTED)
# Nobody carries that kind of message to this person: an SMS may find its way.
SECOND_CHANNEL_STATES = (*_NOT_REACHED, MessageState.NO_ROUTE)
REPEATED_STATES = _NOT_REACHED
# Nobody knows whether it arrived (codes, section 4): it is not repeated, as it may come twice.
NO_STATUS_ERR = 245


# --- when it runs ---------------------------------------------------------------------------------


def first_run(repetition: Repetition, at_ms: int, zone: tzinfo) -> int:
    """When a series that is to begin at `at_ms` really begins: on one of its days."""
    if _is_day_of(repetition, datetime.fromtimestamp(at_ms / 1000, zone).date()):
        return at_ms
    return next_run(repetition, at_ms, at_ms, zone)


def next_run(repetition: Repetition, anchor_ms: int, after_ms: int, zone: tzinfo) -> int:
    """The first run after `after_ms` of a series that began at `anchor_ms`.

    Hours are counted; days, weeks, months and years keep the time on the clock of `zone`, whatever
    the change of clocks does. A time that such a change skips is later by what was skipped; one
    that comes twice is the first of both. The 31st is the last day of shorter months, and 29
    February the 28th in other years, without losing the day for later runs.
    Raises ValueError for ONCE.
    """
    if repetition is Repetition.ONCE:
        raise ValueError("there is no second run")
    if repetition is Repetition.HOURLY:
        hours = max(0, (after_ms - anchor_ms) // _HOUR_MS) + 1
        return anchor_ms + hours * _HOUR_MS
    anchor = datetime.fromtimestamp(anchor_ms / 1000, zone)
    start = max(anchor.date(), datetime.fromtimestamp(after_ms / 1000, zone).date())
    for day in _days_from(repetition, anchor.date(), start):
        # Without a zone first: wall clock time has to be put together before it is understood.
        wall = datetime.combine(day, anchor.time(), zone).replace(fold=0)
        at_ms = round(wall.timestamp() * 1000)
        if at_ms > max(after_ms, anchor_ms):
            return at_ms
    raise AssertionError("a series has no end")


def _days_from(repetition: Repetition, anchor: date, start: date) -> Iterator[date]:
    """Days of a series from about `start` on, in their order."""
    if repetition is Repetition.MONTHLY:
        months = start.year * 12 + start.month - 1
        while True:
            year, month = divmod(months, 12)
            last = monthrange(year, month + 1)[1]
            yield date(year, month + 1, min(anchor.day, last))
            months += 1
    if repetition is Repetition.YEARLY:
        year = start.year
        while True:
            last = monthrange(year, anchor.month)[1]
            yield date(year, anchor.month, min(anchor.day, last))
            year += 1
    day = start
    while True:
        if repetition is Repetition.WEEKLY:
            if day.weekday() == anchor.weekday():
                yield day
        elif _is_day_of(repetition, day):
            yield day
        day += timedelta(days=1)


def _is_day_of(repetition: Repetition, day: date) -> bool:
    is_weekend = day.weekday() >= 5
    if repetition is Repetition.WORKING_DAYS:
        return not is_weekend
    return is_weekend if repetition is Repetition.WEEKENDS else True


# --- who gets it ----------------------------------------------------------------------------------


def divide_recipients(text: str, *, limit: int) -> Iterator[Source]:
    """Sources of a text of recipients parted by commas, semicolons or line breaks.

    Recipients stay as they were written; repeated ones are left out. Works through the text piece
    by piece, so that a million of them never are objects at once. Raises ValueError beyond `limit`
    recipients.
    """
    seen = Seen(min(sum(map(text.count, ",;\r\n")) + 1, limit + 1))
    groups: set[str] = set()
    lines: list[str] = []
    total = 0
    for match in _RECIPIENT.finditer(text):
        recipient = match[0].strip()
        if not recipient:
            continue
        group = _GROUP.fullmatch(recipient)
        if group is not None:
            if group[1] in groups:
                continue
            groups.add(group[1])
            if lines:
                yield _of_lines(lines)
                lines = []
            yield Source(kind=SourceKind.GROUP, count=0, content=group[1])
            continue
        if not seen.add(recipient):
            continue
        total += 1
        if total > limit:
            raise ValueError(f"more than {limit} recipients")
        lines.append(recipient)
        if len(lines) == SOURCE_RECIPIENTS:
            yield _of_lines(lines)
            lines = []
    if lines:
        yield _of_lines(lines)


def _of_lines(lines: list[str]) -> Source:
    return Source(kind=SourceKind.RECIPIENTS, count=len(lines), content="\n".join(lines))


def _key_of(recipient: str) -> int:
    """A number of 64 bits for a recipient; that of a phone is the phone itself."""
    is_address = "@" in recipient or recipient[:1] == "#"  # which may be full of digits
    number = None if is_address else normalise_recipient(recipient)
    if number is not None:
        return int(number)  # never 0, which is no key
    # Two addresses of a million share one by a chance of one in ten millions.
    return hash(recipient) & 0xFFFF_FFFF_FFFF_FFFF | 1 << 63


class Seen:
    """A set of recipients in one block of memory: 16 to 32 octets for each, a third of what they
    would take as objects."""

    __slots__ = ("_count", "_mask", "_slots")

    def __init__(self, expected: int = 0) -> None:
        """`expected`: for how many there is room at first."""
        size = 1 << (2 * expected + 2).bit_length()
        self._count = 0
        self._mask = size - 1
        self._slots = array("Q", [0]) * size

    def add(self, recipient: str) -> bool:
        """Takes a recipient as he was written; False: he was there."""
        if 2 * self._count > self._mask:
            self._grow()
        if not self._put(_key_of(recipient)):
            return False
        self._count += 1
        return True

    def _put(self, key: int) -> bool:
        slots, mask = self._slots, self._mask
        at = key * 0x9E37_79B9_7F4A_7C15 >> 20 & mask
        while slots[at]:
            if slots[at] == key:
                return False
            at = at + 1 & mask
        slots[at] = key
        return True

    def _grow(self) -> None:
        keys, size = self._slots, 2 * len(self._slots)
        self._mask = size - 1
        self._slots = array("Q", [0]) * size
        for key in keys:
            if key:
                self._put(key)
