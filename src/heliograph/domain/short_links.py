"""Short links: which addresses in a text become short ones, and by which codes.

A code is ten letters and digits by chance, almost sixty bits: with ten million links alive somebody
who tries a thousand codes a second finds one in three years. Letters and digits cost one septet
each in any text message, so a text is as long with one code as with another: parts are counted with
a code that stands for those which the recipients will get.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from urllib.parse import quote, urlsplit, urlunsplit

from heliograph.domain.messages import MessageType

__all__ = [
    "CODE_CHARS",
    "MAX_LINKS",
    "WITH_LINKS",
    "find_links",
    "is_code",
    "location_of",
    "make_code",
    "standing_code",
    "target_key",
]

CODE_CHARS = 10
# A text with more links than this is not written for people.
MAX_LINKS = 10
MAX_TARGET_CHARS = 2048
# Kinds of messages whose text somebody reads and may tap on.
WITH_LINKS = frozenset(
    {
        MessageType.SMS,
        MessageType.FLASH,
        MessageType.MMS,
        MessageType.VIBER,
        MessageType.SOCIAL,
        MessageType.WHATSAPP,
        MessageType.TELEGRAM,
    }
)
_ALPHABET = string.digits + string.ascii_letters
_CODE = re.compile(rf"[0-9A-Za-z]{{{CODE_CHARS}}}", re.ASCII)
_LINK = re.compile(r"(?<![\w@])(?:https?://|www\.)[^\s<>\"\\^`{|}\x00-\x1f]+", re.IGNORECASE)
# What ends a sentence behind a link, and not the link.
_TAIL = ".,;:!?'*_~»”’"
_LOCATION_SAFE = "!#$%&'()*+,/:;=?@[]~"


def make_code() -> str:
    """A fresh code."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(CODE_CHARS))


def is_code(text: str) -> bool:
    """True when the text has the form of a code."""
    return _CODE.fullmatch(text) is not None


def standing_code(target: str) -> str:
    """What stands for the codes of a target while parts are counted; the same for the same target,
    so that equal requests stay equal."""
    number = int.from_bytes(hashlib.blake2b(target.encode(errors="replace")).digest()[:8])
    digits = []
    for _ in range(CODE_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def target_key(target: str) -> int:
    """A short key of a target for an index: 63 bits of its hash."""
    digest = hashlib.blake2b(target.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def find_links(text: str) -> list[str]:
    """The different addresses in a text, longest first, without the punctuation behind them.

    `http://`, `https://` and `www.` begin an address. At most ten; longer ones than 2048 characters
    are left alone.
    """
    found: dict[str, None] = {}
    for match in _LINK.finditer(text):
        link = match[0].rstrip(_TAIL)
        while link.endswith(")") and link.count("(") < link.count(")"):
            link = link[:-1].rstrip(_TAIL)
        host = link.partition("//")[2] or link
        if "." in host.strip(".") and len(link) <= MAX_TARGET_CHARS:
            found[link] = None
    return sorted(list(found)[:MAX_LINKS], key=len, reverse=True)


def location_of(target: str) -> str:
    """The target as a redirect names it: complete, in ASCII, with nothing that could end a line."""
    if target[:4].lower() == "www.":
        target = "http://" + target
    try:
        parts = urlsplit(target)
        host = parts.netloc
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        target = urlunsplit(parts._replace(netloc=host))
    except ValueError:  # not an address after all: the browser will say so
        pass
    return quote(target, safe=_LOCATION_SAFE)
