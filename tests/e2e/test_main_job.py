"""The main job through a running gateway: send, status, balance, callback, in every form."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from typing import Any

import pytest
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for
from tests.harness.handler import Handler

PHONE = "79161234567"


def test_from_send_to_callback(gateway: Gateway, handler: Handler) -> None:
    before = gateway.call("balance")["balance"]
    sent = gateway.send(PHONE, "Ваш код 1234", cost=3)
    assert set(sent) == {"id", "cnt", "cost", "balance"}
    assert (sent["cnt"], sent["cost"]) == (1, "1.00")
    assert float(before) - float(sent["balance"]) == pytest.approx(1)

    status = gateway.wait_status(sent["id"], PHONE, 1)
    assert status["message"] == "Ваш код 1234"
    assert (status["err"], status["cost"], status["type"]) == (0, "1.00", 0)
    assert gateway.call("balance") == {"balance": sent["balance"]}

    told = wait_for(lambda: handler.about(sent["id"]), what="the callback")[-1]
    assert (told["phone"], told["status"], told["err"], told["type"]) == (PHONE, "1", "0", "0")
    assert told["ts"] == str(status["last_timestamp"])
    assert told["time"] == status["last_date"]
    text = f"{sent['id']}:{PHONE}:1:zxc"
    assert told["sha1"] == hashlib.sha1(text.encode()).hexdigest()
    assert not {"mes", "waitcall", "md5"} & set(told)
    call = next(c for c in handler.calls if c.form.get("id") == str(sent["id"]))
    # The settings inside the address are not sent, the rest of its query is.
    assert call.path == "/handler?shop=5"
    assert call.headers["content-type"].startswith("application/x-www-form-urlencoded")


def test_each_format_of_a_reply(gateway: Gateway) -> None:
    ids = []
    text = gateway.call("send", fmt=0, phones=PHONE, mes="a")
    ids.append(re.fullmatch(r"OK - 1 SMS, ID - (\d+)", text)[1])  # type: ignore[index]
    numbers = gateway.call("send", fmt=1, phones=PHONE, mes="b", cost=3, id=0, translit=0)
    ids.append(re.fullmatch(r"(\d+),1,1\.00,\d+\.\d\d", numbers)[1])  # type: ignore[index]
    xml = gateway.call("send", fmt=2, phones=PHONE, mes="c")
    ids.append(re.search(r"^<result>\n<id>(\d+)</id>\n<cnt>1</cnt>\n</result>$", xml)[1])  # type: ignore[index]
    for message_id in ids:
        gateway.wait_status(message_id, PHONE, 1)
    status = {f: gateway.call("status", fmt=f, id=ids[0], phone=PHONE) for f in (0, 1, 2)}
    assert re.fullmatch(r"Status = 1, check_time = [\d.]+ [\d:]+, err = 0", status[0])
    assert re.fullmatch(r"1,\d{10},0", status[1])
    assert "<status>1</status>" in status[2]
    assert re.fullmatch(r"\d+\.\d\d", gateway.call("balance", fmt=0))
    assert re.fullmatch(r"\d+\.\d\d,RUR", gateway.call("balance", fmt=1, cur=1))
    assert gateway.call("send", fmt=0, phones=PHONE, mes="d", cost=1) == "1.00 (1 SMS)"


def test_recorded_reply_byte_for_byte(gateway: Gateway) -> None:
    path = f"/sys/balance.php?login={LOGIN}&psw=wrong&fmt=3"
    assert gateway.request(path) == (200, b'{\n"error": "authorise error",\n"error_code": 2\n}')
    path = f"/sys/send.php?login={LOGIN}&psw=wrong&phones=1&mes=2&fmt=1"
    assert gateway.request(path) == (200, b"0,-2")


@pytest.mark.parametrize("path", ["/rest/send/", "/rest/send", "//rest/send/"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", ""])
def test_json_form(gateway: Gateway, path: str, kind: str) -> None:
    body = {"login": LOGIN, "psw": PASSWORD, "phones": [PHONE, "79031234567"], "mes": "Привет"}
    data = json.dumps(body | {"cost": 3, "op": True}).encode()
    # urllib adds the form type by itself when there is none.
    status, reply = gateway.request(path, data, {"Content-Type": kind or "text/plain"})
    answer = json.loads(reply)
    assert status == 200
    assert [each["phone"] for each in answer["phones"]] == [PHONE, "79031234567"]
    gateway.wait_status(answer["id"], "79031234567", 1)


def test_parameters_from_query_and_body(gateway: Gateway) -> None:
    query = urllib.parse.urlencode({"login": LOGIN, "psw": PASSWORD, "mes": "from the query"})
    body = urllib.parse.urlencode({"phones": PHONE, "fmt": "3", "mes": "from the body"}).encode()
    answer = json.loads(gateway.request(f"/sys/send.php?{query}", body)[1])
    assert gateway.wait_status(answer["id"], PHONE, 1)["message"] == "from the body"


@pytest.mark.parametrize("charset", ["windows-1251", "utf-8", "koi8-r", "cp1251", "UTF8"])
def test_charsets(gateway: Gateway, charset: str) -> None:
    codec = {"UTF8": "utf-8"}.get(charset, charset)
    fields = {"login": LOGIN, "psw": PASSWORD, "phones": PHONE, "charset": charset, "fmt": "3"}
    query = urllib.parse.urlencode(fields | {"mes": "Ёлка"}, encoding=codec)
    answer = json.loads(gateway.get(f"/sys/send.php?{query}"))
    gateway.wait_status(answer["id"], PHONE, 1)
    query = urllib.parse.urlencode(fields | {"id": answer["id"], "phone": PHONE, "all": 1})
    reply = gateway.get(f"/sys/status.php?{query}")
    # Raw bytes of the charset, no escapes (send.php reference, 1).
    assert '"message": "Ёлка"'.encode(codec) in reply
    assert '"status_name": "Доставлено"'.encode(codec) in reply


def test_own_ids_and_lists_of_statuses(gateway: Gateway) -> None:
    uuid = "5f0c1f4e-9d27-4f3e-8d3a-2b1a7c9e0f11"
    assert gateway.send(PHONE, id=uuid)["id"] == uuid
    assert gateway.send("79031234567", id=777)["id"] == 777
    gateway.wait_status(777, "79031234567", 1)
    gateway.wait_status(uuid, PHONE, 1)
    found: list[dict[str, Any]] = gateway.status(
        f"777,{uuid},none", f"79031234567,{PHONE},{PHONE}", all=1
    )
    assert [(each["id"], each["status"]) for each in found] == [(777, 1), (uuid, 1), ("none", -3)]
    single = gateway.status("777,", "79031234567,")
    assert [each["id"] for each in single] == [777]
    lines = gateway.call("status", fmt=1, id=f"777,{uuid}", phone=f"79031234567,{PHONE}")
    assert [line.split(",")[-2] for line in lines.split("\n")] == ["777", uuid]
    # The newest of two with the same id answers.
    gateway.send("79031234567", "again", id=777)
    assert gateway.wait_status(777, "79031234567", 1)["message"] == "again"


def test_pages_for_people_and_machines(gateway: Gateway) -> None:
    assert json.loads(gateway.get("/health"))["ok"] is True
    accepted = gateway.metric("heliograph_parts_accepted_total")
    gateway.wait_status(gateway.send(PHONE)["id"], PHONE, 1)
    assert gateway.metric("heliograph_parts_accepted_total") == accepted + 1
    assert gateway.metric('heliograph_messages_finished_total{err="0",state="delivered"}') > 0
    assert gateway.metric('heliograph_binds{connector="virtual"') >= 1
    assert b"/sys/send.php" in gateway.get("/")
    assert gateway.request("/sys/nothing.php")[0] == 404


def test_secrets_stay_out_of_the_log(gateway: Gateway) -> None:
    gateway.send(PHONE, "a text nobody else may read")
    gateway.call("send", phones=PHONE, mes="a text nobody else may read", psw="wrong-Secret-9")
    log = gateway.output.read_text()
    for secret in ("nobody else", "wrong-Secret-9", PASSWORD, PHONE):
        assert secret not in log


def test_a_number_that_looks_like_a_habit(gateway: Gateway) -> None:
    """With a plus it is taken as it is, and found again by what replies and callbacks call it."""
    phone = "84912345678"  # without a plus it would become 74912345678
    sent = gateway.send(f"+{phone}", op=1)
    assert sent["phones"][0]["phone"] == phone
    assert gateway.wait_status(sent["id"], phone, 1)["phone"] == phone
    many = gateway.status(f"{sent['id']},{sent['id']},none", f"{phone},+{phone},{phone}")
    assert [each["status"] for each in many] == [1, 1, -3]
    corrected = gateway.send(phone, op=1)
    assert corrected["phones"][0]["phone"] == "74912345678"
    assert gateway.wait_status(corrected["id"], phone, 1)["phone"] == "74912345678"
    found = gateway.call("get", get_messages=1, phone=phone)
    assert {each["phone"] for each in found} == {phone, "74912345678"}

    # A contact is sent to as it was stored.
    group = gateway.call("phones", add_group=1, name="Ha Noi")["id"]
    gateway.call("phones", add=1, phone=f"+{phone}", name="An", grp=group)
    to_group = gateway.send(f"G{group}", "to the group", op=1)
    assert [each["phone"] for each in to_group["phones"]] == [phone]

    later = gateway.send(f"+{phone}", "later", time="+60")
    assert gateway.call("status", fmt=1, id=later["id"], phone=phone, **{"del": 1}) == "OK"
    assert gateway.call("status", id=later["id"], phone=phone)["status"] == -3


def test_texts_of_a_list_are_of_one_kind(gateway: Gateway) -> None:
    """One kind is one price: a long text must not go at the price of something else."""
    long = "x" * 700
    for first, second in (("hi", f"__HLR__{long}"), ("__HLR__", long), ("hi", f"__MAIL__{long}")):
        answer = gateway.call("send", list=f"{PHONE}:{first}\n79031234567:{second}", cost=1)
        assert answer == {"error": "parameters error", "error_code": 1}
    both = gateway.call("send", list=f"{PHONE}:__FLASH__a\n79031234567:__FLASH__ b", cost=2)
    assert both["cnt"] == 2
    assert gateway.wait_status(both["id"], "79031234567", 1)["type"] == 1


def test_repeated_numbers_of_a_list(gateway: Gateway) -> None:
    """The same text goes to a number once, each other one too."""
    answer = gateway.call("send", list=f"{PHONE},{PHONE}:one\n{PHONE}:two\n{PHONE}:one", op=1)
    assert answer["cnt"] == 2
    assert [each["phone"] for each in answer["phones"]] == [PHONE, PHONE]
