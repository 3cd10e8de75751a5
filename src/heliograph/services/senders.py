"""Sender names: registering, confirming a number by a code, changing, deleting.

Which names a message may carry is decided by `Registers.sender_rules` in the plan of each message;
here is how names get into the registry (senders reference, section 4).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.config import Config
from heliograph.domain.accounts import Account
from heliograph.domain.numbering import exactly, normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.senders import MAX_SENDERS, SenderKind, SenderState, kind_of_sender
from heliograph.services.registers import Registers
from heliograph.services.submit import Submit
from heliograph.storage import beginnings
from heliograph.storage import senders as rows
from heliograph.storage.database import Database
from heliograph.storage.senders import Code, Sender
from heliograph.storage.turns import Turn, take_turn

__all__ = ["CODE_LIFE_MS", "Sender", "SenderData", "SenderDocument", "SenderQuery", "Senders"]

CODE_LIFE_MS = 8 * 3_600_000
# Four digits are guessed in ten thousand tries; five leave one chance in two thousand.
_MAX_TRIES = 5
_MAX_DOCUMENTS = 10
# Codes to different numbers within the life of a code: nobody pays for them.
_MAX_CODES = 100
_TEXTS = {"ru": "Код подтверждения: {}", "en": "Confirmation code: {}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDocument:
    """A document that came with a request."""

    name: str
    description: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderData:
    """What a request says about a name. None: nothing. `operators`: where it is asked for;
    `wishes`: other registration data, by the names of the reference."""

    comment: str | None = None
    owner: str | None = None
    operators: Sequence[str] = ()
    wishes: Mapping[str, str] = field(default_factory=dict)
    documents: Sequence[SenderDocument] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderQuery:
    """Which names to list. `changed_since` and `before_id` 0: all."""

    with_inactive: bool = False
    is_mail: bool = False
    changed_since: int = 0
    before_id: int = 0
    limit: int = MAX_SENDERS


class Senders:
    """The use cases, always within one account."""

    def __init__(
        self,
        *,
        database: Database,
        registers: Registers,
        submit: Submit,
        config: Config,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._registers = registers
        self._submit = submit
        self._common = config.sending.common_sender
        self._is_moderated = config.moderation.senders
        self._clock = clock
        self._begun: set[int] = set()

    async def page(self, account: Account, query: SenderQuery) -> list[Sender]:
        """Names in the order of their ids. A new account begins with the common one."""
        await self._ensure_begun(account)
        async with self._database.read() as connection:
            return await rows.list_senders(
                connection,
                account_id=account.id,
                states=() if query.with_inactive else (SenderState.ACTIVE,),
                is_mail=query.is_mail,
                changed_since=query.changed_since,
                before_id=query.before_id,
                limit=query.limit,
            )

    async def add(
        self, account: Account, name: str, data: SenderData, *, is_mail: bool = False
    ) -> Sender | Refusal:
        """Registers a name. One that is there already gets what the request says about it, and its
        state stays."""
        kind = kind_of_sender(name, is_mail=is_mail)
        if kind is None:
            return Refusal.BAD_PARAMETERS
        if kind is SenderKind.NUMBER:
            name = normalise_recipient(name) or name.removeprefix("+")
            state = SenderState.UNCONFIRMED
        else:
            state = SenderState.MODERATED if self._is_moderated else SenderState.ACTIVE
        await self._ensure_begun(account)
        now_ms = self._clock()
        async with self._database.write() as connection:
            known = await rows.find_sender(connection, account.id, name=name)
            if known is not None:
                refusal = None
                if data != SenderData():
                    refusal = await self._describe(connection, known, data, now_ms)
                if refusal is not None:
                    await connection.rollback()
                return refusal or known
            if await rows.count_senders(connection, account.id) >= MAX_SENDERS:
                return Refusal.NOT_SAVED
            id = await rows.put_sender(
                connection,
                account.id,
                name=name,
                kind=kind,
                state=state,
                now_ms=now_ms,
                owner=data.owner or "",
                comment=data.comment or "",
                wishes=data.wishes,
            )
            made = await rows.find_sender(connection, account.id, id=id)
            assert made is not None
            refusal = await self._attach(connection, made, data, now_ms)
            if refusal is not None:
                await connection.rollback()
                return refusal
        await self._registers.refresh()
        return made

    async def grant(self, main: Account, account_id: int, names: Sequence[str]) -> None:
        """Registers names that a main account gave to its sub-client as default or spare ones, as
        far as it may use them itself. What a moderator refused stays refused."""
        rules = self._registers.sender_rules(main)
        granted = [name for name in names if rules is None or rules.allows(name)]
        if not granted:
            return
        async with self._database.write() as connection:
            for name in granted:
                kind = kind_of_sender(name)
                if kind is not None:
                    await rows.put_sender(
                        connection,
                        account_id,
                        name=name,
                        kind=kind,
                        state=SenderState.ACTIVE,
                        now_ms=self._clock(),
                    )
        await self._registers.refresh()

    async def change(
        self, account: Account, data: SenderData, *, name: str = "", id: int = 0
    ) -> Refusal | None:
        """Changes what is known about a name, which is given by itself or by its id."""
        now_ms = self._clock()
        async with self._database.write() as connection:
            known = await rows.find_sender(connection, account.id, name=name, id=id)
            if known is None:
                return Refusal.NOT_FOUND
            refusal = await self._describe(connection, known, data, now_ms)
            if refusal is not None:
                await connection.rollback()
            return refusal

    async def delete(self, account: Account, *, name: str = "", id: int = 0) -> Refusal | None:
        """Deletes a name, which is given by itself or by its id."""
        async with self._database.write() as connection:
            known = await rows.find_sender(connection, account.id, name=name, id=id)
            if known is None:
                return Refusal.NOT_FOUND
            await rows.delete_sender(connection, known)
        await self._registers.refresh()
        return None

    async def send_code(self, account: Account, number: str, *, site: str = "") -> Refusal | None:
        """Sends a code to a number, once in eight hours; the name is registered if it was not.

        BAD_NUMBER: it is none. DUPLICATE: a code was sent, or a hundred to other numbers.
        NO_ROUTE: it can not be delivered.
        """
        recipient = normalise_recipient(number)
        if recipient is None:
            return Refusal.BAD_NUMBER
        made = await self.add(account, recipient, SenderData())
        if isinstance(made, Refusal):
            return made
        if made.state is SenderState.REFUSED:
            return Refusal.NOT_SAVED
        now_ms = self._clock()
        code = Code(code=f"{secrets.randbelow(10_000):04d}", tries=0, sent_at=now_ms)
        # Before it is sent: two requests at once must not send two.
        async with self._database.write() as connection:
            await take_turn(connection, Turn.CODES, account.id)
            since_ms = now_ms - CODE_LIFE_MS
            earlier = await rows.find_code(connection, account.id, recipient)
            if earlier is not None and earlier.sent_at > since_ms:
                return Refusal.DUPLICATE
            if await rows.count_codes(connection, account.id, since_ms) >= _MAX_CODES:
                return Refusal.DUPLICATE
            await rows.store_code(connection, account.id, recipient, code=code)
        text = _TEXTS.get(account.language, _TEXTS["en"]).format(code.code)
        request = SendRequest(
            # A real message, also for accounts in test mode.
            account=replace(account, is_test=False),
            entries=[Entry([exactly(recipient)], f"{site}. {text}" if site else text)],
            sender=self._common,
            options={"internal": True},
        )
        if isinstance(await self._submit.send(request), Refused):
            async with self._database.write() as connection:
                void = replace(code, sent_at=0)
                await rows.store_code(connection, account.id, recipient, code=void)
            return Refusal.NO_ROUTE
        return None

    async def check_code(self, account: Account, number: str, code: str) -> Refusal | None:
        """Makes a number active when the code is the one that was sent to it."""
        recipient = normalise_recipient(number)
        if recipient is None:
            return Refusal.BAD_NUMBER
        now_ms = self._clock()
        async with self._database.write() as connection:
            await take_turn(connection, Turn.CODES, account.id)
            known = await rows.find_sender(connection, account.id, name=recipient)
            if known is None:
                return Refusal.NOT_FOUND
            sent = await rows.find_code(connection, account.id, recipient)
            if sent is None or now_ms - sent.sent_at >= CODE_LIFE_MS or sent.tries >= _MAX_TRIES:
                return Refusal.WRONG_CODE
            is_right = hmac.compare_digest(sent.code.encode(), code.strip().encode())
            tries = _MAX_TRIES if is_right else sent.tries + 1  # a code serves once
            await rows.store_code(
                connection, account.id, recipient, code=replace(sent, tries=tries)
            )
            if not is_right:
                return Refusal.WRONG_CODE
            if known.state is SenderState.REFUSED:
                return Refusal.NOT_SAVED
            await rows.set_sender_state(connection, known.id, SenderState.ACTIVE, now_ms=now_ms)
        await self._registers.refresh()
        return None

    async def _describe(
        self, connection: AsyncConnection, sender: Sender, data: SenderData, now_ms: int
    ) -> Refusal | None:
        """What a request says about a name that is there."""
        changes = dict(data.wishes)
        if data.comment is not None:
            changes["comment"] = data.comment
        if data.owner is not None:
            changes["owner"] = data.owner
        await rows.change_sender(connection, sender, changes=changes, now_ms=now_ms)
        return await self._attach(connection, sender, data, now_ms)

    async def _attach(
        self, connection: AsyncConnection, sender: Sender, data: SenderData, now_ms: int
    ) -> Refusal | None:
        """Operators and documents of a request."""
        fresh = [name for name in data.operators if name not in sender.operators]
        states = dict.fromkeys(fresh, SenderState.MODERATED)
        await rows.set_operators(connection, sender.id, states, now_ms=now_ms)
        if not data.documents:
            return None
        known = await rows.documents_of(connection, sender.id)
        if len(known) + len(data.documents) > _MAX_DOCUMENTS:
            return Refusal.NOT_SAVED
        for document in data.documents:
            await rows.add_document(
                connection,
                sender.id,
                name=document.name,
                description=document.description,
                content=document.content,
                now_ms=now_ms,
            )
        return None

    async def _ensure_begun(self, account: Account) -> None:
        if account.id in self._begun or not self._common:
            return
        async with self._database.read() as connection:
            has_begun = await beginnings.has_begun(connection, account.id, "senders")
        if not has_begun:
            async with self._database.write() as connection:
                kind = kind_of_sender(self._common)
                is_first = await beginnings.begin(connection, account.id, "senders")
                if is_first and kind is not None:
                    await rows.put_sender(
                        connection,
                        account.id,
                        name=self._common,
                        kind=kind,
                        state=SenderState.ACTIVE,
                        now_ms=self._clock(),
                    )
        self._begun.add(account.id)
