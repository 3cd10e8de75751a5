"""Parameters of send.php into requests: what is understood, and what is error 1."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.gateways.http.fakes import ALEX

from heliograph.domain.messages import MessageType
from heliograph.domain.requests import Entry, SendRequest, Spread
from heliograph.gateways.http import json_members
from heliograph.gateways.http.parameters import Parameters, read_parameters
from heliograph.gateways.http.send_request import (
    ParameterError,
    build_request,
)

HOUR_MS = 3_600_000


def build(fields: dict[str, str] | None = None, /, **more: str) -> SendRequest:
    given = {"phones": "79999999999", "mes": "Hello", "charset": "utf-8"} | (fields or {}) | more
    query = urlencode({name: value for name, value in given.items() if value != "-"})
    return build_request(ALEX, read_parameters(query.encode()))


def test_a_plain_request() -> None:
    request = build(login="alex", psw="123", pp="5", unknown="x")
    assert request == SendRequest(ALEX, [Entry(["79999999999"], "Hello")])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": "0"}, {"client_ref": ""}),
        ({"id": "000"}, {"client_ref": ""}),
        ({"id": "2147483647"}, {"client_ref": "2147483647"}),
        ({"id": "Ab-1._"}, {"client_ref": "Ab-1._"}),
        ({"sender": ""}, {"sender": ""}),
        ({"sender": "."}, {"sender": ""}),
        ({"sender": "My Shop"}, {"sender": "My Shop"}),
        ({"sender": "+79991234567"}, {"sender": "+79991234567"}),
        ({"sender": "123456789012345"}, {"sender": "123456789012345"}),
        ({"translit": "1"}, {"translit": 1}),
        ({"translit": "2"}, {"translit": 2}),
        ({"translit": "true"}, {"translit": 1}),
        ({"translit": "false"}, {"translit": 0}),
        ({"time": "0"}, {"time": "0"}),
        ({"time": "+15"}, {"time": "+15"}),
        ({"time": " 15"}, {"time": " 15"}),
        ({"time": "01.01.12 00:00"}, {"time": "01.01.12 00:00"}),
        ({"tz": "0"}, {"tz_minutes": 180}),
        ({"tz": "-1"}, {"tz_minutes": 120}),
        ({"tz": "9"}, {"tz_minutes": 720}),
        ({"tz": "2.5"}, {"tz_minutes": 330}),
        ({"period": "0.1", "freq": "1"}, {"spread": Spread(360_000, 60_000)}),
        ({"period": "720", "freq": "1440"}, {"spread": Spread(720 * HOUR_MS, 24 * HOUR_MS)}),
        ({"period": "2"}, {"spread": None}),
        ({"period": "0", "freq": "0"}, {"spread": None}),
        ({"freq": "99999"}, {"spread": None}),
        ({"valid": "1"}, {"valid_ms": HOUR_MS}),
        ({"valid": "24"}, {"valid_ms": 24 * HOUR_MS}),
        ({"valid": "00:01"}, {"valid_ms": 60_000}),
        ({"valid": "24:00"}, {"valid_ms": 24 * HOUR_MS}),
        ({"valid": "1:30"}, {"valid_ms": 90 * 60_000}),
        ({"valid": "0"}, {"valid_ms": 0}),
        ({"maxsms": "3"}, {"max_parts": 3}),
        ({"maxsms": ""}, {"max_parts": 0}),
        ({"tinyurl": "1"}, {"options": {"tinyurl": True}}),
        (
            {"imgcode": "x", "userip": "1.2.3.4"},
            {"options": {"captcha": "x", "end_user_address": "1.2.3.4"}},
        ),
        ({"flash": "1"}, {"type": MessageType.FLASH}),
        ({"flash": "true"}, {"type": MessageType.FLASH}),
        ({"flash": "0", "push": "1"}, {"type": MessageType.WAP_PUSH}),
        ({"flash": "1", "push": "1", "hlr": "1"}, {"type": MessageType.FLASH}),
        ({"hlr": "1", "call": "1", "mes": "-"}, {"type": MessageType.HLR}),
        ({"ping": "1", "mes": ""}, {"type": MessageType.PING}),
        (
            {"mms": "1", "mes": "-", "subj": "Hi"},
            {"type": MessageType.MMS, "options": {"subject": "Hi"}},
        ),
        ({"viber": "1", "soc": "1"}, {"type": MessageType.VIBER}),
        ({"soc": "1"}, {"type": MessageType.SOCIAL}),
        ({"whatsapp": "1"}, {"type": MessageType.WHATSAPP}),
        ({"tg": "1", "mes": "1234"}, {"type": MessageType.TELEGRAM}),
        (
            {"bot": "@shop_bot", "smsreq": "10", "phones": "@nick,#5"},
            {
                "type": MessageType.TELEGRAM,
                "options": {"bot": "@shop_bot", "smsreq": 10},
                "entries": [Entry(["@nick", "#5"], "Hello")],
            },
        ),
        (
            {"bot": "wa:79990001122"},
            {"type": MessageType.WHATSAPP, "options": {"bot": "wa:79990001122"}},
        ),
        ({"call": "1"}, {"type": MessageType.CALL}),
        (
            {"call": "1", "voice": "m3,en", "param": "22,20,5"},
            {
                "options": {
                    "voice": "m3,en",
                    "call_wait_s": 22,
                    "call_pause_s": 20,
                    "call_attempts": 5,
                }
            },
        ),
        ({"call": "1", "param": "25"}, {"options": {"call_wait_s": 25}}),
        ({"voice": "nonsense", "param": "x"}, {"options": {}}),
        (
            {
                "mail": "1",
                "subj": "Hi",
                "sender": "me@shop.ru",
                "phones": "a@b.ru",
                "mes": "x" * 5000,
            },
            {"type": MessageType.EMAIL, "sender": "me@shop.ru", "options": {"subject": "Hi"}},
        ),
        (
            {"mes": "__HLR__"},
            {"entries": [Entry(["79999999999"], "__HLR__")], "type": MessageType.SMS},
        ),
        (
            {"mes": "Hi\n~~~\n" + "c" * 2000},
            {"entries": [Entry(["79999999999"], "Hi\n~~~\n" + "c" * 2000)]},
        ),
        ({"mes": "x" * 1000}, {"entries": [Entry(["79999999999"], "x" * 1000)]}),
        ({"phones": "+7 (999) 1,8;@x"}, {"entries": [Entry(["+7 (999) 1", "8", "@x"], "Hello")]}),
        (
            {"list": "79991111111:one\n79992222222:two\\nlines", "phones": "1", "mes": "-"},
            {"entries": [Entry(["79991111111"], "one"), Entry(["79992222222"], "two\nlines")]},
        ),
        (
            {"list": "S,3|79991111111:a\nb", "nl": "1"},
            {"entries": [Entry(["79991111111"], "a\nb", "S", 360)]},
        ),
        (
            {"push": "1", "mes": "http://wap.ru\nWAP.RU"},
            {"entries": [Entry(["79999999999"], "http://wap.ru\nWAP.RU")]},
        ),
    ],
)
def test_understood(fields: dict[str, str], expected: dict[str, Any]) -> None:
    request = build(fields)
    assert {name: getattr(request, name) for name in expected} == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"phones": "-"},
        {"phones": " ,;"},
        {"mes": "-"},
        {"mes": ""},
        {"mes": "\n~~~\nonly a comment"},
        {"mes": "x" * 1001},
        {"mes": "x" * 1001 + "\n~~~\nc"},
        {"id": "a b"},
        {"id": "x" * 41},
        {"id": "номер"},
        {"id": "-1+1"},
        {"sender": "x" * 255},
        {"sender": "a\tb"},
        {"translit": "3"},
        {"translit": "x"},
        {"tz": "x"},
        {"tz": "50"},
        {"period": "0.05", "freq": "1"},
        {"period": "721", "freq": "1"},
        {"period": "1", "freq": "0"},
        {"period": "1", "freq": "1441"},
        {"period": "nan", "freq": "1"},
        {"valid": "25"},
        {"valid": "00:00"},
        {"valid": "24:01"},
        {"valid": "1:60"},
        {"valid": "x"},
        {"maxsms": "-1"},
        {"maxsms": "٣"},
        {"list": "no colon"},
        {"list": "79991111111:"},
        {"list": "a\tb|79991111111:text"},
        {"bin": "3", "mes": "00"},
        {"bin": "2", "mes": "0"},
        {"bin": "2", "mes": "xy"},
        {"bin": "2", "mes": "00\n~~~\npid: 999, dcs: 1"},
        {"mms": "1", "mes": "-"},
        {"call": "1", "mes": "-"},
        {"call": "1", "voice": "m9"},
        {"call": "1", "param": "100,20,5"},
        {"call": "1", "param": "22,20,10"},
        {"call": "1", "param": "1,20,3,4"},
        {"mail": "1", "subj": "x", "sender": "shop"},
        {"mail": "1", "sender": "me@shop.ru"},
        {"bot": "@b", "smsreq": "9"},
        {"bot": "@b", "smsreq": "1000"},
        {"fileurl": "http://files.example/a.jpg", "mms": "1"},
    ],
)
def test_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ParameterError):
        build(fields)


def test_binary_messages_are_handed_on_as_hex() -> None:
    query = b"phones=7999&bin=1&mes=%00%01%ff%0A~~~%0Apid:+1,+dcs:+245"
    request = build_request(ALEX, read_parameters(query))
    assert request.type == MessageType.BINARY
    assert request.entries == [Entry(["7999"], "0001FF")]
    assert request.options == {"pid": 1, "dcs": 245}
    ems = "050A0307056048656C6C6F2C20576F726C6421"
    assert build(bin="2", mes=ems).entries[0].text == ems
    request = build(bin="2", mes=ems + "\n~~~\nfor me")
    assert request.entries[0].text == ems + "\n~~~\nfor me"


def test_too_many_recipients_are_refused_before_they_are_looked_at() -> None:
    phones = Parameters({}, {"phones": "79991111111,79992222222,79993333333", "mes": "x"})
    lines = Parameters({}, {"list": "79991111111:a\n79992222222:b\n79993333333:c"})
    for parameters in (phones, lines):
        assert build_request(ALEX, parameters, max_recipients=3).entries
        with pytest.raises(ParameterError):
            build_request(ALEX, parameters, max_recipients=2)


def test_pid_and_dcs_are_of_the_whole_list() -> None:
    entry = r"7999{}:00AA\n~~~\npid: 1, dcs: {}"
    same = "\n".join([entry.format(1, 245), entry.format(2, 245)])
    request = build(phones="", list=same, bin="2")
    assert request.options == {"pid": 1, "dcs": 245}
    for other in (entry.format(2, 4), "79992:00AA"):
        with pytest.raises(ParameterError):
            build(phones="", list=f"{entry.format(1, 245)}\n{other}", bin="2")


def test_every_byte_of_a_raw_binary_message_comes_through() -> None:
    octets = bytes(range(256))
    query = urlencode({"phones": "7999", "bin": "1", "charset": "utf-8", "mes": octets})
    request = build_request(ALEX, read_parameters(query.encode()))
    assert bytes.fromhex(request.entries[0].text) == octets


def test_a_text_that_is_no_bytes_cannot_be_binary() -> None:
    body = '{"phones": "7999", "bin": 1, "mes": "Привет"}'.encode()
    with pytest.raises(ParameterError):
        build_request(ALEX, read_parameters(b"", body, is_rest=True))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb"cut in two \ud83d", "cut in two \ufffd"),
        (rb"\ude00 the other half", "\ufffd the other half"),
        (rb"whole \ud83d\ude00", "whole \U0001f600"),
        ("Привет".encode("cp1251"), "\ufffd" * 6),
        (b"\xd0", "\ufffd"),
    ],
)
def test_json_texts_that_are_not_quite_unicode(written: bytes, text: str) -> None:
    """What does not decode is replaced, and does not make the rest of the request unreadable."""
    body = b'{"login": "alex", "phones": "7999", "mes": "%b"}' % written
    parameters = read_parameters(b"", body, is_rest=True)
    assert parameters.fields["login"] == "alex"
    assert build_request(ALEX, parameters).entries[0].text == text


@pytest.mark.parametrize("number", [b"NaN", b"1e400", b"-Infinity"])
def test_json_numbers_that_are_none(number: bytes) -> None:
    body = b'{"phones": "7999", "mes": "hello", "cost": %b}' % number
    with pytest.raises(ParameterError):
        build_request(ALEX, read_parameters(b"", body, is_rest=True))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (b"7.9161234567e10", "79161234567"),
        (b"79161234567.0", "79161234567"),
        (b"0.5", "0.5"),
        (b"-1.50", "-1.5"),
        (b"1e300", "1e+300"),
    ],
)
def test_json_numbers_are_written_as_forms_write_them(number: bytes, text: str) -> None:
    """Some writers make a float of every long number; a short one must not become a long text."""
    parameters = read_parameters(b"", b'{"a": %b, "b": [%b, 1]}' % (number, number), is_rest=True)
    assert parameters.fields == {"a": text, "b": f"{text},1"}


@pytest.mark.parametrize(
    "elements",
    [b"{}", b"[]", b" [ ]", b'{"a":1}', b'{"a" :1}'],
)
def test_json_of_nothing_but_structure_is_not_decoded(
    elements: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding it is one call, in which nothing else goes on in the process."""
    monkeypatch.setattr(json_members, "_decoder", None)
    monkeypatch.setattr(json_members.json, "loads", None)
    body = b'{"a":[' + b",".join([elements] * 200_001) + b"]}"
    assert not read_parameters(b"login=alex", body, is_rest=True).is_whole
    body = b'{"a":["' + b",".join([elements.replace(b'"', b"'")] * 10) + b'"]}'
    with pytest.raises(AttributeError):
        read_parameters(b"login=alex", body, is_rest=True)


async def test_json_numbers_of_any_size_hold_nobody_up() -> None:
    """Other requests go on while a thread reads a great many of the worst numbers."""
    body = b'{"a":[' + b"1.2345678901234567e-300," * 300_000 + b"1]}"
    loop = asyncio.get_running_loop()
    began = last = loop.time()
    longest = 0.0
    reading = loop.run_in_executor(None, partial(read_parameters, b"", body, is_rest=True))
    while not reading.done():
        await asyncio.sleep(0)
        longest, last = max(longest, loop.time() - last), loop.time()
    assert not (await reading).is_whole
    assert longest < (last - began) / 2


def test_a_file_address_goes_on_when_it_can_be_fetched() -> None:
    fields = {"phones": "7999", "call": "1", "fileurl": "https://files.example/a.mp3"}
    parameters = Parameters(fields, fields)
    assert build_request(ALEX, parameters, fetches_files=True).options == {
        "fileurl": "https://files.example/a.mp3"
    }
    fields["fileurl"] = "file:///etc/passwd"
    with pytest.raises(ParameterError):
        build_request(ALEX, parameters, fetches_files=True)


def test_faults_never_quote_values() -> None:
    secret = "s3cr3t-value"
    for name in ("id", "translit", "tz", "valid", "maxsms", "list"):
        with pytest.raises(ParameterError) as caught:
            build({name: secret + "!"})
        assert secret not in str(caught.value)


def test_groups_are_left_to_the_services() -> None:
    assert build({"phones": "79991111111,g17"}).has_groups
    assert build({"list": "G1:text"}).has_groups
    assert not build({"phones": "79991111111", "mes": "G17"}).has_groups


def test_zero_bytes_are_dropped_but_in_octets() -> None:
    body = rb'{"phones": "79991234567", "mes": "\u0000o\u0000ne", "id": "a\u0000"}'
    request = build_request(ALEX, read_parameters(b"", body, is_rest=True))
    assert (request.entries[0].text, request.client_ref) == ("one", "a")
    body = rb'{"phones": "79991234567", "mes": "\u0000o\u0000ne", "bin": 1}'
    request = build_request(ALEX, read_parameters(b"", body, is_rest=True))
    assert bytes.fromhex(request.entries[0].text) == b"\0o\0ne"
