"""Lists of numbers with own texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.lists import parse_list, parse_zone, split_recipients
from heliograph.domain.requests import Entry


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("79991111111:text one", [Entry(["79991111111"], "text one")]),
        (
            "79991111111:code 1\r\n\n78888888888;code: 2; 3\n",
            [Entry(["79991111111"], "code 1"), Entry(["78888888888"], "code: 2; 3")],
        ),
        (
            "79992222222, +7 999 333-33-33:text two",
            [Entry(["79992222222", "+7 999 333-33-33"], "text two")],
        ),
        (
            "SENDER,3|79994444444:hi | there",
            [Entry(["79994444444"], "hi | there", "SENDER", 360)],
        ),
        ("SENDER|79994444444:hi", [Entry(["79994444444"], "hi", "SENDER")]),
        (",-1|79994444444:hi", [Entry(["79994444444"], "hi", None, 120)]),
        (".|79994444444:hi", [Entry(["79994444444"], "hi", "")]),
        ("79991111111:one\\ntwo", [Entry(["79991111111"], "one\ntwo")]),
        ("79991111111:", [Entry(["79991111111"], "")]),
    ],
)
def test_examples(text: str, entries: list[Entry]) -> None:
    assert parse_list(text) == entries


@pytest.mark.parametrize(
    "text", ["", "\n\n", "79991111111", ":text", "S|:text", "S,x|7999:text", "S,99|7999:text"]
)
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"list|zone"):
        parse_list(text)


def test_real_line_breaks_with_nl() -> None:
    text = (
        "79991111111:Dear client!\n\nat 10:30, on 2024-10-10 10:30\n"
        "S,2|+79992222222,79993333333;two\n79991: no number\n"
    )
    assert parse_list(text, nl=True) == [
        Entry(["79991111111"], "Dear client!\n\nat 10:30, on 2024-10-10 10:30"),
        Entry(["+79992222222", "79993333333"], "two\n79991: no number", "S", 300),
    ]
    with pytest.raises(ValueError, match="start"):
        parse_list("hello\n79991111111:x", nl=True)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("0", 180), ("-1", 120), ("9", 720), ("2.5", 330), ("+2,75", 345), ("-15", -720)],
)
def test_zones(text: str, minutes: int) -> None:
    assert parse_zone(text) == minutes


@pytest.mark.parametrize("text", ["", "x", "12", "-16", "1e1", "nan", "٣"])
def test_no_zones(text: str) -> None:
    with pytest.raises(ValueError, match="zone"):
        parse_zone(text)


def test_recipients() -> None:
    assert split_recipients("79991111111") == ["79991111111"]
    assert split_recipients(" 7 999, +7888;G5;;a@b.ru\n7777 ,") == [
        "7 999",
        "+7888",
        "G5",
        "a@b.ru",
        "7777",
    ]
    assert split_recipients(" , ;") == []


@given(st.text(alphabet="79:;|,\n\\n x+", max_size=60), st.booleans())
def test_entries_always_have_recipients(text: str, nl: bool) -> None:
    try:
        entries = parse_list(text, nl)
    except ValueError:
        return
    assert entries
    assert all(entry.recipients for entry in entries)


@pytest.mark.parametrize("nl", [False, True])
def test_nobody_reads_a_list_that_is_too_long(nl: bool) -> None:
    lines = [f"7999111111{n}:x" for n in range(4)]
    assert len(parse_list("\n".join(lines[:3]), nl, most=3)) == 3
    # What follows would be refused for what it holds.
    for rest in (lines[3], f"{lines[3]}\nno text in this line"):
        with pytest.raises(ValueError, match="too long"):
            parse_list("\n".join([*lines[:3], rest]), nl, most=3)
