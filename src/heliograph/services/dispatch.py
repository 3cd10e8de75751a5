"""Dispatch: from committed messages to connectors, and back with their outcomes.

A part waits in its connector's lanes, takes a slot, is claimed on disk, goes to the wire, and comes
back with one outcome. Because the journal keeps the order of entries, an outcome is on disk before
the claim that reuses its slot: after a crash at most as many parts are of unknown outcome as the
windows have slots.

A part whose slot was free at accept time is claimed by the accepting transaction itself, which
saves a commit; that is the usual way when the upstream keeps up.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from heliograph.connectors.base import (
    Connector,
    Incoming,
    IncomingCall,
    Outcome,
    OutcomeKind,
    ReceiptReport,
    UnknownPolicy,
)
from heliograph.domain.messages import FINAL_STATES, Message, MessageState, Part
from heliograph.domain.retries import RetrySchedule
from heliograph.observability import Metrics
from heliograph.services.cancelling import Stopped
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.feeder import FEED_PAGE, Feeder
from heliograph.services.receipts import Receipts, Stored
from heliograph.services.tracker import Tracker
from heliograph.services.upstream import Upstream
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry, Journal
from heliograph.storage.messages import (
    submitted_parts,
    waiting_accounts,
    waiting_connectors,
    waiting_messages,
)
from heliograph.storage.statements import CLAIM_PARTS

__all__ = ["Dispatch"]

# Parts claimed by one journal entry: a few full windows.
_CLAIM_MAX = 512
# A late answer may still come for so long before the policy for unknown outcomes is applied.
_UNKNOWN_GRACE_MS = 10_000
# "No route" (code tables, section 4).
_NO_ROUTE_ERR = 248
# An upstream that is down for so long loses its waiting parts to the next one of their routes.
_FAILOVER_MS = 5_000
# "Subscriber not in the network": what has not been sent in the time that it had ends with it.
_NOT_REACHED = 6
# Outcomes after which a part is sent again.
_AGAIN = frozenset({OutcomeKind.DEFERRED, OutcomeKind.UNROUTABLE})
_RETRIES = RetrySchedule()


class Dispatch:
    """Drives all connectors. Implements ConnectorEvents; called in the event loop only."""

    def __init__(
        self,
        *,
        journal: Journal,
        database: Database,
        tracker: Tracker,
        books: Bookkeeping,
        receipts: Receipts,
        clock: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._journal = journal
        self._database = database
        self._tracker = tracker
        self._books = books
        self._receipts = receipts
        self._clock = clock
        self._metrics = metrics
        self._upstreams: dict[int, Upstream] = {}
        # Being stopped: they take nothing more, but what they report is still theirs.
        self._leaving: dict[int, Upstream] = {}
        # Waiting parts in memory whose connector has gone, until `adopt`.
        self._homeless: list[Part] = []
        self._flush_due: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.stopped = Stopped(clock)
        self._feeder = Feeder(
            database=database,
            tracker=tracker,
            books=books,
            clock=clock,
            write=self._write,
            try_later=self._try_later,
            pump=self._pump,
        )

    # --- upstreams --------------------------------------------------------------------------------

    @property
    def upstreams(self) -> dict[int, Upstream]:
        """By connector id."""
        return self._upstreams

    async def attach(self, connector: Connector) -> None:
        """Begins to use a connector, and takes up what waits for it on disk."""
        self._loop = asyncio.get_running_loop()
        upstream = self._upstreams[connector.id] = Upstream(connector)
        async with self._database.read() as connection:
            for account_id, first_part_id in await waiting_accounts(connection, connector.id):
                upstream.lanes.spilled[account_id] = first_part_id - 1
        await connector.start(self)
        self._feeder.feed(upstream)
        if connector.forgets_receipts:
            await self._recall(connector)

    async def detach(self, connector_id: int, drain_s: float) -> None:
        """Stops using a connector; what waits for it stays on disk or goes another way."""
        upstream = self._upstreams.pop(connector_id, None)
        if upstream is None:
            return
        self._leaving[connector_id] = upstream
        waiting = upstream.lanes.drain()
        await upstream.connector.stop(drain_s)
        del self._leaving[connector_id]
        put_off = [part for _, _, part in upstream.retries]
        changes = Changes(self._clock())
        for part in put_off:
            if part.state is MessageState.UNKNOWN:  # nobody is there who could answer late
                self._resolve(upstream, changes, part)
        self._write(changes)
        for part in waiting:
            if all(p.state is MessageState.QUEUED for p in part.message.parts):
                self._tracker.live.pop(part.message.id, None)  # `attach` and `adopt` read it
            else:
                self._homeless.append(part)
        self._homeless += [p for p in put_off if p.state is MessageState.QUEUED]

    async def adopt(self) -> None:
        """Takes up what waits for connectors that are not there any more, after a start or a
        change of the configuration: it goes another way of its route, if there is one."""
        self._lead(self._homeless)
        async with self._database.read() as connection:
            orphaned = await waiting_connectors(connection)
        for connector_id in orphaned:
            after = 0
            while connector_id not in self._upstreams:
                async with self._database.read() as connection:
                    page = await waiting_messages(
                        connection, connector_id=connector_id, after_part_id=after, limit=FEED_PAGE
                    )
                changes = Changes(self._clock())
                strangers = [p for p in page if p.message.id not in self._tracker.live]
                for part in strangers:
                    if part.state is not MessageState.QUEUED:
                        detail = "its connector was taken away after the claim"
                        self._books.note(changes, part.message.id, part.seq, "given up", detail)
                        self._books.end_part(changes, part, MessageState.EXPIRED, 245)
                self._write(changes)
                self._enqueue(
                    p for p in strangers if p.state is MessageState.QUEUED and self._best(p.message)
                )
                if len(page) < FEED_PAGE:
                    break
                after = page[-1].id

    # --- in: from acceptance ----------------------------------------------------------------------

    def claim_now(self, route: tuple[int, ...], part_count: int) -> int:
        """Takes slots for a message that is about to be accepted; the connector's id, or 0."""
        for connector_id in route:
            upstream = self._upstreams.get(connector_id)
            if upstream is None:
                continue
            connector = upstream.connector
            if upstream.lanes.is_empty():
                taken = connector.take(part_count)
                if taken == part_count:
                    return connector_id
                connector.give_back(taken)
            # What waits for an upstream that is up waits its turn; one that is down is passed over.
            if connector.is_up:
                return 0
        return 0

    def unclaim(self, connector_id: int, part_count: int) -> None:
        """The acceptance failed: its slots are free again."""
        if upstream := self._upstreams.get(connector_id):
            upstream.connector.give_back(part_count)

    def send_claimed(self, messages: Iterable[Message], connector_id: int) -> None:
        """Messages that were accepted and claimed in one: to the wire at the end of this turn."""
        upstream = self._upstreams.get(connector_id)
        for message in messages:
            self._tracker.live[message.id] = message
            if upstream is not None:
                upstream.outgoing += message.parts
        if upstream is None:
            self._take_back([part for m in messages for part in m.parts])
            return
        self._flush_later(upstream)

    def enqueue(self, messages: Iterable[Message], *, is_bulk: bool) -> None:
        """Messages that are committed and wait for a slot."""
        touched: dict[int, Upstream] = {}
        best: dict[tuple[int, ...], int] = {}
        for message in messages:
            if self._tracker.has_ended(message.id):
                continue  # cancelled while it was being released
            connector_id = best.get(message.route, -1)
            if connector_id < 0:
                connector_id = best[message.route] = self._best(message)
            upstream = self._upstreams.get(connector_id)
            if upstream is None:
                continue  # stays on disk until its connector is attached again
            kept = False
            for part in message.parts:
                kept |= self._line_up(upstream, part, is_bulk=is_bulk)
            if kept:
                self._tracker.live[message.id] = message
            touched[connector_id] = upstream
        for upstream in touched.values():
            self._pump(upstream)

    def _line_up(self, upstream: Upstream, part: Part, *, is_bulk: bool) -> bool:
        """Puts a part into the lanes of an upstream; False: it stays on disk only, with the
        connector that its row names, as it is read from there again."""
        home = self._upstreams.get(part.connector_id)
        lanes = upstream.lanes
        if home is not upstream and not lanes.has_room(part):
            if home is not None:
                home.lanes.leave(part)
                return False
            lanes.feed([part])
        elif not lanes.push(part, is_bulk=is_bulk):
            return False
        part.connector_id = upstream.connector.id
        return True

    # --- out: claims and the wire -----------------------------------------------------------------

    def _best(self, message: Message) -> int:
        for connector_id in message.route:
            upstream = self._upstreams.get(connector_id)
            if upstream is not None and upstream.connector.is_up:
                return connector_id
        return next((c for c in message.route if c in self._upstreams), 0)

    def _pump(self, upstream: Upstream) -> None:
        """Fills free slots from the lanes."""
        connector = upstream.connector
        while len(upstream.lanes):
            taken = connector.take(min(len(upstream.lanes), _CLAIM_MAX))
            if not taken:
                break
            now_ms = self._clock()
            parts = upstream.lanes.pop(taken)
            # Once each: a part may stand in two lanes, in that of the feeder as well.
            fit = list(dict.fromkeys([p for p in parts if self._may_send(p, now_ms)]))
            if len(fit) < taken:
                connector.give_back(taken - len(fit))
                self._end_late(parts, now_ms)
            if fit:
                self._claim(upstream, fit, now_ms)
        self._feeder.feed_if_low(upstream)

    def _may_send(self, part: Part, now_ms: int) -> bool:
        # Deleted messages are final already.
        message = part.message
        return (
            part.state is MessageState.QUEUED
            and message.state not in FINAL_STATES
            and message.expires_at > now_ms
            and not (self.stopped.until and self.stopped.has(message))
        )

    def _end_late(self, parts: Iterable[Part], now_ms: int) -> None:
        """Ends those whose life is over. The clockwork does so when that comes, but does not look
        again: an answer that came later may have put them back."""
        changes = Changes(now_ms)
        for part in parts:
            if part.state is MessageState.QUEUED and part.message.expires_at <= now_ms:
                self._books.end_part(changes, part, MessageState.EXPIRED, part.err or _NOT_REACHED)
        self._write(changes)

    def _claim(self, upstream: Upstream, parts: list[Part], now_ms: int) -> None:
        connector_id = upstream.connector.id
        state = MessageState.SUBMITTING
        rows = []
        for part in parts:
            part.state = state
            part.connector_id = connector_id
            part.submitted_at = now_ms
            rows.append((part.id, int(state), connector_id, now_ms))
        entry = Entry({CLAIM_PARTS: rows}, now_ms=now_ms)
        entry.done = partial(self._claimed, upstream, parts)
        self._journal.append(entry)

    def _claimed(self, upstream: Upstream, parts: list[Part], entry: Entry) -> None:
        if entry.error is None:
            upstream.outgoing += parts
            self._flush_later(upstream)
            return
        for part in parts:
            part.state = MessageState.QUEUED
        upstream.connector.give_back(len(parts))
        upstream.lanes.push_back(parts)  # the next tick tries again

    def _flush_later(self, upstream: Upstream) -> None:
        connector_id = upstream.connector.id
        if connector_id not in self._flush_due:
            self._flush_due.add(connector_id)
            # Asking for the running loop costs a system call in Python 3.11.
            assert self._loop is not None, "nothing is attached"
            self._loop.call_soon(self._flush, upstream)

    def _flush(self, upstream: Upstream) -> None:
        self._flush_due.discard(upstream.connector.id)
        parts, upstream.outgoing = upstream.outgoing, []
        if parts:
            self._metrics.submitted(len(parts))
            upstream.connector.submit(parts)

    # --- back: outcomes ---------------------------------------------------------------------------

    def report_outcomes(
        self, connector: Connector, outcomes: Sequence[tuple[Part, Outcome]]
    ) -> None:
        """Writes what became of submitted parts, and refills the slots that they left."""
        changes = Changes(self._clock())
        accepted: list[Part] = []
        for part, outcome in outcomes:
            if outcome.kind is OutcomeKind.ACCEPTED and part.state not in FINAL_STATES:
                self._books.accept_part(changes, part, outcome.external_id)
                accepted.append(part)
            elif part.state is MessageState.SUBMITTING or (
                part.state is MessageState.UNKNOWN and outcome.kind is not OutcomeKind.UNKNOWN
            ):
                self._settle(connector, changes, part, outcome)
            else:
                detail = f"{outcome.kind.name} {outcome.external_id} when {part.state.name}"
                self._books.note(changes, part.message.id, part.seq, "late answer", detail)
        self._write(changes)
        if accepted:
            self._metrics.responded(changes.now_ms - accepted[0].submitted_at, len(accepted))
        if self._receipts.has_early(connector.id):
            self._receipts.settle_early(connector.id, accepted)
        if upstream := self._upstreams.get(connector.id):
            self._pump(upstream)

    def _settle(self, connector: Connector, changes: Changes, part: Part, outcome: Outcome) -> None:
        """An outcome other than acceptance."""
        books, message = self._books, part.message
        now_ms = changes.now_ms
        books.note(changes, message.id, part.seq, outcome.kind.name.lower(), outcome.reason)
        if outcome.kind in _AGAIN and message.expires_at <= now_ms:
            # The clockwork, which ends what waits for too long, has been here already.
            books.end_part(changes, part, MessageState.EXPIRED, outcome.err)
            return
        match outcome.kind:
            case OutcomeKind.REJECTED:
                books.end_part(changes, part, MessageState.REJECTED, outcome.err)
            case OutcomeKind.UNKNOWN:
                books.lose_part(changes, part)
                self._try_later(part, now_ms + _UNKNOWN_GRACE_MS)
            case OutcomeKind.UNROUTABLE:
                following = self._elsewhere(part)
                if following is None:
                    # Whatever the connector's code was: to clients 25 and 248 belong together.
                    books.end_part(changes, part, MessageState.NO_ROUTE, _NO_ROUTE_ERR)
                    return
                books.requeue_part(
                    changes, part, connector_id=following, err=outcome.err, next_try_at=0
                )
                self._try_later(part, now_ms)
            case OutcomeKind.DEFERRED:
                self._defer(connector, changes, part, outcome)
            case _:
                raise AssertionError(outcome.kind)

    def _defer(self, connector: Connector, changes: Changes, part: Part, outcome: Outcome) -> None:
        """Tries again by the upstream's own word, else by the schedule, within the life."""
        left_ms = part.message.expires_at - changes.now_ms
        wait_ms: int | None = outcome.retry_after_ms
        if not wait_ms:
            wait_ms = _RETRIES.delay_ms(part.attempts + 1, ticket=part.id, left_ms=left_ms)
        if wait_ms is None:
            self._books.end_part(changes, part, MessageState.EXPIRED, outcome.err)
            return
        again_at = changes.now_ms + wait_ms
        self._books.requeue_part(
            changes, part, connector_id=connector.id, err=outcome.err, next_try_at=again_at
        )
        self._try_later(part, again_at)

    def _elsewhere(self, part: Part) -> int | None:
        """The next upstream of the part's route after the one it is at."""
        route = part.message.route
        try:
            at = route.index(part.connector_id)
        except ValueError:
            at = -1
        return next((c for c in route[at + 1 :] if c in self._upstreams), None)

    def _take_back(self, parts: Sequence[Part]) -> None:
        """Parts whose connector went between their claim and its commit: nobody has sent them."""
        changes = Changes(self._clock())
        for part in parts:
            self._books.requeue_part(
                changes, part, connector_id=part.connector_id, err=0, next_try_at=0
            )
        self._write(changes)
        self._lead([*self._homeless, *parts])

    def _lead(self, parts: Sequence[Part]) -> None:
        """Parts in memory to a connector that is there; those without any have to wait."""
        self._homeless = [p for p in parts if not self._best(p.message)]
        self._enqueue(p for p in parts if self._best(p.message))

    def report_receipts(
        self, connector: Connector, receipts: Sequence[ReceiptReport], on_stored: Stored
    ) -> None:
        """See Receipts."""
        self._receipts.report(connector.id, receipts, on_stored)

    def report_incoming(
        self, connector: Connector, messages: Sequence[Incoming], on_stored: Stored
    ) -> None:
        """See Receipts."""
        self._receipts.report_incoming(connector.id, messages, on_stored)

    def report_call(self, connector: Connector, call: IncomingCall) -> None:
        """See Receipts."""
        self._receipts.hear_call(call)

    def report_ready(self, connector: Connector) -> None:
        """Slots have come free."""
        if upstream := self._upstreams.get(connector.id):
            self._pump(upstream)

    # --- clockwork --------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Called several times a second: retries, unknown outcomes, failover, forgotten lanes."""
        self.stopped.forget(now_ms)
        for upstream in list(self._upstreams.values()):
            due: list[Part] = []
            while upstream.retries and upstream.retries[0][0] <= now_ms:
                due.append(heapq.heappop(upstream.retries)[2])
            if due:
                self._take_up(upstream, due, now_ms)
            if upstream.connector.is_up:
                upstream.down_since = 0
                self._pump(upstream)
            else:
                upstream.down_since = upstream.down_since or now_ms
                if now_ms - upstream.down_since >= _FAILOVER_MS:
                    self._feeder.feed_if_low(upstream)
                    self._fail_over(upstream)

    def _try_later(self, part: Part, at_ms: int) -> None:
        upstream = self._upstreams.get(part.connector_id) or self._leaving.get(part.connector_id)
        if upstream is not None:
            heapq.heappush(upstream.retries, (at_ms, part.id, part))

    def _take_up(self, upstream: Upstream, due: list[Part], now_ms: int) -> None:
        """Retries go back to their lanes; unknown outcomes get what the connector's policy says."""
        changes = Changes(now_ms)
        again: list[Part] = []
        for part in due:
            if part.state is MessageState.UNKNOWN:
                self._resolve(upstream, changes, part)
            if part.state is MessageState.QUEUED:
                again.append(part)
        self._write(changes)
        self._end_late(again, now_ms)
        self._enqueue(p for p in again if p.state is MessageState.QUEUED)

    def _resolve(self, upstream: Upstream, changes: Changes, part: Part) -> None:
        """Applies the policy for parts that were sent and never answered."""
        books, message = self._books, part.message
        policy = upstream.connector.unknown_policy
        if policy is UnknownPolicy.RESEND and message.expires_at > changes.now_ms:
            books.note(changes, message.id, part.seq, "sent again", "the policy is: resend")
            books.requeue_part(changes, part, connector_id=part.connector_id, err=0, next_try_at=0)
            return
        books.note(changes, message.id, part.seq, "given up", "its outcome stayed unknown")
        # "Status not received" is what the client can be told for certain (codes, section 4).
        books.end_part(changes, part, MessageState.EXPIRED, 245)

    def _enqueue(self, parts: Iterable[Part]) -> None:
        for part in parts:
            upstream = self._upstreams.get(part.connector_id)
            if upstream is None:
                upstream = self._upstreams.get(self._best(part.message))
            if upstream is None:
                continue  # stays on disk until there is a way
            if self._line_up(upstream, part, is_bulk=False):
                self._tracker.live[part.message.id] = part.message
            self._pump(upstream)

    def _fail_over(self, upstream: Upstream) -> None:
        """What waits for an upstream that is down goes to the next one of its route that is up,
        as far as there is room."""
        stay: list[Part] = []
        moved: dict[int, Upstream] = {}  # by message id
        for part in upstream.lanes.drain():
            target = self._upstreams.get(self._best(part.message), upstream)
            if target.connector.is_up and target.lanes.has_room(part):
                self._line_up(target, part, is_bulk=False)
                moved[part.message.id] = target
            else:
                stay.append(part)
        upstream.lanes.push_back(stay)
        if moved:
            changes = Changes(self._clock())
            for message_id in moved:
                detail = f"{upstream.connector.name} is down"
                self._books.note(changes, message_id, 0, "another way", detail)
            self._write(changes)
            for target in set(moved.values()):
                self._pump(target)

    async def ask(self, parts: Sequence[Part]) -> list[tuple[Part, ReceiptReport]]:
        """What upstreams that are up answer about submitted parts; those they do not know are
        left out."""
        by_connector: dict[int, list[Part]] = {}
        for part in parts:
            by_connector.setdefault(part.connector_id, []).append(part)
        told: list[tuple[Part, ReceiptReport]] = []
        for connector_id, group in by_connector.items():
            upstream = self._upstreams.get(connector_id)
            if upstream is None or not upstream.connector.is_up:
                continue
            answers = await upstream.connector.query(group)
            told += [(p, report) for p in group if (report := answers.get(p.id)) is not None]
        return told

    async def _recall(self, connector: Connector) -> None:
        """Asks a connector that forgets about everything that it still owes a receipt for."""
        after = ""
        while True:
            async with self._database.read() as connection:
                page = await submitted_parts(connection, connector.id, after=after, limit=FEED_PAGE)
            live = self._tracker.live
            parts = [live.setdefault(p.message.id, p.message).parts[p.seq - 1] for p in page]
            with self._tracker.hold(part.message for part in parts):
                self._receipts.apply(await self.ask(parts))
            if len(page) < FEED_PAGE:
                return
            after = page[-1].external_id

    def _write(self, changes: Changes) -> None:
        if not changes.is_empty:
            entry = changes.entry(must_write=True)
            entry.done = partial(self._receipts.written, changes)
            self._journal.append(entry)
