"""`node-smsc` (npm) with contacts, templates, sender names and sub-clients of the running server.

What is compared are the members that its own tests fix.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.harness.gateway import LOGIN, PASSWORD
from tests.interop.conftest import Disguised

_HERE = Path(__file__).parent
OK = {"result": "OK"}


@pytest.fixture(scope="module")
def answers(disguised: Disguised, npm_modules: Path) -> Any:
    """What the program got; it leaves nothing behind but two numbers of messages."""
    root = "http://smsc.ru/sys/"
    done = disguised.run_node(_HERE / "manage_with_node_smsc.cjs", root, LOGIN, PASSWORD)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_contacts(answers: Any) -> None:
    got = answers["contacts"]
    assert len(got["first"]) >= 2
    assert set(got["first"][0]) == {"id", "name", "number", "cnt"}
    # Its tests compare ids strictly: both have to be numbers.
    assert all(isinstance(id, int) and id in got["listed"] for id in got["groups"])
    assert isinstance(got["added"]["id"], int)
    contact = got["contact"]
    assert contact == {
        "phone": "79168880001",
        "name": "Иван",
        "group": str(got["groups"][0]),
        "first_name": "Ivan",
        "last_name": "Petrov",
        "middle_name": "",
        "birthday": "17.07.1983",
        "id": "100500",
        "comments": "x",
        "tags": "a, b",
        "phone_other": "79160000000",
        "int_id": got["added"]["id"],
    }
    assert got["moves"] == ["OK"] * 4
    assert got["moved"] == "|".join(map(str, got["groups"][1:3]))
    assert got["renamed"] == got["white"] == got["deleted"] == got["deletedGroup"] == OK
    assert got["byName"] == got["searched"] == ["79168880002"]
    assert got["black"]["id"] > 0
    assert got["sent"]["cnt"] == 1
    assert got["empty"] == got["gone"] == {"name": "SmscApiError", "code": 3}


def test_templates(answers: Any) -> None:
    got = answers["templates"]
    assert got["empty"] == []
    assert got["changed"] == got["deleted"] == OK
    assert got["listed"] == [
        {
            "id": got["added"]["id"],
            "name": "привет",
            "message": "Hello",
            "format": "sms",
            "sender": "",
            "flag": 1,
        }
    ]
    assert got["again"] == {"name": "SmscApiError", "code": 3}


def test_sender_names(answers: Any) -> None:
    got = answers["senders"]
    assert [set(each) for each in got["first"]] == [{"id", "sender"}]
    assert got["added"]["sender"] == "Sigma"
    assert got["listed"][-1]["cmt"] == "магазин"
    assert got["code"] == got["deleted"] == OK
    assert [got[name]["code"] for name in ("wrong", "again", "missing")] == [11, 10, 3]


def test_subclients(answers: Any) -> None:
    got = answers["subclients"]
    assert got["none"] == []  # it takes error 3 for an empty list
    id = got["added"]["id"]
    assert isinstance(id, int)
    assert got["paid"] == got["renamed"] == OK
    assert got["balance"] == {"balance": "12.50"}
    assert got["sent"]["cnt"] == 1
    assert got["forbidden"]["code"] == 6
    login = "client_of_node.2"
    assert got["stat"] == [
        {
            **{"login": login, "cnt": 1, "credit": "1.00", "debit": "12.50", "currency": "RUR"},
            **{"user_id": id, "sms": 1},
        }
    ]
    (detail,) = got["details"]
    assert (detail["login"], detail["cnt"], detail["credit"]) == (login, 1, "1.00")
    assert [got[name]["code"] for name in ("taken", "missing")] == [10, 6]


def test_every_script_that_it_knows_is_used(npm_modules: Path) -> None:
    """By one of the programs in this folder, against the running server."""
    index = (npm_modules / "node-smsc" / "lib" / "api" / "index.js").read_text()
    scripts = set(re.findall(r"^ +(\w+): require", index, re.M))
    assert len(scripts) == 12
    programs = "\n".join(path.read_text() for path in _HERE.glob("*_with_node_smsc.cjs"))
    assert {name for name in scripts if f"smsc.{name}(" not in programs} == set()
