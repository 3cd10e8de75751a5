"""A mail as it came over the wire, taken apart: its body as text, and the files that came with it.

Old libraries send little more than a body: no `From`, no `Date`, raw 8-bit text, sometimes no
header at all (smtp reference, section 1). So nothing is required here, and what is broken is read
as far as it goes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

__all__ = ["DEFAULT_CHARSET", "Mail", "MailError", "MailFile", "decode_text", "parse_mail"]

# Of a body whose charset nobody named (smtp reference, section 2).
DEFAULT_CHARSET = "koi8-r"

# The parser nests as deep as the mail does and tries every open boundary on every line.
_MAX_NESTED = 20
_MAX_FILES = 20
_MAX_NAME_CHARS = 255
_MAX_SUBJECT_CHARS = 1000
_MAX_HEADER_CHARS = 4000

_NESTING = re.compile(rb"boundary\s*=|content-type:\s*message/", re.IGNORECASE)
# A name before a colon is a header's, unless the line is an order: those have six colons.
_HEADER = re.compile(rb"[!-9;-~]{1,76}[ \t]*:")
_KNOWN_HEADER = re.compile(
    rb"(?:received|return-path|delivered-to|from|to|cc|bcc|sender|reply-to|subject|date|message-id"
    rb"|in-reply-to|references|mime-version|user-agent|importance|priority|content-[a-z-]+"
    rb"|dkim-signature|authentication-results|arc-[a-z-]+|list-[a-z-]+|x-[a-z0-9-]+)[ \t]*:",
    re.IGNORECASE,
)
_ORDER_COLONS = 6
# What relays add below a body that they take for headers.
_ADDED = re.compile(rb"(?:message-id|date|from|to):", re.IGNORECASE)
# The address of a From header; the standard parser follows comments as deep as they are nested.
_ADDRESS = re.compile(r"<([^<>\s@]+@[^<>\s@]+)>")
_BARE_ADDRESS = re.compile(r"[^<>\s,;:@\"()]++@[^<>\s,;:@\"()]++")
_LINE_END = re.compile(rb"\r\n|\r|\n")

# Python knows these as codecs of text; none is a charset, and some are slow on purpose-made input.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)


class MailError(ValueError):
    """The mail is built in a way that no mail program builds one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFile:
    """An attachment. `name` is the sender's and is never a path on this machine."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail. `text` is the body (still with its tags when `is_html`), `raw` the same with a
    character for each byte. `sender` is the address of the `From` header, '' without one."""

    text: str
    raw: str
    is_html: bool = False
    subject: str = ""
    sender: str = ""
    files: tuple[MailFile, ...] = ()


def parse_mail(data: bytes) -> Mail:
    """The mail in these bytes. Lines may end in any way. Raises MailError."""
    if sum(1 for _ in _NESTING.finditer(data)) > _MAX_NESTED:
        raise MailError("too many parts")
    head, body = _split_head(data)
    message = message_from_bytes(head + b"\r\n" + body)
    chosen: Message | None = None
    files: list[MailFile] = []
    for part in _leaves(message):
        is_file = part.get_content_disposition() == "attachment" or part.get_filename() is not None
        kind = part.get_content_type()
        is_better = chosen is None or (
            kind == "text/plain" and chosen.get_content_type() == "text/html"
        )
        if not is_file and part.get_content_maintype() == "text":
            if is_better:
                chosen = part
        elif not is_file and part is message:
            chosen = part  # the whole mail is one part of some odd type: its body is the text
        elif len(files) < _MAX_FILES:
            files.append(_make_file(part))
    content = b"" if chosen is None else _content_of(chosen)
    text = "" if chosen is None else _text_of(chosen, content)
    return Mail(
        text=text,
        raw=content.decode("latin-1"),
        is_html=chosen is not None and chosen.get_content_type() == "text/html",
        subject=_read_header(message, "subject")[:_MAX_SUBJECT_CHARS],
        sender=_find_address(_read_header(message, "from")),
        files=tuple(files),
    )


def decode_text(data: bytes, charset: str = "") -> str:
    """The text of the bytes; what does not decode becomes U+FFFD.

    Without a charset, or with an unknown one, it is UTF-8 if it can be, else KOI8-R: no Russian
    text in KOI8-R looks like UTF-8.
    """
    name = _find_codec(charset)
    if name == "ascii" and not data.isascii():
        name = ""
    if not name:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode(DEFAULT_CHARSET)
    else:
        try:
            text = data.decode(name, "replace")
        except (UnicodeError, ValueError):  # codecs that do not know how to replace
            text = data.decode(DEFAULT_CHARSET)
    return text.removeprefix("\ufeff").replace("\0", "")


def _find_codec(charset: str) -> str:
    """The codec's name; '' for none, for an unknown one, and for what is no charset."""
    try:
        found = codecs.lookup(charset.strip().strip("'\""))
    except (LookupError, ValueError, UnicodeError):
        return ""
    # The flag tells text encodings from transforms such as zip.
    is_text = getattr(found, "_is_text_encoding", True)
    return found.name if is_text and found.name.replace("-", "_") not in _NO_CHARSETS else ""


def _split_head(data: bytes) -> tuple[bytes, bytes]:
    """Headers and body. A body that begins without an empty line before it is found as well, also
    below the headers that relays put on top of it."""
    at = 0
    while at < len(data):
        found = _LINE_END.search(data, at)
        end, after = (found.start(), found.end()) if found else (len(data), len(data))
        line = data[at:end]
        if not line:
            return data[:at], data[after:]
        is_continued = line[:1] in (b" ", b"\t") and at > 0
        if not is_continued and not _KNOWN_HEADER.match(line):
            is_header = _HEADER.match(line) and line.count(b":") < _ORDER_COLONS
            if not is_header or line.lstrip().lower().startswith(b"[text]"):
                # With a relay's headers above it, the same relay's headers may be below it too.
                return data[:at], _drop_added(data[at:]) if at else data
        at = after
    return data[:at], data[at:]


def _drop_added(body: bytes) -> bytes:
    """The body without the headers at the end of its first paragraph."""
    paragraph, empty, rest = body.partition(b"\r\n\r\n")
    lines = paragraph.rstrip(b"\r\n").split(b"\r\n")
    while len(lines) > 1 and _ADDED.match(lines[-1]):
        lines.pop()
    return b"\r\n".join(lines) + empty + rest


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold something, in order; forwarded mails are not looked into."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        payload = part.get_payload()
        if not isinstance(payload, list):
            yield part
        elif part.get_content_maintype() == "multipart":
            waiting += [each for each in reversed(payload) if isinstance(each, Message)]


def _content_of(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text_of(part: Message, content: bytes) -> str:
    charset = part.get_content_charset("")
    text = decode_text(content, charset).replace("\r\n", "\n").replace("\r", "\n")
    if str(part.get_param("format", "")).lower() == "flowed":
        return _join_flowed(text, is_spaceless=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _join_flowed(text: str, *, is_spaceless: bool) -> str:
    """Paragraphs of a text in `format=flowed` (RFC 3676, 4): a space before the end goes on."""
    lines: list[str] = []
    is_open = False
    for line in text.split("\n"):
        unstuffed = line.removeprefix(" ")
        if is_open:
            lines[-1] += unstuffed
        else:
            lines.append(unstuffed)
        is_open = unstuffed.endswith(" ") and unstuffed != "-- "
        if is_open and is_spaceless:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _make_file(part: Message) -> MailFile:
    name = part.get_filename() or ""
    return MailFile(
        name=re.split(r"[/\\]", _decode_words(name))[-1].replace("\0", "")[:_MAX_NAME_CHARS],
        content_type=part.get_content_type()[:_MAX_NAME_CHARS],
        content=_content_of(part),
    )


def _read_header(message: Message, name: str) -> str:
    for key, value in message.raw_items():
        if key.lower() == name:
            data = str(value)[:_MAX_HEADER_CHARS].encode("utf-8", "surrogateescape")
            return " ".join(_decode_words(decode_text(data)).split())
    return ""


def _find_address(text: str) -> str:
    found = _ADDRESS.search(text)
    address = found[1] if found else ""
    if not address and (bare := _BARE_ADDRESS.search(text)):
        address = bare[0]
    return address[:_MAX_NAME_CHARS]


def _decode_words(text: str) -> str:
    """Text with its encoded words (RFC 2047) decoded."""
    if "=?" not in text:
        return text
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(
        [
            piece if isinstance(piece, str) else decode_text(piece, charset or "utf-8")
            for piece, charset in pieces
        ]
    )
