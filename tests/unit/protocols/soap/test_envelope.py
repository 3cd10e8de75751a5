"""Envelopes of both versions."""

from __future__ import annotations

import pytest

from heliograph.protocols.soap.envelope import (
    SoapError,
    SoapVersion,
    read_envelope,
    write_answer,
    write_fault,
)
from heliograph.protocols.soap.xml import parse_xml


def envelope(body: str, version: SoapVersion = SoapVersion.V11, head: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?><e:Envelope xmlns:e="{version.value}">{head}'
        f"<e:Body>{body}</e:Body></e:Envelope>"
    ).encode()


@pytest.mark.parametrize("version", SoapVersion)
def test_what_is_asked(version: SoapVersion) -> None:
    body = '<s:send xmlns:s="urn:x"><login>alex</login><s:psw>1</s:psw><mes> a\nb </mes></s:send>'
    request = read_envelope(envelope(body, version, "<e:Header><x/></e:Header>"))
    assert request.version is version
    assert (request.body.name, request.body.namespace) == ("send", "urn:x")
    assert request.fields == {"login": "alex", "psw": "1", "mes": " a\nb "}


def test_nil_and_repeated_fields() -> None:
    nil = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'
    body = f"<send><a {nil}>x</a><b>1</b><b>2</b><c/><d><e>x</e></d></send>"
    assert read_envelope(envelope(body)).fields == {"b": "1", "c": "", "d": ""}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a/>",
        b'<Envelope xmlns="urn:x"><Body><a/></Body></Envelope>',
        envelope(""),
        envelope("").replace(b"e:Body", b"e:Other"),
        envelope("<a/>").replace(b"e:Body", b"Body"),
        envelope("<a/>").replace(b"Envelope", b"Other"),
        b'<!DOCTYPE x [<!ENTITY y "z">]>' + envelope("<a>&y;</a>")[21:],
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(SoapError):
        read_envelope(data)


@pytest.mark.parametrize("version", SoapVersion)
def test_answers_and_faults_are_xml(version: SoapVersion) -> None:
    root = parse_xml(write_answer(version, "<a>1</a>"))
    assert (root.namespace, root.name) == (version.value, "Envelope")
    assert root.children[0].text_of("a") == "1"
    for is_ours in (False, True):
        fault = parse_xml(write_fault(version, "a < b & \x00", is_ours=is_ours)).children[0]
        assert fault.children[0].name == "Fault"
        assert fault.children[0].namespace == version.value
