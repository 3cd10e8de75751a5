"""Mailing lists of a gateway without doors, over a connector that does what the test tells it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.domain.campaigns import CampaignOrder, CampaignView, divide_recipients
from heliograph.domain.messages import MessageState
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.services.campaigns import Campaigns, Ordered

__all__ = ["Lists", "open_lists", "phones"]


def phones(count: int, first: int = 79160000000) -> list[str]:
    return [str(first + n) for n in range(count)]


class Lists:
    """Mailing lists of the rig's account."""

    def __init__(self, rig: Rig, puppet: PuppetConnector) -> None:
        self.rig = rig
        self.puppet = puppet

    @property
    def campaigns(self) -> Campaigns:
        return self.rig.runtime.services.campaigns

    async def try_add(self, to: str, text: str = "hello", **fields: Any) -> Ordered | Refused:
        order = {
            name: fields.pop(name)
            for name in ("repetition", "max_runs", "text2", "sender2", "repeats", "wants_cost")
            if name in fields
        }
        request = SendRequest(self.rig.account, [Entry([], text)], **fields)
        sources = divide_recipients(to, limit=1_000_000)
        return await self.campaigns.add(
            CampaignOrder(request=request, sources=sources, name="test", **order)
        )

    async def add(self, to: str, text: str = "hello", **fields: Any) -> int:
        ordered = await self.try_add(to, text, **fields)
        assert isinstance(ordered, Ordered), ordered
        return ordered.id

    async def view(self, id: int) -> CampaignView:
        found = await self.campaigns.find(self.rig.account, id)
        assert found is not None
        return found

    async def until(self, id: int, holds: Callable[[CampaignView], object]) -> CampaignView:
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            view = await self.view(id)
            if holds(view):
                return view
            await asyncio.sleep(0.02)
        raise AssertionError(f"it did not happen: {view}")

    async def deliver(self, *recipients: str, err: int = 0) -> None:
        """Delivers what the puppet has taken; those to `recipients` fail."""
        tracker = self.rig.runtime.engine.receipts._tracker
        parts = [p for m in list(tracker.live.values()) for p in m.parts if p.external_id]
        for part in parts:
            state = MessageState.DELIVERED
            if part.message.recipient in recipients:
                state = MessageState.UNDELIVERABLE
            await self.puppet.tell(self.puppet.receipt(part.external_id, state=state, err=err))

    async def audited(self) -> None:
        report = await self.rig.audit()
        assert report.is_exact, report


@asynccontextmanager
async def open_lists(folder: Path, *settings: str, **rig: Any) -> AsyncIterator[Lists]:
    async with open_rig(folder, *settings, **{"balance": 10**11, **rig}) as opened:
        puppet = PuppetConnector(1, window=100_000)
        await opened.attach(puppet)
        yield Lists(opened, puppet)
