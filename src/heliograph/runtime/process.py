"""The program around a gateway: its interpreter, its log, its signals."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable

from heliograph.config import Config
from heliograph.observability import set_up_logging
from heliograph.runtime.allocation import give_back_large_blocks
from heliograph.runtime.gateway import Runtime, Welcome
from heliograph.storage.journal import StorageDown

__all__ = ["serve"]

# The threads that read the database want the interpreter for some microseconds at a time; with the
# usual 5 ms a status or a page would wait for a busy event loop at each of its steps.
_SWITCH_INTERVAL_S = 0.0001
# Messages on their way are linked in circles (message and parts) and live long: collecting them
# often costs much and finds nothing.
_GC_THRESHOLDS = (100_000, 50, 100)


async def serve(config: Config, announce: Callable[[str], None], welcome: Welcome) -> int:
    """Runs a gateway until SIGINT or SIGTERM, or until another server has taken the database; a
    second signal ends at once. Returns the exit code.
    Raises OSError when it could not start."""
    give_back_large_blocks()
    set_up_logging(config.log.level, config.log.format)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_GC_THRESHOLDS)
    stopping = asyncio.Event()
    code = 0
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    def end() -> None:
        nonlocal code
        code = 1
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    runtime = Runtime(config, announce=announce, welcome=welcome, on_loss=end)
    try:
        await runtime.start()
    except StorageDown as error:
        raise OSError(str(error)) from error
    await stopping.wait()
    announce("stopping: what has begun is finished first; a second signal ends at once")
    await runtime.stop()
    return code
