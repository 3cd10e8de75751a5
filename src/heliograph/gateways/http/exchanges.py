"""One request as the connection read it, and how an application answers it.

The application is asked by `begin` in the turn in which the request was read. It answers by
calling `respond` once: at once, later from wherever the outcome becomes known, or from the work
that `begin` returned and the connection then runs as a task. A plain send is answered from the
commit of its message and needs no task at all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

__all__ = ["PLAIN", "Application", "Request", "Respond", "Work", "header_block"]

# (status, header lines as `header_block` makes them, body)
Respond = Callable[[int, bytes, bytes], None]
Work = Coroutine[Any, Any, None]


class Request:
    """A request that has been read whole. Names of headers are in small letters.

    `path` is a text with a character for each byte; `peer` the other end's address, '' for a
    socket without one. `held_bytes`: what the listener counts of its body.
    """

    __slots__ = (
        "body",
        "headers",
        "held_bytes",
        "is_tls",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        *,
        peer: str,
        is_tls: bool,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.is_tls = is_tls
        self.keep_alive = keep_alive
        self.body = b""
        self.held_bytes = 0


class Application(Protocol):
    """What stands behind a listener."""

    def body_limit(self, path: str) -> int:
        """The longest body, in bytes, that a request to this path may have."""
        ...

    def begin(self, request: Request, respond: Respond) -> Work | None:
        """Begins to answer; what it returns is run until it ends."""
        ...


def header_block(*pairs: tuple[bytes, bytes]) -> bytes:
    """Header lines in the form in which they go to the wire."""
    return b"".join([name + b": " + value + b"\r\n" for name, value in pairs])


PLAIN = header_block((b"content-type", b"text/plain; charset=utf-8"))
