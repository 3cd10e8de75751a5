"""How fast parts may leave: the generic cell rate algorithm, in parts per second.

One number is kept: the *theoretical arrival time*, the moment at which everything taken so far
would have left had it left at the steady rate. A part may leave when that moment is no further
ahead than the burst allows. So over any span of `s` seconds never more than ``rate * s + burst``
parts leave, there is no counter to reset at the full second, and nothing to do while nobody
sends.

The pacer reads no clock: the time is passed in, in milliseconds of a clock that does not jump.
"""

from __future__ import annotations

__all__ = ["Pacer"]

_MICROS_PER_MS = 1_000
_MICROS_PER_S = 1_000_000
# A timer of the event loop is about a millisecond late; a burst of 20 ms makes up for it.
_DEFAULT_BURST_S = 0.02


class Pacer:
    """Grants parts at `rate` a second (0: without limit), at most `burst` of them at once."""

    __slots__ = ("_burst_us", "_held_until_us", "_interval_us", "_theoretical_us", "burst", "rate")

    def __init__(self, rate: float, *, burst: int = 0) -> None:
        """`burst` 0 picks one: the parts of 20 ms, at least one. Raises ValueError below zero."""
        if rate < 0 or burst < 0:
            raise ValueError("rate and burst can not be negative")
        self.rate = rate
        self.burst = burst or max(1, round(rate * _DEFAULT_BURST_S))
        self._interval_us = _MICROS_PER_S / rate if rate else 0.0
        self._burst_us = self._interval_us * self.burst
        self._theoretical_us = float("-inf")
        self._held_until_us = float("-inf")

    def allowance(self, now_ms: float) -> int | None:
        """How many parts may leave now; None: any number."""
        now_us = now_ms * _MICROS_PER_MS
        if now_us < self._held_until_us:
            return 0
        if not self._interval_us:
            return None
        ahead_us = max(self._theoretical_us - now_us, 0.0)
        # The tiny addend keeps 0.9999999 parts, an artefact of floating point, from being none.
        return max(int((self._burst_us - ahead_us) / self._interval_us + 1e-6), 0)

    def take(self, wanted: int, now_ms: float) -> int:
        """Takes up to `wanted` parts and returns how many."""
        allowed = self.allowance(now_ms)
        granted = wanted if allowed is None else min(wanted, allowed)
        if granted > 0 and self._interval_us:
            start_us = max(self._theoretical_us, now_ms * _MICROS_PER_MS)
            self._theoretical_us = start_us + granted * self._interval_us
        return max(granted, 0)

    def give_back(self, count: int) -> None:
        """Returns parts that were taken and did not leave."""
        self._theoretical_us -= count * self._interval_us

    def hold(self, until_ms: float) -> None:
        """Nothing leaves before `until_ms` (the upstream asked us to slow down)."""
        self._held_until_us = max(self._held_until_us, until_ms * _MICROS_PER_MS)

    def wait_ms(self, now_ms: float) -> float:
        """How long until at least one part may leave; 0: at once."""
        now_us = now_ms * _MICROS_PER_MS
        wait_us = max(self._held_until_us - now_us, 0.0)
        if self._interval_us:
            next_us = self._theoretical_us + self._interval_us - self._burst_us
            wait_us = max(wait_us, next_us - now_us)
        return wait_us / _MICROS_PER_MS
