"""What people write: whose it is however the operator writes the number, and where it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.services.rig import PHONE, PuppetConnector, Rig, open_rig

from heliograph.connectors.base import Incoming
from heliograph.runtime import now_ms
from heliograph.services import administration
from heliograph.services.inbound import receive
from heliograph.storage.calls import take_arrivals
from heliograph.storage.history import Period
from heliograph.storage.incoming import IncomingQuery, list_incoming, read_incoming
from heliograph.storage.numbering import assign_number

NUMBER = "79580000001"


async def hear(rig: Rig, destination: str, *, source: str = PHONE, text: str = "Hello") -> None:
    message = Incoming(source=source, destination=destination, text=text, received_at=now_ms())
    stored: list[bool] = []
    rig.runtime.engine.receipts.report_incoming(1, [message], stored.append)
    await rig.until(lambda: stored == [True])


async def own(rig: Rig, **settings: str) -> None:
    async with rig.runtime.database.write() as connection:
        await assign_number(connection, NUMBER, rig.account.id)
    await administration.change_settings(rig.runtime.database, "shop", settings)
    await rig.runtime.directory.refresh_if_changed()


async def test_a_number_is_known_however_it_is_written(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await own(rig)
        for destination in (NUMBER, f"+{NUMBER}", "89580000001", "9580000001"):
            await hear(rig, destination, source=f"+{PHONE}")
        await hear(rig, "79580000002")
        async with rig.runtime.database.read() as connection:
            mine = await list_incoming(connection, rig.account.id)
            nobodys = await list_incoming(connection, 0)
        assert [(each.source, each.destination) for each in mine] == [(PHONE, NUMBER)] * 4
        assert [each.destination for each in nobodys] == ["79580000002"]


async def test_nothing_is_passed_on_to_the_number_itself(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        await own(rig, **{"fl[8]": "1", "phone": f"+{NUMBER}", "answ": "Thank you"})
        await hear(rig, NUMBER)
        # It would come in again, and be passed on again, each time for money.
        await rig.until(lambda: connector.texts == ["Thank you"])
        await own(rig, **{"fl[8]": "1", "phone": "79161110000", "answ": ""})
        await hear(rig, NUMBER, text="Again")
        await rig.until(lambda: len(connector.texts) == 2)
        assert connector.sent_to == [PHONE, "79161110000"]


async def test_whoever_reads_on_misses_nothing(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await own(rig)
        await hear(rig, NUMBER, text="first")
        by_hand = await receive(
            rig.runtime.database,
            rig.account,
            source=PHONE,
            destination=NUMBER,
            text="by hand",
            now_ms=now_ms(),
        )

        async def are_taken() -> bool:
            async with rig.runtime.database.read() as connection:
                return not await take_arrivals(connection, is_peek=True)

        for _ in range(1_500):
            if await are_taken():
                break
            await asyncio.sleep(0.02)
        await hear(rig, NUMBER, text="second")
        async with rig.runtime.database.read() as connection:
            found = await read_incoming(
                connection, rig.account.id, IncomingQuery(after_id=by_hand - 1)
            )
        assert [each.text for each in found] == ["by hand", "second"]


async def test_a_stop_passes_on_what_has_come(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await own(rig, **{"fl[8]": "1", "phone": "79161110000"})
        messages = [
            Incoming(source=PHONE, destination=NUMBER, text=f"{n}", received_at=now_ms())
            for n in range(30)
        ]
        stored: list[bool] = []
        rig.runtime.engine.receipts.report_incoming(1, messages, stored.append)
        await rig.until(lambda: stored)
    async with open_rig(tmp_path) as rig:
        whole_day = Period(now_ms() - 86_400_000, now_ms() + 86_400_000)
        sent = await rig.runtime.services.data.history.sent(rig.account, whole_day, limit=100)
    assert len(sent) == 30


async def test_a_blocked_account_sends_nothing(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        await own(rig, **{"fl[8]": "1", "phone": "79161110000", "answ": "Thank you"})
        await administration.update_account(rig.runtime.database, "shop", is_blocked=True)
        await rig.runtime.directory.refresh_if_changed()
        await hear(rig, NUMBER, text="one")
        await administration.update_account(rig.runtime.database, "shop", is_blocked=False)
        await rig.runtime.directory.refresh_if_changed()
        await hear(rig, NUMBER, text="two")
        await rig.until(lambda: len(connector.texts) == 2)
        assert connector.texts == [f"{PHONE} -> {NUMBER}: two", "Thank you"]
        async with rig.runtime.database.read() as connection:
            assert len(await list_incoming(connection, rig.account.id)) == 2
