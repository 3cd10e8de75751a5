"""Runs of mailing lists: one task that makes messages, lets them go, counts and stops them.

Every step is a portion of at most a thousand recipients and one journal entry, in which the
progress is written together with what it made: a stop of any kind repeats nothing and loses
nothing. Campaigns take turns, so a small one does not wait for a million recipients; between
portions the task rests as long as the last one took, and messages of campaigns take the low
priority lanes: so neither the loop nor a route is theirs alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.campaigns import (
    ACTIVE_STATES,
    MAX_LATE_MS,
    SOURCE_RECIPIENTS,
    Campaign,
    CampaignState,
    Chunk,
    ChunkKind,
    Repetition,
    Seen,
    Source,
    next_run,
)
from heliograph.domain.messages import MessageState
from heliograph.domain.planning import Plan
from heliograph.domain.policies import zone_of
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry as Recipients
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.services.campaign_orders import CampaignOrders
from heliograph.services.campaign_releases import CampaignReleases
from heliograph.services.campaign_repeats import CampaignRepeats
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.clockwork import release
from heliograph.services.directory import Directory
from heliograph.services.dispatch import Dispatch
from heliograph.services.registers import Registers
from heliograph.services.submit import Submit
from heliograph.services.tracker import Tracker
from heliograph.storage import campaigns as rows
from heliograph.storage.database import Database
from heliograph.storage.journal import BulkRows, Entry, Journal
from heliograph.storage.messages import load_messages
from heliograph.storage.statements import CANCEL_PARTS

__all__ = ["CampaignRuns", "Job"]

_TICK_S = 0.25
_POLL_S = 1.0
_PAUSE_MS = 5_000
# How long the others in the loop may have to wait for a look at many campaigns.
_STINT_S = 0.002
# Rows that may wait for the disk before portions are held back.
_MAX_JOURNAL_ROWS = 20_000
# Parts of an account that may wait for a carrier before portions are held back: a third of its
# lane, which single messages of the account share. What does not fit waits behind the list.
_MAX_AHEAD = 10_000
# Chunks counted in one turn of a campaign, and how long until one is counted again: the pause
# doubles while nothing changes.
_TALLIES = 4
_FIRST_LOOK_MS = 500
_LAST_LOOK_MS = 60_000
_REMOVED_AT_ONCE = 50
_WAITING = frozenset({MessageState.SCHEDULED, MessageState.HELD, MessageState.QUEUED})
# Nothing was stored, and the same may succeed later.
_LATER = frozenset({Refusal.OVERLOADED, Refusal.SYSTEM_ERROR})

_log = structlog.get_logger(__name__)


class Job:
    """A campaign with something to do. `chunks`: those that are not closed, by submission. `seen`:
    who got a message in this run, when the same people may come again; as it was in which run.
    `connectors`: those that carry it, as far as it is known."""

    __slots__ = (
        "campaign",
        "chunks",
        "connectors",
        "looks",
        "paused_until",
        "seen",
        "source",
        "stopped",
        "waiters",
    )

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.chunks: dict[int, Chunk] = {}
        # submission id -> (when to count next, the pause before)
        self.looks: dict[int, tuple[int, int]] = {}
        self.source: tuple[int, Source | None] | None = None
        self.seen: tuple[int, Seen | None] = (-1, None)
        self.connectors: set[int] = set()
        self.stopped: set[int] = set()
        self.waiters: list[asyncio.Event] = []
        self.paused_until = 0

    def add(self, chunk: Chunk) -> None:
        """Begins to watch a chunk."""
        self.chunks[chunk.submission_id] = chunk
        self.looks[chunk.submission_id] = (0, _FIRST_LOOK_MS // 2)


class CampaignRuns:
    """Runs from `start` to `stop`. Called in the event loop only."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        directory: Directory,
        registers: Registers,
        orders: CampaignOrders,
        submit: Submit,
        dispatch: Dispatch,
        tracker: Tracker,
        books: Bookkeeping,
        written: Callable[[Changes, Entry], None],
        clock: Callable[[], int],
        repeat_ms: int,
    ) -> None:
        """`repeat_ms`: how long after its end a message is repeated."""
        self._database = database
        self._journal = journal
        self._directory = directory
        self._releases = CampaignReleases(directory=directory, registers=registers, books=books)
        self._submit = submit
        self._dispatch = dispatch
        self._tracker = tracker
        self._books = books
        self._written = written
        self._clock = clock
        self._orders = orders
        self._repeats = CampaignRepeats(
            database=database,
            journal=journal,
            directory=directory,
            send=self._send,
            repeat_ms=repeat_ms,
        )
        self._jobs: dict[int, Job] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._polled_at = 0.0

    @property
    def depth(self) -> int:
        """Recipients that the runs under way have not come to yet."""
        return sum(
            max(0, job.campaign.recipient_count - job.campaign.position)
            for job in self._jobs.values()
            if job.campaign.state is CampaignState.LOADING
        )

    def count(self, account_id: int) -> int:
        """How many campaigns of an account have something to do."""
        return sum(job.campaign.account_id == account_id for job in self._jobs.values())

    async def start(self) -> None:
        """Takes up what was left, and begins to work."""
        async with self._database.read() as connection:
            for campaign in await rows.load_active(connection):
                job = self._jobs[campaign.id] = Job(campaign)
                for chunk in await rows.open_chunks(connection, campaign.id):
                    job.add(chunk)
            orphans = await rows.remove_orphans(connection)
        for campaign_id in orphans:
            await self._remove_sources(campaign_id)
        self._task = asyncio.create_task(self._run(), name="campaigns")

    async def stop(self) -> None:
        """Ends working after the step under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, campaign: Campaign) -> None:
        """Begins with a campaign that has just been stored."""
        self._jobs[campaign.id] = Job(campaign)
        self._wake.set()

    async def stop_campaign(self, campaign: Campaign) -> None:
        """What has not gone out does not go out any more. Raises StorageDown, JournalClosed."""
        job = self._jobs.get(campaign.id)
        current = campaign if job is None else job.campaign
        await self._set(current, state=CampaignState.STOPPING)
        self._wake.set()

    async def settled(self, campaign_id: int, timeout_s: float) -> None:
        """Waits until the messages of a run are made, or until what was to be stopped is stopped;
        no longer than that."""
        job = self._jobs.get(campaign_id)
        if job is None:
            return
        event = asyncio.Event()
        job.waiters.append(event)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), timeout_s)

    # --- turns ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            is_busy = False
            await self._poll()
            rested_at = time.perf_counter()
            for job in list(self._jobs.values()):
                is_busy |= await self._turn(job)
                if time.perf_counter() - rested_at > _STINT_S:  # most of many have nothing to do
                    await asyncio.sleep(0)
                    rested_at = time.perf_counter()
            if not is_busy:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _TICK_S if self._jobs else None)

    async def _turn(self, job: Job) -> bool:
        """One turn of a campaign; True: there may be more to do at once."""
        if job.paused_until > self._clock():
            return False
        started = time.perf_counter()
        try:
            did = await self._step(job)
        except Exception:
            _log.exception("a mailing list pauses", campaign=job.campaign.id)
            job.seen = (-1, None)  # who was to get the portion that was not stored is in it
            job.paused_until = self._clock() + _PAUSE_MS
            return False
        if did:
            await asyncio.sleep(time.perf_counter() - started)
        return did

    async def _step(self, job: Job) -> bool:
        campaign, now_ms = job.campaign, self._clock()
        if campaign.state is CampaignState.STOPPING:
            return await self._stop_some(job)
        did = False
        is_due = campaign.state is CampaignState.WAITING and campaign.next_run_at <= now_ms
        if is_due and self._sender(campaign) is not None:
            await self._begin_run(campaign, now_ms)
            did = True
        if campaign.state is CampaignState.LOADING:
            did |= await self._make_some(job)
        did |= await self._release_some(job)
        did |= await self._count_some(job)
        if not job.chunks:
            if campaign.state is CampaignState.SENDING:
                await self._set(campaign, state=CampaignState.DONE)
            if campaign.state not in ACTIVE_STATES:
                await self._remove_sources(campaign.id)
                self._tell(job)
                self._jobs.pop(campaign.id, None)
        return did

    async def _poll(self) -> None:
        """Another process may have told to stop one."""
        if not self._jobs or time.monotonic() - self._polled_at < _POLL_S:
            return
        self._polled_at = time.monotonic()
        try:
            async with self._database.read() as connection:
                states = await rows.active_states(connection)
        except Exception as error:
            _log.warning("mailing lists not read", reason=str(error))
            return
        for job in self._jobs.values():
            if states.get(job.campaign.id) is CampaignState.STOPPING:
                job.campaign.state = CampaignState.STOPPING

    def _sender(self, campaign: Campaign) -> Account | None:
        """Who sends; None: he is blocked, and nothing of his lists goes out meanwhile."""
        account = self._directory.still_acting(campaign.account_id, campaign.actor_id)
        return None if account is None or account.is_blocked else account

    def _is_ahead(self, job: Job) -> bool:
        """Whether enough of its account waits for the carriers that it needs."""
        upstreams = [
            self._dispatch.upstreams[id] for id in job.connectors if id in self._dispatch.upstreams
        ]
        working = [each for each in upstreams if each.connector.is_up]
        account_id = job.campaign.account_id
        return any(
            account_id in each.lanes.spilled or each.lanes.size(account_id) >= _MAX_AHEAD
            for each in working or upstreams
        )

    # --- messages ---------------------------------------------------------------------------------

    async def _begin_run(self, campaign: Campaign, now_ms: int) -> None:
        """A run is due; one that is far too late is left out."""
        if now_ms - campaign.next_run_at > MAX_LATE_MS:
            await self._set(campaign, next_run_at=self._following(campaign, now_ms))
            return
        await self._set(
            campaign,
            state=CampaignState.LOADING,
            run=campaign.run + 1,
            run_at=campaign.next_run_at,
            next_run_at=0,
            seq=0,
            place="",
            position=0,
        )

    @staticmethod
    def _following(campaign: Campaign, after_ms: int) -> int:
        zone = zone_of(campaign.order["zone"], campaign.zone_minutes)
        # The first run was at the planned time, or with the order.
        anchor_ms = campaign.planned_at or campaign.created_at
        return next_run(campaign.repetition, anchor_ms, after_ms, zone)

    async def _make_some(self, job: Job) -> bool:
        """The next portion of a run becomes messages."""
        campaign = job.campaign
        account = self._sender(campaign)
        if account is None or self._journal.depth > _MAX_JOURNAL_ROWS or self._is_ahead(job):
            return False
        if job.source is None or job.source[0] != campaign.seq:
            async with self._database.read() as connection:
                source = await rows.read_source(connection, campaign.id, campaign.seq)
            job.source = (campaign.seq, source)
        source = job.source[1]
        if source is None:
            await self._end_run(campaign)
            job.seen = (-1, None)
            self._tell(job)
            return True
        entries, count, place = await self._orders.portion(account, campaign, source)
        seq = campaign.seq if place else campaign.seq + 1
        progress = (seq, place, campaign.position + count)
        entries = await self._leave_out_seen(job, entries)
        if not entries:
            step = Entry({rows.ADVANCE_CAMPAIGNS: [(campaign.id, *progress)]}, now_ms=0)
            await self._journal.write(step)
        else:
            request = await self._orders.request(campaign, account, entries)
            more: BulkRows = {rows.ADVANCE_CAMPAIGNS: [(campaign.id, *progress)]}
            if not await self._send(job, request, ChunkKind.FIRST, more):
                _log.warning("a portion was not made", campaign=campaign.id, seq=campaign.seq)
                step = Entry(more, now_ms=0)
                await self._journal.write(step)
        campaign.seq, campaign.place, campaign.position = progress
        return True

    async def _leave_out_seen(self, job: Job, entries: list[Recipients]) -> list[Recipients]:
        """The entries without those who got a message in this run already: of a list with groups,
        as somebody may be in two of them."""
        campaign = job.campaign
        if job.seen[0] != campaign.run:
            seen = None
            async with self._database.read() as connection:
                if await rows.may_repeat(connection, campaign.id):
                    seen = Seen(campaign.recipient_count)
                    async for recipient in rows.stream_recipients(
                        connection, campaign.id, campaign.run
                    ):
                        seen.add(recipient)
            job.seen = (campaign.run, seen)
        known = job.seen[1]
        if known is None:
            return entries
        for entry in entries:
            entry.recipients = [each for each in entry.recipients if known.add(each)]
        return [entry for entry in entries if entry.recipients]

    async def _end_run(self, campaign: Campaign) -> None:
        """All messages of a run are made: what comes next?"""
        is_last = campaign.repetition is Repetition.ONCE or campaign.run == campaign.max_runs
        if is_last:
            await self._set(campaign, state=CampaignState.SENDING)
            return
        following = self._following(campaign, campaign.run_at)
        await self._set(campaign, state=CampaignState.WAITING, next_run_at=following)

    async def _send(self, job: Job, request: SendRequest, kind: ChunkKind, more: BulkRows) -> bool:
        """Stores a request of a campaign as a chunk, together with `more`; False: it can not be.
        Raises OSError when it could not be stored now."""
        campaign = job.campaign
        made: list[Chunk] = []

        def rows_of(submission_id: int, plan: Plan) -> BulkRows:
            chunk = Chunk(
                submission_id=submission_id,
                campaign_id=campaign.id,
                run=campaign.run,
                kind=kind,
                # When exactly will be looked at.
                held_until=int(bool(request.spread) or any(d.due_at for d in plan.drafts)),
                message_count=len(plan.drafts),
                cost_micros=sum(draft.price_micros for draft in plan.drafts),
            )
            made[:] = [chunk]
            job.connectors.update(*{draft.route for draft in plan.drafts})
            return {**more, rows.INSERT_CHUNKS: [rows.chunk_row(chunk)]}

        future: asyncio.Future[Submitted | Refused] = asyncio.get_running_loop().create_future()
        self._submit.begin(
            request,
            lambda end: None if future.done() else future.set_result(end),
            rows_of=rows_of,
        )
        outcome = await future
        if isinstance(outcome, Refused) and not outcome.client_ref:
            if outcome.refusal in _LATER:
                raise OSError(f"not stored now: {outcome.refusal.name}")
            return False
        job.add(made[0])
        return True

    async def _release_some(self, job: Job) -> bool:
        """Messages that were held until now go out, a portion of one chunk."""
        now_ms = self._clock()
        chunk = next((c for c in job.chunks.values() if 0 < c.held_until <= now_ms), None)
        account = self._sender(job.campaign)
        if chunk is None or account is None or self._is_ahead(job):
            return False
        submission_id = chunk.submission_id
        async with self._database.read() as connection:
            ids = await rows.due_held(connection, submission_id, now_ms, SOURCE_RECIPIENTS)
            page = await load_messages(connection, ids)
            later = await rows.next_held(connection, submission_id, now_ms)
        page = [message for message in page if not self._dispatch.stopped.has(message)]
        job.connectors.update(*{message.route for message in page})
        ended = Changes(now_ms)
        page, opens_at = self._releases.sift(ended, job.campaign, account, page)
        if not ended.is_empty:
            self._written(ended, await self._journal.write(ended.entry(must_write=True)))
        changes = Changes(now_ms)
        release(changes, page)
        held_until = now_ms if len(ids) == SOURCE_RECIPIENTS else later
        if opens_at:
            held_until = min(opens_at, later or opens_at)
        changes.rows[rows.UPDATE_CHUNKS].append(
            rows.chunk_update(replace(chunk, held_until=held_until))
        )
        await self._journal.write(changes.entry(must_write=False))
        chunk.held_until = held_until
        job.looks[submission_id] = (now_ms + _FIRST_LOOK_MS, _FIRST_LOOK_MS)
        self._dispatch.enqueue(page, is_bulk=True)
        return True

    # --- counting ---------------------------------------------------------------------------------

    async def _count_some(self, job: Job) -> bool:
        """Counts what became of the messages of some chunks; asks those again who are to be."""
        now_ms = self._clock()
        due = [id for id, look in job.looks.items() if look[0] <= now_ms][:_TALLIES]
        did = False
        for submission_id in due:
            did |= await self._count(job, job.chunks[submission_id], now_ms)
        return did or len(due) == _TALLIES

    async def _count(self, job: Job, chunk: Chunk, now_ms: int) -> bool:
        async with self._database.read() as connection:
            cost, ended, delivered, failed = await rows.tally(connection, chunk.submission_id)
        again, is_pending = False, False
        if failed and job.campaign.state in ACTIVE_STATES:
            again, is_pending = await self._repeats.repeat(job, chunk, now_ms)
        is_closed = ended == chunk.message_count and not is_pending
        counted = replace(
            chunk,
            cost_micros=cost,
            ended=ended,
            delivered=delivered,
            failed=failed,
            is_closed=is_closed,
        )
        has_changed = counted != chunk
        if has_changed:
            entry = Entry({rows.UPDATE_CHUNKS: [rows.chunk_update(counted)]}, now_ms=now_ms)
            await self._journal.write(entry)
        if is_closed:
            del job.chunks[chunk.submission_id], job.looks[chunk.submission_id]
        else:
            job.chunks[chunk.submission_id] = counted
            pause = job.looks[chunk.submission_id][1] * 2
            pause = _FIRST_LOOK_MS if has_changed else min(pause, _LAST_LOOK_MS)
            # Of what waits for its time there is nothing to count until then.
            look_at = now_ms + pause if ended else max(now_ms + pause, counted.held_until)
            # To the end of the row: every chunk gets its turn.
            del job.looks[chunk.submission_id]
            job.looks[chunk.submission_id] = (look_at, pause)
        return again

    # --- ends -------------------------------------------------------------------------------------

    async def _stop_some(self, job: Job) -> bool:
        """Ends waiting messages of one chunk without charge; after the last one it is cancelled."""
        left = [id for id in job.chunks if id not in job.stopped]
        if not left:
            await self._set(job.campaign, state=CampaignState.CANCELLED)
            self._tell(job)
            return True
        for submission_id in left:  # all of them from now on, however long the ending takes
            self._dispatch.stopped.add(submission_id)
        submission_id = left[0]
        async with self._database.read() as connection:
            ids = await rows.open_messages(connection, submission_id, SOURCE_RECIPIENTS)
            page = await load_messages(connection, ids)
        changes = Changes(self._clock())
        for stored in page:
            message = self._tracker.live.get(stored.id, stored)
            if message.state not in _WAITING or not all(
                part.state is MessageState.QUEUED for part in message.parts
            ):
                continue
            for part in message.parts:
                part.state = MessageState.STOPPED
                changes.rows[CANCEL_PARTS].append((part.id, int(part.state), 0, changes.now_ms))
            self._books.end_message(changes, message, MessageState.STOPPED, 0)
        if not changes.is_empty:
            entry = await self._journal.write(changes.entry(must_write=True))
            self._written(changes, entry)
        if len(page) < SOURCE_RECIPIENTS or changes.is_empty:
            job.stopped.add(submission_id)
            chunk = job.chunks[submission_id]
            chunk.held_until = 0
            job.looks[submission_id] = (0, _FIRST_LOOK_MS // 2)
        return True

    async def _set(self, campaign: Campaign, **changed: object) -> None:
        """Writes how far a campaign is, then lets it be so."""
        wanted = replace(campaign, **changed)  # type: ignore[arg-type]
        row = (
            wanted.id,
            int(wanted.state),
            wanted.run,
            wanted.run_at,
            wanted.next_run_at,
            wanted.seq,
            wanted.place,
            wanted.position,
        )
        await self._journal.write(Entry({rows.UPDATE_CAMPAIGNS: [row]}, now_ms=0))
        if campaign.state is CampaignState.STOPPING and wanted.state in ACTIVE_STATES:
            changed.pop("state", None)  # somebody stopped it meanwhile
        for name, value in changed.items():
            setattr(campaign, name, value)

    async def _remove_sources(self, campaign_id: int) -> None:
        """Gives back the room of the recipients, a little at a time."""
        while True:
            async with self._database.write() as connection:
                removed = await rows.remove_sources(connection, campaign_id, _REMOVED_AT_ONCE)
            if removed < _REMOVED_AT_ONCE:
                return

    @staticmethod
    def _tell(job: Job) -> None:
        for waiter in job.waiters:
            waiter.set()
        job.waiters.clear()
