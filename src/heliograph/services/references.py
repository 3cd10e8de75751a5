"""Messages by the id that their client knows, for doors that ask without naming a recipient.

An id may stand for several messages (one call with many recipients) and, as a piece of a long
message, for the message that was made of it. Always within one account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from heliograph.domain.accounts import Account
from heliograph.domain.messages import Message, MessageState, derive_state
from heliograph.domain.numbering import exactly, normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.services.cancelling import cancel_message, is_waiting
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.receipts import Receipts
from heliograph.services.submit import Submit
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Journal
from heliograph.storage.messages import messages_of
from heliograph.storage.pieces import find_message_ref

__all__ = ["References", "state_of"]

# A message that is due so soon may be on its way while it is being replaced.
_REPLACEABLE_AHEAD_MS = 3_000
_MOST = 1_000


class References:
    """The use cases `find`, `cancel` and `replace`."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        tracker: Tracker,
        books: Bookkeeping,
        receipts: Receipts,
        submit: Submit,
        stop: Callable[[int], None],
        clock: Callable[[], int],
    ) -> None:
        """`stop(message id)`: dispatch lets nothing of it out."""
        self._database = database
        self._journal = journal
        self._tracker = tracker
        self._books = books
        self._receipts = receipts
        self._submit = submit
        self._stop = stop
        self._clock = clock
        # One change of an account's messages at a time: two at once would both find the same
        # message waiting, and both put another one in its place.
        self._changing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def find(self, account: Account, client_ref: str) -> list[Message] | None:
        """Messages of the newest submission with this id; what each is doing tells `state_of`.

        None: no such id. An empty list: a piece of a long message whose rest has not come.
        """
        async with self._database.read() as connection:
            ref = await find_message_ref(connection, account.id, client_ref)
            if ref == "":
                return []
            found = await messages_of(connection, account.id, ref or client_ref, limit=_MOST)
        if not found:
            return None
        newest = found[0].submission.id
        return [
            self._tracker.live.get(each.id, each) for each in found if each.submission.id == newest
        ]

    async def cancel(self, account: Account, client_ref: str, recipient: str = "") -> bool:
        """Ends what still waits, without charge; False: nothing waits under this id.

        `recipient` '' means all of them.
        """
        async with self._changing.setdefault(account.id, asyncio.Lock()):
            return await self._cancel(account, client_ref, recipient)

    async def _cancel(self, account: Account, client_ref: str, recipient: str) -> bool:
        found = await self.find(account, client_ref) or []
        if recipient:
            # As it would be corrected in sending, or as it was sent to with a plus.
            wanted = {normalise_recipient(recipient), normalise_recipient(exactly(recipient))}
            found = [each for each in found if each.recipient in wanted]
        changes = Changes(self._clock())
        for message in found:
            if is_waiting(message):
                cancel_message(changes, self._books, message, stop=self._stop)
        if changes.is_empty:
            return False
        entry = await self._journal.write(changes.entry(must_write=True))
        self._receipts.written(changes, entry)
        return True

    async def replace(
        self, account: Account, client_ref: str, change: Callable[[Message], SendRequest | None]
    ) -> Submitted | Refused:
        """Puts another message in the place of one that waits for its time, under the same id.

        `change` makes the new request from the old message, or None when it may not. The old one
        ends without charge and without a word to its owner. Refused NOT_FOUND: nothing to replace.
        """
        async with self._changing.setdefault(account.id, asyncio.Lock()):
            return await self._replace(account, client_ref, change)

    async def _replace(
        self, account: Account, client_ref: str, change: Callable[[Message], SendRequest | None]
    ) -> Submitted | Refused:
        found = await self.find(account, client_ref) or []
        now_ms = self._clock()
        old = found[0] if len(found) == 1 else None
        if (
            old is None
            or old.state is not MessageState.SCHEDULED
            or old.due_at < now_ms + _REPLACEABLE_AHEAD_MS
            or (request := change(old)) is None
        ):
            return Refused(Refusal.NOT_FOUND)
        request.client_ref = old.submission.client_ref
        future: asyncio.Future[Submitted | Refused] = asyncio.get_running_loop().create_future()
        self._submit.begin(
            request,
            lambda end: None if future.done() else future.set_result(end),
            replaces=old,
        )
        return await future


def state_of(message: Message) -> MessageState:
    """The state of a message; of one that is under way that of its parts."""
    if message.state is MessageState.QUEUED and message.parts:
        return derive_state(part.state for part in message.parts)
    return message.state
