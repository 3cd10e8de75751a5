"""Forms taken apart by hand, against examples and against the standard library."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.forms.charsets import KOI8_R, UTF_8, WINDOWS_1251, Charset
from heliograph.protocols.forms.urlencoded import (
    decode_fields,
    is_true,
    parse_form,
    percent_decode,
    read_flags,
)


def parse(data: bytes, charset: Charset = UTF_8) -> dict[str, str]:
    raw: dict[str, str] = {}
    assert parse_form(data, raw)
    return decode_fields(raw, charset)


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=", {"a": ""}),
        (b"a", {"a": ""}),
        (b"&&a=1&", {"a": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1+2%2B3", {"a": "1 2+3"}),
        (b"a%20b+c=1", {"a b c": "1"}),
        (b"mes=one%0Atwo", {"mes": "one\ntwo"}),
        (b"mes=%41%zz%4", {"mes": "A%zz%4"}),
        (b"mes=100%", {"mes": "100%"}),
        (b"mes=\\x41\\u0041%5C\\n", {"mes": "\\x41\\u0041\\\\n"}),
        (b"mes=%D0%9F%d1%80", {"mes": "Пр"}),
        (b"mes=%D0", {"mes": "\ufffd"}),
        (b"mes=%00@name", {"mes": "@name"}),
        (b"mes=%00%00x%00y", {"mes": "xy"}),
        (b"fl[29]=1&fl%5B30%5D=0&fl[31]", {"fl[29]": "1", "fl[30]": "0", "fl[31]": "1"}),
    ],
)
def test_examples(data: bytes, fields: dict[str, str]) -> None:
    assert parse(data) == fields


@pytest.mark.parametrize("charset", [UTF_8, WINDOWS_1251, KOI8_R])
def test_texts_come_in_the_stated_charset(charset: Charset) -> None:
    text = "Привет, мир! №5 & 100%"
    for encode in (quote, quote_plus):
        data = f"mes={encode(text, encoding=charset.codec, errors='replace')}".encode()
        expected = text.encode(charset.codec, "replace").decode(charset.codec)
        assert parse(data, charset) == {"mes": expected}


def test_unescaped_bytes_are_text_too() -> None:
    assert parse("mes=Привет".encode("cp1251"), WINDOWS_1251) == {"mes": "Привет"}


def test_raw_views_keep_every_byte() -> None:
    raw: dict[str, str] = {}
    body = bytes(range(256))
    assert parse_form(b"mes=" + quote(body).encode(), raw)
    assert raw["mes"].encode("latin-1") == body


def test_fields_above_the_limit_are_left_out_and_told() -> None:
    raw: dict[str, str] = {}
    assert parse_form(b"a=1&b=2", raw, max_fields=2)
    assert not parse_form(b"c=3&d=4&e=5", raw, max_fields=2)
    assert raw == {"a": "1", "b": "2", "c": "3", "d": "4"}


@given(st.dictionaries(st.text(st.characters(max_codepoint=127), min_size=1), st.text()))
def test_reads_what_the_standard_library_writes(fields: dict[str, str]) -> None:
    fields = {name: value.encode("utf-8", "ignore").decode() for name, value in fields.items()}
    expected = {name: value.replace("\0", "") for name, value in fields.items()}
    assert parse(urlencode(fields).encode()) == expected


@given(st.text(alphabet="%09aAfFgG&=+\\xu", max_size=40))
def test_agrees_with_the_standard_library_on_broken_escapes(text: str) -> None:
    text = text.replace("%00", "")
    expected = dict(parse_qsl(text, keep_blank_values=True, encoding="latin-1"))
    assert parse(text.encode(), Charset(wire_name="x", codec="latin-1")) == expected


@given(st.binary(max_size=300))
def test_never_fails_on_garbage(data: bytes) -> None:
    for charset in (UTF_8, WINDOWS_1251, KOI8_R):
        assert all(isinstance(value, str) for value in parse(data, charset).values())


def test_a_long_text_of_escapes_and_a_bomb_of_them() -> None:
    assert percent_decode("%41" * 100_000) == "A" * 100_000
    assert percent_decode("%4" * 100_000) == "%4" * 100_000


def test_truth() -> None:
    assert all(map(is_true, ["1", "2", "true", "yes", "on", "x"]))
    assert not any(map(is_true, ["", "0", "false", "False", "NO", "off"]))


def test_flag_arrays() -> None:
    fields = parse(b"fl[29]=1&fl%5B3%5D=0&fl[7]&fl2[1]=1&fl[x]=1&fl=1")
    assert read_flags(fields, "fl") == {29: True, 3: False, 7: True}
    assert read_flags(fields, "fl2") == {1: True}
