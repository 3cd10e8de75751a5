"""What `dispatch` keeps of one connector."""

from __future__ import annotations

import asyncio

from heliograph.connectors.base import Connector
from heliograph.domain.messages import Part
from heliograph.queueing.lanes import Lanes

__all__ = ["Upstream"]


class Upstream:
    """A connector with what waits for it."""

    __slots__ = ("connector", "down_since", "feeding", "lanes", "outgoing", "retries")

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.lanes = Lanes()
        self.outgoing: list[Part] = []
        # (when, part id, part): parts that are to be tried again or whose outcome is unknown
        self.retries: list[tuple[int, int, Part]] = []
        self.feeding: asyncio.Task[None] | None = None
        self.down_since = 0
