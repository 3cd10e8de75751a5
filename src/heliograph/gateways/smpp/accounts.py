"""What the door remembers of accounts and of addresses: binds, pace, failed logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from heliograph.domain.accounts import Account
from heliograph.domain.pacing import Pacer
from heliograph.gateways.smpp.ports import SmppSettings

if TYPE_CHECKING:
    from heliograph.gateways.smpp.connection import Connection

__all__ = ["AccountBinds", "FailedLogins"]

_ADDRESSES_MAX = 20_000
_FORGET_S = 300.0
_PAUSE_MAX_S = 8.0


class AccountBinds:
    """The binds of one account, and the pace that they share."""

    __slots__ = ("account", "connections", "pacer", "window")

    def __init__(self, account: Account, settings: SmppSettings) -> None:
        self.connections: list[Connection] = []
        self.pacer: Pacer | None = None
        self.account = account
        self.window = 0
        self.renew(account, settings)

    def renew(self, account: Account, settings: SmppSettings) -> None:
        """The account has been changed; binds go on."""
        rate = account.smpp_rate or settings.messages_per_second
        if rate != (self.pacer.rate if self.pacer is not None else 0):
            # A second's worth at once: clients count by seconds.
            self.pacer = Pacer(rate, burst=rate) if rate else None
        self.account = account
        self.window = account.smpp_window or settings.window


class FailedLogins:
    """How long an address waits for the answer to a bind that failed."""

    def __init__(
        self, pause_s: float, clock: Callable[[], float], *, most_s: float = _PAUSE_MAX_S
    ) -> None:
        """`clock()`: seconds, monotonic. `pause_s`: the first pause, which doubles up to `most_s`
        and never above eight seconds."""
        self._pause_s = pause_s
        self._most_s = min(most_s, _PAUSE_MAX_S)
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}

    def note(self, address: str) -> float:
        """Counts a failure; the pause in seconds."""
        now = self._clock()
        count, at = self._failures.pop(address, (0, now))
        count = 1 if now - at > _FORGET_S else count + 1
        while len(self._failures) >= _ADDRESSES_MAX:  # the address that failed longest ago
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (count, now)
        return min(self._pause_s * (1 << min(count - 1, 10)), self._most_s)

    def forget(self, address: str) -> None:
        """The address has shown that it knows a password."""
        self._failures.pop(address, None)
