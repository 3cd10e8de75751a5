"""When to try again: the schedule for parts that were put off, and the pause before a reconnect.

Both are pure. Jitter does not come from a random generator but from a number that the caller has
at hand (a part's id, an attempt): retries spread evenly, and a test sees the same times twice.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff", "RetrySchedule", "spread_of"]

_DEFAULT_DELAYS_MS = (5_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000)


def spread_of(ticket: int) -> float:
    """A number in [0, 1) that differs widely for neighbouring tickets (Knuth's hash)."""
    return (ticket * 2_654_435_761 % (1 << 32)) / (1 << 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """Delays after the first, second ... failed attempt; the last one repeats.

    `max_attempts` 0: no end but the message's own life. `jitter` is the share of the delay that
    a ticket may add.
    """

    delays_ms: tuple[int, ...] = _DEFAULT_DELAYS_MS
    max_attempts: int = 0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if not self.delays_ms or min(self.delays_ms) < 1:
            raise ValueError("a retry schedule needs delays of at least one millisecond")
        if self.max_attempts < 0 or not 0 <= self.jitter <= 1:
            raise ValueError("attempts can not be negative, jitter lies between 0 and 1")

    def delay_ms(self, attempts: int, *, ticket: int = 0, left_ms: int | None = None) -> int | None:
        """Delay before the next attempt when `attempts` (from 1) have failed; None: give up.

        `left_ms` is the rest of the message's life: a retry that would come after it is drawn to
        its last tenth, so that a short life still gets its attempt.
        """
        if self.max_attempts and attempts >= self.max_attempts:
            return None
        base = self.delays_ms[min(max(attempts, 1), len(self.delays_ms)) - 1]
        delay = base + int(base * self.jitter * spread_of(ticket * 31 + attempts))
        if left_ms is None or delay < left_ms:
            return delay
        if left_ms <= self.delays_ms[0]:
            return None
        return max(left_ms * 9 // 10, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Growing pauses: `first_ms`, twice that, ... up to `max_ms`, each shortened by up to half.

    Shortened and not lengthened, so that `max_ms` is a promise; by up to half, so that many binds
    that fell together do not come back together.
    """

    first_ms: int = 1_000
    max_ms: int = 60_000

    def __post_init__(self) -> None:
        if not 1 <= self.first_ms <= self.max_ms:
            raise ValueError("a back-off grows from at least one millisecond up to its maximum")

    def delay_ms(self, failures: int, *, ticket: int = 0) -> int:
        """The pause after `failures` (from 1) in a row."""
        # 2**32 is more than any maximum; larger powers would only cost time.
        full = min(self.first_ms << min(max(failures, 1) - 1, 32), self.max_ms)
        return full - int(full * 0.5 * spread_of(ticket * 31 + failures))
