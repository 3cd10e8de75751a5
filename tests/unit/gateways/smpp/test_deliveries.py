"""deliver_sm to clients, octet by octet."""

from __future__ import annotations

import pytest

from heliograph.domain.deliveries import RECEIPT
from heliograph.domain.events import OutboxEvent
from heliograph.domain.messages import MessageState
from heliograph.gateways.smpp.deliveries import SMPP_STATE, compose_delivery, format_price
from heliograph.protocols.smpp import (
    STAT_BY_STATE,
    BindTransceiver,
    DeliverSm,
    SmscSession,
    decode,
    encode,
)
from heliograph.protocols.smpp.session import SessionConfig

# 2024-01-01 12:00 in Moscow.
MADE_S = 1_704_099_600

# The example of the interface's description, section 8.
EXAMPLE = bytes.fromhex(
    """
    00 00 00 CD 00 00 00 05 00 00 00 00 00 00 00 01 00 01 01 37 39 39 39 39 39 39 39 39 39 39 00 05
    00 69 76 61 6E 00 04 00 00 00 00 00 00 00 00 67 69 64 3A 38 35 35 34 36 39 20 73 75 62 3A 30 30
    31 20 64 6C 76 72 64 3A 30 30 31 20 73 75 62 6D 69 74 20 64 61 74 65 3A 32 34 30 31 30 31 31 32
    30 30 20 64 6F 6E 65 20 64 61 74 65 3A 32 34 30 31 30 31 31 32 30 31 20 73 74 61 74 3A 44 45 4C
    49 56 52 44 20 65 72 72 3A 30 30 30 20 74 65 78 74 3A 48 65 6C 6C 6F 00 1E 00 07 38 35 35 34 36
    39 00 04 27 00 01 02 04 23 00 03 03 00 00 20 00 00 06 31 2E 34 30 30 30 20 01 00 02 00 00 20 02
    00 02 00 01 20 03 00 05 32 35 30 30 31
    """
)


def event(kind: str = RECEIPT, **payload: str) -> OutboxEvent:
    receipt = {
        "id": "855469",
        "phone": "79999999999",
        "state": str(int(MessageState.DELIVERED)),
        "err": "0",
        "made": str(MADE_S),
        "ts": str(MADE_S + 60),
        "cnt": "1",
        "flag": "0",
        "cost": "1400000",
        "mccmnc": "25001",
        "mes": "Hello",
        "sender": "ivan",
        "echo": "5.0.1.1.ivan",
    }
    incoming = {"id": "1", "phone": "79999999999", "mes": "Hi", "to": "3434"}
    base = receipt if kind == RECEIPT else incoming
    return OutboxEvent(
        id=1, account_id=1, message_id=1, kind=kind, payload=base | payload, created_at=0
    )


def compose(given: OutboxEvent, *, is_latin: bool = False, version: int = 0x34) -> DeliverSm:
    return compose_delivery(given, timezone_minutes=180, is_latin=is_latin, version=version)


def test_the_example_of_the_description() -> None:
    assert encode(compose(event()), 1) == EXAMPLE


def test_the_bind_of_the_description() -> None:
    session = SmscSession(0.0, SessionConfig(interface_version=0x50))
    octets = bytes.fromhex(
        "0000001E00000009000000000000000161 6C6578003132330000340000 00".replace(" ", "")
    )
    (bind,) = session.receive(octets, 0.0)
    assert isinstance(bind, BindTransceiver)
    assert session.accept_bind(bind, "smsc") == bytes.fromhex(
        "0000001A800000090000000000000001736D73630002100001 34".replace(" ", "")
    )


def test_every_state_has_a_word() -> None:
    assert set(SMPP_STATE) == set(MessageState)
    for state in MessageState:
        pdu = compose(event(state=str(int(state)), err="245"))
        word = STAT_BY_STATE[SMPP_STATE[state]]
        assert f"stat:{word} err:245 text:" in pdu.short_message.decode()
        assert decode(encode(pdu, 1))


def test_a_network_query() -> None:
    answer = {"imsi": "250023012345678", "msc": "79232510066", "mcc": "250", "mnc": "02"}
    names = {"cn": "Russian Federation", "net": "MegaFON open Joint Stock Company"}
    pdu = compose(event(flag="4", **answer, **names))
    assert pdu.short_message.decode() == (
        "id:855469 stat:DELIVRD err:000 imsi:250023012345678 msc:79232510066 mcc:250 mnc:02 "
        "cn:Russian+Federation net:MegaFON+open+Joint+Stock+Company rcn: rnet:"
    )
    assert pdu.tlvs.number(0x2001) == 4


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, b"0.0000"),
        (1_400_000, b"1.4000"),
        (12_345_678, b"12.345"),
        (123_456_789, b"123.45"),
        (12_345_000_000, b"12345"),
        (123_456_000_000, b"123456"),
        (1_234_567_000_000, b"999999"),
        (-1, b"0.0000"),
    ],
)
def test_prices_have_six_octets_at_most(micros: int, text: bytes) -> None:
    assert format_price(micros) == text


def test_texts_that_are_not_ascii() -> None:
    pdu = compose(event(mes="Привет", sender="x"))
    assert pdu.short_message.endswith(b"text:??????")


def test_what_the_client_did_not_say_is_filled_in() -> None:
    pdu = compose(event(echo="0.0.0.0.", sender="default", mccmnc=""))
    assert pdu.destination_addr == "default"
    assert pdu.tlvs.raw(0x2003) is None


def test_parameters_are_for_those_who_know_them() -> None:
    assert compose(event(), version=0x33).tlvs == ()


@pytest.mark.parametrize(
    ("text", "is_latin", "coding", "octets"),
    [
        ("Hi @", False, 0, b"Hi \0"),
        ("Hi @é", True, 0, b"Hi @\xe9"),
        ("Привет", False, 8, "Привет".encode("utf-16-be")),
        ("Привет", True, 8, "Привет".encode("utf-16-be")),
        ("ok {}", False, 0, b"ok \x1b(\x1b)"),
    ],
)
def test_incoming_texts(text: str, is_latin: bool, coding: int, octets: bytes) -> None:
    pdu = compose(event("incoming", mes=text), is_latin=is_latin)
    assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0, coding, octets)
    assert (pdu.source_addr, pdu.destination_addr) == ("79999999999", "3434")


def test_long_incoming_texts_go_into_the_payload() -> None:
    pdu = compose(event("incoming", mes="a" * 255))
    assert pdu.short_message == b""
    assert pdu.tlvs.raw(0x0424) == b"a" * 255
