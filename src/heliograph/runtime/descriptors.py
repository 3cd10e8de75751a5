"""How many files and connections the process may have open at once.

When the last one is taken nothing works any more: no connection is accepted, no database file is
opened, no operator is called back. So the process asks for as many as it may have, and the door
that strangers can fill keeps to a share of them.
"""

from __future__ import annotations

import contextlib
import resource

__all__ = ["ask_for_all", "fair_share"]

# As many as any installation needs, where there is no limit.
_ENOUGH = 1 << 20
# The HTTP doors may take half of all together; there are two of them at most.
_DOOR_SHARE = 4


def ask_for_all() -> int:
    """Raises the soft limit, which shells leave at a thousand, to the hard one. Returns what it is
    then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have a lower limit of their own.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def fair_share(wanted: int) -> int:
    """How many connections one door may have that would like `wanted` of them."""
    return min(wanted, ask_for_all() // _DOOR_SHARE)
