"""Months go by: what becomes of rented numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.unit.services.rig import open_rig

from heliograph.domain.refusals import Refusal
from heliograph.services.rentals import Rentals
from heliograph.storage.rentals import offer_number

MOSCOW = timezone(timedelta(hours=3))
RENT = 310_000_000
NUMBERS = ("79580000001", "79580000002", "79580000003")


def moment(day: int, month: int, hour: int = 12) -> int:
    return int(datetime(2026, month, day, hour, tzinfo=MOSCOW).timestamp()) * 1000


async def test_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_rig(tmp_path, balance=2_000_000_000) as rig:
        async with rig.runtime.database.write() as connection:
            for number in NUMBERS:
                await offer_number(connection, number, RENT)
        rentals: Rentals = rig.runtime.services.data.rentals
        await rentals.stop()
        now = [moment(22, 3)]
        monkeypatch.setattr(rentals, "_clock", lambda: now[0])

        async def mine() -> dict[str, str]:
            found = await rentals.list(rig.account)
            return {
                each.number: datetime.fromtimestamp(each.paid_until // 1000, MOSCOW).isoformat()
                for each in found
                if each.is_mine
            }

        # Test mode costs nothing, so nothing is to be had in it.
        assert (
            await rentals.rent(replace(rig.account, is_test=True), NUMBERS[0]) is Refusal.NO_FUNDS
        )
        assert await rig.balance() == 2_000_000_000
        # Ten of thirty-one days are left, the present one included.
        assert await rentals.rent(rig.account, NUMBERS[0]) is None
        assert await rig.balance() == 1_900_000_000
        assert await rentals.rent(rig.account, NUMBERS[0]) is Refusal.NOT_FOUND
        assert await rentals.rent(rig.account, NUMBERS[1], is_ending=True) is None
        april = "2026-04-01T00:00:00+03:00"
        assert await mine() == {NUMBERS[0]: april, NUMBERS[1]: april}
        assert rig.runtime.directory.service_number(NUMBERS[0])[1] == rig.account.id
        assert [each.is_mine for each in await rentals.list(rig.account)] == [True, True, False]

        now[0] = moment(31, 3, 23)
        await rentals.prolong()
        assert await rig.balance() == 1_800_000_000
        now[0] = moment(1, 4, 0)
        await rentals.prolong()
        await rentals.prolong()
        assert await mine() == {NUMBERS[0]: "2026-05-01T00:00:00+03:00"}
        assert await rig.balance() == 1_490_000_000
        assert rig.runtime.directory.service_number(NUMBERS[1])[1] == 0

        # Four more months are paid for, and the fifth is not.
        for month in range(5, 10):
            now[0] = moment(1, month, 1)
            await rentals.prolong()
        assert await mine() == {}
        assert await rig.balance() == 1_490_000_000 - 4 * RENT
        assert await rentals.rent(rig.account, NUMBERS[2]) is Refusal.NO_FUNDS
        assert [each.is_mine for each in await rentals.list(rig.account)] == [False] * 3
        assert (await rig.audit()).is_exact
