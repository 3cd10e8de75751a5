"""Moderation, imports of contacts and task groups by the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Run

Ask = Callable[..., Any]


def test_a_name_is_approved_and_rejected(run: Run, ask: Ask) -> None:
    assert "no names wait" in run("sender", "list").output
    run("sender", "approve", "shop", "MyShop")
    (name,) = ask("sender", "list", "--all")
    assert (name["account"], name["name"], name["state"]) == ("shop", "MyShop", "active")
    run("sender", "approve", "shop", "myshop", "--operator", "mts")
    assert "at mts" in run("sender", "show", "shop", "MYSHOP").output
    run("sender", "reject", "shop", "MyShop")
    assert ask("sender", "list", "--login", "shop", "--all")[0]["state"] == "refused"
    assert "no sender name" in run("sender", "reject", "shop", "Other", code=1).output
    assert "can not be a sender" in run("sender", "approve", "shop", "тест", code=1).output
    assert "no operator" in run("sender", "reject", "shop", "x", "--operator", "y", code=1).output


def test_a_policy_is_a_setting(run: Run, data: Path) -> None:
    def settings() -> Any:
        with closing(sqlite3.connect(data / "heliograph.db")) as connection:
            return connection.execute("SELECT settings FROM accounts").fetchone()[0]

    run("sender", "policy", "shop", "registered")
    assert settings() == '{"senders":"registered"}'
    run("sender", "policy", "shop", "usual")
    assert settings() == "{}"
    run("sender", "policy", "shop", "other", code=2)


def test_templates_have_ids(run: Run, ask: Ask) -> None:
    assert ask("template", "list") == []
    assert "there is no template 17" in run("template", "approve", "17", code=1).output
    assert "there is no template 17" in run("template", "reject", "17", code=1).output


def test_contacts_come_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "clients.csv"
    lines = [f"7916{at:07},Client {at},17.07.1983" for at in range(2500)]
    file.write_text("phone,name,birthday\n" + "\n".join(lines) + "\nnothing,Nobody,\n")
    assert "2500 lines imported, 1 without" in run("contact", "import", "shop", str(file)).output
    assert "2500 lines" in run("contact", "import", "shop", str(file)).output
    file.write_text("phone,colour\n79161234567,red\n")
    assert (
        "the first line names columns" in run("contact", "import", "shop", str(file), code=1).output
    )
    file.write_text("phone,birthday\n79161234567,31.02.1983\n")
    assert "line 2" in run("contact", "import", "shop", str(file), code=1).output
    file.write_text("mail,name\nfoo@example.com,Foo\n")
    assert "1 lines imported" in run("contact", "import", "shop", str(file)).output
    run("contact", "import", "shop", str(file), "--group", "99", code=1)
    run("contact", "import", "shop", str(tmp_path / "missing.csv"), code=2)


def test_task_groups(run: Run, ask: Ask) -> None:
    (default,) = ask("task", "list", "shop")
    assert default["phones"] == "the account's own"
    run("task", "set", "shop", "2", "--phone", "8 916 123-45-67", "--mail", "a@example.com")
    (_, made) = ask("task", "list", "shop")
    assert (made["phones"], made["mails"]) == ("79161234567", "a@example.com")
    run("task", "set", "shop", "1", "--phone", "79161234567", "--failure", "{NAME} is down")
    assert ask("task", "list", "shop")[0]["failure"] == "{NAME} is down"
    assert "not addresses" in run("task", "set", "shop", "3", "--phone", "12", code=1).output
    run("task", "remove", "shop", "2")
    assert "no task group 2" in run("task", "remove", "shop", "2", code=1).output
