"""The tables of mailing lists. Conventions are those of `schema`; states and kinds are the numbers
of the enums in `domain.campaigns`.

`campaign_sources` is given back when a campaign has ended; what it sent is counted in
`campaign_chunks`, a row for each of its submissions.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table, Text, text

from heliograph.storage.schema import metadata

__all__ = ["campaign_chunks", "campaign_repeats", "campaign_sources", "campaigns", "metadata"]

_Id = BigInteger().with_variant(Integer, "sqlite")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


campaigns = Table(
    "campaigns",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    _number("account_id"),
    Column("name", Text, nullable=False),
    Column("client_ref", Text, nullable=False),  # the id of its messages
    Column("type", SmallInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("order", Text, nullable=False),  # JSON: what its requests are made from
    _number("created_at"),
    Column("repetition", SmallInteger, nullable=False),
    Column("max_runs", Integer, nullable=False),  # 0: without end
    Column("state", SmallInteger, nullable=False),
    Column("is_deleted", SmallInteger, nullable=False),
    Column("recipient_count", Integer, nullable=False),  # in its sources, without groups
    Column("zone_minutes", Integer, nullable=False),
    _number("planned_at"),  # 0: at once
    Column("run", Integer, nullable=False),  # runs that have begun
    _number("run_at"),
    _number("next_run_at"),
    Column("seq", Integer, nullable=False),  # the source that is taken next
    Column("place", Text, nullable=False),  # where in it
    Column("position", Integer, nullable=False),  # recipients before it
    Index("ix_campaigns_account", "account_id", "id"),
    Index(
        "ix_campaigns_active",
        "id",
        sqlite_where=text("state < 10"),
        postgresql_where=text("state < 10"),
    ),
)

campaign_sources = Table(
    "campaign_sources",
    metadata,
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("content", Text, nullable=False),
)

campaign_chunks = Table(
    "campaign_chunks",
    metadata,
    Column("submission_id", _Id, primary_key=True, autoincrement=False),
    _number("campaign_id"),
    Column("run", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("is_closed", SmallInteger, nullable=False),  # nothing of it changes any more
    _number("held_until"),
    Column("message_count", Integer, nullable=False),
    _number("cost_micros"),
    Column("ended", Integer, nullable=False),
    Column("delivered", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Index("ix_campaign_chunks_campaign", "campaign_id", "submission_id"),
    Index(
        "ix_campaign_chunks_open",
        "campaign_id",
        "submission_id",
        sqlite_where=text("is_closed = 0"),
        postgresql_where=text("is_closed = 0"),
    ),
)

campaign_repeats = Table(  # messages that were sent once more, so that none is sent a third time
    "campaign_repeats",
    metadata,
    Column("message_id", _Id, primary_key=True, autoincrement=False),
    _number("campaign_id"),
)
