"""Mailing lists in storage: rows of the journal, and what the runs and their owners read.

Progress, chunks and messages of one portion are written in one transaction, so a restart goes on
exactly after the last portion that was written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, case, delete, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.campaigns import (
    Campaign,
    CampaignState,
    CampaignView,
    Chunk,
    ChunkKind,
    Repetition,
    Source,
    SourceKind,
    api_status,
)
from heliograph.domain.messages import MessageState, MessageType
from heliograph.storage.bulk_texts import bulk_insert, bulk_update
from heliograph.storage.schema import messages, parts
from heliograph.storage.schema_campaigns import (
    campaign_chunks,
    campaign_repeats,
    campaign_sources,
    campaigns,
)
from heliograph.storage.sets import among

__all__ = [
    "ADVANCE_CAMPAIGNS",
    "DELETE_CAMPAIGNS",
    "INSERT_CAMPAIGNS",
    "INSERT_CHUNKS",
    "INSERT_REPEATS",
    "INSERT_SOURCES",
    "UPDATE_CAMPAIGNS",
    "UPDATE_CHUNKS",
    "active_states",
    "campaign_row",
    "chunk_row",
    "chunk_update",
    "due_held",
    "list_views",
    "load_active",
    "load_campaigns",
    "may_repeat",
    "next_held",
    "open_chunks",
    "open_messages",
    "order_stop",
    "read_files",
    "read_source",
    "remove_orphans",
    "remove_sources",
    "source_row",
    "stream_recipients",
    "tally",
    "unreached",
    "without_files",
]

INSERT_CAMPAIGNS = bulk_insert(campaigns)
INSERT_SOURCES = bulk_insert(campaign_sources)
INSERT_CHUNKS = bulk_insert(campaign_chunks)
INSERT_REPEATS = bulk_insert(campaign_repeats)

# Where a run has come to: (id, seq, place, position).
ADVANCE_CAMPAIGNS = bulk_update(
    "advance_campaigns", campaigns, key="id", columns=["seq", "place", "position"]
)

# (id, state, run, run_at, next_run_at, seq, place, position). What is being stopped can only come
# to its end: another process may have said so.
UPDATE_CAMPAIGNS = bulk_update(
    "update_campaigns",
    campaigns,
    key="id",
    columns=["state", "run", "run_at", "next_run_at", "seq", "place", "position"],
    guard='(campaigns.state < 4 OR campaigns.state = 4 AND j."state" IN (4, 11))',
)

# Out of its owner's sight: (id, is_deleted).
DELETE_CAMPAIGNS = bulk_update("delete_campaigns", campaigns, key="id", columns=["is_deleted"])

# (submission_id, is_closed, held_until, cost_micros, ended, delivered, failed).
UPDATE_CHUNKS = bulk_update(
    "update_chunks",
    campaign_chunks,
    key="submission_id",
    columns=["is_closed", "held_until", "cost_micros", "ended", "delivered", "failed"],
)

_S = MessageState
_DELIVERED = (int(_S.DELIVERED), int(_S.READ), int(_S.CLICKED))
_TAKEN_BACK = (int(_S.DELETED), int(_S.STOPPED))
_ACTIVE: ColumnElement[bool] = literal_column("campaigns.state < 10")
_OPEN: ColumnElement[bool] = literal_column("campaign_chunks.is_closed = 0")
_EIGHT: ColumnElement[int] = literal_column("8")
_SEEN = [column for column in campaigns.c if column is not campaigns.c.order]
_LOADED_AT_ONCE = 8


def campaign_row(c: Campaign) -> tuple[object, ...]:
    """A row of INSERT_CAMPAIGNS."""
    return (
        c.id,
        c.account_id,
        c.name,
        c.client_ref,
        int(c.type),
        c.sender,
        c.text,
        msgspec.json.encode(c.order).decode(),
        c.created_at,
        int(c.repetition),
        c.max_runs,
        int(c.state),
        int(c.is_deleted),
        c.recipient_count,
        c.zone_minutes,
        c.planned_at,
        c.run,
        c.run_at,
        c.next_run_at,
        c.seq,
        c.place,
        c.position,
    )


def source_row(campaign_id: int, seq: int, source: Source) -> tuple[object, ...]:
    """A row of INSERT_SOURCES."""
    return (campaign_id, seq, int(source.kind), source.count, source.content)


def chunk_row(c: Chunk) -> tuple[object, ...]:
    """A row of INSERT_CHUNKS."""
    return (
        c.submission_id,
        c.campaign_id,
        c.run,
        int(c.kind),
        int(c.is_closed),
        c.held_until,
        c.message_count,
        c.cost_micros,
        c.ended,
        c.delivered,
        c.failed,
    )


def chunk_update(c: Chunk) -> tuple[object, ...]:
    """A row of UPDATE_CHUNKS."""
    closed = int(c.is_closed)
    return (c.submission_id, closed, c.held_until, c.cost_micros, c.ended, c.delivered, c.failed)


# --- campaigns ------------------------------------------------------------------------------------


async def load_campaigns(connection: AsyncConnection, ids: Iterable[int]) -> list[Campaign]:
    """Campaigns by their ids, oldest first; deleted ones too."""
    rows = await connection.execute(
        select(campaigns).where(among(connection, campaigns.c.id, [*ids])).order_by(campaigns.c.id)
    )
    return [_campaign(row._mapping) for row in rows]


async def load_active(connection: AsyncConnection) -> list[Campaign]:
    """Campaigns with something to do: they have not ended, or their messages have not."""
    ids = set((await connection.scalars(select(campaigns.c.id).where(_ACTIVE))).all())
    open_ones = select(campaign_chunks.c.campaign_id).where(_OPEN).distinct()
    ids.update((await connection.scalars(open_ones)).all())
    found, left = [], sorted(ids)
    while left:  # a few at a time: files are read with them, and left out then
        found += await load_campaigns(connection, left[:_LOADED_AT_ONCE])
        del left[:_LOADED_AT_ONCE]
    return found


async def read_files(connection: AsyncConnection, campaign_id: int) -> list[list[str]]:
    """The files of a campaign: (name, type, content in base64)."""
    text = await connection.scalar(select(campaigns.c.order).where(campaigns.c.id == campaign_id))
    found: list[list[str]] = msgspec.json.decode(text or "{}").get("options", {}).get("files", [])
    return found


def without_files(order: dict[str, Any]) -> dict[str, Any]:
    """An order as it is held in memory: its files may be large, and it may wait for long."""
    if "files" not in order["options"]:
        return order
    options = {name: value for name, value in order["options"].items() if name != "files"}
    return {**order, "options": options, "has_files": True}


async def active_states(connection: AsyncConnection) -> dict[int, CampaignState]:
    """States of the campaigns that have not ended."""
    rows = await connection.execute(select(campaigns.c.id, campaigns.c.state).where(_ACTIVE))
    return {id: CampaignState(state) for id, state in rows.all()}


async def order_stop(connection: AsyncConnection, campaign_id: int) -> bool:
    """Tells whoever runs a campaign to stop it; False: it has ended, or there is none. Once told,
    it stays so: no progress of a run takes it back."""
    running = campaigns.c.state < int(CampaignState.STOPPING)
    done = await connection.execute(
        update(campaigns)
        .where(campaigns.c.id == campaign_id, running)
        .values(state=int(CampaignState.STOPPING))
    )
    return done.rowcount > 0


async def list_views(
    connection: AsyncConnection,
    *,
    now_ms: int,
    account_id: int | None = None,
    id: int | None = None,
    since_ms: int = 0,
    until_ms: int | None = None,
    limit: int = 10_000,
    is_active: bool = False,
    with_deleted: bool = False,
) -> list[CampaignView]:
    """Campaigns as their owners see them, newest `limit`, oldest of them first. Their orders are
    not read."""
    query = select(*_SEEN).order_by(campaigns.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(campaigns.c.account_id == account_id)
    if id is not None:
        query = query.where(campaigns.c.id == id)
    if since_ms:
        query = query.where(campaigns.c.created_at >= since_ms)
    if until_ms is not None:
        query = query.where(campaigns.c.created_at < until_ms)
    if is_active:
        query = query.where(_ACTIVE)
    if not with_deleted:
        query = query.where(campaigns.c.is_deleted == 0)
    found = [_campaign(row._mapping) for row in await connection.execute(query)]
    found.reverse()
    sums = await _sums(connection, [campaign.id for campaign in found])
    return [_view(campaign, sums.get(campaign.id), now_ms) for campaign in found]


async def _sums(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Sequence[Any]]:
    c = campaign_chunks.c
    is_first = c.kind == int(ChunkKind.FIRST)
    rows = await connection.execute(
        select(
            c.campaign_id,
            # Who is asked once more is no other recipient.
            func.sum(case((is_first, c.message_count), else_=0)),
            func.sum(c.cost_micros),
            func.sum(c.delivered),
            func.sum(c.failed),
            func.sum(case((is_first, 0), else_=c.message_count)),
            func.sum(c.ended),
        )
        .where(among(connection, c.campaign_id, list(ids)))
        .group_by(c.campaign_id)
    )
    return {row[0]: row[1:] for row in rows.all()}


def _view(campaign: Campaign, sums: Sequence[Any] | None, now_ms: int) -> CampaignView:
    made, cost, delivered, failed, again, ended = map(int, _numbers(sums))
    return CampaignView(
        campaign=campaign,
        status=api_status(campaign, now_ms),
        message_count=made if campaign.run else campaign.recipient_count,
        cost_micros=cost,
        delivered=delivered,
        # Those who got a second message failed with the first and are counted by the second.
        failed=max(0, failed - again),
        ended=ended,
    )


def _numbers(sums: Sequence[Any] | None) -> list[int]:
    return [0] * 6 if sums is None else [value or 0 for value in sums]


def _campaign(row: Any) -> Campaign:
    fields = dict(row)
    fields["type"] = MessageType(fields["type"])
    fields["repetition"] = Repetition(fields["repetition"])
    fields["state"] = CampaignState(fields["state"])
    fields["is_deleted"] = bool(fields["is_deleted"])
    fields["order"] = without_files(msgspec.json.decode(fields["order"])) if "order" in row else {}
    return Campaign(**fields)


# --- sources --------------------------------------------------------------------------------------


async def read_source(connection: AsyncConnection, campaign_id: int, seq: int) -> Source | None:
    """The source with that number; None: there are no more."""
    c = campaign_sources.c
    row = (
        await connection.execute(
            select(c.kind, c.count, c.content).where(c.campaign_id == campaign_id, c.seq == seq)
        )
    ).first()
    return None if row is None else Source(kind=SourceKind(row[0]), count=row[1], content=row[2])


async def may_repeat(connection: AsyncConnection, campaign_id: int) -> bool:
    """Whether somebody may be in two sources of a campaign: in a group, and elsewhere."""
    c = campaign_sources.c
    groups = func.sum(case((c.kind == int(SourceKind.GROUP), 1), else_=0))
    counted = select(func.count(), groups).where(c.campaign_id == campaign_id)
    sources, in_groups = (await connection.execute(counted)).one()
    return sources > 1 and bool(in_groups)


async def remove_sources(connection: AsyncConnection, campaign_id: int, limit: int) -> int:
    """Deletes up to `limit` sources of a campaign; how many it were."""
    c = campaign_sources.c
    first = select(c.seq).where(c.campaign_id == campaign_id).order_by(c.seq).limit(limit)
    seqs = list(await connection.scalars(first))
    if seqs:
        await connection.execute(
            delete(campaign_sources).where(c.campaign_id == campaign_id, c.seq <= seqs[-1])
        )
    return len(seqs)


async def remove_orphans(connection: AsyncConnection) -> list[int]:
    """Ids of campaigns that have sources and do not need them: their order was never finished, or
    they ended and the gateway was stopped before it gave them back."""
    needed = select(campaigns.c.id).where(_ACTIVE)
    rows = await connection.scalars(
        select(campaign_sources.c.campaign_id)
        .where(campaign_sources.c.campaign_id.not_in(needed), campaign_sources.c.seq == 0)
        .distinct()
    )
    return list(rows)


# --- chunks and their messages --------------------------------------------------------------------


async def open_chunks(connection: AsyncConnection, campaign_id: int) -> list[Chunk]:
    """Chunks of a campaign whose messages have not all ended, in the order of their making."""
    c = campaign_chunks.c
    rows = await connection.execute(
        select(campaign_chunks).where(c.campaign_id == campaign_id, _OPEN).order_by(c.submission_id)
    )
    found = []
    for row in rows:
        fields: dict[str, Any] = dict(row._mapping)
        fields["kind"] = ChunkKind(fields["kind"])
        fields["is_closed"] = bool(fields["is_closed"])
        found.append(Chunk(**fields))
    return found


async def stream_recipients(
    connection: AsyncConnection, campaign_id: int, run: int
) -> AsyncIterator[str]:
    """Who has a message of a run, numbers with their plus."""
    c, m = campaign_chunks.c, messages.c
    chunks = select(c.submission_id).where(
        c.campaign_id == campaign_id, c.run == run, c.kind == int(ChunkKind.FIRST)
    )
    for submission_id in (await connection.scalars(chunks)).all():
        for recipient in await connection.scalars(
            select(m.recipient).where(m.submission_id == submission_id)
        ):
            yield f"+{recipient}" if recipient.isdigit() else recipient


async def due_held(
    connection: AsyncConnection, submission_id: int, now_ms: int, limit: int
) -> list[int]:
    """Ids of held messages of a submission whose time has come."""
    m = messages.c
    ids = await connection.scalars(
        select(m.id)
        .where(m.submission_id == submission_id, m.state == int(_S.HELD), m.due_at <= now_ms)
        .order_by(m.id)
        .limit(limit)
    )
    return list(ids)


async def next_held(connection: AsyncConnection, submission_id: int, after_ms: int) -> int:
    """When the next held message of a submission is due, after a moment; 0: there is none."""
    m = messages.c
    found = await connection.scalar(
        select(func.min(m.due_at)).where(
            m.submission_id == submission_id, m.state == int(_S.HELD), m.due_at > after_ms
        )
    )
    return int(found or 0)


async def open_messages(connection: AsyncConnection, submission_id: int, limit: int) -> list[int]:
    """Ids of messages of a submission of which nothing has gone out."""
    m = messages.c
    on_its_way = (
        select(parts.c.id)
        .where(
            parts.c.id >= m.id.op("<<")(_EIGHT),
            parts.c.id <= m.id.op("<<")(_EIGHT).op("+")(literal_column("255")),
            parts.c.state != int(_S.QUEUED),
        )
        .exists()
    )
    ids = await connection.scalars(
        select(m.id)
        .where(m.submission_id == submission_id, m.final_at == 0, ~on_its_way)
        .order_by(m.id)
        .limit(limit)
    )
    return list(ids)


async def tally(connection: AsyncConnection, submission_id: int) -> tuple[int, int, int, int]:
    """(cost, ended, delivered, failed) of a submission's messages as they are now."""
    m = messages.c
    is_final = m.final_at > 0
    is_failed = is_final & m.state.not_in((*_DELIVERED, *_TAKEN_BACK))
    row = (
        await connection.execute(
            select(
                func.sum(case((is_final, m.charged_micros), else_=m.price_micros)),
                func.sum(case((is_final, 1), else_=0)),
                func.sum(case((m.state.in_(_DELIVERED), 1), else_=0)),
                func.sum(case((is_failed, 1), else_=0)),
            ).where(m.submission_id == submission_id)
        )
    ).one()
    cost, ended, delivered, failed = (int(value or 0) for value in row)
    return cost, ended, delivered, failed


async def unreached(
    connection: AsyncConnection,
    submission_id: int,
    states: Iterable[MessageState],
    limit: int,
    *,
    but_err: int = 0,
) -> list[tuple[int, str, int]]:
    """Messages that ended in one of the states, though not with the error `but_err`, and were not
    followed by another one yet, oldest end first: (id, recipient, final_at)."""
    m = messages.c
    rows = await connection.execute(
        select(m.id, m.recipient, m.final_at)
        .outerjoin(campaign_repeats, campaign_repeats.c.message_id == m.id)
        .where(
            m.submission_id == submission_id,
            m.final_at > 0,
            m.is_deleted == 0,
            m.state.in_([int(state) for state in states]),
            m.err != (but_err or -1),
            campaign_repeats.c.message_id.is_(None),
        )
        .order_by(m.final_at, m.id)
        .limit(limit)
    )
    return [(id, recipient, final_at) for id, recipient, final_at in rows.all()]
