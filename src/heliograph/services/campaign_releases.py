"""The last look at messages of a mailing list that waited for their time.

They were planned when they were made. Since then their numbers may have been put on the black list,
and they may be late: the gateway stood still, the account was blocked, or its carrier is slow.
"""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.domain.accounts import Account
from heliograph.domain.campaigns import Campaign
from heliograph.domain.messages import Message, MessageState
from heliograph.domain.policies import zone_of
from heliograph.domain.refusals import RECIPIENT_OUTCOMES, Refusal
from heliograph.services.changes import Bookkeeping, Changes
from heliograph.services.directory import Directory
from heliograph.services.registers import Registers

__all__ = ["CampaignReleases"]


class CampaignReleases:
    """Sifts what is due."""

    def __init__(self, *, directory: Directory, registers: Registers, books: Bookkeeping) -> None:
        self._directory = directory
        self._registers = registers
        self._books = books

    def sift(
        self, changes: Changes, campaign: Campaign, account: Account, page: Sequence[Message]
    ) -> tuple[list[Message], int]:
        """(those that go out now, when the next of the others may; 0: there are no others).

        Whose life is over, and who is on the black list by now, ends in `changes`.
        """
        black_list = self._registers.black_list(account.id)
        is_mass = campaign.recipient_count > 1
        ready: list[Message] = []
        opens_at = 0
        for message in page:
            if message.expires_at <= changes.now_ms:
                self._books.end_message(changes, message, MessageState.EXPIRED, 6)
            elif black_list and black_list.blocks(message.recipient, is_mass=is_mass):
                outcome = RECIPIENT_OUTCOMES[Refusal.NUMBER_BLOCKED]
                self._books.end_message(changes, message, *outcome)
            elif (at_ms := self._opening(account, message, changes.now_ms)) > changes.now_ms:
                opens_at = min(opens_at or at_ms, at_ms)
            else:
                ready.append(message)
        return ready, opens_at

    def _opening(self, account: Account, message: Message, now_ms: int) -> int:
        """From when on the account may send to a number (`tmlim`); now: at once."""
        policy = account.policy
        if policy is None or policy.hours is None:
            return now_ms
        name = ""
        if policy.uses_recipient_zone and message.recipient.isdigit():
            origin = self._directory.numbering.lookup(message.recipient)
            name = next(iter(() if origin is None else origin.time_zones), "")
        return policy.postpone(now_ms, zone_of(name, account.timezone_minutes))
