"""Issued documents: inserted once with the next number of their issuer, never updated."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.documents import Content, DocumentKind
from heliograph.storage import counters
from heliograph.storage.schema import accounts, totals
from heliograph.storage.schema_services import document_files, documents
from heliograph.storage.sets import is_sqlite

__all__ = [
    "Document",
    "TypeSum",
    "accounts_without_act",
    "find_document",
    "insert_document",
    "is_corrected",
    "keep_file",
    "list_documents",
    "read_file",
    "standing_currencies",
    "sums_by_type",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An issued document. `number` runs without gaps within issuer and kind; `period` of an act is
    year * 12 + month - 1."""

    id: int
    kind: DocumentKind
    number: int
    issuer_id: int
    account_id: int
    period: int
    corrects_id: int
    created_at: int
    content: Content


@dataclass(frozen=True, slots=True)
class TypeSum:
    """What messages of one type came to in a month."""

    type: int
    currency: str
    count: int
    charged_micros: int
    open_micros: int


async def insert_document(
    connection: AsyncConnection,
    kind: DocumentKind,
    content: Content,
    *,
    issuer_id: int,
    account_id: int,
    now_ms: int,
    period: int = 0,
    corrects_id: int = 0,
) -> Document:
    """Issues a document. Its number is taken in the same transaction: none is ever left out."""
    number = await counters.take(connection, f"documents:{issuer_id}:{int(kind)}", 1)
    document_id = await counters.take(connection, "documents", 1)
    values = {
        "id": document_id,
        "kind": int(kind),
        "number": number,
        "issuer_id": issuer_id,
        "account_id": account_id,
        "period": period,
        "corrects_id": corrects_id,
        "total_micros": content.total_micros,
        "currency": content.currency,
        "content": msgspec.json.encode(content.as_record()).decode(),
        "created_at": now_ms,
    }
    await connection.execute(insert(documents).values(values))
    return Document(
        id=document_id,
        kind=kind,
        number=number,
        issuer_id=issuer_id,
        account_id=account_id,
        period=period,
        corrects_id=corrects_id,
        created_at=now_ms,
        content=content,
    )


async def find_document(
    connection: AsyncConnection,
    issuer_id: int,
    account_id: int,
    kind: DocumentKind,
    *,
    id: int = 0,
    number: int = 0,
) -> Document | None:
    """A document by its id or number, if it was issued by the one to the other."""
    found = await list_documents(
        connection, issuer_id, account_id=account_id, kind=kind, id=id, number=number
    )
    return found[0] if found and (id or number) else None


async def list_documents(
    connection: AsyncConnection,
    issuer_id: int,
    *,
    account_id: int = 0,
    kind: DocumentKind | None = None,
    id: int = 0,
    number: int = 0,
    limit: int = 100,
) -> list[Document]:
    """Documents of an issuer, newest first; what is 0 or None does not matter."""
    query = select(
        documents.c.id,
        documents.c.kind,
        documents.c.number,
        documents.c.issuer_id,
        documents.c.account_id,
        documents.c.period,
        documents.c.corrects_id,
        documents.c.created_at,
        documents.c.content,
    ).where(documents.c.issuer_id == issuer_id)
    for column, value in (
        (documents.c.account_id, account_id),
        (documents.c.kind, kind),
        (documents.c.id, id),
        (documents.c.number, number),
    ):
        if value:
            query = query.where(column == int(value))
    rows = await connection.execute(query.order_by(documents.c.id.desc()).limit(limit))
    return [
        Document(
            **{
                **row,
                "kind": DocumentKind(row["kind"]),
                "content": msgspec.json.decode(row["content"], type=Content),
            }
        )
        for row in map(dict, rows.mappings())
    ]


async def is_corrected(connection: AsyncConnection, document_id: int) -> bool:
    """Whether a counter-document takes it back."""
    return (
        await connection.scalar(
            select(documents.c.id).where(documents.c.corrects_id == document_id).limit(1)
        )
    ) is not None


async def read_file(connection: AsyncConnection, document_id: int) -> bytes | None:
    """The file as it was first given out; None before that."""
    content = await connection.scalar(
        select(document_files.c.content).where(document_files.c.document_id == document_id)
    )
    return None if content is None else bytes(content)


async def keep_file(connection: AsyncConnection, document_id: int, content: bytes) -> bytes:
    """Keeps the file, unless there is one already; what is kept."""
    put = sqlite.insert if is_sqlite(connection) else postgresql.insert
    statement = put(document_files).values(document_id=document_id, content=content)
    # Two may have asked for it for the first time at once.
    await connection.execute(statement.on_conflict_do_nothing())
    return await read_file(connection, document_id) or content


async def standing_currencies(
    connection: AsyncConnection, account_id: int, period: int
) -> set[str]:
    """The currencies in which there is an act about the period that was not taken back."""
    mine = documents.c.account_id == account_id
    return {currency for _, currency in await _standing_acts(connection, period, mine)}


async def accounts_without_act(
    connection: AsyncConnection, period: int, days: tuple[int, int]
) -> list[tuple[int, int]]:
    """(account, its main account) of sub-clients with messages on these days, paid for in a
    currency in which no act about the period stands."""
    rows = await connection.execute(
        select(accounts.c.id, accounts.c.parent_id, totals.c.currency)
        .join(totals, totals.c.account_id == accounts.c.id)
        .where(
            accounts.c.parent_id != 0,
            totals.c.day >= days[0],
            totals.c.day <= days[1],
            totals.c.messages > totals.c.refused + totals.c.deleted,
        )
        .distinct()
    )
    standing = await _standing_acts(connection, period)
    return sorted(
        {(id, parent_id) for id, parent_id, currency in rows if (id, currency) not in standing}
    )


async def _standing_acts(
    connection: AsyncConnection, period: int, *more: ColumnElement[bool]
) -> set[tuple[int, str]]:
    """(account, currency) of the acts about a period that were not taken back."""
    corrected = select(documents.c.corrects_id).where(documents.c.corrects_id != 0)
    rows = await connection.execute(
        select(documents.c.account_id, documents.c.currency).where(
            documents.c.kind == int(DocumentKind.ACT),
            documents.c.period == period,
            documents.c.corrects_id == 0,
            documents.c.id.not_in(corrected),
            *more,
        )
    )
    return {(account_id, currency) for account_id, currency in rows}


async def sums_by_type(
    connection: AsyncConnection, account_id: int, days: tuple[int, int]
) -> list[TypeSum]:
    """What an account's messages came to, by type and currency."""
    keys = (totals.c.type, totals.c.currency)
    rows = await connection.execute(
        select(
            *keys,
            func.sum(totals.c.messages - totals.c.refused - totals.c.deleted),
            func.sum(totals.c.charged_micros),
            func.sum(totals.c.open_micros),
        )
        .where(totals.c.account_id == account_id, totals.c.day >= days[0], totals.c.day <= days[1])
        .group_by(*keys)
        .order_by(*keys)
    )
    return [TypeSum(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows]
