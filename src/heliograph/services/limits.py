"""What clients may not overdo, kept in memory: a restart forgets it, which harms nobody."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.config import Limits
from heliograph.domain.accounts import Account
from heliograph.domain.limits import (
    AT_ONCE,
    ESTIMATES_PER_MINUTE,
    IN_A_ROW,
    PER_MINUTE,
    ROW_GAP_MS,
    SENDS_PER_MINUTE,
    Row,
    Window,
)
from heliograph.domain.refusals import Refusal

__all__ = ["RequestLimits"]


class RequestLimits:
    """Counters of all accounts. Used in the event loop only.

    Whether an account has limits at all (`has_limits`) is looked at by `count`; for `enter`,
    `duplicate` and `is_pestered`, which are given an id, by the caller.
    """

    def __init__(self, config: Limits, *, clock: Callable[[], int]) -> None:
        """`clock()`: epoch milliseconds."""
        self._enforce = config.enforce
        self._duplicates = config.duplicates
        self._clock = clock
        self._windows = {kind: Window(limit) for kind, limit in PER_MINUTE.items()}
        self._sends = Window(SENDS_PER_MINUTE, max_keys=500_000)
        self._estimates = Window(ESTIMATES_PER_MINUTE)
        self._rows = Row(IN_A_ROW, gap_ms=ROW_GAP_MS)
        self._at_once: dict[int, int] = {}

    def enter(self, account_id: int) -> bool:
        """Begins a request; False: too many of the account are under way, do not `leave`."""
        under_way = self._at_once.get(account_id, 0)
        if under_way >= AT_ONCE and self._enforce:
            return False
        self._at_once[account_id] = under_way + 1
        return True

    def leave(self, account_id: int) -> None:
        """Ends a request that entered."""
        under_way = self._at_once.get(account_id, 0) - 1
        if under_way > 0:
            self._at_once[account_id] = under_way
        else:
            self._at_once.pop(account_id, None)

    def count(self, account: Account, kind: str, key: str) -> Refusal | None:
        """Counts a request of a kind (`domain.limits.PER_MINUTE`); a refusal: one too many.

        `key` tells apart what is limited on its own, as the message of a status request.
        """
        if not self._enforce or not account.has_limits:
            return None
        if self._windows[kind].admit((account.id, key), self._clock()):
            return None
        return Refusal.TOO_MANY_REQUESTS

    def duplicate(self, account_id: int, fingerprint: int, is_estimate: bool) -> bool:
        """Counts a send request; True: the same one came within a minute (sixth, to estimate)."""
        if not self._duplicates:
            return False
        window = self._estimates if is_estimate else self._sends
        return not window.admit((account_id, fingerprint), self._clock())

    def is_pestered(self, account_id: int, recipient: str) -> bool:
        """Counts a message; True: too many to this number without a pause."""
        # A hash instead of the number itself: a tenth of the memory, and nobody's number in it.
        return self._enforce and not self._rows.admit(hash((account_id, recipient)), self._clock())

    def forget(self, account_id: int, fingerprint: int) -> None:
        """The send request was not carried out through no fault of the client: it may repeat it."""
        self._sends.retract((account_id, fingerprint))
