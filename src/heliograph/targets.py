"""Where outgoing HTTP may go: URLs taken apart, and the guard of IP addresses.

Clients of the platform choose the URLs that it calls. A URL is taken apart strictly; the guard
judges the addresses that its host resolves to, at every connect (`httpclient` does both).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

__all__ = [
    "AddressGuard",
    "AddressRefused",
    "HttpError",
    "Target",
    "check_url",
    "is_ip",
    "take_apart",
]

_MAX_URL_CHARS = 4096

# Loopback, private, shared (RFC 6598) and unique local networks: what `allow_private` opens.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
# Refused on top of these. `is_global` of the standard library is no substitute: its answers differ
# between Python versions, and some of these are global to it.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, on a public address
        "169.254.0.0/16",  # link-local, with the clouds' metadata services
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Of IPv6 only what is assigned for global unicast passes. That shuts out ::/96, mapped addresses,
# NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), link-local, site-local and multicast at once; within it:
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
    )
)

_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_.])?", re.IGNORECASE)
_SAFE_IN_TARGET = "%/:=&?~+!$,;'@()*[]-._|{}^"


class HttpError(Exception):
    """The exchange failed. The text is short and fit for a log; it holds no part of the URL."""


class AddressRefused(HttpError):
    """The address is one that outgoing HTTP may not reach."""


class AddressGuard:
    """Which addresses may be called."""

    def __init__(
        self, *, allow_private: bool = False, allowed_networks: Iterable[str] = ()
    ) -> None:
        """`allow_private` opens loopback and private networks, `allowed_networks` (CIDR) anything
        they name. Raises ValueError for what is no network."""
        self._allowed = tuple(ipaddress.ip_network(text) for text in allowed_networks)
        self._allow_private = allow_private

    def admits(self, address: str) -> bool:
        """Whether a connection may go to this IP address."""
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if any(ip in network for network in self._allowed):
            return True
        if any(ip in network for network in _PRIVATE):
            return self._allow_private
        if isinstance(ip, ipaddress.IPv4Address):
            return not any(ip in network for network in _SPECIAL_V4)
        return ip in _GLOBAL_V6 and not any(ip in network for network in _SPECIAL_V6)


class Target(NamedTuple):
    """A URL taken apart. `head` are the header lines that every request to it has."""

    is_tls: bool
    host: str
    port: int
    path: bytes
    head: bytes
    origin: tuple[bool, str, int]


def check_url(url: str) -> None:
    """Raises HttpError when the URL could never be called (its address is checked at the call)."""
    take_apart(url)


@functools.lru_cache(maxsize=4096)
def take_apart(url: str) -> Target:
    # urlsplit drops line breaks and tabs without a word: look before it does.
    if len(url) > _MAX_URL_CHARS or any(c <= " " or c == "\x7f" for c in url):
        raise HttpError("the URL is too long, or holds spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError:
        raise HttpError("the URL is not valid") from None
    if parts.scheme not in ("http", "https"):
        raise HttpError("only http and https URLs can be called")
    is_v6 = ":" in host
    if (is_v6 and not is_ip(host)) or (not is_v6 and not _HOST.fullmatch(host)) or port == 0:
        raise HttpError("the host or the port of the URL is not valid")
    is_tls = parts.scheme == "https"
    default = 443 if is_tls else 80
    shown = f"[{host}]" if is_v6 else host
    if port is not None and port != default:
        shown += f":{port}"
    path = quote(parts.path or "/", safe=_SAFE_IN_TARGET)
    if parts.query:
        path += "?" + quote(parts.query, safe=_SAFE_IN_TARGET)
    head = f"Host: {shown}\r\nUser-Agent: Heliograph\r\nAccept: */*\r\n"
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        head += f"Authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
    port = port or default
    return Target(
        is_tls, host, port, path.encode("ascii"), head.encode("ascii"), (is_tls, host, port)
    )


def is_ip(host: str) -> bool:
    try:
        # A zone index would let a link-local address through the comparison with networks.
        return "%" not in host and bool(ipaddress.ip_address(host))
    except ValueError:
        return False
