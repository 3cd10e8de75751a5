"""What is done beside the messages, again and again until the stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

__all__ = ["repeat"]

_log = structlog.get_logger(__name__)


async def repeat(
    work: Callable[[], Awaitable[object]], stop: asyncio.Event, *, every_s: float, trouble: str
) -> None:
    """Does `work` at once and then every so many seconds, until `stop` is set. One that fails is
    told to the log as `trouble`, and there is another time: the database may be away."""
    while not stop.is_set():
        try:
            await work()
        except Exception as error:
            _log.warning(trouble, reason=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
