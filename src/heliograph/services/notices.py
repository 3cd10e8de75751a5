"""Notices about the balance: who has set a level (`nb`) is told once when the balance falls below
it, and again only after it has been above.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.money import format_micros, parse_micros
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.services.directory import Directory
from heliograph.services.submit import Submit
from heliograph.storage import beginnings, ledger
from heliograph.storage.database import Database

__all__ = ["BalanceNotices"]

_PASS_S = 20.0
_TOLD = "balance notice"  # in `beginnings`: the account knows that its balance is low
_TEXTS = {
    "en": ("Low balance", "Balance of {login}: {balance} {currency}, below {level}"),
    "ru": ("Низкий баланс", "Баланс {login}: {balance} {currency}, меньше {level}"),
}

_log = structlog.get_logger(__name__)


class BalanceNotices:
    """Works from `start` to `stop`."""

    def __init__(self, *, database: Database, directory: Directory, common_sender: str) -> None:
        """`common_sender`: the platform's name, which notices come from."""
        self._database = database
        self._directory = directory
        self._common_sender = common_sender
        self._submit: Submit | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, submit: Submit) -> None:
        """Begins to look at balances."""
        self._submit = submit
        self._task = asyncio.create_task(self._run(), name="balance notices")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Tells those whose balance has fallen below their level since the last time."""
        levels = {}
        for account in self._directory.accounts():
            level = _level_of(account)
            if level and not account.is_blocked:
                levels[account.id] = (account, level)
        if not levels:
            return
        async with self._database.read() as connection:
            payers = sorted({account.payer_id for account, _ in levels.values()})
            balances = await ledger.read_balances(connection, payers)
            told = await beginnings.list_begun(connection, _TOLD)
        for account, level in levels.values():
            balance = balances.get(account.payer_id)
            if balance is None or (balance < level) is (account.id in told):
                continue
            is_low = balance < level
            async with self._database.write() as connection:
                if is_low:  # before it is sent: a stop in between must not tell it twice
                    is_low = await beginnings.begin(connection, account.id, _TOLD)
                else:
                    await beginnings.forget(connection, account.id, _TOLD)
            if is_low:
                await self._tell(account, balance, level)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PASS_S)
            try:
                await self.look()
            except Exception:
                _log.exception("balances were not looked at")

    async def _tell(self, account: Account, balance: int, level: int) -> None:
        assert self._submit is not None, "notices are not started"
        subject, text = _TEXTS.get(account.language, _TEXTS["en"])
        text = text.format(
            login=account.login,
            balance=format_micros(balance),
            currency=account.currency,
            level=format_micros(level),
        )
        # It is the platform that writes: at no charge, and whatever the account itself may send.
        sender = replace(account, is_test=False, policy=None)
        mail, phone = account.settings.get("email"), account.settings.get("phone")
        requests = []
        if mail:
            requests.append(
                SendRequest(
                    sender,
                    [Entry([mail], text)],
                    MessageType.EMAIL,
                    door="notice",
                    options={"internal": True, "subject": subject},
                )
            )
        if phone:
            entries = [Entry([phone], text)]
            options: dict[str, object] = {"internal": True}
            requests.append(
                SendRequest(
                    sender, entries, sender=self._common_sender, door="notice", options=options
                )
            )
        for request in requests:  # the phone when nobody carries mail
            if not isinstance(await self._submit.send(request), Refused):
                return
        _log.info("nobody was told of a low balance", account=account.id, ways=len(requests))


def _level_of(account: Account) -> int:
    """In micros; 0: none. Who has a credit may want to be told below zero."""
    try:
        return parse_micros(account.settings.get("nb", "") or "0")
    except ValueError:
        return 0
