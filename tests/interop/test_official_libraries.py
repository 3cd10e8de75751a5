"""The official libraries' behaviour on the wire: line libraries, JavaScript, uploads."""

from __future__ import annotations

import hashlib
import json
import socket
import urllib.parse
from pathlib import Path

import pytest
from tests.harness.gateway import LOGIN, PASSWORD, Gateway
from tests.interop.conftest import Disguised
from tests.interop.official import FLAGS, Library

PHONE = "79161234567"
_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def gateway(disguised: Disguised) -> Gateway:
    return disguised.gateway


@pytest.fixture(params=["get", "post", "md5", "windows-1251", "koi8-r"])
def library(request: pytest.FixtureRequest, gateway: Gateway) -> Library:
    """A library in each of its usual settings."""
    setting = request.param
    return Library(
        gateway.base,
        login=LOGIN,
        password=hashlib.md5(PASSWORD.encode()).hexdigest() if setting == "md5" else PASSWORD,
        charset=setting if setting in ("windows-1251", "koi8-r") else "utf-8",
        is_post=setting == "post",
    )


def test_the_five_functions(library: Library, gateway: Gateway) -> None:
    text = "Привет, мир, как дела"
    message_id, count, cost, balance = library.send_sms(PHONE, text, sender="Shop")
    assert (count, cost) == ("1", "1.00")
    assert int(message_id) > 0
    assert float(balance) > 0
    assert library.get_sms_cost(PHONE, text) == ["1.00", "1"]
    gateway.wait_status(message_id, PHONE, 1)
    ((status, stamp, err),) = library.get_status(message_id, PHONE)
    assert (status, err) == ("1", "0")
    (full,) = library.get_status(message_id, PHONE, all=1)
    assert (full[0], full[4], full[5], full[6]) == ("1", PHONE, "1.00", "Shop")
    # Newer servers add the comment and the type behind the text.
    assert full[8] == f"{text},,0"
    assert int(full[3]) <= int(stamp)
    (fuller,) = library.get_status(message_id, PHONE, all=2)
    assert (fuller[4], fuller[9]) == (PHONE, "Shop")
    assert fuller[11] == f"{text},,0"
    assert float(library.get_balance() or 0) > 0


@pytest.mark.parametrize("format", range(1, len(FLAGS)))
def test_each_format_number(gateway: Gateway, format: int) -> None:
    library = Library(gateway.base, login=LOGIN, password=PASSWORD)
    texts = {2: "http://example.com\nTitle", 4: "\0abc", 5: "00616263", 8: "<b>Hi</b>"}
    phone = "anna@example.com" if format == 8 else PHONE
    extra = {"sender": "shop@example.org", "query": "subj=Hi"} if format == 8 else {}
    sent = library.send_sms(phone, texts.get(format, "1234"), format=format, **extra)  # type: ignore[arg-type]
    assert int(sent[1]) > 0, sent
    gateway.wait_status(sent[0], phone, 1)


def test_a_network_query_is_recognised(gateway: Gateway) -> None:
    library = Library(gateway.base, login=LOGIN, password=PASSWORD)
    message_id = library.send_sms(PHONE, "", format=3)[0]
    gateway.wait_status(message_id, PHONE, 1)
    (short,) = library.get_status(message_id, PHONE)
    assert (len(short), short[5], short[6]) == (11, "250", "01")
    for depth, mark in ((1, 14), (2, 17)):
        (full,) = library.get_status(message_id, PHONE, all=depth)
        assert full[mark] == "HLR"


def test_several_at_once(gateway: Gateway) -> None:
    library = Library(gateway.base, login=LOGIN, password=PASSWORD)
    ids = [library.send_sms(PHONE, text)[0] for text in ("one", "two, three")]
    for message_id in ids:
        gateway.wait_status(message_id, PHONE, 1)
    lines = library.get_status(",".join(ids), f"{PHONE},{PHONE}")
    assert [(line[0], line[3], line[4]) for line in lines] == [("1", each, PHONE) for each in ids]
    lines = library.get_status(",".join([*ids, "no-such"]), PHONE)
    assert [line[0] for line in lines] == ["1", "1", "-3"]


def test_errors_are_recognised(gateway: Gateway) -> None:
    library = Library(gateway.base, login=LOGIN, password="wrong")
    assert library.send_sms(PHONE, "x") == ["0", "-2"]
    assert library.get_status("1", PHONE) == [["0", "-2"]]
    assert library.get_status("1,2", PHONE) == [["0", "-2"]]
    assert library.get_balance() is None
    assert library.replies == ["0,-2"] * 4
    library = Library(gateway.base, login=LOGIN, password=PASSWORD)
    refused = library.send_sms("123", "x")
    assert int(refused[0]) > 0
    assert refused[1] == "-7"
    assert library.get_sms_cost("123", "x") == ["0", "-7"]


def test_a_long_request_and_a_dead_host(gateway: Gateway) -> None:
    """POST when the address is too long; the backup host when nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        library = Library(dead, gateway.base, login=LOGIN, password=PASSWORD)
        assert library.send_sms(PHONE, "Ж" * 500)[1] == "8"


def test_empty_login_makes_the_password_a_key(gateway: Gateway) -> None:
    """An unknown key is the same error as a wrong password."""
    library = Library(gateway.base, login="", password="0" * 40)
    assert library.send_sms(PHONE, "x") == ["0", "-2"]


def test_javascript_library(gateway: Gateway, npm_modules: Path, disguised: Disguised) -> None:
    """A multipart form for every call; each received chunk is read as a whole JSON text."""
    done = disguised.run_node(_HERE / "send_as_official.cjs", LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert list(answers["sent"]) == ["id", "cnt", "cost", "balance"]
    assert answers["viber"]["cnt"] == 1
    assert answers["cost"] == {"cost": "1.00", "cnt": 1}
    assert answers["status"]["status"] in (-1, 0, 1)
    assert float(answers["balance"]["balance"]) > 0
    assert answers["error"] == {"error": "parameters error", "error_code": 1}
    assert answers["chunks"] == 1


def test_php_upload(gateway: Gateway) -> None:
    """Text and files in one form, in any order; old PHP puts a zero byte before an `@`."""
    fields = {
        "login": LOGIN,
        "psw": PASSWORD,
        "fmt": "1",
        "charset": "utf-8",
        "cost": "3",
        "phones": PHONE,
        "mes": "\0@home: Привет",
        "translit": "0",
        "id": "0",
        "mms": "1",
    }
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    upload = b'Content-Disposition: form-data; name="file1"; filename="a.gif"\r\n'
    parts.insert(3, upload + b"Content-Type: application/octet-stream\r\n\r\n" + bytes(200))
    reply = post_parts(gateway, "/sys/send.php", parts).split(b",")
    assert reply[1:3] == [b"1", b"5.00"]
    found = gateway.wait_status(int(reply[0]), PHONE, 1)
    assert (found["type"], found["message"]) == (6, "@home: Привет")


def test_csharp_upload(gateway: Gateway) -> None:
    """Text parts with percent-encoded values, as their headers tell."""
    fields = {"login": LOGIN, "psw": PASSWORD, "fmt": "1", "phones": PHONE, "mes": "Привет, мир"}
    parts = [
        (
            f'Content-Disposition: form-data; name="{name}"\r\n'
            'Content-Type: text/plain; charset="utf-8"\r\n'
            f"Content-Transfer-Encoding: binary\r\n\r\n{urllib.parse.quote(value)}"
        ).encode()
        for name, value in (fields | {"charset": "utf-8"}).items()
    ]
    message_id = post_parts(gateway, "/sys/send.php", parts).split(b",")[0]
    assert gateway.wait_status(int(message_id), PHONE, 1)["message"] == "Привет, мир"


def post_parts(gateway: Gateway, path: str, parts: list[bytes]) -> bytes:
    """The reply to a multipart form of these parts."""
    body = b"".join(b"--xYzZY\r\n" + part + b"\r\n" for part in parts) + b"--xYzZY--\r\n"
    return gateway.request(path, body, {"Content-Type": "multipart/form-data; boundary=xYzZY"})[1]
