"""Orders by text message from registered phones: recognised among incoming messages, then sent.

What becomes of an order stands in the account's request log; nothing is answered to the phone.
"""

from __future__ import annotations

import asyncio

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.sms_commands import (
    SmsCommand,
    commanding_groups,
    may_command,
    read_command,
)
from heliograph.domain.texts import MAX_TEXT_CHARS
from heliograph.services.authentication import Authentication
from heliograph.services.contacts import Groups
from heliograph.services.directory import Directory
from heliograph.services.limits import RequestLimits
from heliograph.services.request_log import RequestLog
from heliograph.services.submit import Submit

__all__ = ["SmsCommands"]

_DOOR = "sms"

_log = structlog.get_logger(__name__)


class SmsCommands:
    """Used in the event loop only."""

    def __init__(
        self,
        *,
        directory: Directory,
        authentication: Authentication,
        submit: Submit,
        groups: Groups,
        limits: RequestLimits,
        request_log: RequestLog,
    ) -> None:
        self._directory = directory
        self._authentication = authentication
        self._submit = submit
        self._groups = groups
        self._limits = limits
        self._request_log = request_log
        self._tasks: set[asyncio.Task[None]] = set()

    def recognise(self, source: str, text: str) -> SmsCommand | None:
        """The order in a message from a phone; None unless the account takes orders from it, or
        from groups, in which it is looked for later."""
        command = read_command(text)
        if command is None:
            return None
        account = self._directory.account(command.login)
        if account is None:
            return None
        settings = account.settings
        is_known = may_command(settings, source) or commanding_groups(settings)
        return command if is_known else None

    def start(self, command: SmsCommand, source: str) -> None:
        """Carries an order out in the background."""
        task = asyncio.create_task(self._carry_out(command, source), name="sms command")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Waits for orders under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _carry_out(self, command: SmsCommand, source: str) -> None:
        try:
            owner = self._directory.account(command.login)
            if owner is None or not await self._takes_orders_from(owner, source):
                if owner is not None:
                    reason = "refused: the phone is not one of ph"
                    self._note(owner.id, reason, is_trusted=False)
                return
            # Failures are counted by phone as they are by address elsewhere.
            account = await self._authentication.login(
                command.login, command.password, f"phone {source}"
            )
            if isinstance(account, Refusal):
                self._note(owner.id, account.value, is_trusted=False)
                return
            if account.has_limits and not self._limits.enter(account.id):
                self._note(account.id, f"refused: {Refusal.TOO_MANY_AT_ONCE.value}")
                return
            try:
                outcome = await self._send(account, command)
            finally:
                if account.has_limits:
                    self._limits.leave(account.id)
            self._note(account.id, outcome)
        except Exception as error:
            _log.error("sms command failed", reason=type(error).__name__)

    async def _takes_orders_from(self, account: Account, source: str) -> bool:
        if may_command(account.settings, source):
            return True
        phone = normalise_recipient(source)
        groups = commanding_groups(account.settings)
        return phone is not None and await self._groups.holds(account, groups, phone)

    async def _send(self, account: Account, command: SmsCommand) -> str:
        if not command.text or len(command.text) > MAX_TEXT_CHARS:
            return "refused: the text is empty or too long"
        request = SendRequest(
            account,
            [Entry(list(command.recipients), command.text)],
            door=_DOOR,
            has_groups=any(recipient[0] in "Gg" for recipient in command.recipients),
        )
        outcome = await self._submit.send(request)
        if isinstance(outcome, Refused):
            return f"refused: {outcome.refusal.value}"
        count = len(outcome.lines)
        return f"accepted: id {outcome.client_ref}, {count} recipients, {outcome.part_count} parts"

    def _note(self, account_id: int, outcome: str, *, is_trusted: bool = True) -> None:
        self._request_log.note(
            account_id, door=_DOOR, what="command", outcome=outcome, is_trusted=is_trusted
        )
