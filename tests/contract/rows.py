"""Rows as services write them: a journal with ids, and makers of submissions with their money."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from heliograph.domain.messages import MessageState, part_id
from heliograph.storage import accounts, ledger
from heliograph.storage.database import Database
from heliograph.storage.journal import BatchWriter, Entry, Journal
from heliograph.storage.statements import (
    CLAIM_PARTS,
    INSERT_MESSAGES,
    INSERT_PARTS,
    INSERT_SUBMISSIONS,
    RESPOND_PARTS,
)

NOW = 1_700_000_000_000

# Columns that hardly a test cares about.
_USUAL: dict[str, Any] = {
    "type": 0,
    "sender": "sender",
    "comment": "",
    "door": "http",
    "flags": 0,
    "is_test": 0,
    "options": None,
    "transfer_id": 0,
    "mccmnc": "25001",
    "err": 0,
    "charged_micros": 0,
    "final_at": 0,
    "own_text": None,
    "own_sender": None,
    "detail": None,
    "is_deleted": 0,
}


class Books:
    """An open journal and what is needed to fill it."""

    def __init__(self, database: Database, journal: Journal, ids: itertools.count[int]) -> None:
        self.database = database
        self.journal = journal
        self.ids = ids

    @classmethod
    async def open(cls, database: Database, *, writer: BatchWriter | None = None) -> Books:
        """Opens a journal; ids begin far above those that `ledger.pay` takes."""
        ids = itertools.count(1_000_000)

        def take_ids(count: int) -> int:
            first = next(ids)
            for _ in range(count - 1):
                next(ids)
            return first

        journal = Journal(writer or database.writer(), take_ids=take_ids)
        await journal.open()
        return cls(database, journal, ids)

    async def close(self) -> None:
        """Closes the journal."""
        await self.journal.close()

    async def account(self, login: str, balance: int = 0, **fields: Any) -> int:
        """An account with money; its id."""
        async with self.database.write() as connection:
            id = await accounts.create_account(connection, login, now_ms=NOW, **fields)
            if balance:
                await ledger.pay(connection, id, balance, now_ms=NOW)
        return id

    async def balance(self, account_id: int) -> int:
        """An account's balance."""
        async with self.database.read() as connection:
            return (await ledger.read_balance(connection, account_id))[0]

    async def audit(self) -> ledger.AuditReport:
        """The proof of everything stored."""
        async with self.database.snapshot() as connection:
            return await ledger.audit(connection)

    def submission(
        self,
        account_id: int,
        recipients: Sequence[str] = ("79990000001",),
        *,
        price: int = 0,
        parts: int = 1,
        connector_id: int = 1,
        client_ref: str = "1",
        text: str = "text",
        payer_id: int = 0,
        state: MessageState = MessageState.QUEUED,
        due_at: int = 0,
        expires_at: int = NOW + 86_400_000,
        created_at: int = NOW,
        must_write: bool = False,
    ) -> Entry:
        """An entry with one submission; `price` is for each of its messages (`ids_of(entry)`)."""
        payer = payer_id or account_id
        call = next(self.ids)
        rows: dict[Any, list[Any]] = {INSERT_SUBMISSIONS: [], INSERT_MESSAGES: []}
        rows[INSERT_SUBMISSIONS].append(
            _row(
                INSERT_SUBMISSIONS.columns,
                id=call,
                account_id=account_id,
                payer_id=payer,
                client_ref=client_ref,
                text=text,
                created_at=created_at,
            )
        )
        for recipient in recipients:
            message = next(self.ids)
            rows[INSERT_MESSAGES].append(
                _row(
                    INSERT_MESSAGES.columns,
                    id=message,
                    submission_id=call,
                    account_id=account_id,
                    payer_id=payer,
                    recipient=recipient,
                    state=int(state),
                    part_count=parts,
                    price_micros=price,
                    due_at=due_at,
                    expires_at=expires_at,
                    created_at=created_at,
                    route=str(connector_id),
                )
            )
            if state is not MessageState.SCHEDULED:
                rows.setdefault(INSERT_PARTS, []).extend(
                    _part_row(message, seq, connector_id) for seq in range(1, parts + 1)
                )
        entry = Entry(rows, now_ms=created_at, must_write=must_write)
        entry.payer_id = payer
        entry.reserve_micros = price * len(recipients)
        entry.message_count = len(recipients)
        return entry


def ids_of(entry: Entry) -> list[int]:
    """Ids of the messages that an entry inserts."""
    return [row[0] for row in entry.rows[INSERT_MESSAGES]]


def claim(message_id: int, *, connector_id: int = 1, seq: int = 1, now: int = NOW) -> list[Any]:
    """A row of CLAIM_PARTS."""
    return [part_id(message_id, seq), int(MessageState.SUBMITTING), connector_id, now]


def claims(*rows: list[Any]) -> Entry:
    """An entry of claims."""
    return Entry({CLAIM_PARTS: list(rows)}, now_ms=NOW)


def answer(message_id: int, external_id: str, *, seq: int = 1) -> list[Any]:
    """A row of RESPOND_PARTS: the upstream took the part."""
    return [part_id(message_id, seq), int(MessageState.SUBMITTED), external_id, 0, 1, NOW]


def answers(*rows: list[Any]) -> Entry:
    """An entry of answers, which must be written."""
    return Entry({RESPOND_PARTS: list(rows)}, now_ms=NOW, must_write=True)


def final(
    message_id: int,
    charged: int = 0,
    *,
    state: MessageState = MessageState.DELIVERED,
    err: int = 0,
    now: int = NOW,
) -> list[Any]:
    """A row of FINISH_MESSAGES."""
    return [message_id, int(state), err, charged, now, None]


def finals(*rows: list[Any]) -> Entry:
    """An entry that finishes messages."""
    return Entry(now_ms=NOW, finals=list(rows), must_write=True)


def _part_row(message_id: int, seq: int, connector_id: int) -> list[Any]:
    return [
        part_id(message_id, seq),
        int(MessageState.QUEUED),
        connector_id,
        "",
        0,
        0,
        0,
        0,
        0,
        0,
    ]


def _row(columns: Sequence[str], **values: Any) -> list[Any]:
    return [values[column] if column in values else _USUAL[column] for column in columns]
