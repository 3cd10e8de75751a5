"""Mailing lists for their owners: order one, look at it, cancel it, delete it.

An order is answered when it is on disk with all its recipients; making messages of them is the work
of `campaign_runs`. The recipients are stored piece by piece before the campaign itself, so what was
not finished when the gateway was stopped was never ordered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from heliograph.config import Config
from heliograph.domain.accounts import Account
from heliograph.domain.campaigns import (
    ACTIVE_STATES,
    Campaign,
    CampaignOrder,
    CampaignState,
    CampaignView,
    Repetition,
    Source,
    SourceKind,
    first_run,
)
from heliograph.domain.policies import zone_of
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.schedule import parse_time
from heliograph.services.campaign_orders import CampaignOrders, FindGroup, keep_order
from heliograph.services.campaign_runs import CampaignRuns
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.directory import Directory
from heliograph.services.dispatch import Dispatch
from heliograph.services.registers import Registers
from heliograph.services.submit import Submit
from heliograph.services.tracker import Tracker
from heliograph.storage import campaigns as rows
from heliograph.storage.bulk import Bulk
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry as Row
from heliograph.storage.journal import Journal, JournalClosed, StorageDown
from heliograph.storage.templates import find_template

__all__ = ["Campaigns", "Ordered", "open_campaigns"]

# Ids of lists have seven digits: a client cuts them out of its answers (jobs.php, section 3).
_FIRST_ID = 1_000_001
# Sources stored by one transaction.
_STORED_AT_ONCE = 16
# A list of so few recipients is answered after its messages have been made.
_SMALL = 5_000
_PATIENCE_S = 5.0
# Chunks that are counted anew when somebody looks; those of larger lists are counted by the runs.
_COUNTED_AT_ONCE = 10
# Lists of an account that have not ended: all of them are in memory.
_MAX_ACTIVE = 10_000
# Files go with every portion of a list: what they may take in the database together.
_MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A list that is on disk. `cost_micros`: its price, when it was asked for."""

    id: int
    cost_micros: int = 0


class Campaigns:
    """The use cases, always within one account."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        orders: CampaignOrders,
        submit: Submit,
        runs: CampaignRuns,
        clock: Callable[[], int],
        max_recipients: int,
    ) -> None:
        self._database = database
        self._journal = journal
        self._submit = submit
        self.runs = runs
        self._clock = clock
        self._orders = orders
        self.max_recipients = max_recipients

    async def add(self, order: CampaignOrder) -> Ordered | Refused:
        """Takes an order. Its first run begins at once, at the time of the request or, when it is
        repeated, on the first of its days."""
        if self.runs.count(order.request.account.id) >= _MAX_ACTIVE:
            return Refused(Refusal.NOT_SAVED, reason="the account has too many lists")
        try:
            campaign = await self._compose(order)
        except ValueError:
            return Refused(Refusal.BAD_DATE)
        except (StorageDown, JournalClosed) as error:
            return Refused(Refusal.OVERLOADED, reason=str(error))
        try:
            cost = await self._store(campaign, order)
        except (StorageDown, JournalClosed) as error:
            return Refused(Refusal.OVERLOADED, reason=str(error))
        except ValueError as error:
            await self._forget(campaign)
            return Refused(Refusal.BAD_PARAMETERS, reason=str(error))
        campaign.order = rows.without_files(campaign.order)
        self.runs.take(campaign)
        if campaign.state is CampaignState.LOADING and campaign.recipient_count <= _SMALL:
            await self.runs.settled(campaign.id, _PATIENCE_S)
            view = await self.find(order.request.account, campaign.id)
            if view is not None and view.campaign.state is not CampaignState.LOADING:
                cost = view.cost_micros
        return Ordered(id=campaign.id, cost_micros=cost)

    async def find(self, account: Account, campaign_id: int) -> CampaignView | None:
        """One list of the account; None: it has no such list."""
        # Of one moment: a chunk that is closed between two reads would be counted as it was before.
        async with self._database.snapshot() as connection:
            found = await rows.list_views(
                connection, now_ms=self._clock(), account_id=account.id, id=campaign_id
            )
            if not found:
                return None
            view = found[0]
            chunks = await rows.open_chunks(connection, campaign_id)
            if len(chunks) > _COUNTED_AT_ONCE:
                return view
            for chunk in chunks:
                now = await rows.tally(connection, chunk.submission_id)
                view = replace(
                    view,
                    cost_micros=view.cost_micros + now[0] - chunk.cost_micros,
                    ended=view.ended + now[1] - chunk.ended,
                    delivered=view.delivered + now[2] - chunk.delivered,
                    failed=view.failed + now[3] - chunk.failed,
                )
            return view

    async def find_all(
        self, account: Account, *, since_ms: int = 0, until_ms: int | None = None
    ) -> list[CampaignView]:
        """The account's lists that were ordered in [since, until), oldest first; at most 10,000,
        the newest of them."""
        async with self._database.read() as connection:
            return await rows.list_views(
                connection,
                now_ms=self._clock(),
                account_id=account.id,
                since_ms=since_ms,
                until_ms=until_ms,
            )

    async def template_text(self, account: Account, template_id: int) -> str | None:
        """The text of one of the account's templates, None when it has no such template."""
        async with self._database.read() as connection:
            template = await find_template(connection, account.id, template_id)
        return None if template is None else template.text

    async def cancel(self, account: Account, campaign_id: int) -> bool:
        """What has not gone out does not go out, and costs nothing. False: there is no such list,
        or it has ended. Raises StorageDown, JournalClosed."""
        view = await self.find(account, campaign_id)
        if view is None or view.campaign.state not in ACTIVE_STATES:
            return False
        if view.campaign.state is not CampaignState.STOPPING:
            await self._stop(view)
        return True

    async def delete(self, account: Account, campaign_id: int) -> bool:
        """Takes a list out of its owner's sight; what has not gone out is stopped. False: there is
        no such list. Raises StorageDown, JournalClosed."""
        view = await self.find(account, campaign_id)
        if view is None:
            return False
        if view.campaign.state in ACTIVE_STATES:
            await self._stop(view)
        row = (campaign_id, 1)
        await self._journal.write(Row({rows.DELETE_CAMPAIGNS: [row]}, now_ms=self._clock()))
        return True

    async def _stop(self, view: CampaignView) -> None:
        await self.runs.stop_campaign(view.campaign)
        if view.message_count <= _SMALL:
            await self.runs.settled(view.campaign.id, _PATIENCE_S)

    # --- orders -----------------------------------------------------------------------------------

    async def _compose(self, order: CampaignOrder) -> Campaign:
        """The campaign of an order, with its id. Raises ValueError when its time is none."""
        request, now_ms = order.request, self._clock()
        account = request.account
        zone_minutes = account.timezone_minutes
        if request.tz_minutes is not None:
            zone_minutes = request.tz_minutes
        zone = zone_of(order.zone, zone_minutes)
        # The clocks may be changed until then: twice, with the offset of now and of that time.
        planned_at = parse_time(request.time, _offset_minutes(zone, now_ms), now_ms)
        zone_minutes = _offset_minutes(zone, planned_at or now_ms)
        planned_at = parse_time(request.time, zone_minutes, now_ms)
        time = request.time
        if time[:1] in ("+", " "):  # counted from now, and not from when its messages are made
            time = f"0{planned_at // 1000}" if planned_at else ""
        entry = Row(now_ms=now_ms)
        entry.counters = [("campaigns", 1)]
        campaign_id = _FIRST_ID - 1 + (await self._journal.write(entry)).firsts[0]
        campaign = Campaign(
            id=campaign_id,
            account_id=account.id,
            name=order.name,
            client_ref=request.client_ref or str(campaign_id),
            type=request.type,
            sender=account.default_sender if request.sender is None else request.sender,
            text=request.entries[0].text,
            order=keep_order(order, time=time),
            created_at=now_ms,
            repetition=order.repetition,
            max_runs=order.max_runs,
            zone_minutes=zone_minutes,
            planned_at=planned_at,
            run=1,
            run_at=planned_at or now_ms,
        )
        if order.repetition is not Repetition.ONCE:
            starts_at = first_run(order.repetition, planned_at or now_ms, zone)
            if starts_at > now_ms:
                campaign.state, campaign.run = CampaignState.WAITING, 0
                campaign.next_run_at = starts_at
        return campaign

    async def _store(self, campaign: Campaign, order: CampaignOrder) -> int:
        """Stores recipients and campaign; the price in micros, when it is asked for. Raises
        ValueError for an order that can not be carried out, StorageDown, JournalClosed."""
        seq = cost = 0
        waiting: list[object] = []
        for given in order.sources:
            source = given
            if source.kind is SourceKind.GROUP:
                size = await self._orders.group_size(order.request.account, campaign, source)
                if not size:
                    raise ValueError("there is no such group, or nobody is in it")
                source = replace(source, count=size)
            # Of equal texts one try is enough to know that messages can be made of them.
            if order.wants_cost or seq == 0 or source.kind is SourceKind.ENTRIES:
                cost += await self._try_out(
                    campaign, order.request, source, is_whole=order.wants_cost
                )
            waiting.append(rows.source_row(campaign.id, seq, source))
            campaign.recipient_count += source.count
            seq += 1
            if len(waiting) == _STORED_AT_ONCE:
                await self._write(rows.INSERT_SOURCES, waiting)
                waiting = []
            await asyncio.sleep(0)
        if not seq:
            raise ValueError("there are no recipients")
        if campaign.recipient_count > self.max_recipients:
            raise ValueError("there are too many recipients")
        files = order.request.options.get("files", ())
        if sum(len(file[2]) for file in files) * seq > _MAX_FILE_BYTES:
            raise ValueError("the files are too large for so many recipients")
        entry = Row(
            {
                rows.INSERT_SOURCES: waiting,
                rows.INSERT_CAMPAIGNS: [rows.campaign_row(campaign)],
            },
            now_ms=campaign.created_at,
        )
        await self._journal.write(entry)
        return cost

    async def _write(self, bulk: Bulk, waiting: list[object]) -> None:
        await self._journal.write(Row({bulk: waiting}, now_ms=0))

    async def _try_out(
        self, campaign: Campaign, request: SendRequest, source: Source, *, is_whole: bool
    ) -> int:
        """The price of a source, or of its first portion. Raises ValueError when no messages can be
        made of it."""
        cost = 0
        async for entries in self._portions(request.account, campaign, source):
            tried = await self._orders.request(campaign, request.account, entries)
            outcome = await self._submit.estimate(tried)
            if isinstance(outcome, Refused):
                if outcome.refusal in (Refusal.BAD_PARAMETERS, Refusal.BAD_DATE):
                    raise ValueError(outcome.refusal.value)
            else:
                cost += outcome.cost_micros
            if not is_whole:
                break
        return cost

    async def _portions(
        self, account: Account, campaign: Campaign, source: Source
    ) -> AsyncIterator[list[Entry]]:
        ahead = replace(campaign)
        while True:
            entries, count, place = await self._orders.portion(account, ahead, source)
            if count:
                yield entries
            if not place:
                return
            ahead.place = place

    async def _forget(self, campaign: Campaign) -> None:
        """Gives back the room of an order that was refused."""
        async with self._database.write() as connection:
            while await rows.remove_sources(connection, campaign.id, 1000):
                pass


def _offset_minutes(zone: tzinfo, at_ms: int) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
    assert offset is not None, "every zone here has an offset"
    return offset // timedelta(minutes=1)


def open_campaigns(
    config: Config,
    *,
    database: Database,
    journal: Journal,
    directory: Directory,
    registers: Registers,
    submit: Submit,
    dispatch: Dispatch,
    tracker: Tracker,
    books: Bookkeeping,
    find_group: FindGroup,
    written: Callable[[Changes, Row], None],
    clock: Callable[[], int],
) -> Campaigns:
    """Mailing lists with their runs, which do not run yet (`runs.start`)."""
    orders = CampaignOrders(database, find_group)
    runs = CampaignRuns(
        database=database,
        journal=journal,
        directory=directory,
        registers=registers,
        orders=orders,
        submit=submit,
        dispatch=dispatch,
        tracker=tracker,
        books=books,
        written=written,
        clock=clock,
        repeat_ms=round(config.sending.repeat_minutes * 60_000),
    )
    return Campaigns(
        database=database,
        journal=journal,
        orders=orders,
        submit=submit,
        runs=runs,
        clock=clock,
        max_recipients=config.sending.max_list_recipients,
    )
