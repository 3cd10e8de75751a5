"""The three character sets of the HTTP API: their spellings, decoding requests, encoding replies.

A client names the set of its bytes in `charset`, and the reply is written in the same one (send.php
reference, transport rules). Nothing here ever fails on odd bytes: what does not decode is replaced,
and what the reply's set lacks is written as its format allows (see `replies`).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_CHARSET", "KOI8_R", "UTF_8", "WINDOWS_1251", "Charset", "find_charset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charset:
    """One character set: the name that goes on the wire, and the codec that does the work."""

    wire_name: str
    codec: str

    def decode(self, data: bytes) -> str:
        """Text of the bytes; what does not decode becomes U+FFFD."""
        return data.decode(self.codec, "replace")


WINDOWS_1251 = Charset(wire_name="windows-1251", codec="cp1251")
UTF_8 = Charset(wire_name="utf-8", codec="utf-8")
KOI8_R = Charset(wire_name="koi8-r", codec="koi8-r")
DEFAULT_CHARSET = WINDOWS_1251

# Clients write the names in many ways, so letters' case and separators do not count.
_SPELLINGS = {
    "windows1251": WINDOWS_1251,
    "win1251": WINDOWS_1251,
    "cp1251": WINDOWS_1251,
    "1251": WINDOWS_1251,
    "utf8": UTF_8,
    "koi8r": KOI8_R,
    "koi8": KOI8_R,
}
# The spellings that nearly every request has, ready for the hot path.
_EXACT = {"utf-8": UTF_8, "windows-1251": WINDOWS_1251, "koi8-r": KOI8_R, "utf8": UTF_8}
_SEPARATORS = str.maketrans("", "", "-_ ")


def find_charset(name: str, default: Charset = DEFAULT_CHARSET) -> Charset:
    """The set that `name` means in any spelling; `default` when it is empty or unknown."""
    found = _EXACT.get(name)
    if found is not None:
        return found
    return _SPELLINGS.get(name.lower().translate(_SEPARATORS), default)
