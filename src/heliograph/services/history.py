"""History: what an account sent, and what was written to its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from heliograph.domain.accounts import Account
from heliograph.domain.requests import StatusAnswer
from heliograph.services.directory import Directory
from heliograph.services.statuses import describe
from heliograph.storage.database import Database
from heliograph.storage.history import Period, find_history
from heliograph.storage.incoming import IncomingMessage, IncomingQuery, read_incoming
from heliograph.storage.messages import load_messages

__all__ = ["History", "IncomingMessage", "IncomingQuery", "Period", "Sent"]


class Sent(NamedTuple):
    """A message of the history. `id` is the platform's own, by which pages follow each other."""

    id: int
    answer: StatusAnswer


class History:
    """Reads within one account."""

    def __init__(
        self, *, database: Database, directory: Directory, clock: Callable[[], int]
    ) -> None:
        """`clock()`: epoch milliseconds."""
        self._database = database
        self._directory = directory
        self._clock = clock

    def now_ms(self) -> int:
        """The moment up to which there is a history."""
        return self._clock()

    async def sent(
        self,
        account: Account,
        period: Period,
        *,
        recipients: Sequence[str] = (),
        mails: bool = False,
        before_id: int | None = None,
        limit: int,
    ) -> list[Sent]:
        """Messages newest first; the parameters are those of `storage.history.find_history`. None
        for a sub-client that they are hidden from (`fl2[1]`)."""
        if account.is_on("fl2[1]"):
            return []
        async with self._database.snapshot() as connection:  # messages and parts of one moment
            ids = await find_history(
                connection,
                account.id,
                period,
                recipients=recipients,
                mails=mails,
                before_id=before_id,
                limit=limit,
            )
            found = await load_messages(connection, ids, parts_of_ended=False)
        numbering = self._directory.numbering
        return [
            Sent(message.id, describe(message, numbering, language=account.language))
            for message in reversed(found)
        ]

    async def incoming(self, account: Account, query: IncomingQuery) -> list[IncomingMessage]:
        """Messages from handsets in the order of their ids."""
        async with self._database.read() as connection:
            return await read_incoming(connection, account.id, query)
