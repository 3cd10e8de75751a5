"""The `application/x-www-form-urlencoded` form: bytes of a query or a body into names and values.

Parsing has two steps, because the character set of a form is one of its own fields. `parse_form`
gives *raw views*: every character of a value stands for one byte (Latin-1), so nothing is lost and
binary messages can be read as they came. `decode_fields` turns raw views into text.

This is several times cheaper than the standard library's `parse_qsl`: the form is taken apart as
one string, and only values with an escape are looked at twice. It never fails; a broken escape
stays as it was written, as PHP does.
"""

from __future__ import annotations

import re

from heliograph.protocols.forms.charsets import Charset

__all__ = [
    "MAX_FIELDS",
    "decode_fields",
    "is_true",
    "parse_form",
    "percent_decode",
    "read_flags",
]

# As many as PHP takes, which the clients of this API were written against.
MAX_FIELDS = 1000

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
# A flag of an array may come with neither "=" nor a value (general rules, command style).
_FLAG_NAME = re.compile(r"[a-z][a-z0-9]*\[\d{1,4}\]", re.ASCII)
_FALSE = frozenset({"", "0", "false", "no", "off"})


def percent_decode(text: str) -> str:
    """Raw view with its `%XX` escapes resolved; `+` is left alone, broken escapes stay."""
    try:
        # The C decoder of `\xHH` does the whole value in one call; long Cyrillic texts are nothing
        # but escapes, and a loop over them would cost more than the rest of the request.
        escaped = text.replace("\\", "\\\\").replace("%", "\\x")
        return escaped.encode("latin-1").decode("unicode_escape")
    except UnicodeDecodeError:
        return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def parse_form(data: bytes, into: dict[str, str], *, max_fields: int = MAX_FIELDS) -> bool:
    """Add the fields of `data` to `into` as raw views; later ones replace earlier ones.

    False when there are more than `max_fields`; then the first ones have been taken.
    """
    if not data:
        return True
    text = data.decode("latin-1")
    if "+" in text:
        text = text.replace("+", " ")
    pairs = text.split("&", max_fields)
    is_whole = len(pairs) <= max_fields
    if not is_whole:
        pairs.pop()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if "%" in pair:
            name = percent_decode(name) if "%" in name else name
            value = percent_decode(value)
        if equals:
            into[name] = value
        elif name:
            into[name] = "1" if _FLAG_NAME.fullmatch(name) else ""
    return is_whole


def decode_fields(raw: dict[str, str], charset: Charset) -> dict[str, str]:
    """Texts of the raw views in `charset`; `raw` itself when there is nothing to do. Names stay as
    they are: no parameter of the API has a letter outside of ASCII in its name.

    Zero bytes are dropped: no parameter means one, PostgreSQL can not hold them, and old PHP
    clients with curl put one before a value that begins with `@`.
    """
    everything = "".join(raw.values())
    if everything.isascii() and "\0" not in everything:
        return raw
    fields = raw.copy()
    for name, value in raw.items():
        text = value if value.isascii() else charset.decode(value.encode("latin-1"))
        fields[name] = text.replace("\0", "")
    return fields


def is_true(value: str) -> bool:
    """True for any value but an empty one, `0`, `false`, `no` and `off`."""
    return value == "1" or value.lower() not in _FALSE


def read_flags(fields: dict[str, str], array: str) -> dict[int, bool]:
    """The flag array `array` (`fl[29]=1`): positions that were given, and whether they are on."""
    start = array + "["
    return {
        int(name[len(start) : -1]): is_true(value)
        for name, value in fields.items()
        if name.startswith(start) and _FLAG_NAME.fullmatch(name)
    }
