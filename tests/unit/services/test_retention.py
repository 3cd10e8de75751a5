"""What is older than an account's setting says leaves its history; the ledger stays."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text
from tests.unit.services.rig import PHONE, PuppetConnector, open_rig

from heliograph.domain.requests import Spread
from heliograph.runtime import now_ms
from heliograph.services import administration
from heliograph.services.retention import Retention
from heliograph.storage import proof

DAY_MS = 86_400_000


async def test_old_messages_are_hidden_and_their_texts_emptied(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(0, answers=False)
        await rig.attach(puppet)
        database = rig.runtime.database
        for login, days in (("shop", "2"), ("keeper", "")):
            if login != "shop":
                await administration.create_account(
                    database, login, "Secret-123", now_ms=now_ms(), balance_micros=10**9
                )
            await administration.change_settings(database, login, {"ktm": days})
        await rig.runtime.directory.refresh_if_changed()
        keeper = rig.runtime.directory.account("keeper")
        assert keeper is not None
        sent = [await rig.send(text=f"secret {n}") for n in range(3)]
        kept = await rig.send(text="secret of the keeper", account=keeper)
        await rig.until(lambda: len(puppet.texts) == 4)
        parts = list(puppet.sent)
        puppet.accept()
        await puppet.tell(*(puppet.receipt(str(part.id)) for part in parts[1:]))  # one stays open
        clock = now_ms()
        retention = Retention(
            database=database, directory=rig.runtime.directory, clock=lambda: clock
        )
        assert await retention.work() == 0
        clock += 3 * DAY_MS
        assert await retention.work() == 3
        statuses = [(await rig.status(each.client_ref, PHONE)).status for each in sent]
        assert statuses == [0, -3, -3]
        async with database.snapshot() as connection:
            rows = await connection.execute(text("SELECT text FROM submissions ORDER BY id"))
            assert [row.text for row in rows] == ["secret 0", "", "", "secret of the keeper"]
            assert (await proof.prove(connection)).problems == ()
        assert kept.client_ref
        # The open one goes when it has come to its end.
        await puppet.tell(puppet.receipt(str(parts[0].id)))
        await retention.work()
        assert (await rig.status(sent[0].client_ref, PHONE)).status == -3


async def test_a_text_stays_while_somebody_waits_for_it(tmp_path: Path) -> None:
    """The first portion of a mailing is old before the last one goes out."""
    async with open_rig(tmp_path) as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        database = rig.runtime.database
        await administration.change_settings(database, "shop", {"ktm": "1"})
        await rig.runtime.directory.refresh_if_changed()
        two = f"{PHONE},79161234568"
        spread = Spread(period_ms=4 * DAY_MS, step_ms=2 * DAY_MS)
        sent = await rig.send(two, text="for both", spread=spread)
        await rig.until(lambda: puppet.texts == ["for both"])
        await rig.reach(sent.client_ref, 0)
        part = next(iter(rig.runtime.engine.receipts._tracker.live.values())).parts[0]
        await puppet.tell(puppet.receipt(part.external_id))
        retention = Retention(
            database=database,
            directory=rig.runtime.directory,
            clock=lambda: now_ms() + 2 * DAY_MS,
        )
        await retention.work()
        assert (await rig.status(sent.client_ref, PHONE)).status == -3
        async with database.write() as connection:
            await connection.execute(text("UPDATE messages SET due_at = 1 WHERE due_at > 0"))
        await rig.until(lambda: puppet.texts == ["for both", "for both"])
