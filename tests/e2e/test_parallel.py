"""Many requests at once, on both engines: money is exact and nobody gets in another's way."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.contract.conftest import PostgresServer, postgres_server
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

__all__ = ["postgres_server"]

PHONE = "79161234567"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """A running gateway on either engine, with exactly 100 for 100 messages."""
    settings = list(UNLIMITED)
    name = f"test_{uuid.uuid4().hex}"
    server: PostgresServer | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        asyncio.run(server.execute(f"CREATE DATABASE {name}"))
        settings.append(f"database.url={server.url(name)}")
    gateway = Gateway(tmp_path / "data", *settings)
    gateway.create_account(balance="100")
    gateway.create_account("rich")
    gateway.start()
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text()
    if server is not None:
        asyncio.run(server.execute(f"DROP DATABASE {name} WITH (FORCE)"))


async def send_all(gateway: Gateway, count: int, **fields: str) -> list[dict[str, Any]]:
    """Answers to `count` requests that are all under way at once."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send(number: int) -> dict[str, Any]:
            query = {
                "login": LOGIN,
                "psw": PASSWORD,
                "phones": PHONE,
                "mes": f"number {number}",
                "fmt": "3",
                **fields,
            }
            async with session.post(f"{gateway.base}/sys/send.php", data=query) as reply:
                answer: dict[str, Any] = json.loads(await reply.read())
                return answer

        return await asyncio.gather(*(send(number) for number in range(count)))


def test_balance_for_a_hundred_covers_a_hundred(stored: Gateway) -> None:
    answers = asyncio.run(send_all(stored, 200))
    accepted = [a for a in answers if "error" not in a]
    refused = [a for a in answers if "error" in a]
    assert (len(accepted), len(refused)) == (100, 100)
    assert {a["error_code"] for a in refused} == {3}
    assert len({a["id"] for a in answers}) == 200
    assert stored.call("balance") == {"balance": "0.00"}
    for answer in accepted[::10]:
        stored.wait_status(answer["id"], PHONE, 1)
    wait_for(
        lambda: stored.metric('heliograph_messages_finished_total{err="0"') == 100,
        what="the end of all",
    )
    assert stored.audit() == []


def test_kill_in_the_middle(stored: Gateway) -> None:
    """What was answered is there after kill -9, on this engine too."""
    answers = asyncio.run(send_all(stored, 50, login="rich"))
    stored.kill()
    stored.start()
    for answer in answers:
        found = stored.call("status", login="rich", id=answer["id"], phone=PHONE)
        assert found["status"] in (-1, 0, 1, 3)
    for answer in answers:
        wait_for(
            lambda id=answer["id"]: (
                stored.call("status", login="rich", id=id, phone=PHONE)["status"] in (1, 3)
            ),
            timeout_s=30,
        )
    assert stored.audit() == []
