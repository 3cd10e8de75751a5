"""Ports for programs that can not be told to choose one themselves."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

__all__ = ["free_ports"]

# Below those that the system gives out by itself: between our look and the start of the program
# no connection and no other test gets one of these by chance.
_FIRST, _LAST = 10_000, 32_000
_random = random.SystemRandom()  # other workers of a run are seeded alike


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 where nobody listens."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = _random.randrange(_FIRST, _LAST)
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            found.append(port)
        return found
