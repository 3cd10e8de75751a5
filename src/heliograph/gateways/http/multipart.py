"""`multipart/form-data` bodies: text parts become fields, the others files.

The whole body is in memory already (it has a limit), so the parser is fed once.
"""

from __future__ import annotations

import logging
import re
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from heliograph.protocols.forms.urlencoded import MAX_FIELDS, percent_decode

__all__ = ["MAX_PARTS", "UploadedFile", "boundary_of", "parse_multipart"]

MAX_PARTS = MAX_FIELDS
_MAX_NAME_CHARS = 255
# The parser would log a line about every broken body, and anybody may send those.
_SILENCE = logging.Logger("silence", logging.CRITICAL + 1)

# What is left of a text after percent-encoding, with at least one escape in it.
_PERCENT_ENCODED = re.compile(rb"(?=[^%]*%)(?:[A-Za-z0-9\-._~!*'()+]|%[0-9A-Fa-f]{2})*")


class UploadedFile(NamedTuple):
    """A file of a request. `name` is the client's and is never a path on this machine."""

    name: str
    content_type: str
    content: bytes


class _TooManyParts(Exception):
    pass


class _Collector:
    """Callbacks of the parser: gathers the headers and the body of one part after the other."""

    def __init__(self, raw: dict[str, str], files: list[UploadedFile]) -> None:
        self._raw = raw
        self._files = files
        self._part_count = 0
        self._headers: dict[bytes, bytes] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._body = bytearray()
        self.is_complete = False

    def on_part_begin(self) -> None:
        self._part_count += 1
        if self._part_count > MAX_PARTS:
            raise _TooManyParts
        self._headers = {}
        self._body = bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._body += data[start:end]

    def on_end(self) -> None:
        self.is_complete = True

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        content = bytes(self._body)
        if b"filename" in options:
            # A form sends an empty part for a file field that nobody filled in.
            if options[b"filename"] or content:
                self._files.append(
                    UploadedFile(
                        _file_name(options[b"filename"]),
                        _text(self._headers.get(b"content-type", b"")),
                        content,
                    )
                )
        elif b"name" in options:
            if b"content-transfer-encoding" in self._headers and _PERCENT_ENCODED.fullmatch(
                content
            ):
                # The official C# library encodes texts twice: as parts, and by percents in them.
                text = percent_decode(content.decode("ascii").replace("+", " "))
            else:
                text = content.decode("latin-1")
            self._raw[options[b"name"].decode("latin-1")] = text


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\0", "")[:_MAX_NAME_CHARS]


def _file_name(data: bytes) -> str:
    return re.split(r"[/\\]", _text(data))[-1]


def boundary_of(content_type: bytes) -> bytes:
    """The boundary of a `multipart/form-data` content type; b'' when it names none."""
    _, options = parse_options_header(content_type)
    return options.get(b"boundary", b"")


def parse_multipart(
    body: bytes, boundary: bytes, raw: dict[str, str], files: list[UploadedFile]
) -> bool:
    """Add the parts of `body` to `raw` (as raw views, see `urlencoded`) and `files`.

    False when the body is broken, cut short or has too many parts; then the parts before the fault
    have been taken.
    """
    if not boundary:
        return False
    collector = _Collector(raw, files)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.on_part_begin,
                "on_part_data": collector.on_part_data,
                "on_part_end": collector.on_part_end,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_end": collector.on_end,
            },
        )
        parser.logger = _SILENCE
        parser.write(body)
        parser.finalize()
    except (FormParserError, _TooManyParts):
        return False
    return collector.is_complete
