"""The address that a request comes from, looked for behind proxies that are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["client_address", "is_trusted"]

# Proxies in a row that are looked through; a longer header is somebody's joke.
_MAX_HOPS = 16


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
        found = _parse(_without_port(hop))
        if found is None:
            break
        address = str(found)
        if not is_trusted(address, trusted):
            break
    return address


def _without_port(hop: str) -> str:
    """The address alone: some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


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
