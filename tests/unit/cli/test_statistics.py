"""Statistics as CSV by the command line."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path

from tests.unit.cli.conftest import Run

from heliograph.storage import deltas
from heliograph.storage.accounts import create_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.schema import totals as table

DAY = 20_783  # 2026-11-26


async def _fill(data: Path) -> None:
    database = Database(sqlite_url(data))
    async with database.write() as connection:
        odd = await create_account(connection, "=odd", now_ms=1)
        made: deltas.Deltas = {}
        for account, day, network, purse in (
            (1, DAY, "25001", 1),
            (1, DAY, "25002", 1),
            (1, DAY - 10, "25001", 1),  # in another third of its month
            (1, DAY - 26, "25001", 1),
            (odd, DAY - 1, "25001", -1),
        ):
            key = (account, day, purse, 0, network, "RUR")
            made[key] = [3, 4, 1, 1, 1, 0, 1_400_000, 2_800_000]
        names = [column.name for column in table.columns]
        rows = [dict(zip(names, row, strict=True)) for row in deltas.make_rows([made])]
        await connection.execute(table.insert(), rows)
    await database.close()


def test_export(run: Run, data: Path) -> None:
    asyncio.run(_fill(data))

    def ask(*options: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(run("statistics", "export", *options).stdout)))

    rows = ask()
    assert [(row["day"], row["account"], row["network"], row["balance"]) for row in rows] == [
        ("2026-10-31", "shop", "25001", "ordinary"),
        ("2026-11-16", "shop", "25001", "ordinary"),
        ("2026-11-26", "shop", "25001", "ordinary"),
        ("2026-11-26", "shop", "25002", "ordinary"),
        ("2026-11-25", "'=odd", "25001", "electronic"),
    ]
    assert rows[0] | {"day": "", "account": ""} == {
        **{"day": "", "account": "", "payer": "shop", "balance": "ordinary", "type": "0"},
        **{"network": "25001", "currency": "RUR", "messages": "3", "parts": "4"},
        **{"delivered": "1", "failed": "1", "refused": "1", "deleted": "0"},
        **{"open": "1.40", "charged": "2.80"},
    }
    assert [row["day"] for row in ask("--account", "shop", "--from", "01.11.2026")] == [
        "2026-11-16",
        "2026-11-26",
        "2026-11-26",
    ]
    assert len(ask("--to", "25.11.2026")) == 3
    months = ask("--monthly", "--account", "shop")
    assert [(row["day"], row["messages"], row["charged"]) for row in months] == [
        ("2026-10", "3", "2.80"),
        ("2026-11", "9", "8.40"),
    ]
    assert [row["day"] for row in ask("--monthly", "--from", "02.10.2026")] == ["2026-11"] * 2
    assert [row["day"] for row in ask("--monthly", "--to", "31.10.2026")] == ["2026-10"]
    assert "is not a day" in run("statistics", "export", "--to", "31.11.2026", code=2).output
    backwards = ("--from", "02.11.2026", "--to", "01.11.2026")
    assert "after" in run("statistics", "export", *backwards, code=2).output
    assert "nobody" in run("statistics", "export", "--account", "nobody", code=1).output
