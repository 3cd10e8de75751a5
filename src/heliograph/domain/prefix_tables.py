"""Imported number tables: text that an administrator uploads -> checked rows.

Two forms are read: prefixes (or number ranges) with their network, and single ported numbers.
Every mistake is reported with its line and column, many at once, so that a file of a hundred
thousand rows is corrected in one round and not in a hundred. Pure: no files, no database.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

PREFIX_DIGITS_MAX = 15  # ITU-T E.164: a number has at most 15 digits
ROWS_MAX = 1_000_000  # ranges of the largest national plans split into about half a million
PROBLEMS_MAX = 20  # enough to see the pattern of a mistake; the rest is noise
NAME_CHARS_MAX = 80  # operator and region names go into narrow fields of status replies

_PREFIX = re.compile(r"[1-9][0-9]{0,14}")
_MCCMNC = re.compile(r"[2-79][0-9]{4,5}")
_TIME_ZONE = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}")
_COLUMNS = ("prefix", "from", "to", "mccmnc", "operator", "region", "region_ru", "time_zones")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRow:
    """One row of a number table.

    `prefix`: leading digits of the international number, without "+". `mccmnc`: "25001", or empty
    when only the operator's name is known. `operator`: set it only to replace the name that the
    list of networks has. `time_zones`: IANA names, the most likely first; empty: the country's.
    `source`: how far the row can be trusted (see docs/reference/numbering.md).
    """

    prefix: str
    mccmnc: str = ""
    operator: str = ""
    region: str = ""
    region_ru: str = ""
    time_zones: tuple[str, ...] = ()
    source: str = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in an imported file; `line` counts from 1, `column` is the column's name."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


class TableImportError(ValueError):
    """The file was not taken; `problems` has up to PROBLEMS_MAX mistakes in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems[:PROBLEMS_MAX])
        super().__init__("\n".join(str(problem) for problem in self.problems))


def parse_prefix_csv(text: str) -> list[PrefixRow]:
    """Rows of an imported prefix table, in file order.

    The first line names the columns: `prefix` or the pair `from`, `to` (full numbers of equal
    length; a range becomes as few prefixes as possible), and any of `mccmnc`, `operator`, `region`,
    `region_ru`, `time_zones` (space-separated). Comma, semicolon or tab separate.

    Raises TableImportError when anything is wrong; a file is taken whole or not at all.
    """
    reader, header = _open_table(text)
    _check_header(header)
    rows: list[PrefixRow] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for line, cells in _read_lines(reader, header, problems):
        for row in _parse_row(cells, line, problems):
            if row.prefix in seen:
                known = f"{row.prefix} was given in line {seen[row.prefix]} already"
                problems.append(Problem(line=line, column=_key_column(cells), text=known))
                break
            seen[row.prefix] = line
            rows.append(row)
        if len(rows) > ROWS_MAX:
            problems.append(Problem(line=line, column="-", text=f"more than {ROWS_MAX} prefixes"))
            break
        if len(problems) >= PROBLEMS_MAX:
            break
    if problems:
        raise TableImportError(problems)
    return rows


def parse_ported_csv(text: str) -> dict[str, str]:
    """Ported numbers of a file with the columns `phone` and `mccmnc`: number -> present network.

    The layout is the one that get_mnp.php gives out (data reference, ported numbers). A number that
    occurs twice has the network of its last row, as in a journal of changes.

    Raises TableImportError when anything is wrong.
    """
    reader, header = _open_table(text)
    for column in ("phone", "mccmnc"):
        if column not in header:
            raise TableImportError([Problem(line=1, column=column, text="the column is missing")])
    ported: dict[str, str] = {}
    problems: list[Problem] = []
    for line, cells in _read_lines(reader, header, problems):
        phone = cells["phone"].removeprefix("+")
        if not _PREFIX.fullmatch(phone) or len(phone) < 10:
            what = f"{phone!r} is not an international number of 10 to 15 digits"
            problems.append(Problem(line=line, column="phone", text=what))
        _check_mccmnc(cells["mccmnc"], line, problems)
        if len(problems) >= PROBLEMS_MAX:
            break
        ported[phone] = cells["mccmnc"]
    if problems:
        raise TableImportError(problems)
    return ported


def split_range(first: str, last: str) -> Iterator[str]:
    """The fewest prefixes that cover the numbers `first`..`last`, both of the same length.

    `split_range("79160000000", "79161999999")` gives "79160", "79161".
    """
    low, high = int(first), int(last)
    while low <= high:
        size, digits = 1, len(first)
        while low % (size * 10) == 0 and low + size * 10 - 1 <= high and digits > 1:
            size *= 10
            digits -= 1
        yield str(low)[:digits]
        low += size


def _open_table(text: str) -> tuple[Iterator[list[str]], list[str]]:
    text = text.removeprefix("\ufeff")  # spreadsheets write a byte order mark
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        problem = Problem(line=1, column="-", text=f"not a CSV line ({error})")
        raise TableImportError([problem]) from None
    return reader, header


def _check_header(header: list[str]) -> None:
    problems = [
        Problem(line=1, column=name or "-", text=f"unknown column; known: {', '.join(_COLUMNS)}")
        for name in header
        if name not in _COLUMNS
    ]
    problems += [
        Problem(line=1, column=name, text="the column is there twice")
        for name in sorted({name for name in header if header.count(name) > 1})
    ]
    if "prefix" not in header and not {"from", "to"} <= set(header):
        problems.append(
            Problem(line=1, column="prefix", text="needs a column prefix, or from and to")
        )
    if "mccmnc" not in header and "operator" not in header:
        problems.append(Problem(line=1, column="mccmnc", text="needs a column mccmnc or operator"))
    if problems:
        raise TableImportError(problems)


def _read_lines(
    reader: Iterator[list[str]], header: list[str], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    line = 1
    try:
        for line, values in enumerate(reader, start=2):
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                what = f"{len(values)} values where the header has {len(header)} columns"
                problems.append(Problem(line=line, column="-", text=what))
                continue
            yield line, dict(zip(header, (value.strip() for value in values), strict=True))
    except csv.Error as error:
        problems.append(Problem(line=line + 1, column="-", text=f"not a CSV line ({error})"))


def _key_column(cells: dict[str, str]) -> str:
    return "prefix" if cells.get("prefix") else "from"


def _parse_row(cells: dict[str, str], line: int, problems: list[Problem]) -> list[PrefixRow]:
    """The rows of one line (several for a range); none when the line has a problem."""
    before = len(problems)
    prefixes = _parse_prefixes(cells, line, problems)
    mccmnc, operator = cells.get("mccmnc", ""), cells.get("operator", "")
    if mccmnc or not operator:
        _check_mccmnc(mccmnc, line, problems)
    for column in ("operator", "region", "region_ru"):
        value = cells.get(column, "")
        if len(value) > NAME_CHARS_MAX or not value.isprintable():
            what = f"longer than {NAME_CHARS_MAX} characters or not printable"
            problems.append(Problem(line=line, column=column, text=what))
    zones = tuple(cells.get("time_zones", "").split())
    problems.extend(
        Problem(line=line, column="time_zones", text=f"{zone!r} is not a time zone name")
        for zone in zones
        if not _TIME_ZONE.fullmatch(zone)
    )
    if len(problems) > before:
        return []
    return [
        PrefixRow(
            prefix=prefix,
            mccmnc=mccmnc,
            operator=operator,
            region=cells.get("region", ""),
            region_ru=cells.get("region_ru", ""),
            time_zones=zones,
        )
        for prefix in prefixes
    ]


def _parse_prefixes(cells: dict[str, str], line: int, problems: list[Problem]) -> list[str]:
    prefix = cells.get("prefix", "").removeprefix("+")
    if prefix or "from" not in cells:
        if not _PREFIX.fullmatch(prefix):
            what = f"{prefix!r} is not 1 to {PREFIX_DIGITS_MAX} digits beginning with 1-9"
            problems.append(Problem(line=line, column="prefix", text=what))
        return [prefix]
    first, last = cells["from"].removeprefix("+"), cells.get("to", "").removeprefix("+")
    for column, value in (("from", first), ("to", last)):
        if not _PREFIX.fullmatch(value):
            what = f"{value!r} is not a full number of digits beginning with 1-9"
            problems.append(Problem(line=line, column=column, text=what))
            return []
    if len(first) != len(last) or first > last:
        what = f"{last!r} must have as many digits as {first!r} and not be less"
        problems.append(Problem(line=line, column="to", text=what))
        return []
    return list(split_range(first, last))


def _check_mccmnc(mccmnc: str, line: int, problems: list[Problem]) -> None:
    if not _MCCMNC.fullmatch(mccmnc):
        what = f"{mccmnc!r} is not a network code of 5 or 6 digits, such as 25001"
        problems.append(Problem(line=line, column="mccmnc", text=what))
