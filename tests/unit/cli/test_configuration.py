"""Tariffs, connectors, routes and number tables by the command line, on a real database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from heliograph.storage.accounts import find_account
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.rentals import take_number

Ask = Callable[..., Any]


def test_rates(run: Ask, ask: Ask) -> None:
    run("tariff", "create", "gold", "--currency", "EUR")
    run("tariff", "add", "--plan", "gold", "--price", "3")
    run("tariff", "add", "--plan", "gold", "--network", "25001", "--price", "1.40")
    run("tariff", "add", "--plan", "gold", "--type", "hlr", "--prefix", "+7903", "--price", "0.2")
    run("tariff", "add", "--plan", "gold", "--network", "25001", "--price", "1.50")
    assert ask("tariff", "list", "--plan", "gold") == [
        {"type": "", "network": "", "prefix": "", "price": "3.00"},
        {"type": "", "network": "25001", "prefix": "", "price": "1.50"},
        {"type": "hlr", "network": "", "prefix": "7903", "price": "0.20"},
    ]
    run("tariff", "remove", "--plan", "gold", "--network", "25001")
    assert len(ask("tariff", "list", "--plan", "gold")) == 2
    run("tariff", "remove", "--plan", "gold", "--network", "25001", code=1)
    assert [each["name"] for each in ask("tariff", "plans")] == ["standard", "gold"]


def test_without_a_name_the_first_plan_is_meant(run: Ask, ask: Ask) -> None:
    before = len(ask("tariff", "list"))
    assert ask("tariff", "add", "--prefix", "7", "--price", "0.01")["plan"] == "standard"
    assert len(ask("tariff", "list")) == before + 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add"], 2, "--price"),
        (["add", "--price", "-1"], 2, "not negative"),
        (["add", "--price", "1", "--network", "25001", "--prefix", "7"], 2, "not for both"),
        (["add", "--price", "1", "--network", "MTS"], 2, "digits"),
        (["add", "--price", "1", "--type", "pigeon"], 2, "no message type"),
        (["add", "--price", "1", "--plan", "none"], 1, "tariff plans"),
        (["list", "--plan", "none"], 1, "tariff plans"),
        (["create", "standard"], 1, "already"),
    ],
)
def test_wrong_rates(run: Ask, arguments: list[str], code: int, words: str) -> None:
    assert words in run("tariff", *arguments, code=code).stderr


def test_import_of_rates(run: Ask, ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("\ufeffnetwork,price\n25001,1.1\n25002,1.2\n", encoding="utf-8")
    assert ask("tariff", "import", str(file), "--replace") == {"plan": "standard", "imported": 2}
    assert [each["price"] for each in ask("tariff", "list")] == ["1.10", "1.20"]
    file.write_text("network,price\n25001,x\n25002,y\n")
    done = run("tariff", "import", str(file), "--replace", code=1)
    assert "line 2" in done.stderr
    assert "line 3" in done.stderr
    assert len(ask("tariff", "list")) == 2
    file.write_bytes(b"price\n\xff\n")
    assert "UTF-8" in run("tariff", "import", str(file), code=1).stderr
    assert "read" in run("tariff", "import", str(tmp_path / "none.csv"), code=2).stderr


def test_connectors(run: Ask, ask: Ask) -> None:
    given = ("--set", "host=smpp.example.com", "--set", "password=s3cret", "--set", "window=7")
    run("connector", "add", "mts", *given, "--set", "log.level=error")
    shown = ask("connector", "show", "mts")
    assert shown["settings"] == {
        "host": "smpp.example.com",
        "password": "********",
        "window": 7,
    }
    run("connector", "set", "mts", "--set", "window=", "--set", "port=2776", "--set", "tls=true")
    assert ask("connector", "show", "mts")["settings"] == {
        "host": "smpp.example.com",
        "port": 2776,
        "password": "********",
        "tls": True,
    }
    run("connector", "disable", "mts")
    assert {c["name"]: c["state"] for c in ask("connector", "list")} == {
        "virtual": "enabled",
        "mts": "disabled",
    }
    run("connector", "enable", "mts")
    assert "s3cret" not in run("connector", "list").output + run("connector", "show", "mts").output
    assert "host" in run("connector", "kinds", "smpp").stdout
    assert "already" in run("connector", "add", "mts", *given, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "none"], 1, "connector list"),
        (["set", "virtual"], 2, "nothing to change"),
        (["set", "virtual", "--set", "window=0"], 2, "window"),
        (["set", "virtual", "--set", "window"], 2, "name=value"),
        (["add", "a b", "--set", "host=h"], 2, "letters"),
    ],
)
def test_wrong_connectors(run: Ask, arguments: list[str], code: int, words: str) -> None:
    assert words in run("connector", *arguments, code=code).stderr


def test_unmatched_receipts(run: Ask, ask: Ask, data: Path) -> None:
    assert "no unmatched receipts" in run("connector", "unmatched").output
    with closing(sqlite3.connect(data / "heliograph.db")) as connection:
        connection.execute("INSERT INTO unmatched_receipts VALUES (1, 1, '4a3f', 4, 0, 0)")
        connection.execute("INSERT INTO unmatched_receipts VALUES (2, 1, '777', 10, 0, 1000)")
        connection.commit()
    listed = ask("connector", "unmatched", "virtual")
    assert [each["operator_id"] for each in listed] == ["777", "4a3f"]
    assert listed[0]["connector"] == "virtual"
    # In capitals, padded, or in the other base: as the operator's log spells it.
    for spelling in ("4A3F", "00004a3f", "19007"):
        (found,) = ask("connector", "unmatched", "--id", spelling)
        assert found["operator_id"] == "4a3f"
    assert "connector list" in run("connector", "unmatched", "none", code=1).stderr


def test_routes_and_why(run: Ask, ask: Ask) -> None:
    for name in ("mts", "beeline"):
        run("connector", "add", name, "--set", "host=127.0.0.1")
    run("route", "add", "--connector", "mts", "--network", "250", "--order", "10")
    run(
        "route",
        "add",
        "--connector",
        "beeline",
        "--account",
        "shop",
        "--type",
        "sms",
        "--order",
        "5",
    )
    run("route", "add", "--connector", "mts", "--sender", "Bank*", "--prefix", "+7903")
    found = ask("route", "explain", "8 (916) 123-45-67", "--account", "shop", "--sender", "Shop")
    assert found["number"] == "79161234567"
    assert (found["network"], found["country"]) == ("25001", "Russia")
    assert found["price_of_a_part"] == "1.00 RUR"
    assert found["order"] == ["beeline", "mts"]
    verdicts = [(each["connector"], each["why"]) for each in found["rules"]]
    assert verdicts == [
        ("beeline", ""),
        ("mts", ""),
        ("mts", "the number does not begin with 7903"),
        ("virtual", "a real upstream never falls back to the sandbox"),
    ]
    assert ask("route", "explain", "79161234567")["order"] == ["mts"]
    run("connector", "disable", "beeline")
    again = ask("route", "explain", "79161234567", "--account", "shop")
    assert again["order"] == ["mts"]
    assert again["rules"][0]["why"] == "its connector is disabled"
    listed = ask("route", "list")
    assert [each["order"] for each in listed][:3] == [5, 10, 100]
    assert listed[0]["account"] == "shop"
    run("route", "remove", str(listed[0]["id"]))
    assert len(ask("route", "list")) == 3
    assert "no route" in run("route", "remove", "999", code=1).stderr


def test_where_nothing_goes(run: Ask, ask: Ask) -> None:
    for each in ask("route", "list"):
        run("route", "remove", str(each["id"]))
    done = run("route", "explain", "79161234567", "--account", "shop", code=1)
    assert "nothing carries it" in done.stdout
    assert "no routes" in run("route", "list").stdout


def test_a_sender_name_that_can_not_be(ask: Ask) -> None:
    found = ask("route", "explain", "79161234567", "--sender", "x" * 20, code=1)
    assert "sender name" in found["refusal"]


def test_imported_prefixes_and_ported_numbers(run: Ask, ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("prefix,mccmnc\n7916,25002\n")
    assert ask("numbering", "import", str(file)) == {"imported": 1, "table": "prefixes"}
    file.write_text("phone,mccmnc\n79161234567,25020\n")
    ask("numbering", "import", str(file), "--ported")
    found = ask("numbering", "lookup", "79161234567")
    assert (found["mccmnc"], found["original_mccmnc"]) == ("25020", "25002")
    assert found["prefix"] == "7916"
    assert ask("numbering", "lookup", "79161234568")["mccmnc"] == "25002"
    assert ask("route", "explain", "79161234567")["network"] == "25020"
    file.write_text("prefix,mccmnc\n7x,25002\n")
    done = run("numbering", "import", str(file), code=1)
    assert "line 2" in done.stderr


def test_service_numbers(run: Ask, ask: Ask) -> None:
    assert ask("numbering", "assign", "4444", "shop") == {"number": "4444", "account": "shop"}
    assert ask("account", "show", "shop")["service_numbers"] == ["4444"]
    run("numbering", "release", "4444")
    assert ask("account", "show", "shop")["service_numbers"] == []
    assert "nobody" in run("numbering", "release", "4444", code=1).stderr
    # However it is written, it is the same number.
    run("numbering", "assign", "+7 958 000-00-01", "shop")
    assert ask("account", "show", "shop")["service_numbers"] == ["79580000001"]
    assert ask("numbering", "release", "79580000001") == {"number": "79580000001"}


def test_a_rented_number_is_not_given_away(run: Ask, ask: Ask, data: Path) -> None:
    run("account", "create", "renter", "--password", "Secret-123")
    offered = ask("numbering", "offer", "+79580000001", "300")
    assert offered == {"number": "79580000001", "rent": "300.00"}
    assert "amount" in run("numbering", "offer", "79580000001", "much", code=2).stderr

    async def rent() -> None:
        database = Database(sqlite_url(data))
        async with database.write() as connection:
            renter = await find_account(connection, "renter")
            given = {"account_id": renter.id, "paid_until": 2 * 10**12, "is_ending": False}
            assert await take_number(connection, "79580000001", **given)
        await database.close()

    asyncio.run(rent())
    done = run("numbering", "assign", "79580000001", "shop", code=1)
    assert "rented by another account" in done.stderr
    run("numbering", "release", "79580000001")
    run("numbering", "assign", "79580000001", "shop")


IMPORTS = {
    "prefixes": ("numbering", "import"),
    "ported": ("numbering", "import", "--ported"),
    "rates": ("currency", "import", "--replace"),
    "tariff": ("tariff", "import"),
    "contacts": ("contact", "import", "shop"),
}
BAD_FILES = {
    "empty": b"",
    "bytes": "имя;цена".encode("cp1251"),
    "huge": b"a," + b"9" * 200_000,
    "words": b"one,two,three,four\n",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("command", IMPORTS.values(), ids=IMPORTS)
def test_files_that_are_not_taken(
    run: Ask, tmp_path: Path, command: tuple[str, ...], content: bytes
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    done = run(*command, str(file), code=1)
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize(
    "command",
    [
        ("route", "remove"),
        ("documents", "correct", "shop"),
        ("account", "key", "disable", "shop"),
        ("campaign", "cancel"),
        ("callbacks", "show"),
        ("callbacks", "replay"),
        ("template", "approve"),
        ("task", "remove", "shop"),
    ],
)
def test_ids_that_nothing_can_have(run: Ask, command: tuple[str, ...]) -> None:
    done = run(*command, "9" * 30, code=2)
    assert "not in the range" in done.stderr
    done = run(*command, "987654321", code=1)
    assert isinstance(done.exception, SystemExit)
