"""Orders by text message through a whole gateway: from the handset to the mailing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.services.rig import Rig, open_rig

from heliograph.connectors.base import Incoming
from heliograph.domain.contacts import ContactKind
from heliograph.services import administration
from heliograph.services.contacts import Contacts
from heliograph.storage.incoming import list_incoming
from heliograph.storage.request_log import list_requests

PHONE = "79165550000"
ORDER = "shop Secret-123 79161234567,79160000000: Meet at ten"


async def hear(rig: Rig, text: str, source: str = PHONE) -> bool:
    """A message from a handset; whether it was stored."""
    stored: list[bool] = []
    message = Incoming(source=source, destination="5555", text=text, received_at=1)
    rig.runtime.engine.receipts.report_incoming(1, [message], stored.append)
    await rig.until(lambda: bool(stored))
    await rig.runtime.services.commands.drain()
    return stored[0]


async def register(rig: Rig, phones: str = PHONE) -> None:
    await administration.change_settings(rig.runtime.database, "shop", {"ph": phones})
    await rig.runtime.directory.refresh_if_changed()


async def outcomes(rig: Rig, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(500):
        async with rig.runtime.database.read() as connection:
            rows = await list_requests(connection, rig.account.id)
        found = [f"{row.door} {row.what}: {row.outcome}" for row in rows]
        if len(found) >= count:
            break
    assert len(found) == count, found
    return found[::-1]


async def inbox(rig: Rig) -> list[str]:
    async with rig.runtime.database.read() as connection:
        return [each.text for each in await list_incoming(connection, 0)]


async def test_an_order_from_a_registered_phone_is_sent(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await register(rig)
        assert await hear(rig, ORDER)
        assert await outcomes(rig, 1) == ["sms command: accepted: id 1, 2 recipients, 2 parts"]
        for phone in ("79161234567", "79160000000"):
            (answer,) = await rig.runtime.services.statuses.find(rig.account, [("1", phone)])
            assert answer.text == "Meet at ten"
        assert await inbox(rig) == ["shop ******** 79161234567,79160000000: Meet at ten"]


async def test_others_are_ordinary_messages(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await hear(rig, ORDER)
        await register(rig)
        await hear(rig, ORDER, "79169999999")
        await hear(rig, "Hello there")
        await hear(rig, ORDER.replace("shop", "nobody"))
        assert len(await inbox(rig)) == 4
        assert await outcomes(rig, 0) == []


async def test_phones_of_a_group_may_order(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        book = Contacts(rig.runtime.database)
        (group, _) = await book.groups(rig.account, ContactKind.PHONE)
        await book.add(rig.account, ContactKind.PHONE, [(PHONE, {})], group_ids=[group.id])
        await register(rig, f"79160000009,G{group.id}")
        assert await hear(rig, ORDER)
        assert await hear(rig, ORDER.replace("ten", "two"), "79169999999")
        assert await outcomes(rig, 2) == [
            "sms command: accepted: id 1, 2 recipients, 2 parts",
            "sms command: refused: the phone is not one of ph",
        ]
        assert "Secret-123" not in str(await inbox(rig))


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (ORDER.replace("Secret-123", "wrong"), "wrong login, password or key"),
        ("shop Secret-123 G7: Hello", "refused: a parameter is missing or not valid"),
        ("shop Secret-123 79161234567:", "refused: the text is empty"),
        ("shop Secret-123 123: Hello", "refused: the number is not a valid recipient"),
        ("shop Secret-123 79161234567: " + "x" * 1001, "refused: the text is empty or too long"),
    ],
)
async def test_what_is_refused_is_written_down(tmp_path: Path, text: str, outcome: str) -> None:
    async with open_rig(tmp_path) as rig:
        await register(rig)
        assert await hear(rig, text)
        (found,) = await outcomes(rig, 1)
        assert found.startswith(f"sms command: {outcome}")
        assert "Secret-123" not in str(await inbox(rig))
