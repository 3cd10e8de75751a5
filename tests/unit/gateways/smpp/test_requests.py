"""From PDUs to requests and pieces."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.pieces import Piece
from heliograph.domain.requests import SendRequest
from heliograph.gateways.smpp.requests import Fault, Reader, read_times
from heliograph.protocols.smpp import CommandStatus, SubmitSm, Tlv, Tlvs

ACCOUNT = Account(id=7, login="alex", payer_id=7)
NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
S = CommandStatus


def read(*, is_latin: bool = False, **fields: Any) -> SendRequest | Piece | Fault:
    fields = {"destination_addr": "79161234567", "short_message": b"Hello"} | fields
    return Reader(is_latin=is_latin).read(SubmitSm(**fields), ACCOUNT, NOW_MS)


def request(**fields: Any) -> SendRequest:
    found = read(**fields)
    assert isinstance(found, SendRequest)
    return found


def test_a_plain_message() -> None:
    found = request(source_addr="ivan", source_addr_ton=5, dest_addr_ton=1, registered_delivery=1)
    assert (found.door, found.sender, found.type) == ("smpp", "ivan", MessageType.SMS)
    assert found.entries[0].text == "Hello"
    assert found.options == {"receipt": 1, "echo": "5.0.1.0.ivan"}
    assert request().options == {}


@pytest.mark.parametrize(("source", "sender"), [("", None), (".", ""), ("ivan", "ivan")])
def test_senders(source: str, sender: str | None) -> None:
    assert request(source_addr=source).sender == sender


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"__HLR__", "__HLR__"),
        (b"\x11\x11HLR\x11\x11", "__HLR__"),
        (b"__CALL__ code", "__CALL__ code"),
        (b"__x__", "§§x§§"),
        (b"text\n~~~\nnote", "text\n~~~\nnote"),
        (b"text\r\n~~~", "text\r\n~~~"),
        (b"a~~~b", "aüüüb"),
    ],
)
def test_words_of_the_interface_in_the_gsm_alphabet(content: bytes, text: str) -> None:
    assert request(short_message=content).entries[0].text == text


@pytest.mark.parametrize(
    ("content", "text"), [(b"plain @ _", "plain @ _"), (b"\0 gsm", "@ gsm"), (b"caf\xe9", "café")]
)
def test_coding_1_is_what_its_octets_say(content: bytes, text: str) -> None:
    assert request(short_message=content, data_coding=1).entries[0].text == text


@pytest.mark.parametrize(
    ("schedule", "validity", "expected"),
    [
        ("", "", (0, 0)),
        ("", "000000010000000R", (0, HOUR_MS)),
        ("000000010000000R", "000000030000000R", (NOW_MS + HOUR_MS, 2 * HOUR_MS)),
        ("231114221320000+", "", (NOW_MS, 0)),
        ("", "231114231320000+", (0, HOUR_MS)),
        ("", "231115011320008+", (0, HOUR_MS)),  # eight quarters of an hour ahead of UTC
        ("", "000100000000000R", (0, 168 * HOUR_MS)),  # a month is cut to the longest life
    ],
)
def test_times(schedule: str, validity: str, expected: tuple[int, int]) -> None:
    assert read_times(schedule, validity, NOW_MS) == expected


@pytest.mark.parametrize(
    ("schedule", "validity", "status"),
    [
        ("not a time", "", S.ESME_RINVSCHED),
        ("990101000000000+", "", S.ESME_RINVSCHED),
        ("", "000000000000000", S.ESME_RINVEXPIRY),
        ("", "200101000000000+", S.ESME_RINVEXPIRY),
        ("000000020000000R", "000000010000000R", S.ESME_RINVEXPIRY),
    ],
)
def test_wrong_times(schedule: str, validity: str, status: int) -> None:
    assert read_times(schedule, validity, NOW_MS) == Fault(status)


def test_pieces() -> None:
    found = read(esm_class=0x40, short_message=b"\5\0\3\x2a\2\1part", registered_delivery=1)
    assert isinstance(found, Piece)
    assert (found.reference, found.total, found.number, found.content) == (42, 2, 1, b"part")
    assert found.key == (7, "", "79161234567", 42, 2)
    assert found.options["receipt"] == 1
    bad = read(esm_class=0x40, short_message=b"\5\0\3\x2a\2\1part", destination_addr="12")
    assert bad == Fault(S.ESME_RINVDSTADR)


def test_ports_by_parameter_become_a_header() -> None:
    tlvs = Tlvs([Tlv(0x020B, b"\x0b\x84"), Tlv(0x020A, b"\x23\xf0")])
    found = request(tlvs=tlvs, short_message=b"\1\2", data_coding=4)
    assert found.type is MessageType.BINARY
    assert found.entries[0].text == "0605040b8423f00102"


def test_octets_keep_their_coding_and_protocol() -> None:
    found = request(data_coding=0xF5, protocol_id=0x7F, short_message=b"\1")
    assert (found.entries[0].text, found.options) == ("0001", {"dcs": 0xF5, "pid": 0x7F})
    ping = request(protocol_id=0x40, short_message=b"")
    assert ping.type is MessageType.PING
