"""How the C library keeps memory that the gateway gave back.

glibc learns from what is freed: after the first password, whose verification takes 19 MiB for some
milliseconds, it holds blocks of that size back for the next one, and it gives every thread an arena
of its own to hold them in. A gateway at rest would keep 19 MiB a thread, for good.
"""

from __future__ import annotations

import ctypes

__all__ = ["give_back_large_blocks"]

# Parameters of mallopt(3). Setting the first two ends the learning.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

# Blocks from here on are the system's again when they are freed. What the hot path makes is
# smaller and stays with the process: getting it anew would cost a fault for every page.
_LARGE = 16 * 1024 * 1024


def give_back_large_blocks() -> None:
    """For the whole process, before its threads start. Other C libraries are left as they are."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE)
    mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)  # glibc's own proportion
