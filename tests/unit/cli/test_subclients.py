"""Accounts below accounts by the command line, and the rates of currencies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]


@pytest.fixture
def family(run: Ask) -> None:
    """`shop`, which has 100 in roubles, with sub-clients of three kinds, two levels deep."""
    for name, parent, kind in (
        ("reseller", "shop", "own"),
        ("branch", "reseller", "shared"),
        ("desk", "branch", "login"),
    ):
        run(
            "account", "create", name, "--password", "Abcdefg1-", "--parent", parent, "--kind", kind
        )
    run("account", "move", "shop", "reseller", "30")


def test_the_tree(run: Ask, ask: Ask, family: None) -> None:
    run("account", "credit", "reseller", "5", "--electronic")
    run("account", "block", "branch")
    assert run("account", "tree").stdout == (
        "shop  own  70.00 RUR\n"
        "  reseller  own  30.00 + 5.00 RUR\n"
        "    branch  shared  30.00 + 5.00 RUR (blocked)\n"
        "      desk  login  30.00 + 5.00 RUR\n"
    )
    shown = ask("account", "show", "branch")
    assert (shown["main_account"], shown["kind"]) == ("reseller", "shared")
    assert (shown["payer"], shown["electronic_balance"]) == ("reseller", "5.00")
    below = ask("account", "tree", "branch")
    assert [(each["login"], each["depth"], each["kind"]) for each in below] == [
        ("branch", 0, "shared"),
        ("desk", 1, "login"),
    ]
    assert ask("ledger", "audit")["is_exact"]
    (payment,) = ask("ledger", "list", "reseller", "--electronic")
    assert payment["effect"] == "5.00"


def test_money_changes_its_currency(run: Ask, ask: Ask, family: None, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("code,rate\nRUR,1\nUSD,80\nEUR,90.5\n")
    run("currency", "import", str(file), "--replace")
    assert [each["rate"] for each in ask("currency", "list")] == ["90.50", "1.00", "80.00"]
    run("account", "currency", "reseller", "usd")
    assert ask("account", "tree", "branch")[0]["balance"] == "0.375"  # 30 roubles
    assert ask("account", "tree", "branch")[0]["currency"] == "USD"
    # The taker gets whole micros: a third of a micro less is nobody's.
    assert ask("account", "move", "shop", "reseller", "0.0001") == {
        "shop": "69.9999",
        "reseller": "0.375001",
    }
    assert "nothing" in run("account", "move", "shop", "reseller", "0.000001", code=1).stderr
    run("account", "kind", "branch", "own")
    assert ask("account", "tree", "branch")[0]["balance"] == "0.00"
    run("account", "move", "reseller", "branch", "0.1")
    run("account", "kind", "branch", "shared-balance")
    assert ask("account", "tree", "branch")[0]["balance"] == "0.375001"  # it came back
    assert ask("ledger", "audit")["is_exact"]


def test_what_is_refused(run: Ask, family: None, tmp_path: Path) -> None:
    assert "cover" in run("account", "move", "branch", "shop", "31", code=1).stderr
    assert "nobody's" in run("account", "kind", "shop", "shared", code=1).stderr
    assert "main account" in run("account", "currency", "branch", "USD", code=1).stderr
    run("account", "currency", "shop", "dollars", code=2)
    run("account", "create", "x", "--kind", "shared", code=2)
    shared = ("account", "create", "x", "--parent", "shop", "--kind", "shared")
    assert "none of its own" in run(*shared, "--balance", "5", code=1).stderr
    below = ("account", "create", "x", "--parent", "desk")
    assert "desk is a login of another account" in run(*below, code=1).stderr
    assert "sub-clients of its own" in run("account", "kind", "branch", "login", code=1).stderr
    assert (
        "its main account" in run("account", "set", "branch", "--plan", "standard", code=1).stderr
    )
    run("currency", "set", "USD", "0", code=1)
    assert "no rate" in run("currency", "remove", "USD", code=1).stderr
    file = tmp_path / "rates.csv"
    for text, mistake in (
        ("USD,80\nEURO,90\n", "line 2"),
        ("USD;80,5\nEUR;90;5\n", "line 2: not a code and a rate"),
        ("USD,80\n\nusd,81\n", "line 3: a second rate of USD"),
        ("code,rate\n", "no rates"),
    ):
        file.write_text(text)
        assert mistake in run("currency", "import", str(file), "--replace", code=1).stderr
    file.write_bytes(b"USD,80\xa0\n")
    assert "UTF-8" in run("currency", "import", str(file), code=1).stderr
    refused = run("account", "move", "shop", "branch", "1", "--electronic", code=1)
    assert "shop has no electronic balance" in refused.stderr


def test_roubles_need_no_rate(run: Ask, ask: Ask, family: None) -> None:
    """A rate of dollars alone is one: it must not be taken for one to one."""
    run("currency", "set", "USD", "80")
    run("account", "currency", "reseller", "USD")
    assert ask("account", "tree", "branch")[0]["balance"] == "0.375"  # 30 roubles
    run("currency", "set", "RUR", "0.5")
    assert ask("account", "move", "shop", "reseller", "16")["reseller"] == "0.475"


def test_numbers_of_plans(run: Ask, ask: Ask) -> None:
    assert run("tariff", "number", "standard", "3").stdout == "plan standard has the number 3\n"
    assert ask("tariff", "plans")[0]["number"] == 3
    run("tariff", "number", "standard", "10", code=2)
    run("tariff", "number", "silver", "2", code=1)
