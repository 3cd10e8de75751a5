"""Office Mobile Service as programs use it that are made from its description: zeep and npm's soap.

What Outlook sends inside the strings is written here as Microsoft's documents show it.
"""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zeep
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

PHONES = ("79161234567", "79161234568")
NAMESPACE = "http://schemas.microsoft.com/office/Outlook/2006/OMS"
_HERE = Path(__file__).parent

# (operation, its arguments) -> the document in the answer
Call = Callable[[str, dict[str, str]], ET.Element]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    limits = ("limits.enforce=false", "limits.duplicates=false")
    running = Gateway(tmp_path_factory.mktemp("oms"), *limits)
    running.create_account(settings={"phone": "79581112233", "email": "boss@example.com"})
    try:
        yield running.start()
    finally:
        running.stop()


def user(password: str = PASSWORD) -> str:
    return (
        f"<user><userId>{LOGIN}</userId><password>{password}</password><replyPhone/>"
        "<customData/></user>"
    )


def message(*texts: str, password: str = PASSWORD, scheduled: str = "") -> str:
    contents = "".join(
        f'<content contentType="text/plain" contentId="Att{n}.txt@example" '
        f'contentLocation="{n}.txt">{text}</content>'
        for n, text in enumerate(texts)
    )
    recipients = "".join(f"<recipient>{phone}</recipient>" for phone in PHONES)
    return (
        f'<?xml version="1.0" encoding="utf-16"?><xmsData xmlns="{NAMESPACE}" '
        f'client="Microsoft Office Outlook 14.0">{user(password)}<xmsHead>'
        f"<scheduled>{scheduled}</scheduled><requiredService>SMS_SENDER</requiredService>"
        f'<to>{recipients}</to></xmsHead><xmsBody format="SMS">{contents}</xmsBody></xmsData>'
    )


def code(document: ET.Element) -> str:
    error = document.find(f"{{{NAMESPACE}}}error")
    assert error is not None
    return error.attrib["code"]


def texts_sent(gateway: Gateway, phone: str) -> list[str]:
    found = gateway.call("get", get_messages=1, phone=phone)
    return [each["message"] for each in found] if isinstance(found, list) else []


def use_all(gateway: Gateway, call: Call, mark: str) -> None:
    """Every operation, as Outlook sets up an account and sends."""
    info = call("GetServiceInfo", {})
    service = info.find(f"{{{NAMESPACE}}}supportedService/{{{NAMESPACE}}}SMS_SENDER")
    assert service is not None
    assert service.attrib["maxDbcsPerMessage"] == "70"
    who = user().replace("<user>", f'<xmsUser xmlns="{NAMESPACE}" client="Outlook">')
    who = who.replace("</user>", "</xmsUser>")
    known = call("GetUserInfo", {"xmsUser": who})
    assert code(known) == "ok"
    assert known.findtext(f"{{{NAMESPACE}}}replyPhone") == "79581112233"
    assert known.findtext(f"{{{NAMESPACE}}}smtpAddress") == "boss@example.com"
    wrong = call("GetUserInfo", {"xmsUser": who.replace(PASSWORD, "no")})
    assert code(wrong) == "invalidUser"
    for operation in ("SendXms", "DeliverXms"):
        parts = [f"{mark} {operation} Привет 1", f"{mark} {operation} 2 &amp; more"]
        assert code(call(operation, {"xmsData": message(*parts)})) == "ok"
        for phone in PHONES:
            sent = texts_sent(gateway, phone)
            assert {part.replace("&amp;", "&") for part in parts} <= set(sent)
    refused = call("DeliverXms", {"xmsData": message("x", password="no")})
    assert code(refused) == "invalidUser"
    later = datetime.now(UTC) + timedelta(hours=2)
    planned = message(f"{mark} later", scheduled=f"{later:%Y-%m-%dT%H:%M:%SZ}")
    assert code(call("DeliverXms", {"xmsData": planned})) == "ok"
    found = gateway.call("get", get_messages=1, phone=PHONES[0])
    (waiting,) = [each for each in found if each["message"] == f"{mark} later"]
    assert waiting["status"] == -1


def test_zeep(gateway: Gateway) -> None:
    client = zeep.Client(f"{gateway.base}/sys/oms.php?wsdl")

    def call(operation: str, arguments: dict[str, str]) -> ET.Element:
        return ET.fromstring(client.service[operation](**arguments).encode("utf-16"))

    use_all(gateway, call, "zeep")


def test_npm_soap(gateway: Gateway, npm_modules: Path, node: list[str]) -> None:
    def call(operation: str, arguments: dict[str, str]) -> ET.Element:
        task = {
            "wsdl": f"{gateway.base}/oms/?wsdl",
            "calls": [[operation, arguments]],
            "options": {},
        }
        done = subprocess.run(
            [*node, str(_HERE / "call_with_soap.cjs")],
            input=json.dumps(task),
            cwd=_HERE,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["results"][0]
        return ET.fromstring(next(iter(result.values())).encode("utf-16"))

    use_all(gateway, call, "node")
