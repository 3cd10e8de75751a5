"""Arrivals: what happens when somebody writes to a number, or calls one.

A message is stored by `services.receipts` and told to its owner's handler or sessions; here it is
passed on as the owner's settings say (users.php reference, section 4): to a phone (`fl[8]`), to a
mail address (`fl[9]`), and answered (`answ`). What is passed on is sent from the owner's account,
and paid for like anything else that it sends.

A call confirms the number of a person who was asked for it (wait_call.php): the owner's handler is
told, and the caller may get an answer (`answ_call`).

Answers go to numbers only, and one number gets the same account's answer once an hour: two
gateways that answer each other would never stop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.events import OutboxEvent, waitcall_payload
from heliograph.domain.limits import Window
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import exactly, normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.senders import is_valid_sender
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.directory import Directory
from heliograph.services.ids import Ids
from heliograph.services.submit import Submit
from heliograph.storage.calls import end_calls, expect_call, find_calls, forget_calls, take_arrivals
from heliograph.storage.database import Database
from heliograph.storage.journal import Entry as JournalEntry
from heliograph.storage.journal import Journal

__all__ = ["WAIT_MS", "Arrivals"]

# Status and balance reference, section 3: a waiting request lives five minutes.
WAIT_MS = 5 * 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
# Requests for one phone in a day: a person does not confirm a number more often.
_PER_PHONE_A_DAY = 10
_POLL_S = 0.7
_MAX_WAITING = 10_000
# How long a stop waits for what has come in before it.
_DRAIN_S = 5.0

_log = structlog.get_logger(__name__)


def _is_passed_on(account: Account) -> bool:
    """Whether the account's settings say that something follows when somebody writes to it. From
    one that is blocked nothing is sent."""
    if account.is_blocked:
        return False
    return bool(account.settings.get("answ") or account.is_on("fl[8]") or account.is_on("fl[9]"))


class Arrivals:
    """Works from `start` to `stop`."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        directory: Directory,
        ids: Ids,
        books: Bookkeeping,
        written: Callable[[Changes, JournalEntry], None],
        wake_sessions: Callable[[int], None],
        numbers: list[str],
        clock: Callable[[], int],
    ) -> None:
        """`wake_sessions(account_id)`: something for them has come to disk by itself. `numbers`:
        those that people are told to call."""
        self._database = database
        self._journal = journal
        self._directory = directory
        self._ids = ids
        self._books = books
        self._written = written
        self._wake_sessions = wake_sessions
        self._numbers = numbers
        self._clock = clock
        self._submit: Submit | None = None
        self._answered = Window(1, span_ms=_HOUR_MS)
        self._asked = Window(_PER_PHONE_A_DAY, span_ms=_DAY_MS)
        self._waiting: asyncio.Queue[tuple[str, int, str, str, str, int]] = asyncio.Queue(
            _MAX_WAITING
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, submit: Submit) -> None:
        """Begins to pass on; `submit` takes what is sent."""
        self._submit = submit
        self._tasks = [
            asyncio.create_task(self._work(), name="arrivals"),
            asyncio.create_task(self._poll(), name="arrivals of others"),
        ]

    async def stop(self) -> None:
        """Passes on what waits, as far as that takes no longer than some seconds, and ends it. To
        be called when nothing more comes in; all of it is stored anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S if self._tasks else 0):
                await self._waiting.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- calls that are expected ------------------------------------------------------------------

    async def expect_call(self, account: Account, phone: str) -> tuple[str, list[str]] | Refusal:
        """(the number to be called, all numbers): the person with that phone is waited for.

        Refusals: BAD_NUMBER, NUMBER_LIMIT (too often in a day), NO_ROUTE (there is no number).
        """
        recipient = normalise_recipient(phone)
        if recipient is None:
            return Refusal.BAD_NUMBER
        if not self._numbers:
            return Refusal.NO_ROUTE
        now_ms = self._clock()
        if account.has_limits and not self._asked.admit((account.id, recipient), now_ms):
            return Refusal.NUMBER_LIMIT
        # The same phone is led to the same number, as long as there are the same numbers.
        number = self._numbers[int(recipient) % len(self._numbers)]
        async with self._database.write() as connection:
            await forget_calls(connection, now_ms)
            await expect_call(
                connection, account.id, recipient, number=number, expires_at=now_ms + WAIT_MS
            )
        return number, self._numbers

    # --- what arrives -----------------------------------------------------------------------------

    def hear_message(self, account_id: int, source: str, destination: str, text: str) -> None:
        """A message to a number of the account has been stored."""
        account = self._directory.account_by_id(account_id)
        if account is not None and _is_passed_on(account):
            self._take("incoming", account_id, source, destination, text)

    def hear_call(self, source: str, destination: str) -> None:
        """Somebody called."""
        self._take("call", 0, source, destination, "")

    def _take(self, kind: str, account_id: int, source: str, destination: str, text: str) -> None:
        try:
            self._waiting.put_nowait((kind, account_id, source, destination, text, self._clock()))
        except asyncio.QueueFull:
            _log.warning("an arrival was not passed on: too many wait", kind=kind)

    async def _poll(self) -> None:
        failed = False
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                async with self._database.read() as connection:
                    found = await take_arrivals(connection, is_peek=True)
                if not found:
                    continue
                if any(each.kind != "call" for each in found):
                    await self._ids.pass_by(found[-1].id)
                async with self._database.write() as connection:
                    found = await take_arrivals(connection)
                failed = False
            except Exception as error:
                if not failed:
                    _log.warning("arrivals not read", reason=str(error))
                failed = True
                continue
            for each in found:
                if each.kind == "call":
                    self.hear_call(each.source, each.destination)
                else:
                    self._wake_sessions(each.account_id)
                    self.hear_message(each.account_id, each.source, each.destination, each.text)

    async def _work(self) -> None:
        while True:
            kind, account_id, source, destination, text, at_ms = await self._waiting.get()
            try:
                if kind == "call":
                    await self._confirm(source, destination, at_ms)
                elif (account := self._directory.account_by_id(account_id)) is not None:
                    await self._pass_on(account, source, destination, text)
            except Exception:
                _log.exception("an arrival was not passed on", kind=kind)
            finally:
                self._waiting.task_done()

    async def _confirm(self, source: str, destination: str, at_ms: int) -> None:
        phone = normalise_recipient(source) or source
        number = normalise_recipient(destination) or destination
        async with self._database.read() as connection:
            waited = await find_calls(connection, phone, number, at_ms)
        if not waited:
            return
        changes = Changes(self._clock())
        answers: list[tuple[Account, str]] = []
        for account_id, _ in waited:
            account = self._directory.account_by_id(account_id)
            if account is None:
                continue
            if account.callback_url and not account.is_on("fl2[4]"):
                event = OutboxEvent(
                    id=self._ids.take(1),
                    account_id=account.id,
                    message_id=0,
                    kind="waitcall",
                    payload=waitcall_payload(phone, at_ms, tz_minutes=self._books.timezone_minutes),
                    created_at=changes.now_ms,
                )
                self._books.put_event(changes, event)
            if answer := account.settings.get("answ_call"):
                answers.append((account, answer))
        if not changes.is_empty:
            entry = await self._journal.write(changes.entry(must_write=True))
            self._written(changes, entry)
        # Only now: a call that nobody was told of would be lost.
        async with self._database.write() as connection:
            await end_calls(connection, phone, waited)
        for account, answer in answers:
            await self._answer(account, phone, "", answer)

    async def _pass_on(self, account: Account, source: str, destination: str, text: str) -> None:
        settings = account.settings
        note = f"{source} -> {destination}: {text}"
        phone = settings.get("phone2") or settings.get("phone")
        # Not to who has written, and not to the number itself, which would pass it on for ever.
        ends = (source, destination)
        if account.is_on("fl[8]") and phone and normalise_recipient(phone) not in ends:
            await self._send(account, phone, note)
        mail = settings.get("email2") or settings.get("email")
        if account.is_on("fl[9]") and mail:
            subject = f"SMS {source} -> {destination}"
            options: dict[str, object] = {"subject": subject}
            await self._send(account, mail, text, type=MessageType.EMAIL, options=options)
        if answer := settings.get("answ"):
            await self._answer(account, source, destination, answer)

    async def _answer(self, account: Account, phone: str, number: str, text: str) -> None:
        if normalise_recipient(phone) is None or phone in self._numbers:
            return
        if not self._answered.admit((account.id, phone), self._clock()):
            return
        sender = number if is_valid_sender(number) else None
        await self._send(account, exactly(phone), text, sender=sender)

    async def _send(
        self,
        account: Account,
        recipient: str,
        text: str,
        *,
        type: MessageType = MessageType.SMS,
        sender: str | None = None,
        options: dict[str, object] | None = None,
    ) -> None:
        assert self._submit is not None, "arrivals are not started"
        request = SendRequest(
            account,
            [Entry([recipient], text or " ")],
            type,
            sender=sender,
            door="incoming",
            options=options or {},
        )
        answer = await self._submit.send(request)
        if isinstance(answer, Refused):
            _log.info("not passed on", account=account.id, reason=answer.refusal.name)
