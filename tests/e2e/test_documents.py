"""Invoices of sub-clients through the door."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest
from tests.harness.gateway import PASSWORD, Gateway, wait_for


@pytest.fixture(scope="module")
def user_id(gateway: Gateway) -> int:
    made = gateway.call("users", add=1, user="sub_alex", password="Sub-Secret-1", type=0)
    wait_for(lambda: "balance" in _balance(gateway, "sub_alex"))
    return int(made["id"])


def _balance(gateway: Gateway, login: str) -> Any:
    return gateway.call("balance", login=login, psw="Sub-Secret-1")


def fetch(gateway: Gateway, **fields: Any) -> tuple[dict[str, str], bytes]:
    """(headers, body) of a document."""
    query = {"login": "alex", "psw": PASSWORD, "fmt": 3} | fields
    url = f"{gateway.base}/sys/documents.php?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=60) as reply:
        return {name.lower(): value for name, value in reply.headers.items()}, reply.read()


def test_an_invoice(gateway: Gateway, user_id: int) -> None:
    made = gateway.call("documents", add_account=1, user="sub_alex", sum="1000", service="SMS")
    assert list(made) == ["id"]
    headers, content = fetch(gateway, get_account=1, user="sub_alex", id=made["id"])
    assert content.startswith(b"%PDF-")
    assert headers["content-type"] == "application/pdf"
    name = f'attachment; filename="account_{made["id"]}.pdf"'
    assert headers["content-disposition"] == name
    again = fetch(gateway, get_account=1, user_id=user_id, id=made["id"])[1]
    assert again == content  # frozen, to the byte
    text = gateway.call("documents", add_account=1, user_id=user_id, sum="5.5", fmt=0)
    assert text.startswith("ID = ")
    number = gateway.call("documents", add_account=1, user_id=user_id, sum="5.5", fmt=1)
    assert int(number) > made["id"]
    xml = gateway.call("documents", add_account=1, user_id=user_id, sum="5.5", fmt=2)
    assert xml.startswith("<result>\n<id>")


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 1),
        ({"add_account": 1, "user": "sub_alex"}, 1),
        ({"add_account": 1, "user": "sub_alex", "sum": "-1"}, 1),
        ({"add_account": 1, "user": "sub_alex", "sum": "x"}, 1),
        ({"add_account": 1, "user": "sub_alex", "sum": "0.004"}, 1),  # nobody can pay that
        ({"add_account": 1, "sum": "1"}, 1),
        ({"add_account": 1, "user": "other", "sum": "1"}, 6),
        ({"add_account": 1, "user_id": "999999", "sum": "1"}, 6),
        ({"get_account": 1, "user": "sub_alex"}, 1),
        ({"get_account": 1, "user": "sub_alex", "id": 999999}, 3),
        ({"get_act": 1, "user": "sub_alex"}, 1),
        ({"get_act": 1, "user": "sub_alex", "num": 7}, 3),
        ({"get_act": 1, "user": "nobody", "id": 7}, 6),
    ],
)
def test_refusals(gateway: Gateway, user_id: int, fields: dict[str, Any], number: int) -> None:
    assert gateway.call("documents", **fields)["error_code"] == number


def test_the_operators_list(gateway: Gateway, user_id: int) -> None:
    made = gateway.call("documents", add_account=1, user="sub_alex", sum="3.21")["id"]
    listed = json.loads(gateway.cli("documents", "list", "alex", "--json"))
    mine = next(each for each in listed if each["id"] == made)
    assert (mine["kind"], mine["account"], mine["total"]) == ("invoice", "sub_alex", "3.21")
    done = json.loads(gateway.cli("documents", "correct", "alex", str(made), "--json"))
    listed = json.loads(gateway.cli("documents", "list", "alex", "--json"))
    assert listed[0] == {
        **mine,
        **done,
        "total": "-3.21",
        "corrects": made,
        "day": listed[0]["day"],
    }
    headers, content = fetch(gateway, get_account=1, user="sub_alex", id=done["id"])
    assert content.startswith(b"%PDF-")
    assert headers["content-type"] == "application/pdf"


def test_strangers(gateway: Gateway, user_id: int) -> None:
    made = gateway.call("documents", add_account=1, user="sub_alex", sum="7")["id"]
    asked = {"get_account": 1, "user": "sub_alex", "user_id": user_id, "id": made}
    assert gateway.call("documents", login="other", **asked)["error_code"] == 6
    own = gateway.call("documents", login="sub_alex", psw="Sub-Secret-1", **asked)
    assert own["error_code"] == 6
    line = gateway.call("documents", get_act=1, user_id=user_id, num=7, fmt=1)
    assert line == "0,-3"
