"""The order of a mailing list as it is kept, and the requests that are made from it."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heliograph.domain.accounts import Account
from heliograph.domain.campaigns import (
    SOURCE_RECIPIENTS,
    Campaign,
    CampaignOrder,
    Repetition,
    Source,
    SourceKind,
)
from heliograph.domain.contacts import ContactKind, Group
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import exactly
from heliograph.domain.requests import Entry, SendRequest, Spread
from heliograph.storage.campaigns import read_files
from heliograph.storage.contacts import list_addresses
from heliograph.storage.database import Database

__all__ = ["CampaignOrders", "FindGroup", "entries_of", "keep_order", "source_of_entries"]

# The contact group that an account names so, or None.
FindGroup = Callable[[Account, ContactKind, str], Awaitable[Group | None]]


def keep_order(order: CampaignOrder, *, time: str) -> dict[str, Any]:
    """What a campaign keeps of its order, as JSON can hold it. `time`: that of its messages."""
    request = order.request
    kept: dict[str, Any] = {
        "sender": request.sender,
        "translit": request.translit,
        "time": time,
        "valid_ms": request.valid_ms,
        "max_parts": request.max_parts,
        "door": request.door,
        "options": {
            name: [_keep_file(file) for file in value] if name == "files" else value
            for name, value in request.options.items()
        },
        "text2": order.text2,
        "sender2": order.sender2,
        "repeats": order.repeats,
        "zone": order.zone,
    }
    if request.account.actor_id:  # what is forbidden to a login is so in every run
        kept["actor"] = request.account.actor_id
    if request.spread is not None:
        kept["spread"] = [request.spread.period_ms, request.spread.step_ms]
    return kept


def _keep_file(file: tuple[str, str, bytes]) -> list[str]:
    name, content_type, content = file
    return [name, content_type, base64.b64encode(content).decode("ascii")]


def source_of_entries(entries: list[Entry]) -> Source:
    """A source of recipients with texts of their own."""
    content = msgspec.json.encode(
        [[e.recipients, e.text, e.sender, e.tz_minutes] for e in entries]
    ).decode()
    count = sum(len(entry.recipients) for entry in entries)
    return Source(kind=SourceKind.ENTRIES, count=count, content=content)


def entries_of(source: Source, text: str) -> list[Entry]:
    """The entries of a source that is no group; `text` is that of the campaign."""
    if source.kind is SourceKind.RECIPIENTS:
        return [Entry(source.content.split("\n"), text)]
    return [Entry(*each) for each in msgspec.json.decode(source.content)]


def _kind_of(campaign: Campaign) -> ContactKind:
    return ContactKind.MAIL if campaign.type is MessageType.EMAIL else ContactKind.PHONE


class CampaignOrders:
    """Makes requests from what campaigns keep."""

    def __init__(self, database: Database, find_group: FindGroup) -> None:
        self._database = database
        self._find_group = find_group

    async def group_size(self, account: Account, campaign: Campaign, source: Source) -> int:
        """How many contacts are in the group of a source; 0: there is no such group."""
        group = await self._find_group(account, _kind_of(campaign), source.content)
        return 0 if group is None else group.size

    async def portion(
        self, account: Account, campaign: Campaign, source: Source
    ) -> tuple[list[Entry], int, str]:
        """What of a source comes next: (entries, how many recipients, the place to go on at).

        Without recipients, and with the place '', the source is at its end.
        """
        if source.kind is not SourceKind.GROUP:
            return entries_of(source, campaign.text), source.count, ""
        group = await self._find_group(account, _kind_of(campaign), source.content)
        if group is None:
            return [], 0, ""
        async with self._database.read() as connection:
            page, last_id = await list_addresses(
                connection, group.id, after_id=int(campaign.place or 0), limit=SOURCE_RECIPIENTS
            )
        if not page:
            return [], 0, ""
        # Contacts are kept as they are dialled: nothing is to be corrected.
        recipients = [exactly(address) for address in page]
        place = str(last_id) if len(page) == SOURCE_RECIPIENTS else ""
        return [Entry(recipients, campaign.text)], len(page), place

    async def request(
        self, campaign: Campaign, account: Account, entries: list[Entry]
    ) -> SendRequest:
        """The request for a portion of a campaign's run."""
        kept = campaign.order
        options = dict(kept["options"])
        files = options.get("files", ())
        if kept.get("has_files"):
            async with self._database.read() as connection:
                files = await read_files(connection, campaign.id)
        if files:
            options["files"] = [
                (name, content_type, base64.b64decode(content))
                for name, content_type, content in files
            ]
        spread = None
        if "spread" in kept:
            period_ms, step_ms = kept["spread"]
            spread = Spread(
                period_ms,
                step_ms,
                first=campaign.position,
                total=max(campaign.recipient_count, campaign.position + 1),
                start_ms=campaign.run_at,
            )
        return SendRequest(
            account,
            entries,
            campaign.type,
            campaign.client_ref,
            kept["sender"],
            translit=kept["translit"],
            # Later runs have a time of their own: now.
            time=kept["time"] if campaign.repetition is Repetition.ONCE else "",
            tz_minutes=campaign.zone_minutes,
            spread=spread,
            valid_ms=kept["valid_ms"],
            max_parts=kept["max_parts"],
            door=kept["door"],
            options=options,
            campaign_id=campaign.id,
            list_size=campaign.recipient_count,
        )
