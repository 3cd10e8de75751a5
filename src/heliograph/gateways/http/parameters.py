"""Parameters of a request, wherever they are: query, form body, multipart body, JSON body.

Query and body are merged, and the body wins on a clash (send.php reference, transport rules).
Nothing here refuses: what cannot be read is noted in `is_whole`, so that the reply can still be
written in the form that the rest of the request asks for.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from heliograph.gateways.http.json_members import MAX_ELEMENTS, decode_members
from heliograph.gateways.http.multipart import UploadedFile, boundary_of, parse_multipart
from heliograph.protocols.forms.charsets import (
    DEFAULT_CHARSET,
    UTF_8,
    Charset,
    find_charset,
)
from heliograph.protocols.forms.urlencoded import MAX_FIELDS, decode_fields, parse_form

__all__ = ["Parameters", "read_parameters"]

_FORM_TYPES = (b"", b"application/x-www-form-urlencoded", b"text/plain", b"application/json")
_BOM = b"\xef\xbb\xbf"
# Larger numbers are nobody's id or phone; written out they may be three hundred digits long.
_LARGEST_WRITTEN_OUT = 1e18


class Parameters:
    """The parameters of one request.

    `fields` are texts; `raw` are the same values with a character for each byte (for JSON bodies,
    the texts themselves). `charset` is the reply's. `is_whole` False: the request was broken or had
    too many parameters, and not all of them are here.
    """

    __slots__ = ("charset", "fields", "files", "is_whole", "raw")

    def __init__(
        self,
        raw: dict[str, str],
        fields: dict[str, str],
        *,
        charset: Charset = DEFAULT_CHARSET,
        files: list[UploadedFile] | None = None,
        is_whole: bool = True,
    ) -> None:
        self.raw = raw
        self.fields = fields
        self.charset = charset
        self.files = files or []
        self.is_whole = is_whole


def read_parameters(
    query: bytes, body: bytes = b"", content_type: bytes = b"", *, is_rest: bool = False
) -> Parameters:
    """The parameters of a request to `/sys/` or (`is_rest`) to `/rest/`.

    There, the character set is UTF-8 unless named, and a body that starts with `{` is JSON whatever
    its type says (send.php reference, JSON form).
    """
    raw: dict[str, str] = {}
    is_whole = parse_form(query, raw)
    default = UTF_8 if is_rest else DEFAULT_CHARSET
    if not body:
        charset = find_charset(raw.get("charset", ""), default)
        return Parameters(raw, decode_fields(raw, charset), charset=charset, is_whole=is_whole)
    kind = content_type.partition(b";")[0].strip().lower()
    files: list[UploadedFile] = []
    if (is_rest or kind == b"application/json") and _looks_like_json(body):
        return _read_json(raw, body, default, is_whole=is_whole)
    if kind == b"multipart/form-data":
        is_whole &= parse_multipart(body, boundary_of(content_type), raw, files)
    elif kind in _FORM_TYPES:
        is_whole &= parse_form(body.strip(b"\r\n"), raw)
    else:
        # A file as the body itself, its parameters in the query: some clients upload so.
        files.append(UploadedFile("", kind.decode("latin-1"), body))
    charset = find_charset(raw.get("charset", ""), default)
    return Parameters(
        raw, decode_fields(raw, charset), charset=charset, files=files, is_whole=is_whole
    )


def _looks_like_json(body: bytes) -> bool:
    return body[:64].removeprefix(_BOM).lstrip()[:1] == b"{"


def _read_json(raw: dict[str, str], body: bytes, default: Charset, *, is_whole: bool) -> Parameters:
    known = decode_fields(raw, UTF_8).copy()
    try:
        members = decode_members(body.removeprefix(_BOM))
        if len(members) > MAX_FIELDS:
            raise ValueError("too many members")
        for name, value in members.items():
            text = _text_of(name, value)
            if text is not None:
                known[name] = text
    # A body nested deeper than the decoder's stack ends in a RecursionError.
    except (ValueError, RecursionError):
        is_whole = False
    fields = known
    if any("\0" in value for value in known.values()):  # see decode_fields
        fields = {name: value.replace("\0", "") for name, value in known.items()}
    charset = find_charset(fields.get("charset", ""), default)
    return Parameters(known, fields, charset=charset, is_whole=is_whole)


def _whole_characters(text: str) -> str:
    """The text with U+FFFD in the place of surrogates that have no other half."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _text_of(name: str, value: Any) -> str | None:
    """A JSON value as the text a form would have held; None when it is null.

    Arrays are joined as the form writes several values: lists of texts by lines, others by commas.
    Raises ValueError for what no form can say.
    """
    match value:
        case None:
            return None
        case str():
            return _whole_characters(value)
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float() if not isfinite(value):
            raise ValueError(f"no number in {name}")
        case float():
            is_short = value.is_integer() and abs(value) < _LARGEST_WRITTEN_OUT
            return str(int(value)) if is_short else str(value)
        case list():
            if len(value) > MAX_ELEMENTS:
                raise ValueError(f"too many values in {name}")
            texts = [_text_of(name, each) for each in value if not isinstance(each, list)]
            if len(texts) < len(value):
                raise ValueError(f"nested arrays in {name}")
            return ("\n" if name == "list" else ",").join([text for text in texts if text])
        case _:
            raise ValueError(f"an object in {name}")
