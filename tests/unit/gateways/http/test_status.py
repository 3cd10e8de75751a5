"""status.php over a real socket: forms of the reference, byte for byte."""

from __future__ import annotations

import json
from itertools import product
from xml.etree import ElementTree

import pytest
from tests.unit.gateways.http.fakes import Door

from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import StatusAnswer

PLAIN = StatusAnswer(
    client_ref="5",
    recipient="79262138080",
    is_found=True,
    status=1,
    changed_at=1_476_794_052_000,
    sent_at=1_476_794_047_900,
    cost_micros=1_200_000,
    sender="sender",
    text="one, two\nthree",
    comment="for me, too",
    mccmnc="25002",
    country="Russia, EU",
    operator="MegaFon, Inc",
    operator_orig="MTS",
    region="Moscow",
    part_count=2,
)
HLR = StatusAnswer(
    client_ref="6",
    recipient="79262138080",
    is_found=True,
    status=1,
    changed_at=1_476_794_052_000,
    sent_at=1_476_794_047_000,
    cost_micros=200_000,
    sender="other",
    type=MessageType.HLR,
    country="Russia",
    operator="MegaFon",
    region="Moscow",
    detail={
        "imsi": "250023012345678",
        "msc": "79232510066",
        "mcc": "250",
        "mnc": "02",
        "cn": "Russian Federation",
        "net": "MegaFON, PJSC",
        "rcn": "",
        "rnet": "",
    },
)
CALL = "/sys/status.php?login=alex&psw=123&charset=utf-8&"


@pytest.fixture(autouse=True)
def known(door: Door) -> None:
    for answer in (PLAIN, HLR):
        door.services.statuses.known[answer.client_ref, answer.recipient] = answer
    door.services.be_account(language="en")


async def ask(door: Door, query: str) -> str:
    reply = await door.get(CALL + query)
    assert reply.status == 200
    return reply.body.decode()


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("fmt=0", "Status = 1, check_time = 18.10.2016 15:34:12, err = 0"),
        ("fmt=1", "1,1476794052,0"),
        (
            "fmt=2",
            "<sms>\n<status>1</status>\n<last_date>18.10.2016 15:34:12</last_date>\n"
            "<last_timestamp>1476794052</last_timestamp>\n<flag>0</flag>\n<err>0</err>\n</sms>",
        ),
        (
            "fmt=3",
            '{\n"status": 1,\n"last_date": "18.10.2016 15:34:12",\n'
            '"last_timestamp": 1476794052,\n"flag": 0,\n"err": 0\n}',
        ),
        (
            "fmt=0&all=1",
            "Status = 1, check_time = 18.10.2016 15:34:12, err = 0, "
            "send_date = 18.10.2016 15:34:07, phone = 79262138080, cost = 1.20, "
            "sender_id = sender, status_name = Delivered, message = one, two three, "
            "comment = for me, too, type = 0",
        ),
        (
            "fmt=0&all=2",
            "Status = 1, check_time = 18.10.2016 15:34:12, err = 0, "
            "send_date = 18.10.2016 15:34:07, phone = 79262138080, country = Russia EU, "
            "operator = MegaFon Inc, region = Moscow, cost = 1.20, sender_id = sender, "
            "status_name = Delivered, message = one, two three, comment = for me, too, type = 0",
        ),
        (
            "fmt=1&all=1",
            "1,1476794052,0,1476794047,79262138080,1.20,sender,Delivered,one, two three,"
            "for me, too,0",
        ),
        (
            "fmt=1&all=2",
            "1,1476794052,0,1476794047,79262138080,Russia EU,MegaFon Inc,Moscow,1.20,sender,"
            "Delivered,one, two three,for me, too,0",
        ),
        (
            "fmt=3&all=2",
            '{\n"status": 1,\n"last_date": "18.10.2016 15:34:12",\n'
            '"last_timestamp": 1476794052,\n"flag": 0,\n"err": 0,\n'
            '"send_date": "18.10.2016 15:34:07",\n"send_timestamp": 1476794047,\n'
            '"phone": "79262138080",\n"country": "Russia, EU",\n"operator": "MegaFon, Inc",\n'
            '"operator_orig": "MTS",\n"region": "Moscow",\n"cost": "1.20",\n'
            '"sender_id": "sender",\n"status_name": "Delivered",\n'
            '"message": "one, two\\nthree",\n"comment": "for me, too",\n"mccmnc": "25002",\n'
            '"type": 0,\n"sms_cnt": 2\n}',
        ),
    ],
)
async def test_single_forms(door: Door, query: str, body: str) -> None:
    assert await ask(door, f"id=5&phone=79262138080&{query}") == body


async def test_members_of_all_1_are_those_of_all_2_without_the_place(door: Door) -> None:
    full = json.loads(await ask(door, "id=5&phone=79262138080&fmt=3&all=2"))
    for name in ("country", "operator", "operator_orig", "region"):
        del full[name]
    one = json.loads(await ask(door, "id=5&phone=79262138080&fmt=3&all=1"))
    assert list(one.items()) == list(full.items())
    xml = ElementTree.fromstring(await ask(door, "id=5&phone=79262138080&fmt=2&all=1"))
    assert [(each.tag, each.text or "") for each in xml] == [
        (name, str(value)) for name, value in one.items()
    ]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (
            "fmt=0",
            "Status = 1, check_time = 18.10.2016 15:34:12, err = 0, imsi = 250023012345678, "
            "msc = 79232510066, mcc = 250, mnc = 02, cn = Russian Federation, "
            "net = MegaFON PJSC, rcn = , rnet = ",
        ),
        (
            "fmt=1",
            "1,1476794052,0,250023012345678,79232510066,250,02,Russian Federation,MegaFON PJSC,,",
        ),
    ],
)
async def test_hlr_lines(door: Door, query: str, body: str) -> None:
    assert await ask(door, f"id=6&phone=79262138080&{query}") == body


async def test_hlr_is_told_by_its_word_at_its_position(door: Door) -> None:
    one = (await ask(door, "id=6&phone=79262138080&fmt=1&all=1")).split(",")
    assert (one[11:15], len(one)) == (["1476794047", "79262138080", "0.20", "HLR"], 19)
    two = (await ask(door, "id=6&phone=79262138080&fmt=1&all=2")).split(",")
    assert two[12:18] == ["79262138080", "Russia", "MegaFon", "Moscow", "0.20", "HLR"]
    members = json.loads(await ask(door, "id=6&phone=79262138080&fmt=3"))
    assert members["mnc"] == "02"
    assert members["flag"] == 4
    assert list(members)[-8:] == ["imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet"]


async def test_an_hlr_query_without_an_answer_yet_has_empty_members(door: Door) -> None:
    door.services.statuses.known["7", "79262138080"] = StatusAnswer(
        "7", "79262138080", is_found=True, status=-1, type=MessageType.HLR
    )
    assert await ask(door, "id=7&phone=79262138080&fmt=1") == "-1,0,0,,,,,,,,"


async def test_multiple_forms(door: Door) -> None:
    query = "id=5,404&phone=79262138080,79990000000&"
    assert await ask(door, query + "fmt=0") == (
        "Status = 1, check_time = 18.10.2016 15:34:12, err = 0, id = 5, phone = 79262138080\n"
        "Status = -3, check_time = 01.01.1970 03:00:00, err = 0, id = 404, phone = 79990000000"
    )
    assert await ask(door, query + "fmt=1") == (
        "1,1476794052,0,5,79262138080\n-3,0,0,404,79990000000"
    )
    assert await ask(door, query + "fmt=1&all=1") == (
        "1,1476794052,0,1476794047,79262138080,1.20,sender,Delivered,one, two three,for me, too,"
        "0,5\n-3,0,0,404"
    )
    assert await ask(door, query + "fmt=3") == (
        '[\n{\n"status": 1,\n"last_date": "18.10.2016 15:34:12",\n'
        '"last_timestamp": 1476794052,\n"flag": 0,\n"err": 0,\n"id": 5,\n'
        '"phone": "79262138080"\n},\n{\n"status": -3,\n"last_date": "01.01.1970 03:00:00",\n'
        '"last_timestamp": 0,\n"flag": 0,\n"err": 0,\n"id": 404,\n"phone": "79990000000"\n}\n]'
    )
    root = ElementTree.fromstring(await ask(door, query + "fmt=2&all=2"))
    assert (root.tag, [each.tag for each in root]) == ("result", ["sms", "sms"])
    assert [each.findtext("id") for each in root] == ["5", "404"]


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("id=5,&phone=79262138080,", [("5", "79262138080")]),
        ("id=5&phone=79262138080,", [("5", "79262138080")]),
        ("id=5,6&phone=79262138080", [("5", "79262138080"), ("6", "79262138080")]),
        ("id=5&phone=7926213808%30,79260000000", [("5", "79262138080"), ("5", "79260000000")]),
        ("id=a-1,b.2&phone=@nick,a@b.ru", [("a-1", "@nick"), ("b.2", "a@b.ru")]),
    ],
)
async def test_a_comma_asks_for_the_list(
    door: Door, query: str, pairs: list[tuple[str, str]]
) -> None:
    reply = json.loads(await ask(door, query + "&fmt=3"))
    assert [str(each["id"]) for each in reply] == [pair[0] for pair in pairs]
    assert door.services.statuses.asked == [pairs]
    assert door.services.limits.counted == [("status-many", "")]


@pytest.mark.parametrize(
    ("phone", "recipient"),
    [
        ("89262138080", "79262138080"),
        ("%2B7 (926) 213-80-80".replace(" ", "%20"), "79262138080"),
        ("9262138080", "79262138080"),
        ("123", "123"),
        ("x", "x"),
    ],
)
async def test_phones_are_corrected_as_in_sending(door: Door, phone: str, recipient: str) -> None:
    await ask(door, f"id=5&phone={phone}")
    assert door.services.statuses.asked[-1] == [("5", recipient)]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=5",
        "phone=79262138080",
        "id=,&phone=,",
        "id=1,2,3&phone=79262138080,79262138081",
        "phone=79262138080&id=" + ",".join(map(str, range(501))),
    ],
)
async def test_what_is_error_1(door: Door, query: str) -> None:
    assert await ask(door, query + "&fmt=1") == "0,-1"
    assert door.services.statuses.asked == []


async def test_500_pairs_are_answered(door: Door) -> None:
    ids = ",".join(map(str, range(500)))
    reply = await door.post(CALL + "phone=79262138080&fmt=3", f"id={ids}".encode())
    assert len(json.loads(reply.body)) == 500


async def test_not_found_in_every_form(door: Door) -> None:
    for fmt, all_ in product(range(4), range(3)):
        body = await ask(door, f"id=404&phone=79262138080&fmt={fmt}&all={all_}")
        if fmt == 0:
            assert body == "Status = -3, check_time = 01.01.1970 03:00:00, err = 0"
        elif fmt == 1:
            assert body == "-3,0,0"
        elif fmt == 2:
            assert ElementTree.fromstring(body).findtext("status") == "-3"
        else:
            assert json.loads(body) == {
                "status": -3,
                "last_date": "01.01.1970 03:00:00",
                "last_timestamp": 0,
                "flag": 0,
                "err": 0,
            }


@pytest.mark.parametrize(
    ("fmt", "done", "failed"),
    [
        (0, "OK", "ERROR = 5 (message is not deleted)"),
        (1, "OK", "0,-5"),
        (
            2,
            "<result>OK</result>",
            "<result>\n<error>message is not deleted</error>\n<error_code>5</error_code>\n"
            "</result>",
        ),
        (3, '{\n"result": "OK"\n}', '{\n"error": "message is not deleted",\n"error_code": 5\n}'),
    ],
)
async def test_delete(door: Door, fmt: int, done: str, failed: str) -> None:
    assert await ask(door, f"id=5&phone=79262138080&del=1&fmt={fmt}") == done
    assert await ask(door, f"id=404&phone=79262138080&del=1&fmt={fmt}") == failed
    assert await ask(door, f"id=5,404&phone=79262138080&del=1&fmt={fmt}") == done
    assert await ask(door, f"id=5&del=1&fmt={fmt}") != done
    assert door.services.limits.counted == []


async def test_limits(door: Door) -> None:
    door.services.limits.refusal = Refusal.TOO_MANY_REQUESTS
    assert await ask(door, "id=5&phone=79262138080&fmt=1") == "0,-9"
    assert await ask(door, "id=5,6&phone=79262138080&fmt=3") == (
        '{\n"error": "duplicate request, wait a minute",\n"error_code": 9\n}'
    )
    assert door.services.limits.counted == [("status", "5:79262138080"), ("status-many", "")]


async def test_names_and_charset_of_a_russian_account(door: Door) -> None:
    door.services.be_account(language="ru")
    reply = await door.get("/sys/status.php?login=alex&psw=123&id=5&phone=79262138080&fmt=3&all=1")
    assert "Доставлено".encode("cp1251") in reply.body
    reply = await door.get(CALL + "id=5&phone=79262138080&fmt=1&all=1")
    assert "Доставлено".encode() in reply.body


async def test_flags_above_the_type(door: Door) -> None:
    door.services.statuses.known["8", "79262138080"] = StatusAnswer(
        "8", "79262138080", is_found=True, type=MessageType.FLASH, flags=0x120
    )
    body = await ask(door, "id=8&phone=79262138080&fmt=3")
    assert json.loads(body)["flag"] == 0x121
