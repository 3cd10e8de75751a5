"""The four forms of replies, byte for byte."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.forms.charsets import KOI8_R, UTF_8, WINDOWS_1251, Charset
from heliograph.protocols.forms.replies import (
    Format,
    Value,
    encode_reply,
    find_format,
    identifier,
    write_created,
    write_done,
    write_error,
    write_json,
    write_list,
    write_record,
)

TEXT, NUMBERS, XML, JSON = Format
RECORD = {"id": 5, "name": 'a "b" <c> & d,\ne', "cost": "1.40"}


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        (TEXT, "ERROR = 2 (authorise error)"),
        (NUMBERS, "0,-2"),
        (XML, "<result>\n<error>authorise error</error>\n<error_code>2</error_code>\n</result>"),
        (JSON, '{\n"error": "authorise error",\n"error_code": 2\n}'),
    ],
)
def test_error_without_an_id(fmt: Format, expected: str) -> None:
    assert write_error(fmt, 2, "authorise error") == expected


def test_the_recorded_error_has_47_bytes() -> None:
    assert len(encode_reply(write_error(JSON, 2, "authorise error"), JSON, WINDOWS_1251)) == 47


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        (TEXT, "ERROR = 7 (invalid number), ID - 34"),
        (NUMBERS, "34,-7"),
        (
            XML,
            "<result>\n<error>invalid number</error>\n<error_code>7</error_code>\n<id>34</id>\n"
            "</result>",
        ),
        (JSON, '{\n"error": "invalid number",\n"error_code": 7,\n"id": 34\n}'),
    ],
)
def test_error_with_an_id(fmt: Format, expected: str) -> None:
    assert write_error(fmt, 7, "invalid number", "34") == expected


def test_done_and_created() -> None:
    assert [write_done(fmt) for fmt in Format] == [
        "OK",
        "OK",
        "<result>OK</result>",
        '{\n"result": "OK"\n}',
    ]
    assert [write_created(fmt, "5") for fmt in Format] == [
        "ID = 5",
        "5",
        "<result>\n<id>5</id>\n</result>",
        '{\n"id": 5\n}',
    ]


def test_record_in_every_form() -> None:
    assert [write_record(fmt, RECORD) for fmt in Format] == [
        'id = 5, name = a "b" <c> & d, e, cost = 1.40',
        '5,a "b" <c> & d, e,1.40',
        "<result>\n<id>5</id>\n<name>a &quot;b&quot; &lt;c&gt; &amp; d,\ne</name>\n"
        "<cost>1.40</cost>\n</result>",
        '{\n"id": 5,\n"name": "a \\"b\\" <c> & d,\\ne",\n"cost": "1.40"\n}',
    ]


def test_list_in_every_form() -> None:
    records = [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}]
    assert [write_list(fmt, records, item="contact") for fmt in Format] == [
        "id = 1, n = x\nid = 2, n = y",
        "1,x\n2,y",
        "<list>\n<contact>\n<id>1</id>\n<n>x</n>\n</contact>\n"
        "<contact>\n<id>2</id>\n<n>y</n>\n</contact>\n</list>",
        '[\n{\n"id": 1,\n"n": "x"\n},\n{\n"id": 2,\n"n": "y"\n}\n]',
    ]


def test_arrays_of_plain_values_stay_on_their_line() -> None:
    assert write_json({"all": ["1", "2"], "none": []}) == '{\n"all": ["1","2"],\n"none": []\n}'


@pytest.mark.parametrize(
    ("client_ref", "value"),
    [
        ("1", 1),
        ("2147483647", 2147483647),
        ("999999999999999", 999999999999999),
        ("9999999999999999", "9999999999999999"),
        ("007", "007"),
        ("0", 0),
        ("", ""),
        ("a1", "a1"),
        ("6f1c-9", "6f1c-9"),
        ("٣", "٣"),
    ],
)
def test_identifier(client_ref: str, value: int | str) -> None:
    assert identifier(client_ref) == value


@pytest.mark.parametrize(
    ("fmt", "format_"),
    [("0", TEXT), ("1", NUMBERS), ("2", XML), ("3", JSON), ("4", TEXT), ("x", TEXT), ("", JSON)],
)
def test_find_format(fmt: str, format_: Format) -> None:
    assert find_format(fmt, JSON) is format_


@pytest.mark.parametrize(
    ("charset", "fmt", "expected"),
    [
        (UTF_8, TEXT, "Привет 😀".encode()),
        (WINDOWS_1251, TEXT, "Привет ?".encode("cp1251")),
        (WINDOWS_1251, NUMBERS, "Привет ?".encode("cp1251")),
        (WINDOWS_1251, XML, "Привет &#128512;".encode("cp1251")),
        (WINDOWS_1251, JSON, "Привет ".encode("cp1251") + b"\\ud83d\\ude00"),
        (KOI8_R, JSON, "Привет ".encode("koi8-r") + b"\\ud83d\\ude00"),
    ],
)
def test_characters_that_the_charset_lacks(charset: Charset, fmt: Format, expected: bytes) -> None:
    assert encode_reply("Привет 😀", fmt, charset) == expected


def test_halves_of_surrogate_pairs_do_not_break_a_reply() -> None:
    assert encode_reply("a\ud800b", TEXT, UTF_8) == b"a?b"
    assert encode_reply('"a\ud800b"', JSON, UTF_8) == b'"a\\ud800b"'


@given(st.dictionaries(st.sampled_from("abcd"), st.text(), min_size=1))
@pytest.mark.parametrize("charset", [UTF_8, WINDOWS_1251, KOI8_R])
def test_json_and_xml_are_well_formed_whatever_the_text(
    charset: Charset, record: dict[str, str]
) -> None:
    written = encode_reply(write_record(JSON, record), JSON, charset)
    assert json.loads(written.decode(charset.codec)) == record
    body = encode_reply(write_record(XML, record), XML, charset)
    ElementTree.fromstring(body.decode(charset.codec))
    assert b"\n" not in encode_reply(write_record(TEXT, record), TEXT, charset)


_texts = st.text(st.sampled_from('ab"\\\n\r{},[]: \x00\x7fя\u2028\ud800😀'))
_plain = st.one_of(_texts, st.integers())


@given(st.lists(st.dictionaries(_texts, _plain, max_size=4), min_size=1, max_size=4))
def test_lists_of_plain_records_are_their_records(records: list[dict[str, str | int]]) -> None:
    """They are written in another way than single ones."""
    expected = "[\n" + ",\n".join(map(write_json, records)) + "\n]"
    assert write_json(records) == expected
    assert json.loads(expected, strict=False) == records
    nested = [*records, {"list": [1]}]
    assert write_json(nested) == expected[:-2] + ',\n{\n"list": [1]\n}\n]'
    assert write_json([{"is": True}]) == '[\n{\n"is": 1\n}\n]'


_TEXTS = st.text(st.sampled_from('ab%,="<&\n\r\u2028\u00a0\ud800\x00я'), max_size=6)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "50%", "%s"]),
            st.one_of(_TEXTS, st.integers(), st.booleans(), st.just([1, "a"]), st.just(TEXT)),
            min_size=1,
        ),
        max_size=4,
    ),
)
def test_lines_of_lists_are_those_of_single_records(
    records: list[dict[str, Value]],
) -> None:
    for fmt in (TEXT, NUMBERS):
        expected = "\n".join([write_record(fmt, record) for record in records])
        assert write_list(fmt, records) == expected
