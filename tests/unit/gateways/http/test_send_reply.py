"""Replies of send.php over a real socket: every form, price and list, byte for byte."""

from __future__ import annotations

import json
from itertools import product
from xml.etree import ElementTree

import pytest
from tests.unit.gateways.http.fakes import BAD_LINE, GOOD_LINE, Door

from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Line, Refused, Submitted
from heliograph.gateways.http.errors import ERRORS

GOOD = Submitted("1234", 1, 1_440_000, 100_500_000, [GOOD_LINE, BAD_LINE])
CALL = "/sys/send.php?login=alex&psw=123&phones=79999999999&mes=Hello&"

# fmt, cost -> the whole reply (send.php reference, 6.1)
PLAIN = {
    (0, 0): "OK - 1 SMS, ID - 1234",
    (0, 1): "1.44 (1 SMS)",
    (0, 2): "OK - 1 SMS, ID - 1234, COST - 1.44",
    (0, 3): "OK - 1 SMS, ID - 1234, COST - 1.44, BALANCE - 100.50",
    (1, 0): "1234,1",
    (1, 1): "1.44,1",
    (1, 2): "1234,1,1.44",
    (1, 3): "1234,1,1.44,100.50",
    (2, 0): "<result>\n<id>1234</id>\n<cnt>1</cnt>\n</result>",
    (2, 1): "<result>\n<cost>1.44</cost>\n<cnt>1</cnt>\n</result>",
    (2, 2): "<result>\n<id>1234</id>\n<cnt>1</cnt>\n<cost>1.44</cost>\n</result>",
    (2, 3): "<result>\n<id>1234</id>\n<cnt>1</cnt>\n<cost>1.44</cost>\n"
    "<balance>100.50</balance>\n</result>",
    (3, 0): '{\n"id": 1234,\n"cnt": 1\n}',
    (3, 1): '{\n"cost": "1.44",\n"cnt": 1\n}',
    (3, 2): '{\n"id": 1234,\n"cnt": 1,\n"cost": "1.44"\n}',
    (3, 3): '{\n"id": 1234,\n"cnt": 1,\n"cost": "1.44",\n"balance": "100.50"\n}',
}
# fmt -> what `op=1` adds, and what `err=1` alone adds (6.2)
LISTS = {
    0: (
        "\n79999999999, mccmnc = 25001, cost = 1.44, status = , error = "
        "\n123, mccmnc = , cost = 0, status = 22, error = 249",
        "\n123, status = 22, error = 249",
    ),
    1: ("\n79999999999,25001,1.44,,\n123,,0,22,249", "\n123,22,249"),
    2: (
        '<phones>\n<phone mccmnc="25001" cost="1.44" status="" error="">79999999999</phone>\n'
        '<phone mccmnc="" cost="0" status="22" error="249">123</phone>\n</phones>\n</result>',
        '<phones>\n<phone status="22" error="249">123</phone>\n</phones>\n</result>',
    ),
    3: (
        ',\n"phones": [\n{\n"phone": "79999999999",\n"mccmnc": "25001",\n"cost": "1.44",\n'
        '"status": "",\n"error": ""\n},\n{\n"phone": "123",\n"mccmnc": "",\n"cost": "0",\n'
        '"status": "22",\n"error": "249"\n}\n]\n}',
        ',\n"phones": [\n{\n"phone": "123",\n"status": "22",\n"error": "249"\n}\n]\n}',
    ),
}


def expected_reply(fmt: int, cost: int, *, op: bool, err: bool) -> str:
    reply = PLAIN[fmt, cost]
    if not (op or err):
        return reply
    addition = LISTS[fmt][0 if op else 1]
    return reply.removesuffix({2: "</result>", 3: "\n}"}.get(fmt, "")) + addition


async def test_every_form_price_and_list(door: Door) -> None:
    door.services.submit.outcome = GOOD
    for fmt, cost, op, err in product(range(4), range(4), (False, True), (False, True)):
        query = f"fmt={fmt}&cost={cost}&op={op:d}&err={err:d}"
        reply = await door.get(CALL + query)
        assert reply.status == 200
        assert reply.body.decode() == expected_reply(fmt, cost, op=op, err=err), query
        if fmt == 2:
            ElementTree.fromstring(reply.body)
        if fmt == 3:
            json.loads(reply.body)
    assert len(door.services.submit.priced) == 16
    assert len(door.services.submit.sent) == 48


async def test_no_faulty_numbers_is_an_empty_list(door: Door) -> None:
    assert await door.send("err=1") == b"OK - 1 SMS, ID - 1234"
    assert await door.send("err=1&fmt=1") == b"1234,1"
    assert json.loads(await door.send("err=1&fmt=3")) == {"id": 1234, "cnt": 1, "phones": []}
    ElementTree.fromstring(await door.send("err=1&fmt=2"))


async def test_test_mode_costs_nothing(door: Door) -> None:
    door.services.submit.outcome = Submitted(
        "33", 2, 2_880_000, 100_500_000, [GOOD_LINE, BAD_LINE], is_test=True
    )
    assert await door.send("cost=3&fmt=1&op=1") == (
        b"33,2,0,100.50\n79999999999,25001,,,\n123,,,22,249"
    )
    assert await door.send("cost=1") == b"0 (2 SMS)"
    assert await door.send("op=1") == (
        b"OK - 2 SMS, ID - 33\n79999999999, mccmnc = 25001, status = , error = \n"
        b"123, mccmnc = , status = 22, error = 249"
    )
    reply = json.loads(await door.send("cost=3&fmt=3&op=1"))
    assert reply["cost"] == "0"
    assert reply["balance"] == "100.50"
    assert [sorted(each) for each in reply["phones"]] == [
        ["error", "mccmnc", "phone", "status"]
    ] * 2
    assert b"cost=" not in await door.send("cost=0&fmt=2&op=1")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"OK - 1 SMS, ID - 5, CODE - 1234"),
        ("fmt=1", b"5,1,1234"),
        ("fmt=1&cost=3", b"5,1,3.50,100.50,1234"),
        ("fmt=2", b"<result>\n<id>5</id>\n<cnt>1</cnt>\n<code>1234</code>\n</result>"),
        ("fmt=3", b'{\n"id": 5,\n"cnt": 1,\n"code": "1234"\n}'),
    ],
)
async def test_the_spoken_code_comes_last(door: Door, query: str, body: bytes) -> None:
    door.services.submit.outcome = Submitted("5", 1, 3_500_000, 100_500_000, [], code="1234")
    reply = await door.get(f"/sys/send.php?login=alex&psw=123&phones=7999&mes=code&call=1&{query}")
    assert reply.body == body
    assert door.services.submit.sent[-1].entries[0].text == "code"


@pytest.mark.parametrize(
    ("client_ref", "text"),
    [
        ("6f1c-uuid", '"6f1c-uuid"'),
        ("2147483647", "2147483647"),
        ("0012", '"0012"'),
        ("12345678901234567890", '"12345678901234567890"'),
    ],
)
async def test_ids_are_numbers_only_when_they_are(door: Door, client_ref: str, text: str) -> None:
    door.services.submit.outcome = Submitted(client_ref, 1, 0, 0, [])
    assert (await door.send("fmt=3")).decode() == f'{{\n"id": {text},\n"cnt": 1\n}}'


async def test_money_keeps_all_its_decimals(door: Door) -> None:
    door.services.submit.outcome = Submitted("1", 1, 1_234_567, 3_215_309_700, [])
    assert await door.send("cost=3&fmt=1") == b"1,1,1.234567,3215.3097"
    door.services.submit.outcome = Submitted("1", 1, 4_100_000, -500_000, [])
    assert await door.send("cost=3&fmt=1") == b"1,1,4.10,-0.50"


# fmt -> a refusal without and with the id of its message (6.3)
ERROR_FORMS = {
    0: ("ERROR = {n} ({text})", "ERROR = {n} ({text}), ID - 34"),
    1: ("0,-{n}", "34,-{n}"),
    2: (
        "<result>\n<error>{text}</error>\n<error_code>{n}</error_code>\n</result>",
        "<result>\n<error>{text}</error>\n<error_code>{n}</error_code>\n<id>34</id>\n</result>",
    ),
    3: (
        '{{\n"error": "{text}",\n"error_code": {n}\n}}',
        '{{\n"error": "{text}",\n"error_code": {n},\n"id": 34\n}}',
    ),
}


@pytest.mark.parametrize("refusal", Refusal)
async def test_every_refusal_in_every_form(door: Door, refusal: Refusal) -> None:
    number, text = ERRORS["send"][refusal]
    door.services.submit.outcome = Refused(refusal, "34", lines=[BAD_LINE])
    for fmt, cost in product(range(4), range(4)):
        form = ERROR_FORMS[fmt][number in (3, 6, 7, 8) and cost != 1]
        body = await door.send(f"fmt={fmt}&cost={cost}&op=1&err=1")
        assert body.decode() == form.format(n=number, text=text)
    assert door.observer.requests[-1] == ("send", number)
    door.services.submit.outcome = Refused(refusal)
    assert await door.send("fmt=1") == f"0,-{number}".encode()


@pytest.mark.parametrize(
    ("refusal", "status", "err"),
    [
        (Refusal.NO_ROUTE, "25", "248"),
        (Refusal.NO_FUNDS, "24", "0"),
        (Refusal.NUMBER_BLOCKED, "23", "250"),
        (Refusal.SYSTEM_ERROR, "20", "255"),
    ],
)
async def test_a_refused_number_shows_status_and_error(
    door: Door, refusal: Refusal, status: str, err: str
) -> None:
    lines = [GOOD_LINE, Line("78888888888", "25002", 0, refusal)]
    door.services.submit.outcome = Submitted("1", 1, 1, 1, lines)
    phones = json.loads(await door.send("op=1&fmt=3"))["phones"]
    assert (phones[1]["status"], phones[1]["error"]) == (status, err)


async def test_examples_of_the_reference(door: Door) -> None:
    """send.php reference, section 7."""
    door.services.submit.outcome = Submitted("1234", 1, 1_400_000, 100_500_000, [])
    assert await door.send("cost=1") == b"1.40 (1 SMS)"
    target = "/sys/send.php?login=alex&psw=wrong&phones=79999999999&mes=Hello&fmt=1"
    assert (await door.get(target)).body == b"0,-2"
    door.services.submit.outcome = Refused(Refusal.BAD_NUMBER, "34")
    target = "/sys/send.php?login=alex&psw=123&phones=123&mes=test_message&fmt=3&charset=utf-8"
    assert (await door.get(target)).body == (
        b'{\n"error": "invalid number",\n"error_code": 7,\n"id": 34\n}'
    )
    door.services.submit.outcome = Refused(Refusal.DUPLICATE)
    assert await door.send("fmt=3") == (
        b'{\n"error": "duplicate request, wait a minute",\n"error_code": 9\n}'
    )
