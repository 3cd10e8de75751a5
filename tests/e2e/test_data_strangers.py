"""Two accounts that have nothing to do with each other: neither sees anything of the other.

Everything that the one has carries a mark; whatever the other asks, in whatever form, by the ids
and numbers of the first, no answer holds it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.gateway import Gateway, wait_for

PHONE = "79031150001"
NUMBER = "79581115555"
MARK = "Zephyr"
TARGET = f"https://example.com/{MARK}"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("strangers") / "data",
        *("limits.enforce=false", "limits.duplicates=false", f"calls.numbers={NUMBER}"),
    )
    gateway.create_account("owner", "777777", default_sender=MARK)
    gateway.create_account("stranger", "5")
    gateway.cli("numbering", "offer", "79580000001", "1")
    gateway.start()
    yield gateway
    assert gateway.stop() == 0


def test_nothing_of_somebody_else_is_told(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, f"{MARK} {TARGET}", login="owner", tinyurl=1)
    gateway.cli("inbox", "send", PHONE, NUMBER, MARK, "--account", "owner")
    child = gateway.call(
        "users", login="owner", add=1, user="owners-child", password="Sub-Secret-1", fio=MARK
    )
    invoice = gateway.call(
        "documents", login="owner", add_account=1, user="owners-child", sum=1, service=MARK
    )
    gateway.call("receive_phones", login="owner", buy=1, phone="79580000001")
    message = gateway.call("get", login="owner", get_messages=1)[0]
    answer = wait_for(lambda: gateway.call("get", login="owner", get_answers=1))[0]
    code = gateway.call("tinyurls", login="owner", get=1, link=TARGET)["id"]
    assert MARK in message["message"]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("get", {"get_messages": 1}),
        ("get", {"get_messages": 1, "phone": PHONE}),
        ("get", {"get_messages": 1, "prev_id": message["int_id"] + 1}),
        ("get", {"get_messages": 1, "format": 8}),
        ("get", {"get_answers": 1}),
        ("get", {"get_answers": 1, "after_id": answer["id"] - 1}),
        ("get", {"get_answers": 1, "to_phone": NUMBER}),
        ("get", {"get_stat": 1}),
        ("get", {"get_senders": 1}),
        ("status", {"id": sent["id"], "phone": PHONE, "all": 2}),
        ("tinyurls", {"get": 1, "link": TARGET}),
        ("tinyurls", {"get": 1, "id": code}),
        ("receive_phones", {"get": 1}),
        ("receive_phones", {"buy": 1, "phone": "79580000001"}),
        ("receive_phones", {"chg": 1, "phone": "79580000001", "noprolong": 1}),
        ("documents", {"get_account": 1, "user": "owners-child", "id": invoice["id"]}),
        ("documents", {"get_account": 1, "user_id": child["id"], "id": invoice["id"]}),
        ("documents", {"get_act": 1, "user_id": child["id"], "num": 1}),
        ("documents", {"add_account": 1, "user": "owners-child", "sum": 1}),
    ]
    for (script, fields), fmt in itertools.product(requests, (0, 1, 2)):
        reply = gateway.call(script, fmt=fmt, login="stranger", **fields)
        for secret in (MARK, "79580000001", "777777", NUMBER, "%PDF"):
            assert secret not in reply, (script, fields, fmt)
    for script, fields in requests:
        reply = gateway.call(script, login="stranger", **fields)
        if isinstance(reply, dict) and script != "status":
            assert reply["error_code"] in (1, 3, 6), (script, fields)
    # And it changed nothing.
    mine = gateway.call("receive_phones", login="owner", get=1)[0]
    assert (mine["phone"], mine["noprolong"]) == ("79580000001", 0)
    assert gateway.call("get", login="owner", get_answers=1) == [answer]
    # A child is not its main account, and the other way round.
    psw = {"login": "owners-child", "psw": "Sub-Secret-1"}
    assert gateway.call("get", get_messages=1, **psw)["error_code"] == 3
    assert gateway.call("get", get_answers=1, **psw) == []
    assert gateway.call("tinyurls", get=1, id=code, **psw)["error_code"] == 3
    asked = {"get_account": 1, "user": "owners-child", "id": invoice["id"]}
    assert gateway.call("documents", **psw, **asked)["error_code"] == 6
    assert gateway.call("get", get_stat=1, **psw)[0]["cnt"] == 0
    assert gateway.audit() == []
