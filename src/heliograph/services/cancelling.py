"""Ending a message that waits: it is neither sent nor paid for.

What waits for its time is on disk only, and whoever lets it go (`clockwork`, mailing lists, the
feeder of `dispatch`) may have read it a moment before it is ended. So dispatch is told first, and
the parts that may be written in that moment are ended with it.
"""

from __future__ import annotations

from collections.abc import Callable

from heliograph.domain.messages import Message, MessageState, part_id
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.storage.statements import CANCEL_PARTS

__all__ = ["cancel_message", "is_waiting"]

_WAITING = frozenset({MessageState.SCHEDULED, MessageState.HELD, MessageState.QUEUED})


def is_waiting(message: Message) -> bool:
    """True when nothing of the message has been sent, nor may be on its way."""
    return message.state in _WAITING and all(
        part.state is MessageState.QUEUED for part in message.parts
    )


def cancel_message(
    changes: Changes,
    books: Bookkeeping,
    message: Message,
    *,
    stop: Callable[[int], None],
    state: MessageState = MessageState.DELETED,
    err: int = 0,
) -> None:
    """Ends a waiting message, by its owner's wish or in another `state`. The entry of these changes
    must be written: the message has ended in memory. `stop` is that of dispatch."""
    stop(message.id)
    for part in message.parts:
        part.state = state
    changes.rows[CANCEL_PARTS] += [
        (part_id(message.id, seq), int(state), err, changes.now_ms)
        for seq in range(1, message.part_count + 1)
    ]
    books.end_message(changes, message, state, err)
