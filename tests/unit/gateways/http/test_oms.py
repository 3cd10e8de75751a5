"""Office Mobile Service: every operation, and what is no such thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.gateways.http.fakes import Door
from tests.unit.gateways.http.test_soap import envelope, post

from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused
from heliograph.protocols.forms.replies import xml_text
from heliograph.protocols.soap.oms import NAMESPACE, OPERATIONS
from heliograph.protocols.soap.xml import Element, parse_xml

USER = "<userId>alex</userId><password>123</password><replyPhone/><customData/>"


def data_of(*texts: str, user: str = USER, scheduled: str = "", service: str = "SMS_SENDER") -> str:
    contents = "".join(
        f'<content contentType="text/plain" contentId="Att{i}.txt">{xml_text(text)}</content>'
        for i, text in enumerate(texts)
    )
    return (
        f'<?xml version="1.0"?><xmsData xmlns="{NAMESPACE}" client="Outlook"><user>{user}</user>'
        f"<xmsHead><scheduled>{scheduled}</scheduled><requiredService>{service}</requiredService>"
        "<to><recipient>79999999999</recipient><recipient>79160000000</recipient></to></xmsHead>"
        f'<xmsBody format="SMS">{contents}</xmsBody></xmsData>'
    )


async def call(
    door: Door, operation: str, document: str = "", path: str = "/sys/oms.php"
) -> Element:
    """The document in the answer to an operation."""
    argument = OPERATIONS[operation]
    field = f"<{argument}>{xml_text(document)}</{argument}>" if argument else ""
    status, _, text = await post(
        door, envelope(f'<{operation} xmlns="{NAMESPACE}">{field}</{operation}>'), path=path
    )
    assert status == 200, text
    answer = parse_xml(text).children[0].children[0]
    assert (answer.namespace, answer.name) == (NAMESPACE, f"{operation}Response")
    result = answer.children[0]
    assert (result.namespace, result.name) == (NAMESPACE, f"{operation}Result")
    return parse_xml(result.text)


def code_of(document: Element) -> str:
    error = document.find("error")
    assert error is not None
    return error.attributes["code"]


@pytest.mark.parametrize("path", ["/sys/oms.php", "/oms/", "/oms"])
async def test_service_info(door: Door, path: str) -> None:
    document = await call(door, "GetServiceInfo", path=path)
    assert document.name == "serviceInfo"
    assert document.text_of("serviceUri") == f"http://example.com{path}"
    supported = document.find("supportedService")
    assert supported is not None
    assert supported.children[0].name == "SMS_SENDER"
    assert supported.children[0].attributes["maxDbcsPerMessage"] == "70"


async def test_user_info(door: Door) -> None:
    account = door.services.authentication.account
    door.services.authentication.account = replace(
        account, settings={"phone": "79581112233", "email": "a@b.c"}
    )
    document = await call(door, "GetUserInfo", f"<xmsUser>{USER}</xmsUser>")
    assert document.text_of("replyPhone") == "79581112233"
    assert document.text_of("smtpAddress") == "a@b.c"
    assert code_of(document) == "ok"
    wrong = USER.replace("123", "wrong")
    assert code_of(await call(door, "GetUserInfo", f"<xmsUser>{wrong}</xmsUser>")) == "invalidUser"
    assert code_of(await call(door, "GetUserInfo", "not xml")) == "others"


@pytest.mark.parametrize("operation", ["SendXms", "DeliverXms"])
async def test_every_text_is_a_message_to_everybody(door: Door, operation: str) -> None:
    document = await call(door, operation, data_of("one & <two>", "Ж"))
    assert code_of(document) == "ok"
    assert [request.entries[0].text for request in door.services.submit.sent] == [
        "one & <two>",
        "Ж",
    ]
    assert door.services.submit.sent[0].entries[0].recipients == ["79999999999", "79160000000"]


async def test_a_time(door: Door) -> None:
    await call(door, "DeliverXms", data_of("x", scheduled="2030-01-01T09:00:00Z"))
    await call(door, "DeliverXms", data_of("x", scheduled="2030-01-01T12:00:00+03:00"))
    await call(door, "DeliverXms", data_of("x", scheduled="1930-01-01T09:00:00"))
    assert [r.time for r in door.services.submit.sent] == ["01893488400", "01893488400", "00"]
    assert code_of(await call(door, "DeliverXms", data_of("x", scheduled="soon"))) == "others"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal.NO_FUNDS, "lowBalance"),
        (Refusal.BAD_NUMBER, "invalidRecipient"),
        (Refusal.NO_ROUTE, "others"),
        (Refusal.DUPLICATE, "others"),
    ],
)
async def test_refusals(door: Door, refusal: Refusal, code: str) -> None:
    door.services.submit.outcome = Refused(refusal)
    assert code_of(await call(door, "DeliverXms", data_of("one", "two"))) == code
    assert len(door.services.submit.sent) == 1


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", "others"),
        ("<xmsData/>", "others"),
        (data_of(), "others"),
        (data_of("x", service="MMS_SENDER"), "others"),
        (data_of(*["x"] * 21), "others"),
        (data_of("x", user=USER.replace("123", "wrong")), "invalidUser"),
        (data_of("x").replace("<xmsData", "<!DOCTYPE a><xmsData"), "others"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><xmsData>&b;</xmsData>", "others"),
    ],
)
async def test_what_is_no_message(door: Door, document: str, code: str) -> None:
    assert code_of(await call(door, "DeliverXms", document)) == code
    assert not door.services.submit.sent


async def test_an_unknown_operation_is_a_fault(door: Door) -> None:
    status, _, text = await post(door, envelope("<Nothing/>"), path="/sys/oms.php")
    assert status == 500
    assert "Fault" in text


async def test_the_description(door: Door) -> None:
    status, _, text = await post(door, b"", path="/sys/oms.php?wsdl")
    assert status == 200
    assert parse_xml(text).attributes["name"] == "OMS"
