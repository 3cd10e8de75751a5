"""The settings inside a callback address, and the hashes by which a receiver knows our calls.

The query of an address configures its calls (callback reference, section 1): ``charset=<name>``,
and ``md5=<secret>``, ``sha1=<secret>``, ``crc32=<secret>``. These are taken out; the rest of the
address is called as it was written.
"""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from heliograph.protocols.forms.charsets import WINDOWS_1251, find_charset

__all__ = ["CallbackAddress", "hash_text", "read_address"]

_SETTING = re.compile(r"(charset|md5|sha1|crc32)=(.*)", re.DOTALL)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _crc32(data: bytes) -> str:
    return str(zlib.crc32(data))  # unsigned decimal


_DIGESTS: dict[str, Callable[[bytes], str]] = {"md5": _md5, "sha1": _sha1, "crc32": _crc32}

_HASHED: dict[str, tuple[str, ...]] = {
    "status": ("id", "phone", "status"),
    "incoming": ("phone", "mes", "to"),
    "waitcall": ("phone", "ts"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAddress:
    """An address taken apart: where to call, the codec of texts, the hashes with their secrets."""

    url: str
    codec: str
    secrets: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def sign(self, kind: str, payload: Mapping[str, str]) -> list[tuple[str, str]]:
        """The hash members of a call: pairs of (name, digest)."""
        if not self.secrets:
            return []
        # Over the bytes that are sent: a receiver hashes what it got, in the charset it asked for.
        text = hash_text(kind, payload).encode(self.codec, "replace") + b":"
        return [(name, _DIGESTS[name](text + secret)) for name, secret in self.secrets]


@functools.lru_cache(maxsize=4096)
def read_address(address: str) -> CallbackAddress:
    """The settings of a callback address. A charset that is not known counts as windows-1251."""
    address = address.strip().partition("#")[0]
    base, _, query = address.partition("?")
    charset = WINDOWS_1251
    secrets: dict[str, bytes] = {}
    rest = []
    for item in query.split("&") if query else ():
        setting = _SETTING.fullmatch(item)
        if setting is None:
            rest.append(item)
            continue
        name = setting[1]
        value = unquote_to_bytes(setting[2].replace("+", " "))
        if name == "charset":
            charset = find_charset(value.decode("ascii", "replace"), WINDOWS_1251)
        elif value:
            secrets[name] = value
    return CallbackAddress(
        url=f"{base}?{'&'.join(rest)}" if rest else base,
        codec=charset.codec,
        secrets=tuple(secrets.items()),
    )


def hash_text(kind: str, payload: Mapping[str, str]) -> str:
    """What is hashed, without the secret at its end (callback reference, 2.1 to 2.3)."""
    names = _HASHED.get(kind, _HASHED["status"])
    return ":".join([payload.get(name, "") for name in names])
