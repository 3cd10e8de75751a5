"""Habits of clients that can not be installed here: requests as they write them, replies as they
read them (strict mappers, regular expressions, typed members).
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from typing import Any

import pytest
from tests.harness.gateway import LOGIN, PASSWORD, Gateway
from tests.interop.conftest import Disguised
from tests.interop.test_official_libraries import post_parts

PHONE = "79161234567"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def gateway(disguised: Disguised) -> Gateway:
    return disguised.gateway


def encode(**fields: Any) -> str:
    """Credentials and fields as a query or a form."""
    return urllib.parse.urlencode({"login": LOGIN, "psw": PASSWORD, "charset": "utf-8"} | fields)


def test_everything_in_the_query_of_an_empty_post(gateway: Gateway) -> None:
    path = "/sys/send.php?" + encode(fmt=3, phones=PHONE, mes="Привет")
    answer = json.loads(gateway.request(path, b"", {"Content-Type": FORM})[1])
    assert set(answer) == {"id", "cnt"}


def test_hash_of_sha1_and_files_alone_in_the_body(gateway: Gateway) -> None:
    sha1 = hashlib.sha1(PASSWORD.encode()).hexdigest()
    path = "/sys/send.php?" + encode(fmt=3, psw=sha1, phones=PHONE, mes="Привет", mms=1)
    parts = [
        f'Content-Disposition: form-data; name="{n}"; filename="{n}.jpg"\r\n\r\n'.encode()
        + bytes(150)
        for n in range(2)
    ]
    answer = json.loads(post_parts(gateway, path, parts))
    assert gateway.wait_status(answer["id"], PHONE, 1)["type"] == 6


def test_empty_values_mean_nothing(gateway: Gateway) -> None:
    """As PHP writes them; only an empty sender switches the default name off."""
    empty = dict.fromkeys(("time", "tz", "id", "translit", "valid", "maxsms", "cost", "list"), "")
    form = encode(fmt=3, phones=PHONE, mes="x", sender="", **empty).encode()
    answer = json.loads(gateway.request("/sys/send.php", form, {"Content-Type": FORM})[1])
    assert gateway.wait_status(answer["id"], PHONE, 1)["sender_id"] == ""


def test_typed_members(gateway: Gateway) -> None:
    """Go and C#: counts and times are numbers, money and codes are strings."""
    sent = gateway.send(PHONE, "Hello", cost=3, op=1)
    assert {name: type(value) for name, value in sent.items()} == {
        "id": int,
        "cnt": int,
        "cost": str,
        "balance": str,
        "phones": list,
    }
    assert all(isinstance(value, str) for value in sent["phones"][0].values())
    assert list(sent["phones"][0]) == ["phone", "mccmnc", "cost", "status", "error"]
    found = gateway.wait_status(sent["id"], PHONE, 1)
    numbers = {"status", "last_timestamp", "flag", "err", "send_timestamp", "type", "sms_cnt"}
    assert {name for name, value in found.items() if isinstance(value, int)} == numbers
    lookup = gateway.send(PHONE, hlr=1)
    found = gateway.wait_status(lookup["id"], PHONE, 1)
    for name in ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet", "mccmnc", "cost"):
        assert isinstance(found[name], str)


def test_strict_mapper(gateway: Gateway) -> None:
    """Java: a member that it does not know is an error."""
    known = {"id", "cnt", "cost", "balance", "error", "error_code", "phones"}
    for fields in (
        {"phones": PHONE, "mes": "x"},
        {"phones": PHONE, "mes": "x", "cost": 1},
        {"phones": PHONE, "mes": "x", "cost": 3},
        {"phones": "123", "mes": "x"},
        {"phones": PHONE},
    ):
        assert set(gateway.call("send", **fields)) <= known
    assert set(gateway.call("balance", cur=1)) == {"balance", "currency"}


def test_uuid_and_semicolons(gateway: Gateway) -> None:
    """Erlang: its own uuid comes back as a string, recipients are joined by `;`."""
    uuid = "b3e4c1d0-55aa-4a52-9d51-0c7e6c2f3a10"
    form = encode(fmt=3, phones=f"{PHONE};79031234567", mes="x", id=uuid).encode()
    body = gateway.request("/sys/send.php", form, {"Content-Type": FORM})[1]
    assert json.loads(body) == {"id": uuid, "cnt": 2}


def test_regular_expressions(gateway: Gateway) -> None:
    """Ruby and Perl read the text form."""
    sent = gateway.call("send", fmt=0, phones=PHONE, mes="Hello")
    match = re.match(r"OK - (\d+) SMS, ID - (\S+)", sent)
    assert match
    assert re.match(
        r"[\d.]+ \(\d+ SMS\)$", gateway.call("send", fmt=0, phones=PHONE, mes="x", cost=1)
    )
    wrong = gateway.call("send", fmt=0, phones=PHONE, mes="x", psw="wrong")
    assert re.match(r"ERROR = (\d+) \(([^)]*)\)$", wrong)
    refused = gateway.call("send", fmt=0, phones="123", mes="x")
    assert re.match(r"ERROR = 7 \(invalid number\), ID - \d+$", refused)
    status = gateway.call("status", fmt=0, id=match[2], phone=PHONE)
    assert re.match(r"Status = -?\d+, check_time = .+, err = \d+$", status)


@pytest.mark.parametrize("kind", ["", FORM, "text/plain", "application/json; charset=utf-8"])
def test_json_under_any_content_type(gateway: Gateway, kind: str) -> None:
    body = {"login": LOGIN, "psw": PASSWORD, "phones": PHONE, "mes": "Привет", "cost": 3, "id": 0}
    headers = {"Content-Type": kind} if kind else {}
    answer = json.loads(gateway.request("/rest/send/", json.dumps(body).encode(), headers)[1])
    assert list(answer) == ["id", "cnt", "cost", "balance"]


def test_form_where_json_is_expected(gateway: Gateway) -> None:
    form = encode(phones=PHONE, mes="Привет").encode()
    answer = json.loads(gateway.request("/rest/send/", form, {"Content-Type": FORM})[1])
    assert answer["cnt"] == 1
    query = {"login": LOGIN, "psw": PASSWORD, "phone": PHONE, "id": answer["id"], "all": 1}
    body = json.dumps(query).encode()
    found = json.loads(gateway.request("/rest/status/", body)[1])
    assert found["message"] == "Привет"


@pytest.mark.parametrize(
    "phones",
    ["+7 (916) 123-45-67", "89161234567", "9161234567", " 79161234567 ", "%2B79161234567,"],
)
def test_numbers_as_people_write_them(gateway: Gateway, phones: str) -> None:
    sent = gateway.send(urllib.parse.unquote(phones), "Hello", op=1)
    assert sent["phones"][0]["phone"] == PHONE


def test_trailing_comma_asks_for_a_list(gateway: Gateway) -> None:
    sent = gateway.send(PHONE)
    found = gateway.status(f"{sent['id']},", f"{PHONE},", all=1)
    assert [each["id"] for each in found] == [sent["id"]]
