"""The four forms of a reply: text (`fmt=0`), numbers (1), XML (2) and JSON (3).

A reply is built from few blocks, the same for every script: one record of fields, a list of
records, "done", and an error. Each block knows all four forms, so an endpoint names its fields
once. The layout is that of recorded traffic (send.php reference, JSON layout): one member or
element a line, no indentation, no newline at the end; some clients cut such replies by lines.

Values are `int` (a bare number in JSON) or `str` (a string in JSON). Money, codes and phone numbers
are strings; identifiers go through `identifier`, which tells the two kinds apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum, unique
from json.encoder import JSONEncoder, encode_basestring
from typing import Any, TypeAlias

from heliograph.protocols.forms.charsets import Charset

__all__ = [
    "Format",
    "Record",
    "Value",
    "encode_reply",
    "find_format",
    "identifier",
    "write_created",
    "write_done",
    "write_error",
    "write_json",
    "write_list",
    "write_numbers",
    "write_record",
    "write_text",
    "write_xml",
    "xml_text",
]

Value: TypeAlias = "int | str | Sequence[Value] | Mapping[str, Value]"
Record: TypeAlias = Mapping[str, Value]

# JSON readers keep whole numbers exactly up to 2^53; longer identifiers would come back changed.
_LONGEST_NUMBER = 15
_SPECIAL_IN_XML = re.compile('[&<>"\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = frozenset((str, int))  # and no subclass of them
_encode = JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",\n", ": ")).encode
_LINE_BREAK = re.compile(r"\r\n|[\r\n]")


@unique
class Format(IntEnum):
    """The `fmt` parameter."""

    TEXT = 0
    NUMBERS = 1
    XML = 2
    JSON = 3


_FORMATS = {"0": Format.TEXT, "1": Format.NUMBERS, "2": Format.XML, "3": Format.JSON}


def find_format(fmt: str, default: Format = Format.TEXT) -> Format:
    """The form that `fmt` asks for; `default` when empty, text when it is none of the four."""
    found = _FORMATS.get(fmt)
    if found is not None:
        return found
    return Format.TEXT if fmt else default


def identifier(client_ref: str) -> int | str:
    """A message id as a JSON value: a number when it is one, else a string.

    Digits with a leading zero, or too many of them for a JSON reader, are a string.
    """
    if (
        len(client_ref) <= _LONGEST_NUMBER
        and client_ref.isdecimal()
        and client_ref.isascii()
        and (client_ref[0] != "0" or client_ref == "0")
    ):
        return int(client_ref)
    return client_ref


def write_json(value: Value) -> str:
    """`value` in the recorded layout: a member a line, objects of an array a line apart.

    Arrays of plain values stay on one line, and so does an empty array.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Mapping):
        if not value:
            return "{\n}"
        members = [f"{encode_basestring(name)}: {write_json(each)}" for name, each in value.items()]
        return "{\n" + ",\n".join(members) + "\n}"
    if value and isinstance(value[0], Mapping):
        if all(map(_is_flat, value)):
            return _write_flat(value)
        return "[\n" + ",\n".join([write_json(each) for each in value]) + "\n]"
    return "[" + ",".join([write_json(each) for each in value]) + "]"


def _is_flat(record: Any) -> bool:
    return type(record) is dict and bool(record) and _PLAIN.issuperset(map(type, record.values()))


def _write_flat(records: Sequence[Value]) -> str:
    """Records of texts and numbers by the standard library, which is three times as fast: a page
    has a thousand of them. A line break is never inside of a text there."""
    text = _encode(records)[2:-2].replace("},\n{", "\n},\n{\n")
    return f"[\n{{\n{text}\n}}\n]"


def xml_text(text: str) -> str:
    """`text` safe inside an element or a quoted attribute; what XML 1.0 cannot hold becomes `?`."""
    if not _SPECIAL_IN_XML.search(text):  # nearly always, and lists have thousands of texts
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _NOT_XML.sub("?", text.replace('"', "&quot;"))


def write_xml(name: str, value: Value, *, item: str = "item") -> str:
    """Element `name`: a value inline, a record or a list with one child a line.

    The children of a list are called `item`.
    """
    if isinstance(value, str):
        return f"<{name}>{xml_text(value)}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{int(value)}</{name}>"
    if isinstance(value, Mapping):
        children = [write_xml(child, each, item=item) for child, each in value.items()]
    else:
        children = [write_xml(item, each) for each in value]
    return "\n".join([f"<{name}>", *children, f"</{name}>"])


def _flat(value: Value) -> str:
    """A value inside a line of text or numbers: line breaks become spaces, commas stay."""
    if isinstance(value, str):
        # A quick look first: lists have thousands of values, and hardly ever a line break.
        return value if value.isprintable() else _LINE_BREAK.sub(" ", value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Mapping):
        return " ".join([_flat(each) for each in value.values()])
    return " ".join([_flat(each) for each in value])


def write_text(record: Record) -> str:
    """The record as `name = value, name = value`."""
    return ", ".join([f"{name} = {_flat(value)}" for name, value in record.items()])


def write_numbers(values: Sequence[Value]) -> str:
    """The values joined by commas."""
    return ",".join([_flat(value) for value in values])


def write_record(fmt: Format, record: Record, *, root: str = "result") -> str:
    """One record in any form; `root` is its element in XML."""
    if fmt == Format.JSON:
        return write_json(record)
    if fmt == Format.XML:
        return write_xml(root, record)
    if fmt == Format.NUMBERS:
        return write_numbers(list(record.values()))
    return write_text(record)


def write_list(
    fmt: Format, records: Sequence[Record], *, item: str = "item", root: str = "list"
) -> str:
    """Records in any form: an array, `item` elements under `root`, or one record a line."""
    if fmt == Format.JSON:
        return write_json(records)
    if fmt == Format.XML:
        return write_xml(root, records, item=item)
    return "\n".join(_write_lines(fmt, records))


def _write_lines(fmt: Format, records: Sequence[Record]) -> list[str]:
    """A line a record. Those of texts and numbers are filled into one pattern, which takes half as
    long: a list has thousands of them."""
    lines = []
    known: tuple[str, ...] | None = None
    pattern = ""
    for record in records:
        names, values = (*record,), (*record.values(),)
        if names != known:
            known, pattern = names, _pattern_of(fmt, names)
        line = pattern % values
        # A line break in it is not printable; other values than texts and numbers have own forms.
        if not line.isprintable() or not _PLAIN.issuperset(map(type, values)):
            line = write_record(fmt, record)
        lines.append(line)
    return lines


def _pattern_of(fmt: Format, names: Sequence[str]) -> str:
    if fmt == Format.NUMBERS:
        return ",".join(["%s"] * len(names))
    return ", ".join([name.replace("%", "%%") + " = %s" for name in names])


def write_done(fmt: Format) -> str:
    """The reply to an operation that was done and has nothing to tell."""
    if fmt == Format.JSON:
        return '{\n"result": "OK"\n}'
    if fmt == Format.XML:
        return "<result>OK</result>"
    return "OK"


def write_created(fmt: Format, client_ref: str, *, label: str = "ID") -> str:
    """The reply to an operation that created something with this id."""
    if fmt == Format.TEXT:
        return f"{label} = {client_ref}"
    if fmt == Format.NUMBERS:
        return client_ref
    return write_record(fmt, {"id": identifier(client_ref)})


def write_error(fmt: Format, number: int, text: str, client_ref: str = "") -> str:
    """An error; `client_ref` is the id of the refused message, '' when the reply carries none."""
    if fmt == Format.NUMBERS:
        return f"{client_ref or 0},-{number}"
    if fmt == Format.TEXT:
        end = f", ID - {client_ref}" if client_ref else ""
        return f"ERROR = {number} ({text}){end}"
    record: dict[str, Value] = {"error": text, "error_code": number}
    if client_ref:
        record["id"] = identifier(client_ref)
    return write_record(fmt, record)


def _escape_json(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def encode_reply(text: str, fmt: Format, charset: Charset) -> bytes:
    r"""Bytes of a finished reply, raw in `charset`.

    A character that the set lacks is `\uXXXX` in JSON, a character reference in XML, and `?` in
    text and numbers. Half of a surrogate pair, which no set can hold, is `?` everywhere else than
    in JSON.
    """
    try:
        return text.encode(charset.codec)
    except UnicodeEncodeError:
        pass
    if fmt == Format.JSON:
        pieces: list[bytes] = []
        for char in text:
            try:
                pieces.append(char.encode(charset.codec))
            except UnicodeEncodeError:
                pieces.append(_escape_json(char).encode("ascii"))
        return b"".join(pieces)
    handler = "xmlcharrefreplace" if fmt == Format.XML else "replace"
    return _SURROGATE.sub("?", text).encode(charset.codec, handler)
