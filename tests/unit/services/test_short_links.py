"""Clicks: what they do to messages and to counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.domain.messages import MessageState
from heliograph.services import short_links
from heliograph.services.short_links import ShortLinks

DAY_MS = 86_400_000


def links_of(rig: Rig) -> ShortLinks:
    return rig.runtime.services.data.short_links


async def send(rig: Rig, connector: PuppetConnector, target: str) -> tuple[str, str]:
    """(client's id, code) of a message that the operator took."""
    sent = await rig.send(text=target, options={"tinyurl": True})
    await rig.until(lambda: connector.texts and not connector.sent)
    await rig.reach(sent.client_ref, 0)
    return sent.client_ref, connector.texts[-1].rpartition("/")[2]


async def click(rig: Rig, code: str, address: str = "1.1.1.1") -> str | None:
    target = await links_of(rig).follow(code, address, is_person=True)
    await links_of(rig).flush()
    return target


async def test_a_click_proves_that_a_message_arrived(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        client_ref, code = await send(rig, connector, "http://example.com/a")
        assert await click(rig, code) == "http://example.com/a"
        answer = await rig.reach(client_ref, 4)
        assert answer.cost_micros == 1_000_000
        # The receipt that comes now tells nothing new.
        await connector.tell(connector.receipt(*rig_external(rig)))
        assert (await rig.status(client_ref)).status == 4
        assert (await rig.audit()).is_exact


def rig_external(rig: Rig) -> list[str]:
    expected = rig.runtime.dispatch._tracker._expected
    return [external_id for parts in expected.values() for external_id in parts]


async def test_what_can_not_be_clicked(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        client_ref, code = await send(rig, connector, "http://example.com/a")
        await connector.tell(
            connector.receipt(*rig_external(rig), state=MessageState.UNDELIVERABLE, err=1)
        )
        await click(rig, code)
        assert (await rig.status(client_ref)).status == 20
        assert await click(rig, "abcdefghij") is None


async def test_a_click_ahead_of_the_operators_answer(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1, answers=False)
        await rig.attach(connector)
        sent = await rig.send(text="http://example.com/a", options={"tinyurl": True})
        await rig.until(lambda: connector.texts)
        code = connector.texts[-1].rpartition("/")[2]
        await click(rig, code)
        assert (await rig.status(sent.client_ref)).status == -1
        connector.accept()
        await rig.reach(sent.client_ref, 0)
        await click(rig, code)
        await rig.reach(sent.client_ref, 4)
        counts = await links_of(rig).describe(rig.account, code=code)
        assert counts is not None
        assert counts.clicks == 2


async def test_clicks_wait_for_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        client_ref, code = await send(rig, connector, "http://example.com/a")
        links = links_of(rig)

        def fail(*_: object) -> None:
            raise OSError("away")

        with monkeypatch.context() as away:
            away.setattr(short_links, "load_messages", fail)
            await links.follow(code, "1.1.1.1", is_person=True)
            with pytest.raises(OSError, match="away"):
                await links.flush()
        await links.flush()
        await rig.reach(client_ref, 4)


async def test_days_and_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        _, code = await send(rig, connector, "http://example.com/a")
        links = links_of(rig)
        # Noon of the tenth, in Moscow.
        now = [int(time.mktime((2026, 3, 10, 9, 0, 0, 0, 0, 0)) - time.timezone) * 1000]
        monkeypatch.setattr(links, "_clock", lambda: now[0])

        async def counts() -> tuple[int, ...]:
            found = await links.describe(rig.account, code=code)
            assert found is not None
            return tuple(found[1:5])

        assert await counts() == (0, 0, 0, 0)
        await click(rig, code)
        await click(rig, code)
        assert await counts() == (2, 2, 2, 0)
        now[0] += DAY_MS
        assert await counts() == (2, 2, 0, 2)
        await click(rig, code)
        assert await counts() == (3, 3, 1, 2)
        now[0] += 2 * DAY_MS
        assert await counts() == (3, 3, 0, 0)
        await click(rig, code)
        assert await counts() == (4, 4, 1, 0)
        now[0] += 30 * DAY_MS
        assert await counts() == (4, 0, 0, 0)
        await click(rig, code)
        assert await counts() == (5, 1, 1, 0)


async def test_links_end_with_their_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_rig(tmp_path, "links.days=2") as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        _, code = await send(rig, connector, "http://example.com/a")
        links = links_of(rig)
        await links._sweep()
        assert await click(rig, code)
        now_ms = time.time_ns() // 1_000_000 + 3 * DAY_MS
        monkeypatch.setattr(links, "_clock", lambda: now_ms)
        await links._sweep()
        assert await click(rig, code) is None
        assert await links.describe(rig.account, target="http://example.com/a") is None
