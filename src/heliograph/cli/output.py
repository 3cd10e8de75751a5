"""How commands speak: tables for people, JSON for programs, failures in one line.

What a command prints may come from strangers (message texts, callback answers, operators' errors),
so control characters are shown and never sent to the terminal. Numbers of people are masked
unless asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum, unique
from typing import Any

import click

__all__ = [
    "WANTS_JSON",
    "ExitCode",
    "Failure",
    "mask_number",
    "plain",
    "print_done",
    "print_json",
    "print_json_line",
    "print_record",
    "print_table",
    "show_moment",
    "show_span",
]


# In the context of a command: --json was given (`options.done_option`).
WANTS_JSON = "heliograph.json"


@unique
class ExitCode(IntEnum):
    """What a script learns from the exit code (docs/reference/cli.md, "Exit codes")."""

    DONE = 0
    FAILED = 1  # it was refused, it failed, or there is no such thing
    USAGE = 2  # the command line or a setting is wrong
    STORAGE = 3  # the database can not be reached
    SERVER = 4  # the running server can not be reached
    INTERRUPTED = 130  # ended by Ctrl-C, as shells count it


class Failure(click.ClickException):
    """Ends the command with one line that says what is wrong and what to do."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def plain(value: object) -> str:
    """One line of printable text: control characters become escapes (``\\n``, ``\\x1b``)."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def mask_number(address: str, *, is_shown: bool = False) -> str:
    """The address of a person with its middle hidden; whole when `is_shown`.

    ``79161234567`` gives ``7916*****67``, ``anna@example.com`` gives ``a***@example.com``.
    """
    if is_shown or not address:
        return address
    name, at, host = address.partition("@")
    if at and name:
        return f"{name[0]}***@{host}"
    if len(address) < 7:
        return address  # a short number is a service, not a person
    return f"{address[:4]}{'*' * (len(address) - 6)}{address[-2:]}"


def show_moment(at_ms: int) -> str:
    """An instant in UTC, ``2026-11-22 13:07:18.250``; empty for 0."""
    if not at_ms:
        return ""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}"


def show_span(span_ms: int) -> str:
    """A length of time for people: ``+0.012 s``, ``+2 m 05 s``, ``+3 h 10 m``, ``+2 d 04 h``."""
    sign, rest = ("-", -span_ms) if span_ms < 0 else ("+", span_ms)
    seconds = rest // 1000
    if seconds < 60:
        return f"{sign}{rest / 1000:.3f} s"
    if seconds < 3600:
        return f"{sign}{seconds // 60} m {seconds % 60:02d} s"
    if seconds < 86_400:
        return f"{sign}{seconds // 3600} h {seconds // 60 % 60:02d} m"
    return f"{sign}{seconds // 86_400} d {seconds // 3600 % 24:02d} h"


def print_done(text: str, **record: object) -> None:
    """What was done: a line for people, or with --json the record."""
    if click.get_current_context().meta.get(WANTS_JSON):
        print_json(record)
    else:
        click.echo(text)


def print_json(value: object) -> None:
    """One JSON document, indented."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_json_line(value: object) -> None:
    """One JSON document on one line, written at once: for streams."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))
    sys.stdout.flush()


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "nothing"
) -> None:
    """Rows under headings; `empty` is said when there are none.

    On a terminal long cells are folded to its width; elsewhere a row is one line, whatever its
    length, for `grep` and `awk`.
    """
    listed = [[plain(cell) for cell in row] for row in rows]
    if not listed:
        click.echo(empty)
        return
    if sys.stdout.isatty():
        _print_rich(columns, listed)
        return
    widths = [
        max(len(column), *(len(row[i]) for row in listed)) for i, column in enumerate(columns)
    ]
    for row in [list(columns), *listed]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def print_record(record: Mapping[str, object]) -> None:
    """Names and values, one line each."""
    width = max(map(len, record), default=0)
    for name, value in record.items():
        click.echo(f"{name.ljust(width)}  {plain(value)}".rstrip())


def _print_rich(columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table: Any = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, markup=False).print(table)
