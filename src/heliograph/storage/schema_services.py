"""The tables of what stands beside sending: short links, calls that confirm numbers, documents, and
the journal of ported numbers.

Conventions are those of `schema`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from heliograph.storage.schema import metadata

__all__ = [
    "arrivals",
    "document_files",
    "documents",
    "expected_calls",
    "link_codes",
    "ported_changes",
    "short_links",
]

_Id = BigInteger().with_variant(Integer, "sqlite")

ported_changes = Table(  # what an import changed in `ported_numbers`, by day
    "ported_changes",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("number", Text, primary_key=True),
    Column("mccmnc", Text, nullable=False),  # '': it went back to its first network
    sqlite_with_rowid=False,
)

short_links = Table(  # one target in one submission; everybody who got it has a code of their own
    "short_links",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("code", Text, nullable=False),  # by which its owner knows it
    Column("target", Text, nullable=False),
    Column("target_key", BigInteger, nullable=False),  # of the target: see storage.short_links
    Column("created_at", BigInteger, nullable=False),
    # Clicks: in all, and of the last month, day and day before on which there was one.
    Column("clicks", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("month_clicks", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    Column("day_clicks", BigInteger, nullable=False),
    Column("eve_clicks", BigInteger, nullable=False),  # of the day before `day`
    Index("ix_short_links_target", "account_id", "target_key", "id"),
    Index("ix_short_links_created", "created_at"),
)

link_codes = Table(
    "link_codes",
    metadata,
    Column("code", Text, primary_key=True),
    Column("link_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Column("clicked_at", BigInteger, nullable=False),  # the first time; 0: not yet
    Index("ix_link_codes_link", "link_id"),
    sqlite_with_rowid=False,
)

arrivals = Table(  # what another process heard and the running server has to act upon
    "arrivals",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),  # call, incoming
    Column("account_id", BigInteger, nullable=False),  # incoming: to whom
    Column("source", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

expected_calls = Table(  # people who were asked to call, for five minutes
    "expected_calls",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("phone", Text, primary_key=True),
    Column("number", Text, nullable=False),  # which they were told to call
    Column("expires_at", BigInteger, nullable=False, index=True),
    Index("ix_expected_calls_phone", "phone"),
)

documents = Table(  # invoices and acts: never changed once they are here
    "documents",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),  # domain.documents.DocumentKind
    Column("number", BigInteger, nullable=False),  # runs without gaps within its issuer and kind
    Column("issuer_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("account_id", BigInteger, nullable=False),  # to whom: not a key, as it may go away
    Column("period", Integer, nullable=False),  # acts: year * 12 + month - 1; invoices: 0
    Column("corrects_id", BigInteger, nullable=False),  # the document that it takes back; 0: none
    Column("total_micros", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("content", Text, nullable=False),  # JSON: parties, lines, language
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("issuer_id", "kind", "number", name="uq_documents_number"),
    Index("ix_documents_account", "account_id", "kind", "period"),
)

document_files = Table(  # the PDF as it was first given out
    "document_files",
    metadata,
    Column("document_id", _Id, ForeignKey("documents.id"), primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
