"""What is printed: plain, masked, and readable in a pipe."""

from __future__ import annotations

import pytest

from heliograph.cli.output import (
    Failure,
    mask_number,
    plain,
    print_table,
    show_moment,
    show_span,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Привет", "Привет"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud83d", "\\ud83d"),
        (12, "12"),
    ],
)
def test_nothing_but_printable_text_reaches_the_terminal(text: object, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("79161234567", "7916*****67"),
        ("4444", "4444"),
        ("anna@example.com", "a***@example.com"),
        ("", ""),
    ],
)
def test_numbers_of_people_are_masked(address: str, expected: str) -> None:
    assert mask_number(address) == expected
    assert mask_number(address, is_shown=True) == address


@pytest.mark.parametrize(
    ("span_ms", "expected"),
    [
        (0, "+0.000 s"),
        (12, "+0.012 s"),
        (59_999, "+59.999 s"),
        (125_000, "+2 m 05 s"),
        (11_400_000, "+3 h 10 m"),
        (187_200_000, "+2 d 04 h"),
        (-5, "-0.005 s"),
    ],
)
def test_spans(span_ms: int, expected: str) -> None:
    assert show_span(span_ms) == expected


def test_moments_are_utc() -> None:
    assert show_moment(1_476_794_052_250) == "2016-10-18 12:34:12.250"
    assert show_moment(0) == ""


def test_in_a_pipe_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "text"], [[1, "x" * 300], [22, "two\nlines"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id  text"
    assert lines[1] == "1   " + "x" * 300
    assert lines[2] == "22  two\\nlines"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id"], [], empty="none at all")
    assert capsys.readouterr().out == "none at all\n"


def test_a_failure_is_one_line() -> None:
    assert Failure("two\nlines").message == "two lines"
