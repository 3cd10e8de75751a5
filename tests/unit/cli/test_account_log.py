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
    assert run("account", "settings", "nobody", "ktm=1", code=1).stderr


def test_settings_are_checked_as_those_of_the_api_are(ask: Ask, run: Ask) -> None:
    """A limit that is no number would be no limit, and a block under this name none either."""
    for text, words in (
        ("dlim=many", "dlim: not a whole number"),
        ("tmlim=9-25", "tmlim"),
        ("fmts=7;77", "fmts"),
        ("mph=1", "mph"),
        ("dlimit=5", "no setting 'dlimit'"),
        ("fl[32]=1", "no setting"),
        ("fl[x]=1", "no setting"),
        ("fl2[10]=1", "account block"),
        ("type=2", "account kind"),
    ):
        assert words in run("account", "settings", "shop", text, code=2).stderr
    assert run("account", "settings", "shop").output == "no settings\n"
    texts = ("dlim=0100", "tmlim=9-21", "fl[2]=0", "fl[6]=yes", "mfrom=@example.com", "ktm=0")
    assert ask("account", "settings", "shop", *texts) == {
        "dlim": "100",
        "fl[2]": "0",
        "fl[6]": "1",
        "mfrom": "@example.com",
        "tmlim": "9-21",
    }
    assert ask("account", "settings", "shop", "fl[2]=", "fl[6]=0", "mfrom=", "dlim=") == {
        "tmlim": "9-21"
    }
