"""balance.php over a real socket."""

from __future__ import annotations

import pytest
from tests.unit.gateways.http.fakes import Door

from heliograph.domain.refusals import Refusal

CALL = "/sys/balance.php?login=alex&psw=123&"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "100.50"),
        ("fmt=1", "100.50"),
        ("fmt=2", "<balance>100.50</balance>"),
        ("fmt=3", '{\n"balance": "100.50"\n}'),
        ("cur=1", "100.50,RUR"),
        ("cur=1&fmt=1", "100.50,RUR"),
        (
            "cur=1&fmt=2",
            "<result>\n<balance>100.50</balance>\n<currency>RUR</currency>\n</result>",
        ),
        ("cur=1&fmt=3", '{\n"balance": "100.50",\n"currency": "RUR"\n}'),
        ("cur=0", "100.50"),
    ],
)
async def test_without_credit(door: Door, query: str, body: str) -> None:
    assert (await door.get(CALL + query)).body.decode() == body


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "-10.00"),
        ("cur=1", "-10.00,UAH"),
        ("fmt=2", "<result>\n<balance>-10.00</balance>\n<credit>500.00</credit>\n</result>"),
        ("fmt=3", '{\n"balance": "-10.00",\n"credit": "500.00"\n}'),
        (
            "fmt=3&cur=1",
            '{\n"balance": "-10.00",\n"credit": "500.00",\n"currency": "UAH"\n}',
        ),
    ],
)
async def test_with_credit(door: Door, query: str, body: str) -> None:
    door.services.balances.money = (-10_000_000, 500_000_000)
    door.services.be_account(currency="UAH")
    assert (await door.get(CALL + query)).body.decode() == body


async def test_the_recorded_reply_has_its_length(door: Door) -> None:
    door.services.balances.money = (1_871_620_000, 0)
    reply = await door.get(CALL + "fmt=3")
    assert reply.headers["content-length"] == str(len('{\n"balance": "1871.62"\n}'))


async def test_limit(door: Door) -> None:
    door.services.limits.refusal = Refusal.TOO_MANY_REQUESTS
    assert (await door.get(CALL + "fmt=1")).body == b"0,-9"
    assert door.services.limits.counted == [("balance", "")]
