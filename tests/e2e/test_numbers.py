"""Numbers of accounts: rented ones, calls that confirm a phone, what is passed on and answered."""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.harness.gateway import Gateway, wait_for
from tests.harness.handler import Handler, run_handler

from heliograph.storage.accounts import AccountFields

MOSCOW = timezone(timedelta(hours=3))
PHONE = "79031130001"
NUMBERS = ["79581112233", "79581112244"]


@pytest.fixture(scope="module")
def handler() -> Iterator[Handler]:
    with run_handler() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, handler: Handler) -> Iterator[Gateway]:
    """A gateway of its own: its numbers are everybody's."""
    gateway = Gateway(
        tmp_path_factory.mktemp("numbers") / "data",
        "limits.enforce=false",
        "webhooks.allow_private=true",
        "calls.numbers=" + ",".join(NUMBERS),
    )
    settings: dict[str, AccountFields] = {
        "alex": {"callback_url": handler.url("charset=utf-8&sha1=zxc")},
        "other": {"language": "en"},
        "poor": {},
        "busy": {
            "settings": {
                "answ": "We are out",
                "fl[8]": "1",
                "phone": "79031130008",
                "fl[9]": "1",
                "email2": "boss@example.com",
                "answ_call": "We will call back",
            },
        },
    }
    for login, fields in settings.items():
        gateway.create_account(login, "1" if login == "poor" else "1000", **fields)
    for number in ("79580000001", "79580000002"):
        gateway.cli("numbering", "offer", number, "310")
    gateway.start()
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text()


def rest_of_month() -> tuple[float, str]:
    now = datetime.now(MOSCOW)
    days = monthrange(now.year, now.month)[1]
    share = (days - now.day + 1) / days
    return share, f"{days:02}.{now.month:02}.{now.year}"


def balance(gateway: Gateway, login: str) -> float:
    return float(gateway.call("balance", login=login)["balance"])


def test_renting(gateway: Gateway) -> None:
    share, till = rest_of_month()
    free = {"phone": "79580000001", "cost": "310.00", "country": "Russia"}
    listed = gateway.call("receive_phones", login="other", get=1)
    assert listed[0] == free
    assert gateway.call("receive_phones", login="other", gets=1) == listed
    poor = gateway.call("receive_phones", login="poor", buy=1, phone="79580000001")
    assert poor == {"error": "no money", "error_code": 3} or share * 310 <= 1
    before = balance(gateway, "other")
    done = gateway.call("receive_phones", login="other", buy=1, phone="79580000001")
    assert done == {"result": "OK"}
    assert before - balance(gateway, "other") == pytest.approx(310 * share, abs=0.011)
    mine = gateway.call("receive_phones", login="other", get=1)[0]
    assert mine == free | {"noprolong": 0, "till": till}
    again = gateway.call("receive_phones", login="alex", buy=1, phone="79580000001", fmt=1)
    assert again == "0,-3"
    assert "79580000001" not in gateway.call("receive_phones", login="alex", get=1, fmt=1)
    changed = gateway.call(
        "receive_phones", login="other", chg=1, phone="79580000001", noprolong=1, fmt=0
    )
    assert changed == "OK"
    text = gateway.call("receive_phones", login="other", get=1, fmt=0).split("\n")[0]
    assert text == (
        f"phone = 79580000001, cost = 310.00, country = Russia, noprolong = 1, till = {till}"
    )
    numbers = gateway.call("receive_phones", login="other", get=1, fmt=1).split("\n")[0]
    assert numbers == f"79580000001,310.00,Russia,1,{till}"
    xml = gateway.call("receive_phones", login="other", get=1, fmt=2)
    assert xml.startswith("<result>\n<phone>\n<phone>79580000001</phone>\n<cost>310.00</cost>")
    # To go on is what is meant when nothing is said.
    done = gateway.call("receive_phones", login="other", chg=1, phone="79580000001")
    assert done == {"result": "OK"}
    assert gateway.call("receive_phones", login="other", get=1)[0]["noprolong"] == 0
    # What people write to the number is its owner's from now on.
    wait_for(lambda: _write(gateway, "79580000001"))
    assert gateway.audit() == []


def test_what_nobody_was_told(gateway: Gateway) -> None:
    gateway.cli("inbox", "send", PHONE, "79580000001", "to the owner", "--account", "poor")

    def listed(*options: str) -> Any:
        return json.loads(gateway.cli("numbering", "incoming", "--json", *options))

    assert listed() == []
    (masked,) = listed("--account", "poor")
    assert (masked["from"], masked["to"], masked["text"]) == (
        *("7903*****01", "79580000001"),
        "(12 signs)",
    )
    (whole,) = listed("--account", "poor", "--numbers", "--text")
    assert (whole["from"], whole["text"]) == (PHONE, "to the owner")


def _write(gateway: Gateway, number: str) -> bool:
    gateway.cli("inbox", "send", PHONE, number, "to whom it may concern")
    return bool(gateway.call("get", login="other", get_answers=1, to_phone=number))


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 1),
        ({"buy": 1}, 1),
        ({"buy": 1, "phone": "79580000099"}, 3),
        ({"chg": 1, "noprolong": 1}, 1),
        ({"chg": 1, "phone": "79580000002"}, 3),
        ({"chg": 1, "phone": "79580000002", "noprolong": 1}, 3),
    ],
)
def test_renting_refuses(gateway: Gateway, fields: dict[str, Any], number: int) -> None:
    assert gateway.call("receive_phones", **fields)["error_code"] == number


def test_a_call_confirms_a_number(gateway: Gateway, handler: Handler) -> None:
    answer = gateway.call("wait_call", phone="8 (903) 113-00-01")
    assert answer["all_phones"] == NUMBERS
    number = answer["phone"]
    assert number in NUMBERS
    assert gateway.call("wait_call", phone=PHONE, fmt=0) == number
    assert gateway.call("wait_call", phone=PHONE, fmt=1) == number
    xml = gateway.call("wait_call", phone=PHONE, fmt=2)
    assert xml == f"<result>\n<phone>{number}</phone>\n</result>"
    gateway.cli("inbox", "call", "79031139999")  # nobody waits for that one
    gateway.cli("inbox", "call", PHONE, NUMBERS[1 - NUMBERS.index(number)])  # another number
    gateway.cli("inbox", "call", PHONE, number)

    def told() -> list[dict[str, str]]:
        return [call.form for call in handler.calls if "waitcall" in call.form]

    [form] = wait_for(told)
    assert list(form) == ["phone", "waitcall", "ts", "time", "sha1"]
    assert (form["phone"], form["waitcall"]) == (PHONE, "1")
    gateway.cli("inbox", "call", PHONE, number)  # once is enough
    assert gateway.call("wait_call", phone="12")["error_code"] == 5
    assert gateway.call("wait_call")["error_code"] == 1
    assert len(told()) == 1


def sent_by(gateway: Gateway, login: str) -> list[tuple[str, str, str]]:
    found = gateway.call("get", login=login, get_messages=1)
    mails = gateway.call("get", login=login, get_messages=1, format=8)
    records = [each for each in (found, mails) if isinstance(each, list)]
    return sorted((m["phone"], m["sender_id"], m["message"]) for part in records for m in part)


def test_what_is_written_is_passed_on_and_answered(gateway: Gateway) -> None:
    gateway.cli("numbering", "assign", "79581119999", "busy")
    for text in ("Hello", "Hello again"):
        gateway.cli("inbox", "send", PHONE, "79581119999", text)
    expected = sorted(
        [
            (PHONE, "79581119999", "We are out"),  # once an hour
            ("79031130008", "", f"{PHONE} -> 79581119999: Hello"),
            ("79031130008", "", f"{PHONE} -> 79581119999: Hello again"),
            ("boss@example.com", "", "Hello"),
            ("boss@example.com", "", "Hello again"),
        ]
    )
    wait_for(lambda: sent_by(gateway, "busy") == expected, what="everything that is passed on")
    gateway.call("wait_call", login="busy", phone="79031130007")
    gateway.cli("inbox", "call", "79031130007")
    answer = ("79031130007", "", "We will call back")
    wait_for(lambda: answer in sent_by(gateway, "busy"), what="the answer to a call")
    gateway.cli("inbox", "send", "MyBank", "79581119999", "code")
    wait_for(lambda: len(sent_by(gateway, "busy")) == 8, what="what a name wrote")
    assert all(phone != "MyBank" for phone, _, _ in sent_by(gateway, "busy"))
