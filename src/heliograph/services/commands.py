"""Orders by text message from registered phones: recognised among incoming messages, then sent.

What becomes of an order stands in the account's request log; nothing is answered to the phone.
"""

from __future__ import annotations

import asyncio

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.sms_commands import SmsCommand, may_command, read_command
from heliograph.domain.texts import MAX_TEXT_CHARS
from heliograph.services.authentication import Authentication
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
        limits: RequestLimits,
        request_log: RequestLog,
    ) -> None:
        self._directory = directory
        self._authentication = authentication
        self._submit = submit
        self._limits = limits
        self._request_log = request_log
        self._tasks: set[asyncio.Task[None]] = set()

    def recognise(self, source: str, text: str) -> SmsCommand | None:
        """The order in a message from a phone; None unless the account takes orders from it."""
        command = read_command(text)
        if command is None:
            return None
        account = self._directory.account(command.login)
        if account is None or not may_command(account.settings, source):
            return None
        return command

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
            # Failures are counted by phone as they are by address elsewhere.
            account = await self._authentication.login(
                command.login, command.password, f"phone {source}"
            )
            if isinstance(account, Refusal):
                owner = self._directory.account(command.login)
                if owner is not None:
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
