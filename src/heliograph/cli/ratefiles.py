"""Rates from a CSV file: text -> checked rates, every mistake with its line."""

from __future__ import annotations

import csv
import io

from heliograph.domain.messages import MessageType
from heliograph.domain.money import parse_micros
from heliograph.domain.tariffs import Rate

__all__ = ["RateFileError", "parse_rates"]

_COLUMNS = ("price", "type", "network", "prefix")
_ROWS_MAX = 200_000  # every network of the world in every type is a tenth of it
_PROBLEMS_MAX = 20  # enough to see the pattern of a mistake


class RateFileError(ValueError):
    """The file was not taken; `problems` are lines for people."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems[:_PROBLEMS_MAX]
        super().__init__("\n".join(self.problems))


def parse_rates(text: str) -> list[Rate]:
    """Rates in the order of the file. Raises RateFileError.

    The first line names the columns; comma, semicolon or tab separate. An empty type is every type,
    a row without network and prefix is the plan's rate for everything else.
    """
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=separator, restkey="", strict=True
    )
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise RateFileError([f"line 1: not a CSV line ({error})"]) from None
    _check_header(list(reader.fieldnames))
    rates: list[Rate] = []
    problems: list[str] = []
    seen: dict[tuple[MessageType | None, str, str], int] = {}
    try:
        for cells in reader:
            line = reader.line_num
            if "" in cells or None in cells.values():
                problems.append(f"line {line}: it has not as many values as the first line")
            else:
                try:
                    rate = _parse_row({name: cell.strip() for name, cell in cells.items()})
                    key = (rate.type, rate.mccmnc, rate.prefix)
                    if seen.setdefault(key, line) != line:
                        raise ValueError(f"the same rate stands in line {seen[key]}")
                    rates.append(rate)
                except ValueError as error:
                    problems.append(f"line {line}: {error}")
            if len(problems) >= _PROBLEMS_MAX or len(rates) > _ROWS_MAX:
                break
    except csv.Error as error:
        problems.append(f"line {reader.line_num + 1}: not a CSV line ({error})")
    if len(rates) > _ROWS_MAX:
        problems.append(f"more than {_ROWS_MAX} rates")
    if problems:
        raise RateFileError(problems)
    return rates


def _check_header(names: list[str]) -> None:
    problems = [
        f"line 1: unknown column {name!r}; known: {', '.join(_COLUMNS)}"
        for name in names
        if name not in _COLUMNS
    ]
    if "price" not in names:
        problems.append("line 1: the column price is missing")
    if len(set(names)) != len(names):
        problems.append("line 1: a column is there twice")
    if problems:
        raise RateFileError(problems)


def _parse_row(cells: dict[str, str]) -> Rate:
    price = parse_micros(cells["price"])
    if price < 0:
        raise ValueError("a price is not negative")
    kind = cells.get("type", "").upper().replace("-", "_")
    if kind and kind not in MessageType.__members__:
        raise ValueError(f"there is no message type {kind.lower()!r}")
    network, prefix = cells.get("network", ""), cells.get("prefix", "").removeprefix("+")
    if network and prefix:
        raise ValueError("a rate is for a network or for a prefix, not for both")
    for name, value, most in (("network", network, 6), ("prefix", prefix, 15)):
        if value and not (value.isascii() and value.isdigit() and len(value) <= most):
            raise ValueError(f"{name} {value!r} is not 1 to {most} digits")
    return Rate(
        price_micros=price,
        type=MessageType[kind] if kind else None,
        mccmnc=network,
        prefix=prefix,
    )
