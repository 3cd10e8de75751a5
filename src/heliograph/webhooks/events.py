"""From an event to the bytes of its call: an urlencoded form in the receiver's charset."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

from heliograph.domain.events import OutboxEvent
from heliograph.webhooks.signing import CallbackAddress

__all__ = ["write_body", "write_headers"]

# Most values are digits, and times differ from that by points, one space and two colons.
_PLAIN = re.compile(r"[A-Za-z0-9_.-]*")
_TIME = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def write_body(event: OutboxEvent, address: CallbackAddress) -> bytes:
    """The form, with the hashes that the address asks for. What the charset lacks becomes ``?``."""
    payload = event.payload
    pairs = [
        f"{name}={value if value.isalnum() and value.isascii() else _quote(value, address.codec)}"
        for name, value in payload.items()
    ]
    if address.secrets:
        pairs += [f"{name}={digest}" for name, digest in address.sign(event.kind, payload)]
    return "&".join(pairs).encode("ascii")


def write_headers(event: OutboxEvent) -> dict[str, str]:
    """What lets a receiver tell a repeated call from a new one."""
    return {"X-Event-Id": str(event.id), "X-Event-Attempt": str(event.attempts + 1)}


def _quote(value: str, codec: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if _TIME.fullmatch(value):
        return value.replace(" ", "+").replace(":", "%3A")
    return quote_plus(value, encoding=codec, errors="replace")
