"""Accounts by the command line, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from heliograph.cli.accounts import hide_secrets
from heliograph.cli.main import program

Ask = Callable[..., Any]


def test_an_account_with_its_money(ask: Ask) -> None:
    made = ask("account", "create", "crm", "--balance", "12.5", "--credit-limit", "3")
    assert made["balance"] == "12.50"
    assert len(made["password"]) == 16
    listed = {each["login"]: each for each in ask("account", "list")}
    assert listed["crm"]["balance"] == "12.50"
    assert listed["crm"]["credit_limit"] == "3.00"
    assert listed["crm"]["plan"] == "standard"
    assert ask("ledger", "audit")["is_exact"]


def test_a_password_is_not_shown_when_it_was_given(run: Ask) -> None:
    done = run("account", "create", "crm", "--password", "Abcdefg1-")
    assert "Abcdefg1-" not in done.output
    assert done.stderr == ""


def test_the_operator_may_choose_a_weak_password_and_is_told(run: Ask) -> None:
    done = run("account", "create", "old", "--password", "12345678")
    assert done.stderr.startswith("Warning: the password is weak")


def test_a_password_is_never_empty(run: Ask, ask: Ask) -> None:
    """A variable of the shell that was not set must not open an account to everybody."""
    assert "empty" in run("account", "set", "shop", "--password", "", code=2).stderr
    made = ask("account", "create", "crm", "--password", "")
    assert len(made["password"]) == 16


def test_a_login_is_taken_once(run: Ask) -> None:
    done = run("account", "create", "shop", "--password", "Abcdefg1-", code=1)
    assert "taken" in done.stderr


def test_payments_both_ways_and_no_further(run: Ask, ask: Ask) -> None:
    assert (
        ask("account", "credit", "shop", "0.000001", "--note", "a gift")["balance"] == "100.000001"
    )
    assert ask("account", "credit", "shop", "--", "-100")["balance"] == "0.000001"
    assert "do not cover" in run("account", "credit", "shop", "--", "-1", code=1).stderr
    transfers = ask("ledger", "list", "shop")
    assert [each["effect"] for each in transfers] == ["-100.00", "0.000001", "100.00"]
    assert transfers[1]["note"] == "a gift"
    assert ask("ledger", "audit") == {
        "is_exact": True,
        "accounts": 1,
        "transfers": 3,
        "messages": 0,
        "problems": [],
    }


def test_settings(run: Ask, ask: Ask) -> None:
    run("tariff", "create", "gold")
    run(
        *("account", "set", "shop", "--sender", "Shop", "--plan", "gold", "--timezone", "120"),
        *("--callback", "https://example.com/sms?charset=utf-8&sha1=s3cret", "--language", "en"),
        *("--network", "192.0.2.0/24", "--network", "2001:db8::/32", "--test", "--no-limits"),
    )
    shown = ask("account", "show", "shop")
    assert shown["sender"] == "Shop"
    assert shown["plan"] == "gold"
    assert shown["timezone"] == 120
    assert shown["language"] == "en"
    assert shown["networks"] == ["192.0.2.0/24", "2001:db8::/32"]
    assert shown["is_test"] is True
    assert shown["has_limits"] is False
    assert shown["callback"] == "https://example.com/sms?charset=utf-8&sha1=********"
    run("account", "set", "shop", "--network", "any", "--callback", "")
    shown = ask("account", "show", "shop")
    assert (shown["networks"], shown["callback"], shown["sender"]) == ([], "", "Shop")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "nothing to change"),
        (["--callback", "ftp://example.com"], 2, "http"),
        (["--network", "192.0.2.1/24"], 2, "host bits"),
        (["--plan", "none"], 1, "tariff plans"),
        (["--timezone", "9000"], 2, "840"),
    ],
)
def test_wrong_settings(run: Ask, options: list[str], code: int, words: str) -> None:
    assert words in run("account", "set", "shop", *options, code=code).stderr


def test_blocking(run: Ask, ask: Ask) -> None:
    run("account", "block", "shop")
    assert ask("account", "show", "shop")["state"] == "blocked"
    run("account", "unblock", "shop")
    assert ask("account", "show", "shop")["state"] == "active"
    assert "no account" in run("account", "block", "nobody", code=1).stderr


def test_api_keys(run: Ask, ask: Ask) -> None:
    made = ask("account", "key", "create", "shop", "--name", "crm")
    assert len(made["key"]) > 40
    listed = run("account", "key", "list", "shop").stdout
    assert "crm" in listed
    assert made["key"] not in listed
    run("account", "key", "disable", "shop", str(made["id"]))
    assert ask("account", "key", "list", "shop")[0]["state"] == "ended"
    assert "no key" in run("account", "key", "disable", "shop", "99", code=1).stderr


def test_the_first_account_makes_an_installation_that_can_send(tmp_path: Path) -> None:
    runner = CliRunner()
    place = ["--data", str(tmp_path / "new")]
    runner.invoke(program, ["account", "create", "a", *place], catch_exceptions=False)
    done = runner.invoke(program, ["route", "explain", "79161234567", "--account", "a", *place])
    assert done.exit_code == 0
    assert "virtual" in done.stdout


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://e.com/?md5=x&a=1&crc32=2", "https://e.com/?md5=********&a=1&crc32=********"),
        ("https://u:p@e.com/", "https://********@e.com/"),
        ("", ""),
    ],
)
def test_secrets_of_a_callback_address_are_not_shown(url: str, expected: str) -> None:
    assert hide_secrets(url) == expected
