"""Lanes of one connector: priority first, then fair share between accounts.

Parts wait here in memory after they are on disk. Each account has a lane per priority; lanes of a
priority are served in turn, a quantum each, so an account with a million parts delays another one's
single message by one round and not by a million. The low priority is never starved: it gets one
round in eight.

A lane is bounded. What does not fit stays on disk only (`spilled`), and the feeder of the
dispatcher brings it in pages when the lane has run low.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from heliograph.domain.messages import Part

__all__ = ["LANE_CAPACITY", "Lanes"]

# Parts of one account in memory per connector: a few seconds of a fast upstream, some 30 MB.
LANE_CAPACITY = 30_000
_QUANTUM = 32
_LOW_TURN = 8
# Instead of the id of a part: above all of them.
_NOTHING = (1 << 63) - 1


class Lanes:
    """Waiting parts of one connector. Every method is O(1) per part."""

    __slots__ = ("_high", "_low", "_rounds", "_sizes", "spilled")

    def __init__(self) -> None:
        self._high: dict[int, deque[Part]] = {}
        self._low: dict[int, deque[Part]] = {}
        self._sizes: dict[int, int] = {}
        self._rounds = 0
        # account id -> id of the part after which the feeder reads on
        self.spilled: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(self._sizes.values())

    def size(self, account_id: int) -> int:
        """Parts of one account that wait in memory."""
        return self._sizes.get(account_id, 0)

    def is_empty(self) -> bool:
        """True when nothing waits, neither here nor on disk."""
        return not self._sizes and not self.spilled

    def push(self, part: Part, *, is_bulk: bool) -> bool:
        """Takes a part at the end of its account's lane; False: it spilled (it is on disk only).

        Once an account has spilled, its later parts spill too, so that the order is kept.
        """
        account_id = part.message.submission.account_id
        size = self._sizes.get(account_id, 0)
        if account_id in self.spilled or size >= LANE_CAPACITY:
            self.leave(part)
            return False
        self._append(account_id, part, is_bulk=is_bulk)
        return True

    def has_room(self, part: Part) -> bool:
        """Whether `push` would take the part."""
        account_id = part.message.submission.account_id
        return account_id not in self.spilled and self.size(account_id) < LANE_CAPACITY

    def leave(self, part: Part) -> None:
        """The part is on disk only, and the feeder will read it."""
        account_id = part.message.submission.account_id
        # Commits do not come in the order of ids: the feeder begins before the smallest.
        after = self.spilled.get(account_id, part.id)
        self.spilled[account_id] = min(after, part.id - 1)

    def begin_page(self, account_id: int) -> int:
        """The id of the part after which the feeder reads on. `end_page` follows."""
        after = self.spilled[account_id]
        self.spilled[account_id] = _NOTHING
        return after

    def end_page(self, account_id: int, after: int | None) -> None:
        """The feeder has read: it will read on after this part; None: that was all there is.

        What has spilled meanwhile may be missing in what was read, so it is read for after all.
        """
        after = min(_NOTHING if after is None else after, self.spilled[account_id])
        if after == _NOTHING:
            del self.spilled[account_id]
        else:
            self.spilled[account_id] = after

    def feed(self, parts: Iterable[Part]) -> None:
        """Takes parts that the feeder read from disk, beyond the bound if need be."""
        for part in parts:
            self._append(part.message.submission.account_id, part, is_bulk=True)

    def push_back(self, parts: Iterable[Part]) -> None:
        """Returns parts to the front: their claim failed."""
        for part in reversed(list(parts)):
            account_id = part.message.submission.account_id
            self._high.setdefault(account_id, deque()).appendleft(part)
            self._sizes[account_id] = self._sizes.get(account_id, 0) + 1

    def pop(self, wanted: int) -> list[Part]:
        """Up to `wanted` parts in fair order."""
        taken: list[Part] = []
        while len(taken) < wanted and (self._high or self._low):
            self._rounds += 1
            low_turn = self._low and (not self._high or self._rounds % _LOW_TURN == 0)
            self._serve(self._low if low_turn else self._high, wanted, taken)
        return taken

    def drain(self) -> list[Part]:
        """Everything that waits in memory."""
        return self.pop(len(self))

    def _append(self, account_id: int, part: Part, *, is_bulk: bool) -> None:
        lanes = self._low if is_bulk else self._high
        lane = lanes.get(account_id)
        if lane is None:
            lane = lanes[account_id] = deque()
        lane.append(part)
        self._sizes[account_id] = self._sizes.get(account_id, 0) + 1

    def _serve(self, lanes: dict[int, deque[Part]], wanted: int, taken: list[Part]) -> None:
        """One account's turn: a quantum from its lane, then the lane goes to the end of the row."""
        account_id = next(iter(lanes))
        lane = lanes.pop(account_id)
        count = min(_QUANTUM, wanted - len(taken), len(lane))
        for _ in range(count):
            taken.append(lane.popleft())
        left = self._sizes[account_id] - count
        if left:
            self._sizes[account_id] = left
        else:
            del self._sizes[account_id]
        if lane:
            lanes[account_id] = lane
