"""Lists of numbers with own texts, as a client writes them (send.php reference, "list").

::

    79991111111:text one
    79992222222,79993333333:text two
    SENDER,3|79994444444:text with own sender and time zone
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from heliograph.domain.requests import Entry

__all__ = ["MOSCOW_MINUTES", "divide_list", "parse_list", "parse_zone", "split_recipients"]

# The API counts time zones in hours from Moscow, which is UTC+3.
MOSCOW_MINUTES = 180
# UTC-12 .. UTC+14, the zones that exist.
_ZONE_MINUTES = range(-720, 841)

_ZONE = re.compile(r"[+-]?\d{1,2}(?:[.,]\d{1,2})?", re.ASCII)
_SEPARATORS = re.compile(r"[,;\r\n]")
# In a multi-line list only such a line starts an entry. Numbers must be whole here: with spaces and
# dashes allowed, a date or a time inside a text would look like one.
_NUMBER_LINE = re.compile(
    r"(?:[^|:;\n]{0,24}\|)?\s?\+?\d{10,15}(?:,\s?\+?\d{10,15})*\s?[:;]", re.ASCII
)


def parse_zone(text: str) -> int:
    """Minutes from UTC of a zone given in hours from Moscow (`0`, `-1`, `2.5`).

    Raises ValueError when it is no number or no zone of this world.
    """
    text = text.strip()
    if not _ZONE.fullmatch(text):
        raise ValueError("a time zone is a number of hours from Moscow")
    minutes = MOSCOW_MINUTES + round(float(text.replace(",", ".")) * 60)
    if minutes not in _ZONE_MINUTES:
        raise ValueError("no such time zone")
    return minutes


def split_recipients(text: str) -> list[str]:
    """Recipients parted by commas, semicolons or line breaks; empty ones are left out."""
    if text.isdecimal():
        return [text]
    return [each for each in map(str.strip, _SEPARATORS.split(text)) if each]


def parse_list(text: str, nl: bool = False, *, most: int | None = None) -> list[Entry]:
    r"""Entries of a list, in its order.

    A line break inside a text is written as backslash and `n`. With `nl`, texts may also hold real
    line breaks: a new entry starts only at a line that looks like `number:`. Raises ValueError when
    a line has no numbers, or no `:` or `;` after them, when there is no entry at all, and when
    there are more than `most`: nobody reads on then.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if nl:
        lines = _join_lines(lines, most)
    full = (line for line in lines if line and not line.isspace())
    entries = [_parse_line(line) for line in islice(full, None if most is None else most + 1)]
    if most is not None and len(entries) > most:
        raise ValueError("the list is too long")
    if not entries:
        raise ValueError("the list is empty")
    return entries


def divide_list(text: str, *, nl: bool, lines: int) -> Iterator[str]:
    """The list in pieces of some `lines` each, which are lists themselves: so a long one never
    becomes objects as a whole. With `nl`, an entry that has more lines than that stays whole."""
    start = at = count = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end + 1
        if count >= lines and (not nl or _NUMBER_LINE.match(text, at, end)):
            yield text[start:at]
            start, count = at, 0
        count += 1
        at = end
    if start < at:
        yield text[start:at]


def _join_lines(lines: list[str], most: int | None) -> list[str]:
    entries: list[list[str]] = []
    for line in lines:
        if _NUMBER_LINE.match(line):
            if most is not None and len(entries) > most:
                break
            entries.append([line])
        elif entries:
            entries[-1].append(line)
        elif line.strip():
            raise ValueError("the list does not start with a number and a text")
    # The line break after an entry ends it and is no part of its text.
    return ["\n".join(entry).rstrip("\n") for entry in entries]


def _parse_line(line: str) -> Entry:
    end = line.find(":")
    semicolon = line.find(";", 0, end if end >= 0 else None)
    if semicolon >= 0:
        end = semicolon
    if end < 0:
        raise ValueError("a line of the list has no text")
    numbers, text = line[:end], line[end + 1 :]
    sender: str | None = None
    tz_minutes: int | None = None
    head, bar, rest = numbers.partition("|")
    if bar:
        numbers = rest
        name, comma, zone = head.rpartition(",")
        if comma:
            tz_minutes = parse_zone(zone)
        name = (name if comma else head).strip()
        # An empty name leaves the request's own; a point switches the name off, as in `sender`.
        sender = "" if name == "." else name or None
    recipients = split_recipients(numbers)
    if not recipients:
        raise ValueError("a line of the list has no number")
    if "\\n" in text:
        text = text.replace("\\n", "\n")
    return Entry(recipients, text, sender, tz_minutes)
