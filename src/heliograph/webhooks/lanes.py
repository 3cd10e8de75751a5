"""One account's calls: its queue in memory, the order of each message's events, and its circuit.

A lane is *fresh* while memory knows every event of the account that waits: new ones are queued as
they are handed over, and nothing is read back. It falls *behind* when an event failed or did not
fit; from then on new events stay in the database, whose pages are read in its order, and the lane
is fresh again once nothing waits there but what memory holds. So a receiver that is slow or dead
for a day costs rows and no memory.

The circuit opens after several failures in a row. An open lane makes one call at a time, the probe,
after growing pauses; a success closes it.

No I/O and no clock in here.
"""

from __future__ import annotations

from collections import deque

from heliograph.domain.events import OutboxEvent

__all__ = ["Depth", "Lane"]

# So many failures in a row, without a success between them, mean the receiver and not the event.
_FAILURES_TO_OPEN = 5
_FIRST_PAUSE_MS = 5_000
_LONGEST_PAUSE_MS = 60_000
# What may come while one page is read; a database that hangs must not fill the memory.
_MAX_PENDING = 5_000


class Depth:
    """Events in memory, of all lanes."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Lane:
    """Made for one account. `calls` are going on; `failures` is how many there were in a row."""

    __slots__ = (
        "_busy",
        "_depth",
        "_gone",
        "_is_short",
        "_pending",
        "_stuck",
        "_unwritten",
        "account_id",
        "calls",
        "failures",
        "held",
        "is_behind",
        "is_fast",
        "is_open",
        "is_starved",
        "open_until",
        "pause_ms",
        "queue",
        "read_after",
    )

    def __init__(self, account_id: int, depth: Depth, *, is_behind: bool) -> None:
        self.account_id = account_id
        self.is_behind = is_behind
        self.queue: deque[OutboxEvent] = deque()
        # Ids of events in memory, or with a result that is not on disk yet: the database gives them
        # again with a page, and they must not be called twice.
        self.held: set[int] = set()
        self.calls = 0
        self.failures = 0
        self.is_fast = False  # its latest call was answered quickly
        self.is_open = False
        self.is_starved = False
        self.open_until = 0
        self.pause_ms = 0
        self.read_after = 0
        self._depth = depth
        # Message id -> events that wait until the call about that message is over.
        self._busy: dict[int, list[OutboxEvent]] = {}
        # Messages with a failed event: what is queued behind it goes back to the database.
        self._stuck: set[int] = set()
        # Failed events whose result is not on disk: (event id -> message id).
        self._unwritten: dict[int, int] = {}
        # Events whose result came on disk while a page was read; it may show them as waiting.
        self._gone: set[int] = set()
        # New events that came while a page was read; None: no page is being read.
        self._pending: list[OutboxEvent] | None = None
        self._is_short = False

    @property
    def is_idle(self) -> bool:
        """There is nothing to remember: the lane may be forgotten."""
        return not (self.held or self.calls or self.is_behind or self.is_open or self.failures)

    # --- what comes in ---

    def offer(self, event: OutboxEvent, *, is_full: bool) -> bool:
        """A new event; False when it is left to the database."""
        if not self.is_behind and not is_full:
            self._put(event)
            return True
        self.is_behind = True
        if self._pending is not None:
            if is_full or len(self._pending) >= _MAX_PENDING:
                self._is_short = True  # what was read will not be all there is
            else:
                self._pending.append(event)
        return False

    def begin_page(self) -> None:
        """A page is about to be read, on an empty queue."""
        self._pending = []
        self._is_short = False
        self._gone.clear()

    def put_page(self, page: list[OutboxEvent], *, is_all: bool) -> int:
        """Queues a page; returns how many of it were new.

        `is_all`: nothing else waits in the database. Then, and if nothing went wrong meanwhile, the
        lane is fresh again: what came since the page was begun follows it.
        """
        pending, self._pending = self._pending, None
        self._stuck = set(self._unwritten.values())
        before = len(self.queue)
        for event in page:
            if event.id not in self._gone:
                self._put(event)
        added = len(self.queue) - before
        if is_all and not self._is_short and not self._unwritten and not self.is_open:
            self.is_behind = False
            for event in pending or ():
                self._put(event)
        return added

    def _put(self, event: OutboxEvent) -> None:
        if event.id not in self.held:
            self.held.add(event.id)
            self._depth.count += 1
            self.queue.append(event)

    # --- what goes out ---

    def take(self) -> OutboxEvent | None:
        """The next event whose message has no call going on; it is busy until it is settled."""
        while self.queue:
            event = self.queue.popleft()
            message_id = event.message_id
            if message_id:
                if message_id in self._stuck:
                    self.release(event.id)
                    self.is_behind = True
                    continue
                followers = self._busy.get(message_id)
                if followers is not None:
                    followers.append(event)
                    continue
                self._busy[message_id] = []
            return event
        return None

    def settle(self, event: OutboxEvent) -> None:
        """The event's end, and no failure of the receiver: those behind it may go."""
        if event.message_id:
            followers = self._busy.pop(event.message_id)
            if followers:
                self.queue.extendleft(reversed(followers))

    def settle_success(self, event: OutboxEvent) -> None:
        """The receiver took the event: the circuit closes."""
        self.settle(event)
        if self.failures:
            self.failures = 0
            self.is_open = False
            self.pause_ms = 0

    def settle_failure(self, event: OutboxEvent, *, is_probe: bool, now_ms: int) -> None:
        """The event waits in the database for its next try, and so do those behind it."""
        self.is_behind = True
        self._unwritten[event.id] = event.message_id
        if event.message_id:
            self._stuck.add(event.message_id)
            for follower in self._busy.pop(event.message_id):
                self.release(follower.id)
        self.failures += 1
        if is_probe or (not self.is_open and self.failures >= _FAILURES_TO_OPEN):
            self.is_open = True
            self.pause_ms = min(max(self.pause_ms * 2, _FIRST_PAUSE_MS), _LONGEST_PAUSE_MS)
            self.open_until = now_ms + self.pause_ms
            self.drop_queue()

    def release(self, event_id: int) -> None:
        """The event is no longer in memory: its result is on disk, or it never had one."""
        self._unwritten.pop(event_id, None)
        if event_id in self.held:
            self.held.remove(event_id)
            if self._pending is not None:
                self._gone.add(event_id)
            self._depth.count -= 1

    def drop_queue(self) -> None:
        """Forgets what is queued: it is in the database."""
        if self.queue:
            self.is_behind = True
        for event in self.queue:
            self.release(event.id)
        self.queue.clear()
