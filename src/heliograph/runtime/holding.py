"""One server at a time: on a data folder, and on a database that other machines can reach too."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog

from heliograph.runtime.obstacles import StartFailed
from heliograph.storage.database import Database
from heliograph.storage.journal import StorageDown

__all__ = ["AlreadyRunning", "hold_database", "hold_folder", "keep_database"]

_HOLD_TRIES = 20
_HOLD_PAUSE_S = 0.5
_LOOK_S = 1.0

_log = structlog.get_logger(__name__)


class AlreadyRunning(StartFailed):
    """Another server works in this data folder."""


async def hold_database(database: Database) -> None:
    """As `hold_folder`, for a database. Raises AlreadyRunning, or another OSError when the database
    can not be reached."""
    for _ in range(_HOLD_TRIES):
        try:
            if await database.take_hold():
                return
        except StorageDown as down:
            cause = down.__cause__
            raise (cause if isinstance(cause, OSError) else ConnectionError(str(cause))) from down
        await asyncio.sleep(_HOLD_PAUSE_S)  # one that was killed is let go in a moment
    await database.close()
    raise AlreadyRunning("another heliograph serves from this database; stop it first")


async def keep_database(
    database: Database, stop: asyncio.Event, on_loss: Callable[[], None]
) -> None:
    """Sees every second, until `stop` is set, that the database is still this server's.

    `on_loss` is called once when another server has taken it, after a time in which it was away.
    """
    is_away = False
    while not stop.is_set():
        try:
            if not await database.take_hold():
                _log.error("another heliograph serves from this database now: this one ends")
                on_loss()
                return
            if is_away:
                _log.warning("the database is back")
            is_away = False
        except StorageDown as error:
            if not is_away:
                _log.error("the database is away", reason=str(error))
            is_away = True
        except Exception:
            _log.exception("it can not be told whose the database is")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_S)


async def hold_folder(data_dir: Path) -> IO[str]:
    """Holds the data folder: two servers on one SQLite file would both claim its parts.

    A server that was killed leaves a writer that finishes its last transaction: that is waited for.
    """
    handle = (data_dir / "lock").open("a+")
    for _ in range(_HOLD_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            if _is_alive(handle.read()):
                break
            await asyncio.sleep(_HOLD_PAUSE_S)
            continue
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        return handle
    handle.close()
    raise AlreadyRunning(
        f"another heliograph serves from {data_dir}; stop it or choose another --data"
    )


def _is_alive(pid: str) -> bool:
    """Whether the process that wrote its number into the lock is there."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
