"""Second messages of mailing lists: by SMS to whom the first channel did not reach (`mes2`), and
the same once more to whom it was not delivered (`fl[5]`).

A message is followed by at most one other; which were followed is written in the transaction of
what follows them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from heliograph.domain.campaigns import (
    MOBILE_TYPES,
    NO_STATUS_ERR,
    REPEATED_STATES,
    SECOND_CHANNEL_STATES,
    SOURCE_RECIPIENTS,
    Campaign,
    Chunk,
    ChunkKind,
)
from heliograph.domain.messages import Message, MessageType
from heliograph.domain.numbering import exactly
from heliograph.domain.requests import Entry, SendRequest
from heliograph.services.directory import Directory
from heliograph.storage import campaigns as rows
from heliograph.storage.database import Database
from heliograph.storage.journal import BulkRows, Journal
from heliograph.storage.journal import Entry as Row
from heliograph.storage.messages import load_messages

if TYPE_CHECKING:
    from heliograph.services.campaign_runs import Job

__all__ = ["CampaignRepeats"]

Send = Callable[["Job", SendRequest, ChunkKind, BulkRows], Awaitable[bool]]


class CampaignRepeats:
    """Makes the second messages of chunks that are being counted."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        directory: Directory,
        send: Send,
        repeat_ms: int,
    ) -> None:
        """`send` stores a request as a chunk of a campaign together with further rows."""
        self._database = database
        self._journal = journal
        self._directory = directory
        self._send = send
        self._repeat_ms = repeat_ms

    async def repeat(self, job: Job, chunk: Chunk, now_ms: int) -> tuple[bool, bool]:
        """(whether second messages were made, whether some are still to come)."""
        campaign = job.campaign
        kind = _second_kind(campaign, chunk.kind)
        if kind is None:
            return False, False
        is_channel = kind is ChunkKind.SECOND_CHANNEL
        states = SECOND_CHANNEL_STATES if is_channel else REPEATED_STATES
        wait_ms = 0 if is_channel else self._repeat_ms
        async with self._database.read() as connection:
            found = await rows.unreached(
                connection,
                chunk.submission_id,
                states,
                SOURCE_RECIPIENTS,
                but_err=0 if is_channel else NO_STATUS_ERR,
            )
            ids = [id for id, _, final_at in found if final_at + wait_ms <= now_ms]
            loaded = await load_messages(connection, ids)
        account = self._directory.still_acting(campaign.account_id, campaign.actor_id)
        if not loaded or account is None or account.is_blocked:
            return False, bool(found)
        more: BulkRows = {rows.INSERT_REPEATS: [(id, campaign.id) for id in ids]}
        request = SendRequest(
            account,
            _entries(campaign, loaded, is_channel=is_channel),
            MessageType.SMS if is_channel else loaded[0].submission.type,
            campaign.client_ref,
            _sender(campaign, loaded[0], is_channel=is_channel),
            translit=campaign.order["translit"] if is_channel else 0,
            valid_ms=campaign.order["valid_ms"],
            max_parts=campaign.order["max_parts"],
            door=campaign.order["door"],
            options=_options(campaign, loaded[0], is_channel=is_channel),
            campaign_id=campaign.id,
            list_size=campaign.recipient_count,
        )
        if not request.entries or not await self._send(job, request, kind, more):
            await self._journal.write(Row(more, now_ms=now_ms))  # nobody of them can be asked again
        return True, len(ids) < len(found)


def _second_kind(campaign: Campaign, kind: ChunkKind) -> ChunkKind | None:
    has_channel = campaign.order["text2"] and campaign.type not in MOBILE_TYPES
    if kind is ChunkKind.FIRST and has_channel:
        return ChunkKind.SECOND_CHANNEL
    if kind is not ChunkKind.REPEAT and campaign.order["repeats"]:
        return ChunkKind.REPEAT
    return None


def _sender(campaign: Campaign, first: Message, *, is_channel: bool) -> str | None:
    sender2: str | None = campaign.order["sender2"]
    if sender2 is not None:
        return sender2
    # An address that mail comes from is no sender of an SMS.
    if is_channel and campaign.type is MessageType.EMAIL:
        return None
    return first.submission.sender


def _options(campaign: Campaign, first: Message, *, is_channel: bool) -> dict[str, Any]:
    """Of the options of the first channel only that of short links makes sense for an SMS."""
    if not is_channel:
        return first.submission.options or {}
    return {k: value for k, value in campaign.order["options"].items() if k == "tinyurl"}


def _entries(campaign: Campaign, loaded: list[Message], *, is_channel: bool) -> list[Entry]:
    """Who gets what: to several texts belong several entries."""
    by_text: dict[tuple[str, str | None], Entry] = {}
    for message in loaded:
        if is_channel and not message.recipient.isdigit():
            continue  # only numbers get an SMS
        text = campaign.order["text2"] if is_channel else message.text
        sender = None if campaign.order["sender2"] is not None else message.own_sender
        entry = by_text.get((text, sender))
        if entry is None:
            entry = by_text[text, sender] = Entry([], text, sender)
        entry.recipients.append(exactly(message.recipient))
    return list(by_text.values())
