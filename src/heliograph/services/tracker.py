"""Messages on their way, in memory: those that wait here, and those whose receipts are expected.

Receipts are looked up here first; what was evicted or came before a restart is read from storage by
its external id. Memory is bounded: the oldest expectations are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from heliograph.domain.messages import FINAL_STATES, Message, MessageState, Part

__all__ = ["Tracker"]

# Expected receipts kept in memory, about 1 KB each. Beyond it they are found through the database.
_MAX_EXPECTED = 60_000
# Parts of one name that are told apart.
_MAX_NAMESAKES = 4
# Messages remembered that were ended on disk only, for the moments in which they are being read.
_MAX_GONE = 10_000


class Tracker:
    """`live` holds open messages by id, `expected` the submitted parts by connector and external
    id."""

    __slots__ = ("_expected", "_gone", "_held", "_namesakes", "_order", "live")

    def __init__(self) -> None:
        self.live: dict[int, Message] = {}
        self._expected: dict[int, dict[str, Part]] = {}
        # (connector id, external id) in the order of arrival. An OrderedDict, as the first key of a
        # plain dict is searched for through the places of all that were deleted before it.
        self._order: OrderedDict[tuple[int, str], None] = OrderedDict()
        # Earlier parts of the same name, newest first: operators begin their counting anew.
        self._namesakes: dict[tuple[int, str], list[Part]] = {}
        self._gone: OrderedDict[int, None] = OrderedDict()
        self._held: list[set[int]] = []  # ids of messages that somebody has in hand

    def add(self, message: Message) -> None:
        """Begins to track an open message."""
        self.live[message.id] = message

    def remove(self, message: Message) -> None:
        """Forgets a message that has become final. Its expected parts stay for a while, so that a
        second receipt finds what it repeats."""
        if self.live.pop(message.id, None) is None:
            self._gone[message.id] = None
            if len(self._gone) > _MAX_GONE:
                self._gone.popitem(last=False)

    def has_ended(self, message_id: int) -> bool:
        """True when the message was ended a moment ago without having been in memory: whoever is
        reading it from the disk to send it must not."""
        return message_id in self._gone

    def expect(self, part: Part) -> None:
        """The upstream has taken the part under `part.external_id`: a receipt will come."""
        key = (part.connector_id, part.external_id)
        expected = self._expected.setdefault(part.connector_id, {})
        earlier = expected.get(part.external_id)
        if earlier is not None and earlier.message is not part.message:
            namesakes = self._namesakes.get(key, [])
            self._namesakes[key] = [earlier, *namesakes[: _MAX_NAMESAKES - 1]]
        expected[part.external_id] = part
        self._order[key] = None
        if len(self._order) > _MAX_EXPECTED:
            self._evict()

    def find(self, connector_id: int, candidates: Iterable[str], phone: str = "") -> Part | None:
        """The part that a receipt means, when it is in memory: of several with one name the newest,
        or the one that went to `phone`."""
        expected = self._expected.get(connector_id)
        if expected is None:
            return None
        for external_id in candidates:
            if (part := expected.get(external_id)) is not None:
                if phone and self._namesakes and part.message.recipient != phone:
                    for earlier in self._namesakes.get((connector_id, external_id), ()):
                        if earlier.message.recipient == phone:
                            return earlier
                return part
        return None

    @contextmanager
    def hold(self, messages: Iterable[Message]) -> Iterator[None]:
        """Whoever waits for something with messages in hand holds them until then: one that is
        forgotten meanwhile would lose its parts."""
        held = {message.id for message in messages}
        self._held.append(held)
        try:
            yield
        finally:
            self._held.remove(held)

    def _evict(self) -> None:
        (connector_id, external_id), _ = self._order.popitem(last=False)
        self._namesakes.pop((connector_id, external_id), None)
        part = self._expected[connector_id].pop(external_id, None)
        if part is None:
            return
        message = part.message
        if not all(
            p.state in FINAL_STATES or p.state is MessageState.SUBMITTED for p in message.parts
        ):
            return
        self.live.pop(message.id, None)
        if not any((p.connector_id, p.external_id) in self._order for p in message.parts) and not (
            any(message.id in held for held in self._held)
        ):
            # Nobody finds it any more. Message and parts are a circle, and a collection that frees
            # these comes once in millions of messages (see the thresholds in `runtime`).
            message.parts = []
