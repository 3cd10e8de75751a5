"""`soap.php` against the reference: operations, envelopes, namespaces, faults."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest
from tests.unit.gateways.http.fakes import BAD_LINE, GOOD_LINE, Door, open_door

from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, StatusAnswer, Submitted
from heliograph.gateways.http.ports import HttpSettings
from heliograph.protocols.soap.envelope import SoapVersion
from heliograph.protocols.soap.wsdl import OPERATIONS
from heliograph.protocols.soap.xml import Element, parse_xml

NAMESPACE = "https://smsc.ru/sys/soap.php"
LOGIN = "<login>alex</login><psw>123</psw>"
GOOD = StatusAnswer(
    client_ref="5",
    recipient="79999999999",
    is_found=True,
    status=1,
    changed_at=1_712_041_205_000,
    sent_at=1_712_041_200_000,
    cost_micros=1_400_000,
    sender="ivan",
    text="Hello <world> & all",
    type=MessageType.SMS,
    operator="MTS",
    region="Moscow",
    part_count=1,
)


def envelope(body: str, version: SoapVersion = SoapVersion.V11) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{version.value}" '
        f'xmlns:s="{NAMESPACE}"><e:Body>{body}</e:Body></e:Envelope>'
    ).encode()


async def post(
    door: Door, data: bytes, *, path: str = "/sys/soap.php", head: str = ""
) -> tuple[int, str, str]:
    """(HTTP status, content type, body) of one request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.address[1])
    method = "POST" if data else "GET"
    writer.write(
        f"{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(data)}\r\n"
        f'SOAPAction: "{NAMESPACE}"\r\n{head or "Host: example.com"}\r\n\r\n'.encode()
        + data
    )
    raw = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    headers, _, body = raw.decode().partition("\r\n\r\n")
    kind = next(
        line.split(": ")[1] for line in headers.split("\r\n") if line.startswith("content-type")
    )
    return int(headers.split()[1]), kind, body


async def call(door: Door, body: str, version: SoapVersion = SoapVersion.V11) -> Element:
    """The element in the body of the answer to a good request."""
    status, kind, text = await post(door, envelope(body, version))
    assert status == 200, text
    assert kind == version.content_type
    root = parse_xml(text)
    assert root.namespace == version.value
    return root.children[0].children[0]


def members(element: Element) -> list[tuple[str, str]]:
    (result,) = element.children
    assert result.namespace == ""
    return [(child.name, child.text) for child in result.children]


@pytest.mark.parametrize("version", SoapVersion)
async def test_send(door: Door, version: SoapVersion) -> None:
    body = (
        f"<s:send>{LOGIN}<phones>79999999999,79160000000</phones><mes>Hello world!</mes>"
        "<id></id><sender>ivan</sender><time>0</time><tinyurl>1</tinyurl></s:send>"
    )
    answer = await call(door, body, version)
    assert (answer.namespace, answer.name) == (NAMESPACE, "SendResponse")
    assert answer.children[0].name == "sendresult"
    assert members(answer) == [
        ("id", "1234"),
        ("balance", "100.50"),
        ("cost", "1.40"),
        ("cnt", "1"),
        ("error", "0"),
    ]
    (request,) = door.services.submit.sent
    assert request.entries[0].recipients == ["79999999999", "79160000000"]
    assert (request.entries[0].text, request.sender, request.client_ref) == (
        "Hello world!", "ivan", "",
    )  # fmt: skip
    assert "tinyurl" not in request.options


async def test_send2_takes_further_parameters_and_lists_faulty_numbers(door: Door) -> None:
    door.services.submit.outcome = Submitted("7", 1, 1, 1, [GOOD_LINE, BAD_LINE])
    query = "translit=1&amp;flash=1&amp;subj=%D0%96&amp;login=evil&amp;fmt=0&amp;op=1"
    answer = await call(
        door,
        f"<s:send2>{LOGIN}<phones>79999999999,123</phones><mes>x</mes><query>{query}</query>"
        "</s:send2>",
    )
    assert answer.name == "Send2Response"
    errors = [c for c in answer.children[0].children if c.name == "errors"]
    assert [[(f.name, f.text) for f in each.children] for each in errors] == [
        [("phone", "123"), ("status", "22")]
    ]
    (request,) = door.services.submit.sent
    assert request.type is MessageType.FLASH
    assert request.translit == 1
    assert request.options["subject"] == "Ж"
    assert request.account.login == "alex"


async def test_fields_may_be_qualified_and_the_namespace_anything(door: Door) -> None:
    fields = "<x:login>alex</x:login><x:psw>123</x:psw><x:phones>7</x:phones><x:mes>m</x:mes>"
    answer = await call(door, f'<x:send xmlns:x="urn:other">{fields}</x:send>')
    assert answer.namespace == "urn:other"
    answer = await call(door, fields.replace("x:", "").join(("<send>", "</send>")))
    assert answer.namespace == "http://example.com/sys/soap.php"


async def test_cost_sends_nothing(door: Door) -> None:
    answer = await call(door, f"<s:cost>{LOGIN}<phones>7</phones><mes>m</mes></s:cost>")
    assert members(answer) == [("cost", "1.40"), ("cnt", "1"), ("error", "0")]
    answer = await call(
        door,
        f"<s:cost2>{LOGIN}<phones>7</phones><mes>m</mes><query>hlr=1&amp;cost=0</query></s:cost2>",
    )
    assert answer.name == "Cost2Response"
    assert not door.services.submit.sent
    assert [request.type for request in door.services.submit.priced] == [
        MessageType.SMS,
        MessageType.HLR,
    ]


async def test_status(door: Door) -> None:
    door.services.statuses.known[("5", "79999999999")] = GOOD
    ask = f"<s:status>{LOGIN}<phone>79999999999,7</phone><id>5,6</id><all>%s</all></s:status>"
    short = [
        ("status", "1"),
        ("last_date", "02.04.2024 10:00:05"),
        ("last_timestamp", "1712041205"),
        ("err", "0"),
        ("error", "0"),
        ("send_timestamp", "1712041200"),
        ("cost", "1.40"),
        ("operator", "MTS"),
        ("region", "Moscow"),
    ]
    assert members(await call(door, ask % "")) == short
    assert members(await call(door, ask % "0")) == short
    full = members(await call(door, ask % "2"))
    assert full == [
        *short[:5],
        ("send_date", "02.04.2024 10:00:00"),
        ("send_timestamp", "1712041200"),
        ("phone", "79999999999"),
        ("cost", "1.40"),
        ("sender_id", "ivan"),
        ("status_name", "Доставлено"),
        ("message", "Hello <world> & all"),
        ("operator", "MTS"),
        ("region", "Moscow"),
        ("sms_cnt", "1"),
    ]
    assert members(await call(door, ask % "1")) == full
    assert {pair for asked in door.services.statuses.asked for pair in asked} == {
        ("5", "79999999999")
    }


async def test_status_of_nothing_is_error_3(door: Door) -> None:
    ask = f"<s:status>{LOGIN}<phone>79999999999</phone><id>5</id></s:status>"
    assert members(await call(door, ask)) == [("error", "3")]


async def test_status2_can_delete(door: Door) -> None:
    door.services.statuses.known[("5", "79999999999")] = GOOD
    ask = (
        f"<s:status2>{LOGIN}<phone>79999999999</phone><id>5</id><all>0</all>"
        "<query>del=1</query></s:status2>"
    )
    assert members(await call(door, ask)) == [("error", "0")]
    assert door.services.statuses.deleted == [[("5", "79999999999")]]


async def test_balance(door: Door) -> None:
    answer = await call(door, f"<s:balance>{LOGIN}</s:balance>")
    assert answer.name == "BalanceResponse"
    assert members(answer) == [("balance", "100.50"), ("error", "0")]


@pytest.mark.parametrize(
    ("login", "error"),
    [
        ("<login>alex</login><psw>wrong</psw>", "2"),
        ("", "2"),
        ("<apikey>K1</apikey>", "0"),
        ("<login/><psw>K1</psw>", "0"),
    ],
)
async def test_authentication(door: Door, login: str, error: str) -> None:
    for name in ("send", "send2", "cost", "cost2", "status", "status2", "balance"):
        rest = "<phones>79999999999</phones><phone>79999999999</phone><mes>m</mes><id>5</id>"
        door.services.statuses.known[("5", "79999999999")] = GOOD
        answer = await call(door, f"<s:{name}>{login}{rest}</s:{name}>")
        assert dict(members(answer))["error"] == error, name


async def test_errors_are_no_faults(door: Door) -> None:
    send = f"<s:send>{LOGIN}<phones>7</phones><mes>m</mes></s:send>"
    door.services.submit.outcome = Refused(Refusal.NO_FUNDS, client_ref="33")
    assert members(await call(door, send)) == [("id", "33"), ("error", "3")]
    door.services.submit.outcome = Refused(Refusal.DUPLICATE)
    assert members(await call(door, send)) == [("error", "9")]
    assert members(await call(door, f"<s:send>{LOGIN}</s:send>")) == [("error", "1")]
    assert members(await call(door, f"<s:status>{LOGIN}</s:status>")) == [("error", "1")]
    door.services.limits.room = 0
    assert members(await call(door, send)) == [("error", "9")]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"not xml", "text/xml"),
        (b"<a/>", "text/xml"),
        (envelope("<s:unknown/>"), "text/xml"),
        (envelope("<s:send_sms/>", SoapVersion.V12), "application/soap+xml"),
        (envelope(""), "text/xml"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "text/xml"),
        (envelope("<a>" * 100 + "</a>" * 100), "text/xml"),
        (envelope("<a/>" * 5000), "text/xml"),
        (envelope("<s:send/>")[:-10], "text/xml"),
    ],
)
async def test_what_is_not_understood_is_a_fault(door: Door, data: bytes, kind: str) -> None:
    status, content_type, text = await post(door, data)
    assert status == 500
    assert content_type == f"{kind}; charset=utf-8"
    assert parse_xml(text).children[0].children[0].name == "Fault"
    assert "passwd" not in text


async def test_a_bug_is_a_fault_that_tells_nothing(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = "the password is secret"

    def fail(_: object) -> Any:
        raise RuntimeError(quoted)

    door.services.submit.decide = fail
    status, _, text = await post(
        door, envelope(f"<s:send>{LOGIN}<phones>7</phones><mes>m</mes></s:send>")
    )
    assert status == 500
    assert "secret" not in text + caplog.text
    assert "Server" in text


async def test_sizes_and_compression() -> None:
    async with open_door(settings=HttpSettings(max_body_bytes=20_000)) as door:
        big = envelope(f"<s:send>{LOGIN}<mes>{'x' * 20_000}</mes></s:send>")
        assert (await post(door, big))[0] == 413
        small = envelope("<s:balance/>")
        head = "Host: x\r\nContent-Encoding: gzip"
        assert (await post(door, small, head=head))[0] == 415


@pytest.mark.parametrize(
    ("text", "charset"), [("windows-1251", "windows-1251"), ("koi8-r", "koi8-r"), ("utf-8", "")]
)
async def test_charsets(door: Door, text: str, charset: str) -> None:
    body = envelope(f"<s:send>{LOGIN}<phones>7</phones><mes>Привет</mes></s:send>").decode()
    data = body.replace("UTF-8", text).encode(text)
    head = f"Host: x\r\nContent-Type: text/xml; charset={charset}" if charset else ""
    assert (await post(door, data, head=head))[0] == 200
    assert door.services.submit.sent[0].entries[0].text == "Привет"


# WSDL -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "address"),
    [
        ("Host: sms.example.com", "http://sms.example.com/sys/soap.php"),
        ("Host: 192.0.2.1:8080", "http://192.0.2.1:8080/sys/soap.php"),
        ("Host: [::1]:8080", "http://[::1]:8080/sys/soap.php"),
        ('Host: "><x', "http://localhost/sys/soap.php"),
        ("Host: a b", "http://localhost/sys/soap.php"),
        ("Host: a\r\nX-Forwarded-Proto: https", "http://a/sys/soap.php"),
    ],
)
async def test_the_wsdl_is_of_the_host_it_is_asked_on(door: Door, head: str, address: str) -> None:
    status, kind, text = await post(door, b"", path="/sys/soap.php?wsdl", head=head)
    assert (status, kind) == (200, "text/xml; charset=utf-8")
    root = parse_xml(text)
    assert root.attributes["targetNamespace"] == address
    names = [each.attributes["name"] for each in root.children if each.name == "message"]
    assert names[:2] == ["send_smsRequest", "send_smsResponse"]
    assert len(names) == 2 * len(OPERATIONS) == 14


async def test_behind_a_proxy_that_ends_tls() -> None:
    settings = HttpSettings(trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with open_door(settings=settings) as door:
        head = "Host: smsc.ru\r\nX-Forwarded-Proto: https"
        _, _, text = await post(door, b"", path="//sys/soap.php?WSDL", head=head)
        assert parse_xml(text).attributes["targetNamespace"] == NAMESPACE


async def test_other_methods(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.address[1])
    writer.write(b"PUT /sys/soap.php HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert b" 405 " in await reader.readline()
    writer.close()
