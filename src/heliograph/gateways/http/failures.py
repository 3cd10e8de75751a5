"""Logging of bugs: what failed and where, and nothing of the request."""

from __future__ import annotations

import logging
import traceback

__all__ = ["log_failure"]

_log = logging.getLogger("heliograph.http")


def log_failure(where: str, error: BaseException) -> None:
    """Logs a bug: its type and place. Not its message, which may quote a request's secrets."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s failed: %s\n%s", where, type(error).__name__, frames)
