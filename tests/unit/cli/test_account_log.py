"""The request log and the named settings by the command line, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from heliograph.storage.accounts import find_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.schema import request_log

Ask = Callable[..., Any]


async def fill(folder: Path, count: int) -> None:
    database = Database(sqlite_url(folder))
    async with database.write() as connection:
        account = await find_account(connection, "shop")
        for number in range(count):
            row = {"id": number + 1, "account_id": account.id, "at": 1_700_000_000_000 + number}
            row |= {"door": "smtp", "what": "order", "outcome": f"accepted: id {number}"}
            await connection.execute(insert(request_log).values(row))
    await database.close()


def test_the_log_is_read_newest_first(ask: Ask, run: Ask, data: Path) -> None:
    assert "nothing was asked" in run("account", "log", "shop").output
    asyncio.run(fill(data, 3))
    rows = ask("account", "log", "shop", "--limit", "2")
    assert [row["outcome"] for row in rows] == ["accepted: id 2", "accepted: id 1"]
    shown = run("account", "log", "shop").output
    assert "2023-11-14 22:13:20.002  smtp  order  accepted: id 2" in shown
    assert run("account", "log", "nobody", code=1).stderr.startswith("Error: there is no account")


def test_settings_are_set_shown_and_taken_away(ask: Ask, run: Ask) -> None:
    assert run("account", "settings", "shop").output == "no settings\n"
    assert ask("account", "settings", "shop", "mph=79161234567", "mfl[5]=1") == {
        "mfl[5]": "1",
        "mph": "79161234567",
    }
    assert ask("account", "settings", "shop", "mph=") == {"mfl[5]": "1"}
    assert "mfl[5]  1" in run("account", "settings", "shop").output
    assert "name=value" in run("account", "settings", "shop", "mph", code=2).stderr
    assert run("account", "settings", "nobody", "mph=1", code=1).stderr
