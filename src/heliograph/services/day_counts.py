"""Daily limits of accounts: messages in all, to one number, of one text to it, from one end user.

Counting is a matter of memory, as it has to be decided while a request is planned; what is counted
goes to disk together with the messages. Accounts without such limits are not counted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator

from heliograph.domain.accounts import Account
from heliograph.domain.planning import Draft, Plan
from heliograph.domain.policies import Policy
from heliograph.domain.refusals import Refusal
from heliograph.services.upkeep import repeat
from heliograph.storage.database import Database
from heliograph.storage.day_counts import CountKey, load_counts, purge_counts

__all__ = ["DayCounts"]

_DAY_MS = 86_400_000
_PURGE_EVERY_S = 3600.0
# Kinds of counts; stored, so numbers never change their meaning.
_ALL, _NUMBER, _TEXT, _ADDRESS = range(1, 5)


class DayCounts:
    """Counts of today. Used in the event loop only."""

    def __init__(self, *, database: Database, clock: Callable[[], int]) -> None:
        """`clock()`: epoch milliseconds."""
        self._database = database
        self._clock = clock
        self._counts: dict[CountKey, int] = {}

    async def load(self) -> None:
        """Reads what was counted before this start."""
        async with self._database.read() as connection:
            self._counts = await load_counts(connection, self._oldest_day())

    def take(
        self, account: Account, plan: Plan, *, end_user_address: str = "", is_estimate: bool = False
    ) -> list[CountKey]:
        """Counts the recipients of a plan, and refuses those that are beyond a limit.

        Returns what was counted, to be written with the messages or given back.
        """
        policy = account.policy
        if policy is None or not policy.has_counts:
            return []
        day = (self._clock() + account.timezone_minutes * 60_000) // _DAY_MS
        counted: list[CountKey] = []
        for draft in plan.drafts:
            if draft.refusal is not None:
                continue
            keys = list(_keys_of((account.id, day), policy, plan, draft, end_user_address))
            refusal = next(
                (refusal for key, limit, refusal in keys if self._counts.get(key, 0) >= limit),
                None,
            )
            if refusal is not None:
                plan.refuse(draft, refusal)
                continue
            for key, _, _ in keys:
                self._counts[key] = self._counts.get(key, 0) + 1
                counted.append(key)
        if is_estimate:
            self.give_back(counted)
            return []
        return counted

    def give_back(self, counted: Iterable[CountKey]) -> None:
        """The messages were not stored after all."""
        for key in counted:
            left = self._counts.get(key, 0) - 1
            if left > 0:
                self._counts[key] = left
            else:
                self._counts.pop(key, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Forgets past days once an hour until `stop` is set."""
        await repeat(
            self._purge, stop, every_s=_PURGE_EVERY_S, trouble="counts of past days not purged"
        )

    async def _purge(self) -> None:
        oldest = self._oldest_day()
        self._counts = {k: count for k, count in self._counts.items() if k[1] >= oldest}
        async with self._database.write() as connection:
            await purge_counts(connection, oldest)

    def _oldest_day(self) -> int:
        return self._clock() // _DAY_MS - 1  # wherever on earth the account is, it is not over


def _keys_of(
    owner_day: tuple[int, int],
    policy: Policy,
    plan: Plan,
    draft: Draft,
    end_user_address: str,
) -> Iterator[tuple[CountKey, int, Refusal]]:
    """What a message counts for: (key, limit, the refusal beyond it)."""
    if policy.messages_a_day:
        yield (*owner_day, _ALL, ""), policy.messages_a_day, Refusal.ACCOUNT_LIMIT
    if policy.per_number_a_day:
        key = (*owner_day, _NUMBER, draft.recipient)
        yield key, policy.per_number_a_day, Refusal.NUMBER_LIMIT
    if policy.texts_a_day:
        text = plan.text if draft.own_text is None else draft.own_text
        # No text in clear: half a hash tells texts of a day apart.
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        key = (*owner_day, _TEXT, f"{draft.recipient} {digest}")
        yield key, policy.texts_a_day, Refusal.NUMBER_LIMIT
    if policy.per_address_a_day and end_user_address:
        key = (*owner_day, _ADDRESS, end_user_address)
        yield key, policy.per_address_a_day, Refusal.ACCOUNT_LIMIT
