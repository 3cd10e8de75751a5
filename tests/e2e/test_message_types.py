"""Every type of message on the virtual network: accepted, priced, ended, reported, on a handset."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for
from tests.harness.handler import Handler

PHONE = "79161230000"

# name: (parameters of the request, type code in statuses, price)
TYPES: dict[str, tuple[dict[str, Any], int, str]] = {
    "sms": ({"mes": "hello"}, 0, "1.00"),
    "flash": ({"mes": "look", "flash": 1}, 1, "1.00"),
    "binary": ({"mes": "050A0307056048656C6C6F", "bin": 2}, 2, "1.00"),
    "wap push": ({"mes": "http://example.com\nTitle", "push": 1}, 3, "1.00"),
    "hlr": ({"hlr": 1}, 4, "0.20"),
    "ping": ({"ping": 1}, 5, "0.50"),
    "mms": ({"mes": "a picture", "subj": "Hi", "mms": 1}, 6, "5.00"),
    "call": ({"mes": "hello", "call": 1, "voice": "w2", "param": "20,10,3"}, 7, "1.50"),
    "viber": ({"mes": "hello", "viber": 1}, 10, "0.80"),
    "social": ({"mes": "hello", "soc": 1}, 12, "0.80"),
    "whatsapp": ({"mes": "hello", "whatsapp": 1}, 13, "1.20"),
    "telegram": ({"mes": "1234", "tg": 1}, 14, "0.80"),
}


@pytest.mark.parametrize("name", TYPES)
def test_type_is_accepted_delivered_and_told(gateway: Gateway, handler: Handler, name: str) -> None:
    parameters, code, price = TYPES[name]
    sent = gateway.call("send", phones=PHONE, cost=2, **parameters)
    assert (sent["cnt"], sent["cost"]) == (1, price)
    status = gateway.wait_status(sent["id"], PHONE, 1)
    assert (status["type"], status["flag"] & 0xF, status["err"]) == (code, code, 0)
    told = wait_for(lambda: handler.about(sent["id"]), what="the callback")[-1]
    assert (told["type"], told["status"]) == (str(code), "1")


def test_email(gateway: Gateway) -> None:
    sent = gateway.call(
        "send",
        phones="anna@example.com",
        mes="<b>Hi</b>",
        subj="Hi",
        sender="shop@example.org",
        mail=1,
    )
    assert gateway.wait_status(sent["id"], "anna@example.com", 1)["type"] == 8
    refused = gateway.call("send", phones="anna@example.com", mes="Hi", subj="Hi", mail=1)
    assert refused["error_code"] == 1


def test_network_query(gateway: Gateway, handler: Handler) -> None:
    home = gateway.send("79161234567", hlr=1)
    found = gateway.wait_status(home["id"], "79161234567", 1)
    assert (found["sender_id"], found["mcc"], found["mnc"]) == ("HLR", "250", "01")
    assert (found["cn"], found["net"], found["rcn"]) == ("Russian Federation", "MTS", "")
    told = wait_for(lambda: handler.about(home["id"]))[-1]
    assert (told["mcc"], told["net"]) == ("250", "MTS")
    line = gateway.call("status", fmt=1, id=home["id"], phone="79161234567").split(",")
    assert len(line) == 11
    # Libraries know a network query by `HLR` at these places.
    for depth, place in ((1, 14), (2, 17)):
        line = gateway.call("status", fmt=1, all=depth, id=home["id"], phone="79161234567")
        assert line.split(",")[place] == "HLR"
    ported = gateway.send("79160000" + "8001", hlr=1)
    assert gateway.wait_status(ported["id"], "791600008001", 1)["net"] == "MegaFon"
    abroad = gateway.send("791600008002", hlr=1)
    assert gateway.wait_status(abroad["id"], "791600008002", 1)["rcn"] == "Germany"


def test_prefix_chooses_the_type(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, "__VIBER__ hello")
    status = gateway.wait_status(sent["id"], PHONE, 1)
    assert (status["type"], status["message"]) == (10, "hello")


def test_comment_is_kept_and_not_sent(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, "x" * 160 + "\n~~~\norder 17")
    assert sent["cnt"] == 1
    status = gateway.wait_status(sent["id"], PHONE, 1)
    assert (status["message"], status["comment"]) == ("x" * 160, "order 17")


def test_spoken_code(gateway: Gateway) -> None:
    sent = gateway.call("send", phones=PHONE, mes="code", call=1)
    assert list(sent) == ["id", "cnt", "code"]
    assert re.fullmatch(r"\d{4}", sent["code"])
    text = gateway.call("send", fmt=0, phones=PHONE, mes="code", call=1)
    assert re.fullmatch(r"OK - 1 SMS, ID - \d+, CODE - \d{4}", text)


def test_file_upload(gateway: Gateway) -> None:
    """As clients do it: parameters in the query, the file alone in the body."""
    query = urllib.parse.urlencode(
        {"login": LOGIN, "psw": PASSWORD, "phones": PHONE, "mes": "look", "mms": 1, "fmt": 3}
    )
    body = (
        b'--cut\r\nContent-Disposition: form-data; name="0"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + bytes(range(256)) + b"\r\n--cut--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = json.loads(gateway.request(f"/sys/send.php?{query}", body, headers)[1])
    assert gateway.wait_status(answer["id"], PHONE, 1)["type"] == 6


def test_raw_binary_bytes(gateway: Gateway) -> None:
    """`bin=1`: percent-encoded octets, whatever the charset says."""
    query = urllib.parse.urlencode({"login": LOGIN, "psw": PASSWORD, "phones": PHONE, "fmt": 3})
    answer = json.loads(gateway.get(f"/sys/send.php?{query}&bin=1&charset=utf-8&mes=%00%FF%80a"))
    assert gateway.wait_status(answer["id"], PHONE, 1)["message"].upper() == "00FF8061"


@pytest.mark.parametrize(
    ("text", "translit", "parts"),
    [
        ("x" * 160, 0, 1),
        ("x" * 161, 0, 2),
        ("x" * 700, 0, 5),
        ("я" * 70, 0, 1),
        ("я" * 71, 0, 2),
        ("€" * 80, 0, 1),
        ("€" * 81, 0, 2),
        ("я" * 100, 1, 2),
        ("а" * 160, 1, 1),
    ],
)
def test_parts_are_counted_and_paid(gateway: Gateway, text: str, translit: int, parts: int) -> None:
    sent = gateway.send(PHONE, text, translit=translit, cost=2)
    assert (sent["cnt"], sent["cost"]) == (parts, f"{parts}.00")


@pytest.fixture(scope="module")
def handset(gateway: Gateway) -> Iterator[Any]:
    """Asks for what lies on a handset of the virtual network."""

    def look(number: str) -> Any:
        return json.loads(gateway.cli("inbox", "--number", number, "--json"))

    return look


def test_arrives_on_the_handset_as_it_was_sent(gateway: Gateway, handset: Any) -> None:
    text = "Привет, это длинное сообщение. " * 5
    sent = gateway.send("79161110001", text, sender="Shop")
    gateway.wait_status(sent["id"], "79161110001", 1)
    wait_for(lambda: handset("79161110001"))
    (arrived,) = handset("79161110001")
    assert (arrived["from"], arrived["to"]) == ("Shop", "79161110001")
    assert arrived["text"] == text.strip() or arrived["text"] == text
