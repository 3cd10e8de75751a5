"""Request bodies, read whole within a limit, and the address that a request comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

__all__ = [
    "BodyTooLarge",
    "ClientGone",
    "Receive",
    "Scope",
    "Send",
    "client_address",
    "is_trusted",
    "read_body",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Proxies in a row that are looked through; a longer header is somebody's joke.
_MAX_HOPS = 16


class BodyTooLarge(Exception):
    """The body is above the limit; the rest of it was not read."""


class ClientGone(Exception):
    """The connection ended before the body did."""


async def read_body(receive: Receive, declared: bytes, max_bytes: int) -> bytes:
    """The whole body. `declared` is the Content-Length header, b'' for a chunked body.

    Raises BodyTooLarge and ClientGone.
    """
    # The parser has checked that it is a number.
    if declared and int(declared) > max_bytes:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def client_address(
    peer: str, forwarded: Sequence[bytes], trusted: Sequence[IPv4Network | IPv6Network]
) -> str:
    """Address of the client: the peer's, or what trusted proxies say about it.

    `forwarded` are the values of `X-Forwarded-For`. Only the part that trusted proxies wrote
    counts: the nearest address that is not one of theirs.
    """
    if not trusted or not forwarded or not is_trusted(peer, trusted):
        return peer
    hops = [hop.strip() for hop in b",".join(forwarded).decode("latin-1").split(",")]
    address = peer
    for hop in reversed(hops[-_MAX_HOPS:]):
        found = _parse(hop)
        if found is None:
            break
        address = str(found)
        if not is_trusted(address, trusted):
            break
    return address


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_trusted(address: str, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the address is one of a proxy of ours."""
    found = _parse(address)
    if found is None:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in trusted)
