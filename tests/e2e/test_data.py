"""The data scripts of a running gateway: history, answers, statistics, prices, numbers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.harness.gateway import PASSWORD, Gateway, wait_for

MOSCOW = timezone(timedelta(hours=3))
PHONE = "79031110001"


def today(days: int = 0) -> str:
    return (datetime.now(MOSCOW) + timedelta(days=days)).strftime("%d.%m.%Y")


@pytest.fixture(scope="module")
def reader(gateway: Gateway) -> str:
    """An account with a little history."""
    gateway.create_account("reader", language="en")
    wait_for(lambda: "balance" in gateway.call("balance", login="reader"))
    for n in range(3):
        sent = gateway.send(f"7903111000{n}", mes=f"text, {n}\nand more", login="reader", id=50 + n)
        assert "error" not in sent
    gateway.send("79031110009", mes="a word", login="reader", id="A-1", sender="Shop")
    gateway.send(
        "ann@example.com", "text", mail=1, subj="s", sender="b@example.com", login="reader"
    )
    wait_for(
        lambda: [m["status"] for m in get(gateway, get_messages=1)] == [1, 1, 1, 1],
        what="the statuses of all messages",
    )
    return "reader"


def get(gateway: Gateway, fmt: int = 3, **fields: Any) -> Any:
    return gateway.call("get", fmt=fmt, login="reader", **fields)


def test_history_in_json(gateway: Gateway, reader: str) -> None:
    found = get(gateway, get_messages=1)
    assert [m["id"] for m in found] == ["A-1", 52, 51, 50]
    oldest = found[-1]
    assert list(oldest) == [
        *("status", "last_date", "last_timestamp", "flag", "err", "send_date", "send_timestamp"),
        *("phone", "cost", "sender_id", "status_name", "message", "mccmnc", "country", "operator"),
        *("region", "type", "sms_cnt", "id", "int_id", "format", "crc"),
    ]
    assert oldest["phone"] == "79031110000"
    assert oldest["message"] == "text, 0\nand more"
    assert oldest["status_name"] == "Delivered"
    assert oldest["country"] == "Russia"
    assert (oldest["status"], oldest["err"], oldest["type"], oldest["format"]) == (1, 0, 0, 0)
    assert oldest["cost"] == "1.00"
    assert oldest["sms_cnt"] == 1
    assert 0 <= oldest["crc"] < 2**31
    assert oldest["send_date"].startswith(today())
    moment = datetime.fromtimestamp(oldest["send_timestamp"], MOSCOW)
    assert oldest["send_date"] == moment.strftime("%d.%m.%Y %H:%M:%S")


def test_history_in_the_other_forms(gateway: Gateway, reader: str) -> None:
    json_form = get(gateway, get_messages=1, cnt=1)[0]
    text = get(gateway, 0, get_messages=1, cnt=1)
    names = [pair.split(" = ")[0] for pair in text.split(", ")]
    assert names == [
        *("Status", "check_time", "send_date", "phone", "mccmnc", "country", "operator", "region"),
        *("cost", "sender_id", "status_name", "message", "type", "ID", "int_id", "sms_cnt"),
        *("format", "crc"),
    ]
    assert f"ID = A-1, int_id = {json_form['int_id']}, sms_cnt = 1" in text
    numbers = get(gateway, 1, get_messages=1, cnt=1)
    assert numbers.split(",") == [str(value) for value in json_form.values()]
    xml = get(gateway, 2, get_messages=1, cnt=1)
    assert xml.startswith("<list>\n<message>\n<status>1</status>\n")
    assert "<message>a word</message>" in xml
    lines = get(gateway, 0, get_messages=1).split("\n")
    assert len(lines) == 4
    assert "message = text, 0 and more, type" in lines[-1]


def test_history_by_number_and_page(gateway: Gateway, reader: str) -> None:
    assert [m["id"] for m in get(gateway, get_messages=1, phone="8 (903) 111-00-01")] == [51]
    several = get(gateway, get_messages=1, phone="79031110001,79031110002")
    assert [m["id"] for m in several] == [52, 51]
    first = get(gateway, get_messages=1, cnt=2)
    second = get(gateway, get_messages=1, cnt=2, prev_id=first[-1]["int_id"])
    assert [m["id"] for m in first + second] == ["A-1", 52, 51, 50]
    mails = get(gateway, get_messages=1, format=8)
    assert [(m["phone"], m["format"], m["type"]) for m in mails] == [("ann@example.com", 8, 8)]
    assert get(gateway, get_messages=1, format=8, email="ann@example.com") == mails
    assert get(gateway, get_messages=1, email="ann@example.com") == mails
    assert get(gateway, get_message=1, cnt=1) == first[:1]
    # Programs that always send all parameters write 0 for none; some part numbers as in sending.
    assert get(gateway, get_messages=1, cnt=0, prev_id=0) == first + second
    assert get(gateway, get_messages=1, phone="79031110001;79031110002") == several


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"start": today(-3), "end": today(-1)}, 3),
        ({"phone": "79990000000"}, 3),
        ({"start": today(-200), "end": today()}, 1),
        ({"start": today(), "end": today(-1)}, 1),
        ({"start": "2024-01-01"}, 1),
        ({"cnt": "x"}, 1),
        ({"prev_id": "-1"}, 1),
    ],
)
def test_history_refuses(
    gateway: Gateway, reader: str, fields: dict[str, str], number: int
) -> None:
    assert get(gateway, get_messages=1, **fields)["error_code"] == number


def test_periods_of_history(gateway: Gateway, reader: str) -> None:
    for period in ({"start": today()}, {"end": today()}, {"start": today(-100), "end": today()}):
        assert len(get(gateway, get_messages=1, **period)) == 4


def test_incoming_messages(gateway: Gateway, reader: str) -> None:
    assert get(gateway, get_answers=1) == []
    assert get(gateway, 2, get_answers=1) == "<list>\n</list>"
    assert get(gateway, 0, get_answers=1).startswith("ERROR = 3 ")
    for n in range(3):
        gateway.cli("inbox", "send", PHONE, f"444{n % 2}", f"Yes, {n}", "--account", "reader")
    found = get(gateway, get_answers=1)
    assert [m["message"] for m in found] == ["Yes, 0", "Yes, 1", "Yes, 2"]
    assert list(found[0]) == ["id", "received", "phone", "message", "to_phone", "sent"]
    assert (found[0]["phone"], found[0]["to_phone"]) == (PHONE, "4440")
    assert found[0]["received"].startswith(today())
    assert get(gateway, get_answers=1, after_id=found[0]["id"]) == found[1:]
    assert get(gateway, get_answers=1, after_id=found[0]["id"], cnt=1) == found[1:2]
    assert get(gateway, get_answers=1, hour=1, to_phone="4441") == found[1:2]
    assert get(gateway, get_answers=1, hour=0, after_id=0, cnt=0) == found
    text = get(gateway, 0, get_answers=1).split("\n")
    sent = found[0]["sent"]
    assert text[0] == (
        f"id = {found[0]['id']}, received = {found[0]['received']}, phone = {PHONE}, "
        f"message = Yes, 0, to_phone = 4440, sent = {sent}"
    )
    assert get(gateway, get_answers=1, hour="x")["error_code"] == 1
    assert get(gateway, 1, get_answers=1, cnt=1).count(",") == 6


def test_statistics(gateway: Gateway, reader: str) -> None:
    # Four text messages at 1.00 and an e-mail at 0.10.
    assert get(gateway, get_stat=1) == [
        {
            "login": "reader",
            "cnt": 5,
            "credit": "4.10",
            "debit": "1000000.00",
            "currency": "RUR",
            "sms": 5,
        }
    ]
    line = "reader,5,4.10,1000000.00,RUR"
    assert get(gateway, 1, get_stat=1, start=today(-5)) == line
    text = "login = reader, cnt = 5, credit = 4.10, debit = 1000000.00, currency = RUR"
    assert get(gateway, 0, get_stat=1, start=today(), end=today(), mycur=1) == text
    past = get(gateway, get_stat=1, start=today(-9), end=today(-8))
    assert (past[0]["cnt"], past[0]["credit"], past[0]["debit"]) == (0, "0.00", "0.00")
    assert get(gateway, get_stat=1, balance2=1)[0]["cnt"] == 0
    assert get(gateway, get_stat=1, start="x")["error_code"] == 1
    xml = get(gateway, 2, get_stat=1)
    assert xml.startswith("<list>\n<stat>\n<login>reader</login>\n<cnt>5</cnt>\n")


def test_prices(gateway: Gateway, reader: str) -> None:
    answer = get(gateway, get_price=1)
    assert answer["currency"] == "RUR"
    rest = {"zone": "0", "name": "Other countries"}
    prices = {"api": "1.00", "mass": "1.00", "mms": "5.00", "hlr": "0.20", "call": "1.50"}
    assert answer["zones"] == [rest | prices]
    line = "zone = 0, name = Other countries, api = 1.00, mass = 1.00, mms = 5.00, hlr = 0.20"
    assert get(gateway, 0, get_price=1).startswith(line)
    assert get(gateway, 1, get_price=1) == "0,Other countries,1.00,1.00,5.00,0.20,1.50"
    assert get(gateway, 2, get_price=1).startswith("<list>\n<zone>\n<zone>0</zone>\n")


def test_who_is_sold_nothing(gateway: Gateway, reader: str) -> None:
    gateway.cli("tariff", "create", "nothing")
    gateway.cli("account", "create", "unsold", "--password", PASSWORD, "--plan", "nothing")
    gateway.settle()
    answers = [gateway.call("get", fmt=fmt, login="unsold", get_price=1) for fmt in range(4)]
    assert answers[:2] == ["ERROR = 3 (record not found)", "0,-3"]  # a body is never empty
    assert answers[2] == "<list>\n</list>"
    assert answers[3] == {"zones": [], "currency": "RUR"}
    numbers = [gateway.call("receive_phones", fmt=fmt, login="unsold", get=1) for fmt in range(4)]
    assert numbers == ["ERROR = 3 (number not found)", "0,-3", "<result>\n</result>", []]


def test_what_there_is_not(gateway: Gateway, reader: str) -> None:
    assert get(gateway, 0, get_mega_accounts=1) == "ERROR = 3 (record not found)"
    assert get(gateway, 1, get_mega_accounts=1) == "0,-3"
    assert get(gateway)["error_code"] == 1
    assert get(gateway, get_messages=0)["error_code"] == 1


def test_operator_of_a_number(gateway: Gateway, reader: str) -> None:
    def info(fmt: int = 3, **fields: Any) -> Any:
        return gateway.call("info", fmt=fmt, login="reader", get_operator=1, **fields)

    answer = info(phone="8 (916) 123-45-67")
    assert list(answer) == ["country", "operator", "region", "mcc", "mnc", "tz"]
    assert (answer["country"], answer["operator"], answer["mcc"]) == ("Russia", "MTS", "250")
    assert (answer["mnc"], answer["tz"]) == ("01", "0")
    assert info(phone="79142000000")["tz"] == "7"  # the Far East
    text = info(0, phone="79161234567")
    items = [item.split(" = ") for item in text.split(", ")]
    assert [name for name, _ in items] == ["phone", *answer]
    assert items[0][1] == "79161234567"
    assert info(1, phone="79161234567").startswith("79161234567,Russia,MTS,")
    assert info(2, phone="79161234567").startswith("<info>\n<country>Russia</country>\n")
    several = info(phone="79161234567,79262138080,12")
    assert [each["phone"] for each in several] == ["79161234567", "79262138080"]
    assert info(phone="79161234567;79262138080") == several
    assert info(phone="79161234567,") == several[:1]
    assert info(0, phone="12") == "ERROR = 3 (operator not found)"
    assert info(phone="")["error_code"] == 1
    assert gateway.call("info", login="reader", phone="79161234567")["error_code"] == 1


def test_ported_numbers(tmp_path: Any) -> None:
    gateway = Gateway(tmp_path / "data", "limits.enforce=false", "limits.duplicates=false")
    gateway.create_account("reader", language="en")
    gateway.start()
    try:
        assert gateway.call("get_mnp", login="reader", date=today()) == []
        table = tmp_path / "ported.csv"
        table.write_text("Phone;mccmnc\n79161234567;25002\n79161234568;25020\n")
        gateway.cli("numbering", "import", str(table), "--ported")
        rows = [("79161234567", "25002"), ("79161234568", "25020")]
        expected = [{"phone": phone, "mccmnc": network} for phone, network in rows]
        assert gateway.call("get_mnp", login="reader", date=today()) == expected
        assert gateway.call("get_mnp", login="reader", date=today(-1)) == []
        query = "/sys/get_mnp.php?login=reader&psw=Secret-123"
        assert gateway.get(query) == table.read_bytes()
        table.write_text("Phone;mccmnc\n79161234568;25020\n")
        gateway.cli("numbering", "import", str(table), "--ported")
        back = gateway.call("get_mnp", login="reader", date=today())
        assert back == [{"phone": "79161234567", "mccmnc": "25001"}, expected[1]]
        text = gateway.call("get_mnp", fmt=0, login="reader", date=today())
        assert text == "Phone;mccmnc\n79161234567;25001\n79161234568;25020"
        xml = gateway.call("get_mnp", fmt=2, login="reader", date=today())
        assert "<number>\n<phone>79161234567</phone>\n<mccmnc>25001</mccmnc>\n</number>" in xml
        assert gateway.call("get_mnp", login="reader", date="x")["error_code"] == 1

        # What was ported is what routes and prices see, too.
        def operator() -> str:
            answer = gateway.call("info", login="reader", get_operator=1, phone="79161234568")
            return str(answer["mnc"])

        wait_for(lambda: operator() == "20")

        # Several pages of them come as one.
        many = [(f"7916200{n:04}", "25002") for n in range(4_500)]
        table.write_text("\n".join(["Phone;mccmnc", *map(";".join, many), ""]))
        gateway.cli("numbering", "import", str(table), "--ported")
        assert gateway.get(query) == table.read_bytes()
        found = gateway.call("get_mnp", login="reader", date=today())
        assert [tuple(each.values()) for each in found[2:]] == many
        lines = gateway.call("get_mnp", fmt=1, login="reader", date=today()).split("\n")
        assert lines[3:] == [";".join(row) for row in many]
        xml = ElementTree.fromstring(gateway.call("get_mnp", fmt=2, login="reader", date=today()))
        assert [tuple(child.text for child in each) for each in xml[2:]] == many
    finally:
        gateway.stop()


def test_equal_requests_are_limited(tmp_path: Any) -> None:
    gateway = Gateway(tmp_path / "data")
    gateway.create_account()
    gateway.start()
    try:
        answers = [gateway.call("get", get_price=1, fmt=n) for n in (1, 0, 2, 1)]
        assert answers[-1] == "0,-9"
        assert all("-9" not in answer for answer in answers[:3])
        assert "zones" in gateway.call("get", get_price=1, other=1)
        for _ in range(3):
            gateway.call("info", get_operator=1, phone="79161234567")
        assert gateway.call("info", get_operator=1, phone="79161234567")["error_code"] == 9
        numbers = [f"791612300{n:02}" for n in range(97)]
        last = [gateway.call("info", get_operator=1, phone=phone) for phone in numbers]
        assert last[-1]["error_code"] == 9
        assert "error" not in last[-2]
    finally:
        gateway.stop()
