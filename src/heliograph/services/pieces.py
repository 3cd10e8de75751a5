"""Joining: parts of a long message that come one by one become one message.

Every piece is on disk before it is answered, and has an id of its own. The last one writes the
message, priced and routed as a whole, in the same transaction that takes the pieces away; until
then they wait, also over a restart. Those whose rest does not come in time end as messages that
failed with error 241.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.messages import Message, MessageState, MessageType, Submission
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.pieces import Assembly, Gathering, Piece
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry as RequestEntry
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.protocols.sms.data_coding import decode_parts
from heliograph.protocols.sms.gsm7 import gsm7_table
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.ids import ClientRefs, Ids
from heliograph.services.submit import Done, Submit, message_row, submission_row
from heliograph.storage.database import Database
from heliograph.storage.journal import BulkRows, Entry, Journal
from heliograph.storage.pieces import load_waiting, piece_row
from heliograph.storage.statements import (
    INSERT_MESSAGES,
    INSERT_PIECES,
    INSERT_SUBMISSIONS,
    JOIN_PIECES,
)

__all__ = ["Pieces"]

_PIECES_MAX = 100_000
_ACCOUNT_MAX = 10_000
_TICK_S = 1.0
# "Conversion error; or not all parts arrived" (code tables, section 4).
_NOT_ALL = 241

_log = structlog.get_logger(__name__)


class Pieces:
    """`load` before the doors open. All methods run in the event loop."""

    def __init__(
        self,
        *,
        submit: Submit,
        journal: Journal,
        database: Database,
        ids: Ids,
        refs: ClientRefs,
        books: Bookkeeping,
        account_of: Callable[[int], Account | None],
        written: Callable[[Changes, Entry], None],
        clock: Callable[[], int],
        wait_ms: int,
    ) -> None:
        """`wait_ms`: how long a piece waits for the others."""
        self._submit = submit
        self._journal = journal
        self._database = database
        self._ids = ids
        self._refs = refs
        self._books = books
        self._account_of = account_of
        self._written = written
        self._clock = clock
        self._wait_ms = wait_ms
        self._gathering = Gathering(pieces_max=_PIECES_MAX, account_max=_ACCOUNT_MAX)
        self._task: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Pieces that wait."""
        return self._gathering.count

    async def load(self) -> None:
        """Takes up what an earlier run left, and begins to give up what waits too long."""
        async with self._database.read() as connection:
            waiting = await load_waiting(connection)
        for piece in waiting:
            self._gathering.add(piece)
        self._task = asyncio.create_task(self._tick(), name="pieces")

    async def stop(self) -> None:
        """Ends; what waits is on disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def begin(self, account: Account, piece: Piece, done: Done) -> None:
        """Keeps a piece, or makes the message of which it was the last; `done` is told when that
        is on disk. Its answer names the piece, not the message."""
        known = self._gathering.find(piece.key)
        if known is not None and (other := known.pieces.get(piece.number)) is not None:
            if other.repeats(piece) and other.client_ref:
                done(_taken(other))
                return
            # The reference is used anew: the rest of the old message will not come.
            self._give_up(known)
        if not self._gathering.has_room(account.id):
            done(Refused(Refusal.OVERLOADED, reason="too many parts of long messages wait"))
            return
        assembly = self._gathering.add(piece)
        self._refs.when_next(account.id, partial(self._go_on, account, assembly, piece, done))

    def _go_on(
        self,
        account: Account,
        assembly: Assembly,
        piece: Piece,
        done: Done,
        number: int | Exception,
    ) -> None:
        try:
            if isinstance(number, Exception):
                raise number
            piece.client_ref = str(number)
            piece.id = self._ids.take(1)
        except Exception as error:
            self._gathering.discard(piece)
            done(Refused(Refusal.OVERLOADED, reason=str(error)))
            return
        if self._gathering.find(piece.key) is not assembly:  # given up meanwhile
            assembly = self._gathering.add(piece)
        if assembly.is_whole and all(each.client_ref for each in assembly.pieces.values()):
            self._join(account, assembly, piece, done)
            return
        entry = Entry({INSERT_PIECES: [piece_row(piece, "")]}, now_ms=piece.received_at)
        entry.done = partial(self._kept, piece, done)
        self._journal.append(entry)

    def _kept(self, piece: Piece, done: Done, entry: Entry) -> None:
        if entry.error is not None:
            self._gathering.discard(piece)
            done(Refused(Refusal.OVERLOADED, reason=str(entry.error)))
        else:
            done(_taken(piece))

    def _join(self, account: Account, assembly: Assembly, last: Piece, done: Done) -> None:
        """The message is whole."""
        self._gathering.remove(assembly)
        ref = assembly.client_ref
        others = [(each.id, ref) for each in assembly.pieces.values() if each is not last]
        rows: BulkRows = {INSERT_PIECES: [piece_row(last, ref)], JOIN_PIECES: others}
        ended = partial(self._joined, assembly, last, done)
        self._submit.begin(_compose(account, assembly), ended, rows=rows)

    def _joined(
        self, assembly: Assembly, last: Piece, done: Done, end: Submitted | Refused
    ) -> None:
        if isinstance(end, Submitted) or end.client_ref:
            done(_taken(last))
            return
        # Nothing was stored: the others go on waiting, and the last one may come again.
        for piece in assembly.pieces.values():
            if piece is not last:
                self._gathering.add(piece)
        done(end)

    # --- giving up --------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                for assembly in self._gathering.older_than(self._clock() - self._wait_ms):
                    self._give_up(assembly)
            except Exception:
                _log.exception("parts of long messages were not looked through")

    def _give_up(self, assembly: Assembly) -> None:
        """Its pieces become messages that failed, each with a receipt of its own."""
        changes = Changes(self._clock())
        account = self._account_of(assembly.key[0])
        for piece in assembly.in_order():
            if not piece.client_ref:
                continue  # on its way: it will be alone in an assembly of its own
            self._fail(changes, piece, 0 if account is None else account.payer_id)
        self._gathering.remove(assembly)
        if changes.is_empty:
            return
        entry = changes.entry(must_write=True)
        entry.done = partial(self._written, changes)
        self._journal.append(entry)

    def _fail(self, changes: Changes, piece: Piece, payer_id: int) -> None:
        options = piece.options
        submission = Submission(
            id=self._ids.take(1),
            account_id=piece.account_id,
            payer_id=payer_id or piece.account_id,
            client_ref=piece.client_ref,
            type=MessageType.SMS,
            sender=options.get("sender") or "",
            text=_decode([piece]),
            created_at=piece.received_at,
            door=options["door"],
            options=_receipt_options(piece),
        )
        message = Message(
            id=self._ids.take(1),
            submission=submission,
            recipient=normalise_recipient(piece.recipient) or piece.recipient,
            mccmnc="",
            state=MessageState.UNDELIVERABLE,
            part_count=0,
            price_micros=0,
            created_at=piece.received_at,
            expires_at=changes.now_ms,
            err=_NOT_ALL,
        )
        changes.rows[INSERT_SUBMISSIONS].append(submission_row(submission))
        changes.rows[INSERT_MESSAGES].append(message_row(message, changes.now_ms))
        self._books.count_message(changes, message)
        changes.rows[JOIN_PIECES].append((piece.id, piece.client_ref))
        self._books.tell_owner(changes, message)


def _taken(piece: Piece) -> Submitted:
    return Submitted(
        client_ref=piece.client_ref, part_count=1, cost_micros=0, balance_micros=0, lines=[]
    )


def _compose(account: Account, assembly: Assembly) -> SendRequest:
    """The request that the pieces are, with what the door noted about the first of them."""
    pieces = assembly.in_order()
    first = pieces[0].options
    options = dict(first.get("options", ()))
    wishes = [[p.client_ref, p.options["receipt"], p.options["echo"]] for p in pieces]
    if any(wish for _, wish, _ in wishes):
        options["receipt"] = 0
        options["pieces"] = wishes
    type = MessageType(first["type"])
    if type is MessageType.BINARY:
        header = bytes.fromhex(first.get("header", "")) or b"\0"
        text = (header + b"".join(piece.content for piece in pieces)).hex()
    else:
        text = _decode(pieces)
    return SendRequest(
        account,
        [RequestEntry([pieces[0].recipient], text)],
        type=type,
        client_ref=assembly.client_ref,
        sender=first.get("sender"),
        due_at=first["due"],
        valid_ms=first["valid"],
        door=first["door"],
        options=options,
        # The other pieces have been answered already: whatever is wrong is told by receipts.
        late_refusals=frozenset(Refusal),
    )


def _decode(pieces: list[Piece]) -> str:
    """Octets are joined before they are decoded: clients cut characters in two."""
    first = pieces[0].options
    return decode_parts(
        [(piece.content, piece.data_coding) for piece in pieces],
        default_alphabet=first["alphabet"],
        table=gsm7_table(*first.get("table", (0, 0))),
    )


def _receipt_options(piece: Piece) -> dict[str, Any] | None:
    if not piece.options["receipt"]:
        return None
    return {"receipt": piece.options["receipt"], "echo": piece.options["echo"]}
