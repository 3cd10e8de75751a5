"""What was in the way of a start, in words that name the setting and what to do about it.

The system's own words ("Address already in use") name neither the door nor the file, and are read
at night by somebody who did not write the configuration.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["StartFailed", "naming"]

_REASONS = {
    errno.EADDRINUSE: "another program listens there already; choose another port, or 0 for a free "
    "one",
    errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 stands for all it has",
    errno.EACCES: "permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE "
    "(docs/howto/systemd.md)",
}


class StartFailed(OSError):
    """The gateway can not start; the text names the setting and says what to do."""


@contextmanager
def naming(setting: str, value: str) -> Iterator[None]:
    """Turns an OSError of the block into a StartFailed that names `setting` and its `value`."""
    try:
        yield
    except StartFailed:
        raise
    except OSError as error:
        raise StartFailed(f"{setting} = {value}: {_explain(error)}") from error


def _explain(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the certificate and the key can not be read as PEM, or do not belong together"
    if isinstance(error, socket.gaierror):
        return f"the name is not known here ({error.strerror})"
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)
