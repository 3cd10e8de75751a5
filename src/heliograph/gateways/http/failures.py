"""What failed unexpectedly: where, and nothing of the request."""

from __future__ import annotations

import logging
import traceback

from heliograph.domain.refusals import Refusal

__all__ = ["log_failure", "refusal_for"]

_log = logging.getLogger("heliograph.http")


def log_failure(where: str, error: BaseException) -> None:
    """Logs a bug: its type and place. Not its message, which may quote a request's secrets."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s failed: %s\n%s", where, type(error).__name__, frames)


def refusal_for(where: str, error: BaseException) -> Refusal:
    """What a client is told about an error that nobody expected. A bug is logged; that the database
    is away (a ConnectionError) is none, and the log has it already."""
    if isinstance(error, ConnectionError):
        return Refusal.OVERLOADED
    log_failure(where, error)
    return Refusal.SYSTEM_ERROR
