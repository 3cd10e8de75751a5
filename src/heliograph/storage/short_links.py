"""Short links: their rows, their clicks, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.short_links import target_key
from heliograph.storage.bulk import Bulk
from heliograph.storage.bulk_texts import bulk_insert, bulk_update
from heliograph.storage.schema_services import link_codes, short_links
from heliograph.storage.sets import among

__all__ = [
    "COUNT_CLICKS",
    "INSERT_CODES",
    "INSERT_LINKS",
    "MARK_CLICKED",
    "KnownCode",
    "LinkRow",
    "drop_links",
    "find_code",
    "find_link",
]

# Codes that are dropped in one go: they are scattered over the table.
_PAGE = 5_000

INSERT_LINKS = bulk_insert(short_links)
INSERT_CODES = bulk_insert(link_codes)

# The first time that somebody followed it: (code, clicked_at).
MARK_CLICKED = bulk_update("mark_clicked", link_codes, key="code", columns=["clicked_at"])

_COUNT = (
    "UPDATE short_links SET clicks = short_links.clicks + j.n, "
    "month_clicks = j.n + CASE WHEN short_links.month = j.month THEN month_clicks ELSE 0 END, "
    "eve_clicks = CASE short_links.day WHEN j.day THEN eve_clicks WHEN j.day - 1 THEN day_clicks "
    "ELSE 0 END, "
    "day_clicks = j.n + CASE WHEN short_links.day = j.day THEN day_clicks ELSE 0 END, "
    "month = j.month, day = j.day FROM {source} WHERE short_links.id = j.id"
)
# Clicks of some links: (id, how many, month, day). Months and days are counted from 1970.
COUNT_CLICKS = Bulk(
    name="count_clicks",
    columns=("id", "n", "month", "day"),
    sqlite="WITH j(id, n, month, day) AS (VALUES {values}) " + _COUNT.format(source="j"),
    postgresql=_COUNT.format(
        source="unnest($1::bigint[], $2::bigint[], $3::integer[], $4::integer[]) "
        "AS j(id, n, month, day)"
    ),
    is_update=True,
)


class KnownCode(NamedTuple):
    """Where a code leads, and whose message it is."""

    target: str
    link_id: int
    message_id: int
    is_clicked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A short link with its clicks. `day` and `month`, counted from 1970, are those of the last
    click; `eve_clicks` are of the day before it."""

    code: str
    target: str
    clicks: int
    month: int
    month_clicks: int
    day: int
    day_clicks: int
    eve_clicks: int


async def find_code(connection: AsyncConnection, code: str) -> KnownCode | None:
    """Where a code leads; None when there is no such code."""
    row = (
        await connection.execute(
            select(
                short_links.c.target,
                link_codes.c.link_id,
                link_codes.c.message_id,
                link_codes.c.clicked_at,
            )
            .join(short_links, short_links.c.id == link_codes.c.link_id)
            .where(link_codes.c.code == code)
        )
    ).one_or_none()
    if row is None:
        return None
    return KnownCode(row.target, row.link_id, row.message_id, bool(row.clicked_at))


async def find_link(
    connection: AsyncConnection, account_id: int, *, target: str = "", code: str = ""
) -> LinkRow | None:
    """An account's newest link to a target, or the link that one of its codes belongs to."""
    query = select(
        short_links.c.code,
        short_links.c.target,
        short_links.c.clicks,
        short_links.c.month,
        short_links.c.month_clicks,
        short_links.c.day,
        short_links.c.day_clicks,
        short_links.c.eve_clicks,
    ).where(short_links.c.account_id == account_id)
    if target:
        query = query.where(
            short_links.c.target_key == target_key(target), short_links.c.target == target
        ).order_by(short_links.c.id.desc())
    else:
        owner = select(link_codes.c.link_id).where(link_codes.c.code == code).scalar_subquery()
        query = query.where(short_links.c.id == owner)
    row = (await connection.execute(query.limit(1))).mappings().one_or_none()
    return None if row is None else LinkRow(**row)


async def drop_links(connection: AsyncConnection, before_ms: int) -> int:
    """Forgets some links that were made before a moment; how many rows went, 0: none is left."""
    old = list(
        await connection.scalars(
            select(short_links.c.id).where(short_links.c.created_at < before_ms).limit(_PAGE)
        )
    )
    if not old:
        return 0
    codes = list(
        await connection.scalars(
            select(link_codes.c.code)
            .where(among(connection, link_codes.c.link_id, old))
            .limit(_PAGE)
        )
    )
    if codes:
        await connection.execute(
            delete(link_codes).where(among(connection, link_codes.c.code, codes))
        )
    if len(codes) < _PAGE:
        await connection.execute(
            delete(short_links).where(among(connection, short_links.c.id, old))
        )
    return len(codes) + len(old)
