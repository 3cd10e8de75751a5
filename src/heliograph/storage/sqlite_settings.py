"""The settings of every connection to SQLite: those that make it durable, first of all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

__all__ = ["prepare_sqlite"]

_BUSY_S = 10.0
_PRAGMAS = (
    "PRAGMA synchronous=FULL",  # a commit is fsynced: "accepted" means on disk
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
)


def prepare_sqlite(execute: Callable[[str], Any]) -> None:
    """Gives a new connection to SQLite the settings that all of them have.

    Raises sqlite3.OperationalError when the file can not be opened, or is busy for 10 seconds.
    """
    execute(f"PRAGMA busy_timeout={int(_BUSY_S * 1000)}")
    ends = time.monotonic() + _BUSY_S
    while True:
        try:
            # Kept in the file: once in its life does this change something. Of two processes that
            # change it at once one is told "busy" without the wait that busy_timeout grants.
            execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.01)
    for pragma in _PRAGMAS:
        execute(pragma)
