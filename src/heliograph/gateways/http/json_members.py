"""Members of a JSON body, read so that other requests go on meanwhile.

Anybody may send ten megabytes of JSON, and a decoder that is one call in C lets nobody else work
until it has made millions of small things of them. Not among the compiled modules: a compiled
function would keep the interpreter's lock, too.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

import msgspec

__all__ = ["MAX_ELEMENTS", "decode_members"]

# Of one array, and of everything together that is not text: more than any request has recipients.
MAX_ELEMENTS = 200_000
# Members, arrays in arrays and objects, roughly: also those that only stand in somebody's text.
_STRUCTURE = re.compile(rb'[\[,:]\s*+[\[{]|"\s*+:')


def decode_members(body: bytes) -> dict[str, Any]:
    """The members of a JSON object. Raises ValueError, RecursionError.

    Texts that are not quite Unicode are read with replacements, as those of forms are: programs cut
    texts between the halves of an emoji, and send octets of another character set.
    """
    marks = _STRUCTURE.finditer(body)
    if next(islice(marks, MAX_ELEMENTS, None), None) is not None:
        raise ValueError("too many members")
    try:
        members: dict[str, Any] = _decoder.decode(body)
    except ValueError:
        members = json.loads(body.decode("utf-8", "replace"), parse_float=_read_float)
    return members


def _read_float(text: str) -> float:
    # Not the decoder's own: for some it takes ten microseconds.
    return float(text)


_decoder = msgspec.json.Decoder(float_hook=_read_float)
