"""Statuses: what became of a message, for its owner; and deleting."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.domain.accounts import Account
from heliograph.domain.messages import FINAL_STATES, Message, MessageState, derive_state
from heliograph.domain.numbering import NumberingPlan
from heliograph.domain.requests import StatusAnswer
from heliograph.domain.statuses import API_STATUS
from heliograph.services.cancelling import cancel_message, is_waiting
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.directory import Directory
from heliograph.services.receipts import Receipts
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Journal
from heliograph.storage.messages import find_messages
from heliograph.storage.statements import HIDE_MESSAGES

__all__ = ["Statuses", "describe"]


class Statuses:
    """The use cases `find` and `delete`, always within one account."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        directory: Directory,
        tracker: Tracker,
        books: Bookkeeping,
        receipts: Receipts,
        stop: Callable[[int], None],
        clock: Callable[[], int],
    ) -> None:
        """`stop(message id)`: dispatch lets nothing of it out."""
        self._database = database
        self._journal = journal
        self._directory = directory
        self._tracker = tracker
        self._books = books
        self._receipts = receipts
        self._stop = stop
        self._clock = clock

    async def find(
        self, account: Account, pairs: list[tuple[str, str]], *, language: str = "ru"
    ) -> list[StatusAnswer]:
        """Answers for pairs of (client's id, normalised recipient), in their order."""
        found = await self._load(account, pairs)
        answers = []
        for pair in pairs:
            message = found.get(pair)
            if message is None:
                answers.append(StatusAnswer(client_ref=pair[0], recipient=pair[1]))
            else:
                answers.append(self._answer(pair, message, language))
        return answers

    async def delete(self, account: Account, pairs: list[tuple[str, str]]) -> int:
        """Takes messages out of their owner's sight; those that still wait are cancelled without
        charge. Returns how many were found."""
        found = await self._load(account, pairs)
        changes = Changes(self._clock())
        for stored in found.values():
            message = self._tracker.live.get(stored.id, stored)
            changes.rows[HIDE_MESSAGES].append((message.id, 1))
            if is_waiting(message):
                cancel_message(changes, self._books, message, stop=self._stop)
        if changes.is_empty:
            return 0
        entry = await self._journal.write(changes.entry(must_write=True))
        self._receipts.written(changes, entry)
        return len(found)

    async def _load(
        self, account: Account, pairs: list[tuple[str, str]]
    ) -> dict[tuple[str, str], Message]:
        # A message and its parts as of one moment.
        async with self._database.snapshot() as connection:
            return await find_messages(connection, account.id, pairs)

    def _answer(self, pair: tuple[str, str], message: Message, language: str) -> StatusAnswer:
        answer = describe(message, self._directory.numbering, language=language)
        answer.client_ref, answer.recipient = pair
        return answer


def describe(message: Message, numbering: NumberingPlan, *, language: str) -> StatusAnswer:
    """A message, with its parts, as its owner may see it."""
    submission = message.submission
    state = message.state
    if state is MessageState.QUEUED and message.parts:
        state = derive_state(p.state for p in message.parts)
    origin = numbering.lookup(message.recipient)
    original = numbering.lookup_original(message.recipient)
    is_russian = language == "ru"
    is_open = state not in FINAL_STATES
    cost = message.price_micros if is_open else message.charged_micros
    answer = StatusAnswer(
        client_ref=submission.client_ref,
        recipient=message.recipient,
        is_found=True,
        status=API_STATUS[state],
        err=message.err,
        changed_at=_changed_at(message, state),
        sent_at=message.due_at or message.created_at,
        cost_micros=cost,
        sender=message.sender,
        text=message.text,
        comment=submission.comment,
        type=submission.type,
        flags=message.flags,
        mccmnc=message.mccmnc,
        part_count=message.part_count,
        is_test=submission.is_test,
        detail=message.detail,
    )
    if origin is not None:
        answer.country = origin.country_ru if is_russian else origin.country
        answer.operator = origin.operator_ru if is_russian else origin.operator
        answer.region = origin.region_ru if is_russian else origin.region
    if original is not None:
        answer.operator_orig = original.operator_ru if is_russian else original.operator
    return answer


def _changed_at(message: Message, state: MessageState) -> int:
    if message.final_at:
        return message.final_at
    if state is MessageState.SUBMITTED:
        return max((p.responded_at for p in message.parts), default=message.created_at)
    return message.created_at
