"""Task groups: an event of an outside system becomes messages to the people of a group."""

from __future__ import annotations

from collections.abc import Mapping

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.tasks import DEFAULT_TASK, TaskGroup, fill_in
from heliograph.domain.texts import MAX_TEXT_CHARS
from heliograph.services.submit import Submit
from heliograph.storage.database import Database
from heliograph.storage.tasks import find_tasks

__all__ = ["Tasks"]


class Tasks:
    """The use case `notify`, always within one account."""

    def __init__(self, database: Database, submit: Submit) -> None:
        self._database = database
        self._submit = submit

    async def notify(
        self, account: Account, number: int, values: Mapping[str, str], *, is_recovery: bool
    ) -> Refusal | None:
        """Sends the group's text for a failure or a recovery, with `name`, `host` and `info` in
        their places. NOT_FOUND: there is no such group, or nobody in it. None: at least one of
        the messages was taken."""
        async with self._database.read() as connection:
            tasks = await find_tasks(connection, account.id)
        task = next((each for each in tasks if each.number == number), None)
        if task is None and number == DEFAULT_TASK.number:
            task = DEFAULT_TASK
        if task is None:
            return Refusal.NOT_FOUND
        requests = self._requests(account, task, values, is_recovery=is_recovery)
        if not requests:
            return Refusal.NOT_FOUND
        ends = [await self._submit.send(request) for request in requests]
        refusals = [end.refusal for end in ends if isinstance(end, Refused)]
        return refusals[0] if len(refusals) == len(ends) else None

    @staticmethod
    def _requests(
        account: Account, task: TaskGroup, values: Mapping[str, str], *, is_recovery: bool
    ) -> list[SendRequest]:
        template = task.recovery_text if is_recovery else task.failure_text
        text = fill_in(template, values)[:MAX_TEXT_CHARS] or "-"
        sender = task.sender or None
        phones = list(task.phones)
        if not phones and not task.mails and account.settings.get("phone"):
            phones = [account.settings["phone"]]
        requests = []
        if phones:
            requests.append(
                SendRequest(account, [Entry(phones, text)], task.type, sender=sender, door="ping")
            )
        if task.mails:
            mail = SendRequest(
                account,
                [Entry(list(task.mails), text)],
                MessageType.EMAIL,
                sender=sender if sender and "@" in sender else "",
                door="ping",
                options={"subject": text.splitlines()[0][:100]},
            )
            requests.append(mail)
        return requests
