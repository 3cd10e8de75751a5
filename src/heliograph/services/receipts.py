"""Receipts: news from upstreams, matched to parts, stored, and only then acknowledged.

A receipt names its part by the id that the upstream gave. It is looked for in memory, then in
storage. One that matches nothing is stored as an unmatched receipt and acknowledged at once, so
that strays fill no window and nothing circles for ever; and it is remembered for a while, because
it may be ahead of the answer to its submit: when that comes, the receipt is applied after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from heliograph.connectors.base import Incoming, IncomingCall, ReceiptReport
from heliograph.domain.events import OutboxEvent, incoming_payload
from heliograph.domain.messages import FINAL_STATES, MessageState, Part, may_advance
from heliograph.domain.numbering import bare_address
from heliograph.domain.sms_commands import SmsCommand, hide_password
from heliograph.observability import Metrics
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.ids import Ids
from heliograph.services.tracker import Tracker
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry, Journal
from heliograph.storage.messages import find_by_external
from heliograph.storage.statements import DELETE_UNMATCHED, INSERT_INCOMING, INSERT_UNMATCHED

__all__ = ["Receipts", "Stored"]

# How long a receipt may be ahead of the answer to its submit, and how many are remembered: longer
# than an answer is usually waited for, and a late one after that.
_EARLY_MS = 60_000
_MAX_EARLY = 10_000

Stored = Callable[[bool], None]


class CommandsPort(Protocol):
    """Orders by text message."""

    def recognise(self, source: str, text: str) -> SmsCommand | None:
        """The order in a message from a phone, if it is one."""
        ...

    def start(self, command: SmsCommand, source: str) -> None:
        """Carries an order out."""
        ...


class ArrivalsPort(Protocol):
    """Passes on what people write, and hears their calls."""

    def hear_message(self, account_id: int, source: str, destination: str, text: str) -> None:
        """A message to a number of the account has been stored."""
        ...

    def hear_call(self, source: str, destination: str) -> None:
        """Somebody called."""
        ...


class _Early(NamedTuple):
    """A receipt that matched nothing yet. `row_id`: of its row among the unmatched ones."""

    arrived_ms: int
    receipt: ReceiptReport
    row_id: int


class Receipts:
    """Matches and stores receipts and incoming messages. Called in the event loop only."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        tracker: Tracker,
        books: Bookkeeping,
        ids: Ids,
        clock: Callable[[], int],
        metrics: Metrics,
        offer: Callable[[list[OutboxEvent]], None],
        offer_sessions: Callable[[list[OutboxEvent]], None],
        service_number: Callable[[str], tuple[str, int]],
        has_incoming_sessions: Callable[[int], bool],
    ) -> None:
        """`offer` takes callbacks that have just been committed, `offer_sessions` what sessions
        are to be told; `service_number(address)` is the number that was written to and the account
        that it belongs to, 0 for nobody's; `has_incoming_sessions(account_id)`: such messages go to
        its sessions."""
        self._journal = journal
        self._database = database
        self._tracker = tracker
        self._books = books
        self._ids = ids
        self._clock = clock
        self._metrics = metrics
        self._offer = offer
        self._offer_sessions = offer_sessions
        self._has_incoming_sessions = has_incoming_sessions
        self._service_number = service_number
        # connector id -> external id -> receipts that may be ahead of their answer
        self._early: dict[int, dict[str, list[_Early]]] = {}
        self._early_count = 0
        # Orders by text message; whoever builds them needs this object first.
        self.commands: CommandsPort | None = None
        self.arrivals: ArrivalsPort | None = None
        self._lookups: set[asyncio.Task[None]] = set()

    def report(
        self, connector_id: int, receipts: Sequence[ReceiptReport], on_stored: Stored
    ) -> None:
        """Takes the receipts of one read; `on_stored` is called once for all of them."""
        changes = Changes(self._clock())
        strange: list[ReceiptReport] = []
        for receipt in receipts:
            part = self._tracker.find(connector_id, receipt.candidates, receipt.phone)
            if part is None:
                strange.append(receipt)
            else:
                self._apply(changes, part, receipt)
        if strange:
            task = asyncio.create_task(
                self._look_up(connector_id, changes, strange, on_stored), name="receipt lookup"
            )
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
            return
        self._write(changes, on_stored)

    def apply(self, told: Sequence[tuple[Part, ReceiptReport]]) -> None:
        """Takes what an upstream answered when it was asked about these parts."""
        changes = Changes(self._clock())
        for part, receipt in told:
            self._apply(changes, part, receipt)
        self._write(changes, lambda _: None)

    async def drain(self) -> None:
        """Waits for lookups under way."""
        if self._lookups:
            await asyncio.wait(self._lookups)

    def has_early(self, connector_id: int) -> bool:
        """True when receipts are remembered that may be ahead of answers of this connector."""
        return bool(self._early_count and self._early.get(connector_id))

    def settle_early(self, connector_id: int, accepted: Sequence[Part]) -> None:
        """Answers have come: receipts that were ahead of them are applied now."""
        waiting = self._early[connector_id]
        changes = Changes(self._clock())
        for part in accepted:
            # Candidates that mean the same id in another base were filed under each of them.
            for early in waiting.pop(part.external_id, ()):
                self._forget(waiting, early)
                self._apply(changes, part, early.receipt)
                changes.rows[DELETE_UNMATCHED].append((early.row_id,))
        self._write(changes, lambda _: None)

    def tick(self, now_ms: int) -> None:
        """Called once a second: receipts whose answer never came stay unmatched."""
        if not self._early_count:
            return
        for waiting in self._early.values():
            late = {
                early.row_id: early
                for group in waiting.values()
                for early in group
                if now_ms - early.arrived_ms > _EARLY_MS
            }
            for early in late.values():
                self._forget(waiting, early)
                self._metrics.unmatched_receipt()

    def report_incoming(
        self, connector_id: int, messages: Sequence[Incoming], on_stored: Stored
    ) -> None:
        """Stores messages from handsets, with the callbacks to their owners."""
        changes = Changes(self._clock())
        orders: list[tuple[SmsCommand, str]] = []
        heard: list[tuple[int, str, str, str]] = []
        for message in messages:
            source, text = bare_address(message.source), message.text
            destination, account_id = self._service_number(message.destination)
            command = self.commands and self.commands.recognise(source, text)
            if command:
                orders.append((command, source))
                text = hide_password(text)
            incoming_id = self._ids.take(1)
            changes.rows[INSERT_INCOMING].append(
                (
                    incoming_id,
                    account_id,
                    connector_id,
                    source,
                    destination,
                    text,
                    message.received_at,
                )
            )
            if account_id and not command:
                heard.append((account_id, source, destination, text))
            by_session = bool(account_id) and self._has_incoming_sessions(account_id)
            if by_session or self._books.is_told_incoming(account_id):
                payload = incoming_payload(
                    incoming_id=incoming_id,
                    source=source,
                    destination=destination,
                    text=text,
                    received_at_ms=message.received_at,
                    tz_minutes=self._books.timezone_minutes,
                )
                event = OutboxEvent(
                    id=self._ids.take(1),
                    account_id=account_id,
                    message_id=0,
                    kind="incoming",
                    payload=payload,
                    created_at=changes.now_ms,
                    next_try_at=changes.now_ms if by_session else None,
                )
                self._books.put_event(changes, event, by_session=by_session)
        is_followed = orders or (heard and self.arrivals is not None)
        self._write(
            changes, partial(self._obey, orders, heard, on_stored) if is_followed else on_stored
        )

    def hear_call(self, call: IncomingCall) -> None:
        """Takes a call: whoever waits for it is told."""
        if self.arrivals is not None:
            self.arrivals.hear_call(call.source, call.destination)

    def _obey(
        self,
        orders: list[tuple[SmsCommand, str]],
        heard: list[tuple[int, str, str, str]],
        on_stored: Stored,
        is_stored: bool,
    ) -> None:
        """Starts orders and passes messages on when they are on disk; the others come again."""
        if is_stored and self.arrivals is not None:
            for message in heard:
                self.arrivals.hear_message(*message)
        if is_stored and self.commands is not None:
            for command, source in orders:
                self.commands.start(command, source)
        on_stored(is_stored)

    def written(self, changes: Changes, entry: Entry) -> None:
        """An entry with these changes has come to its end: its callbacks may go."""
        if entry.error is None:
            if changes.outbox:
                self._offer(changes.outbox)
            if changes.by_session:
                self._offer_sessions(changes.by_session)

    async def _look_up(
        self,
        connector_id: int,
        changes: Changes,
        strange: list[ReceiptReport],
        on_stored: Stored,
    ) -> None:
        wanted = [c for receipt in strange for c in receipt.candidates]
        try:
            async with self._database.read() as connection:
                found = await find_by_external(connection, connector_id, wanted)
        except Exception:
            # What was known in memory is stored; the upstream repeats the whole read.
            self._write(changes, lambda _: on_stored(False))
            raise
        for receipt in strange:
            part = self._tracker.find(connector_id, receipt.candidates, receipt.phone)
            if part is None:
                part = next((found[c] for c in receipt.candidates if c in found), None)
                if part is not None:
                    live = self._tracker.live.get(part.message.id)
                    if live is not None:
                        part = live.parts[part.seq - 1]
                    self._tracker.expect(part)
            if part is None:
                self._keep_unmatched(changes, connector_id, receipt)
            else:
                self._apply(changes, part, receipt)
        self._write(changes, on_stored)

    def _apply(self, changes: Changes, part: Part, receipt: ReceiptReport) -> None:
        state = receipt.state
        if part.state is state or state is MessageState.SUBMITTED:
            return  # a repetition, or an intermediate notice
        message = part.message
        if part.state in FINAL_STATES:
            if may_advance(part.state, state):
                self._books.revise_message(changes, part, state, receipt.err)
            else:
                detail = f"{state.name} after {part.state.name}, not applied"
                self._books.note(changes, message.id, part.seq, "receipt", detail)
            return
        if receipt.detail:
            message.detail = receipt.detail
        self._metrics.receipt(max(0, changes.now_ms - part.submitted_at))
        self._books.end_part(changes, part, state, receipt.err)
        if len(message.parts) > 1:
            # Some operators name all parts of a message alike: their receipts speak for all.
            for twin in message.parts:
                if twin.state is MessageState.SUBMITTED and twin.external_id == part.external_id:
                    self._books.end_part(changes, twin, state, receipt.err)

    def _keep_unmatched(self, changes: Changes, connector_id: int, receipt: ReceiptReport) -> None:
        """Stores a receipt that fits nothing, and remembers it for an answer that may follow."""
        row_id = self._ids.take(1)
        external_id = receipt.candidates[0] if receipt.candidates else ""
        row = (row_id, connector_id, external_id, int(receipt.state), receipt.err, changes.now_ms)
        changes.rows[INSERT_UNMATCHED].append(row)
        if self._early_count >= _MAX_EARLY or not receipt.candidates:
            self._metrics.unmatched_receipt()
            return
        waiting = self._early.setdefault(connector_id, {})
        early = _Early(changes.now_ms, receipt, row_id)
        for candidate in receipt.candidates:
            waiting.setdefault(candidate, []).append(early)
        self._early_count += 1

    def _forget(self, waiting: dict[str, list[_Early]], early: _Early) -> None:
        self._early_count -= 1
        for candidate in early.receipt.candidates:
            group = [each for each in waiting.pop(candidate, ()) if each is not early]
            if group:
                waiting[candidate] = group

    def _write(self, changes: Changes, on_stored: Stored) -> None:
        if changes.is_empty:
            on_stored(True)
            return
        # It has been applied in memory, so it must be written; until then the upstream waits.
        entry = changes.entry(must_write=True)
        entry.done = partial(self._stored, changes, on_stored)
        self._journal.append(entry)

    def _stored(self, changes: Changes, on_stored: Stored, entry: Entry) -> None:
        self.written(changes, entry)
        on_stored(entry.error is None)
