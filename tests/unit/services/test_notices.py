"""Who has set a level hears once of a balance below it."""

from __future__ import annotations

from pathlib import Path

from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.domain.messages import MessageType
from heliograph.storage import accounts, ledger

MICROS = 10**6


async def _set(rig: Rig, **settings: str) -> None:
    async with rig.runtime.database.write() as connection:
        await accounts.change_settings(connection, rig.account.id, settings)
    await rig.runtime.directory.refresh_if_changed()


async def _pay(rig: Rig, amount: int) -> None:
    async with rig.runtime.database.write() as connection:
        await ledger.pay(connection, rig.account.id, amount * MICROS, now_ms=1)


async def test_low_balance(tmp_path: Path) -> None:
    async with open_rig(tmp_path, balance=100 * MICROS) as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        notices = rig.runtime.services.data.notices

        async def look() -> list[str]:
            """Where notices went, of several looks."""
            puppet.sent_to.clear()
            for _ in range(2):
                await notices.look()
            await rig.until(lambda: not rig.runtime.base.journal.depth)
            return list(puppet.sent_to)

        assert await look() == []
        await _set(rig, nb="50.5", phone="79161110001", email="shop@example.com")
        assert await look() == []
        await _pay(rig, -50)
        balance = await rig.balance()
        assert await look() == ["shop@example.com"]
        assert "100" not in puppet.texts[-1]
        assert puppet.texts[-1].endswith("50.00 RUR, меньше 50.50")
        assert await rig.balance() == balance
        await _pay(rig, 50)
        assert await look() == []
        # Also what an account may not send itself is sent to it, and a phone serves as well.
        await _set(rig, email="", **{"fl[6]": "1"})
        await _pay(rig, -99)
        assert await look() == ["79161110001"]
        assert (await rig.try_send()).refusal.name == "MAILINGS_DENIED"  # type: ignore[union-attr]
        # Nowhere to tell it, or nonsense for a level.
        await _pay(rig, 99)
        await look()
        await _set(rig, phone="")
        await _pay(rig, -99)
        assert await look() == []
        await _set(rig, nb="x")
        assert await look() == []
        # Who has a credit is told below zero.
        async with rig.runtime.database.write() as connection:
            await accounts.set_credit(connection, rig.account.id, 100 * MICROS)
        await _set(rig, nb="-10", phone="79161110001")
        assert await look() == []
        await _pay(rig, -20)
        assert await look() == ["79161110001"]


async def test_the_phone_serves_when_nobody_carries_mail(tmp_path: Path) -> None:
    async with open_rig(tmp_path, balance=MICROS) as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        rig.runtime.directory._abilities_of = lambda *_: frozenset({MessageType.SMS})
        await rig.runtime.directory.load()
        await _set(rig, nb="2", phone="79161110001", email="shop@example.com")
        await rig.runtime.services.data.notices.look()
        await rig.until(lambda: puppet.sent_to)
        assert puppet.sent_to == ["79161110001"]
