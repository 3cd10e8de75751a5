"""What one step of work changes: gathered as rows, then written as one journal entry.

Services decide on domain objects in memory and note every decision through `Bookkeeping`; the entry
makes it durable together with its money and its callbacks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

from heliograph.domain.deliveries import RECEIPT, receipt_payload, wishes_of
from heliograph.domain.events import CallEnd, OutboxEvent, status_payload
from heliograph.domain.ledger import charge_for, owner_of_purse
from heliograph.domain.messages import (
    FINAL_STATES,
    Message,
    MessageState,
    Part,
    derive_state,
)
from heliograph.domain.statuses import API_STATUS
from heliograph.observability import Metrics
from heliograph.services.directory import Directory
from heliograph.services.ids import Ids
from heliograph.services.tracker import Tracker
from heliograph.storage.bulk import Bulk
from heliograph.storage.deltas import Deltas, TotalKey, add_delta, add_message
from heliograph.storage.journal import Entry, Rows
from heliograph.storage.statements import (
    FINISH_PARTS,
    INSERT_EVENTS,
    INSERT_OUTBOX,
    REQUEUE_PARTS,
    RESPOND_PARTS,
    REVISE_MESSAGES,
)
from heliograph.storage.totals import GROUP_OF

__all__ = ["Bookkeeping", "Changes", "encode_json"]

_DAY_MS = 86_400_000
# Nobody has to be told what they did themselves.
_OWNERS_ACT = frozenset({MessageState.DELETED, MessageState.STOPPED})


def encode_json(value: object) -> str:
    """Compact JSON text for a column."""
    return msgspec.json.encode(value).decode()


class Changes:
    """Rows of one entry, and the callbacks and deliveries by session that follow from it."""

    __slots__ = ("by_session", "ends", "finals", "now_ms", "outbox", "rows", "totals")

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.rows: dict[Bulk, Rows] = defaultdict(list)
        self.finals: Rows = []
        self.ends: dict[int, tuple[TotalKey, int]] = {}
        self.totals: Deltas = {}
        self.outbox: list[OutboxEvent] = []
        self.by_session: list[OutboxEvent] = []

    def entry(self, *, must_write: bool, done: Callable[[Entry], None] | None = None) -> Entry:
        """The journal entry for all of it."""
        entry = Entry(
            self.rows, now_ms=self.now_ms, finals=self.finals, must_write=must_write, done=done
        )
        entry.totals, entry.ends = self.totals, self.ends
        return entry

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not self.rows and not self.finals


class Bookkeeping:
    """Applies decisions to messages and parts in memory and notes their rows."""

    def __init__(
        self,
        *,
        directory: Directory,
        ids: Ids,
        tracker: Tracker,
        metrics: Metrics,
        timezone_minutes: int,
    ) -> None:
        """`timezone_minutes`: zone of the times in callbacks, east of UTC."""
        self._directory = directory
        self._ids = ids
        self._tracker = tracker
        self._metrics = metrics
        self.timezone_minutes = timezone_minutes
        self._zone_ms = timezone_minutes * 60_000

    def count_message(self, changes: Changes, message: Message) -> None:
        """Counts a new message in the running totals; whoever inserts a message calls it once."""
        add_message(
            changes.totals,
            self._total_key(message),
            part_count=message.part_count,
            price_micros=message.price_micros,
            end=GROUP_OF.get(message.state),
        )

    def note_end(self, changes: Changes, message: Message, state: MessageState) -> None:
        """Notes where an open message is counted; whoever adds to `finals` calls it once."""
        changes.ends[message.id] = (self._total_key(message), GROUP_OF[state])

    def _total_key(self, message: Message) -> TotalKey:
        submission = message.submission
        payer_id = submission.payer_id
        payer = self._directory.account_by_id(owner_of_purse(payer_id))
        return (
            submission.account_id,
            (message.created_at + self._zone_ms) // _DAY_MS,
            payer_id,
            int(submission.type),
            message.mccmnc,
            "" if payer is None else payer.currency,
        )

    def note(self, changes: Changes, message_id: int, seq: int, kind: str, detail: str) -> None:
        """An event for the timeline. `detail` is for people: no texts and no secrets."""
        row = (self._ids.take(1), message_id, seq, changes.now_ms, kind, detail)
        changes.rows[INSERT_EVENTS].append(row)

    def accept_part(self, changes: Changes, part: Part, external_id: str) -> None:
        """The upstream took the part."""
        part.state = MessageState.SUBMITTED
        part.external_id = external_id
        part.err = 0
        part.attempts += 1
        part.responded_at = changes.now_ms
        self._respond(changes, part)
        self._tracker.expect(part)

    def lose_part(self, changes: Changes, part: Part) -> None:
        """The part was sent and never answered."""
        part.state = MessageState.UNKNOWN
        part.attempts += 1
        self._respond(changes, part)

    def requeue_part(
        self, changes: Changes, part: Part, *, connector_id: int, err: int, next_try_at: int
    ) -> None:
        """The part waits again, for the same upstream or another one."""
        part.state = MessageState.QUEUED
        part.connector_id = connector_id
        part.err = err
        part.attempts += 1
        part.next_try_at = next_try_at
        changes.rows[REQUEUE_PARTS].append(
            (part.id, int(part.state), connector_id, err, part.attempts, next_try_at)
        )

    def end_part(self, changes: Changes, part: Part, state: MessageState, err: int) -> None:
        """The part has come to its end; with the last part its message has, too."""
        part.state = state
        part.err = err
        part.done_at = changes.now_ms
        changes.rows[FINISH_PARTS].append((part.id, int(state), err, changes.now_ms))
        message = part.message
        if len(message.parts) == 1:
            self.end_message(changes, message, state, err)
        elif all(p.state in FINAL_STATES for p in message.parts):
            derived = derive_state(p.state for p in message.parts)
            culprit = next(p for p in message.parts if p.state is derived)
            self.end_message(changes, message, derived, culprit.err)

    def end_message(
        self, changes: Changes, message: Message, state: MessageState, err: int
    ) -> None:
        """The message has its final state: what it costs is settled and its owner is told."""
        ends = [(p.state, bool(p.external_id)) for p in message.parts]
        charged = charge_for(message.price_micros, message.part_count, ends)
        message.state = state
        message.err = err
        message.charged_micros = charged
        message.final_at = changes.now_ms
        detail = None if message.detail is None else encode_json(message.detail)
        changes.finals.append((message.id, int(state), err, charged, changes.now_ms, detail))
        self.note_end(changes, message, state)
        self._tracker.remove(message)
        self._metrics.finished(state, err)
        self.tell_owner(changes, message)

    def revise_message(self, changes: Changes, part: Part, state: MessageState, err: int) -> None:
        """Better news after the end (DELIVERED after EXPIRED). Money stays as it was settled."""
        part.state = state
        part.err = err
        part.done_at = changes.now_ms
        changes.rows[FINISH_PARTS].append((part.id, int(state), err, changes.now_ms))
        message = part.message
        derived = derive_state(p.state for p in message.parts)
        if derived is message.state:
            return
        if GROUP_OF[derived] != GROUP_OF[message.state]:
            key = self._total_key(message)
            add_delta(changes.totals, key, GROUP_OF[message.state], -1)
            add_delta(changes.totals, key, GROUP_OF[derived], 1)
        message.state, message.err = derived, err
        changes.rows[REVISE_MESSAGES].append((message.id, int(derived), err, changes.now_ms))
        self.tell_owner(changes, message)

    def tell_owner(self, changes: Changes, message: Message) -> None:
        """Puts the news about the message's state into the same transaction: receipts, when the
        owner asked for any, else a callback."""
        options = message.submission.options
        if options and "receipt" in options:
            self._tell_sessions(changes, message, options)
            return
        account = self._directory.account_by_id(message.submission.account_id)
        if account is None or not account.is_told_statuses or message.state in _OWNERS_ACT:
            return
        event = OutboxEvent(
            id=self._ids.take(1),
            account_id=account.id,
            message_id=message.id,
            kind="status",
            payload=status_payload(
                message,
                status=API_STATUS[message.state],
                err=message.err,
                at_ms=changes.now_ms,
                cost_micros=message.charged_micros,
                tz_minutes=self.timezone_minutes,
            ),
            created_at=changes.now_ms,
        )
        self.put_event(changes, event)

    def is_told_incoming(self, account_id: int) -> bool:
        """Whether the account's handler gets messages from handsets."""
        account = self._directory.account_by_id(account_id)
        return account is not None and account.is_told_incoming

    def _tell_sessions(self, changes: Changes, message: Message, options: dict[str, Any]) -> None:
        submission = message.submission
        for wished in wishes_of(options, submission.client_ref):
            if not wished.wish.is_met(message.state):
                continue
            event = OutboxEvent(
                id=self._ids.take(1),
                account_id=submission.account_id,
                message_id=message.id,
                kind=RECEIPT,
                payload=receipt_payload(message, wished, at_ms=changes.now_ms),
                created_at=changes.now_ms,
                next_try_at=changes.now_ms,
            )
            self.put_event(changes, event, by_session=True)

    def put_event(self, changes: Changes, event: OutboxEvent, *, by_session: bool = False) -> None:
        """Puts any callback, or what a session of the account is to be told, into the same
        transaction."""
        (changes.by_session if by_session else changes.outbox).append(event)
        changes.rows[INSERT_OUTBOX].append(
            (
                event.id,
                event.account_id,
                event.message_id,
                event.kind,
                encode_json(event.payload),
                int(CallEnd.FOR_SESSION if by_session else CallEnd.WAITING),
                0,
                event.next_try_at,
                event.created_at,
                0,
                "",
            )
        )

    @staticmethod
    def _respond(changes: Changes, part: Part) -> None:
        changes.rows[RESPOND_PARTS].append(
            (
                part.id,
                int(part.state),
                part.external_id,
                part.err,
                part.attempts,
                part.responded_at,
            )
        )
