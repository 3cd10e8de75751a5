"""Binary messages: the client's notation, and splitting beside the client's header."""

from __future__ import annotations

import pytest

from heliograph.protocols.sms.binary import (
    BinaryMessage,
    count_binary_parts,
    encode_binary_parts,
    parse_binary,
)
from heliograph.protocols.sms.errors import BinaryFormatError, UdhError
from heliograph.protocols.sms.segmentation import EncodedPart
from heliograph.protocols.sms.udh import InformationElement, parse_udh

_EMS = b"050A0307056048656C6C6F2C20576F726C6421"


def test_hex_message_of_the_reference() -> None:
    message = parse_binary(_EMS, is_hex=True)
    assert message == BinaryMessage(
        elements=(InformationElement(0x0A, b"\x07\x05\x60"),), payload=b"Hello, World!"
    )
    assert encode_binary_parts(message) == [
        EncodedPart(bytes.fromhex("050a03070560"), b"Hello, World!", 4)
    ]


def test_raw_message_is_the_same() -> None:
    raw = bytes.fromhex(_EMS.decode())
    assert parse_binary(raw, is_hex=False) == parse_binary(_EMS.lower(), is_hex=True)


def test_ending_sets_pid_and_dcs() -> None:
    message = parse_binary(_EMS + b"\n~~~\npid: 64, dcs: 245", is_hex=True)
    assert (message.protocol_id, message.data_coding) == (64, 245)
    raw = parse_binary(b"\x00abc\n~~~\npid: 0, dcs: 8", is_hex=False)
    assert (raw.payload, raw.data_coding, raw.elements) == (b"abc", 8, ())


def test_another_ending_is_a_comment_in_hex_and_content_in_raw() -> None:
    assert parse_binary(b"0061\n~~~\nfor Ann", is_hex=True).payload == b"a"
    assert parse_binary(b"\x00a\n~~~\nfor Ann", is_hex=False).payload == b"a\n~~~\nfor Ann"


@pytest.mark.parametrize(
    "text", [b"", b"0", b"xy", b"\xff\xff", b"0061\n~~~\npid: 1, dcs: 256", b"0324020100"]
)
def test_malformed_messages(text: bytes) -> None:
    with pytest.raises(BinaryFormatError):
        parse_binary(text, is_hex=True)


def test_header_longer_than_the_message() -> None:
    with pytest.raises(UdhError):
        parse_binary(b"0500", is_hex=True)


def test_140_octets_are_one_message_with_the_header() -> None:
    message = BinaryMessage(
        elements=(InformationElement(0x0A, b"\x07\x05\x60"),), payload=b"x" * 134
    )
    assert count_binary_parts(message) == 1
    assert count_binary_parts(BinaryMessage(payload=b"x" * 140)) == 1
    assert count_binary_parts(BinaryMessage(payload=b"x" * 141)) == 2


def test_long_messages_are_split_beside_their_header() -> None:
    ports = InformationElement(0x05, b"\x0b\x84\x23\xf0")
    payload = bytes(range(256)) * 2
    parts = encode_binary_parts(BinaryMessage(elements=(ports,), payload=payload), reference=77)
    assert b"".join(part.payload for part in parts) == payload
    for number, part in enumerate(parts, 1):
        header = parse_udh(part.udh)
        assert header.elements[1:] == (ports,)
        assert header.concatenation is not None
        assert (header.concatenation.number, header.concatenation.total) == (number, len(parts))
        assert header.concatenation.reference == 77
        assert len(part.udh) + len(part.payload) <= 140
    assert len(parts[0].udh) + len(parts[0].payload) == 140


def test_plain_long_messages_get_134_octets_a_part() -> None:
    parts = encode_binary_parts(BinaryMessage(payload=b"x" * 269))
    assert [len(part.payload) for part in parts] == [134, 134, 1]


@pytest.mark.parametrize(
    "message",
    [
        BinaryMessage(elements=(InformationElement(0x00, b"\x01\x02\x01"),), payload=b"x" * 135),
        BinaryMessage(payload=b"x" * (134 * 255 + 1)),
        BinaryMessage(elements=(InformationElement(0x70, b"x" * 132),), payload=b"x" * 10),
        BinaryMessage(elements=(InformationElement(0x70, b"x" * 200),), payload=b""),
    ],
)
def test_messages_that_cannot_be_split(message: BinaryMessage) -> None:
    with pytest.raises(UdhError):
        encode_binary_parts(message)


def test_a_part_made_by_the_client_goes_out_as_it_is() -> None:
    message = parse_binary(b"05000301020161", is_hex=True)
    assert encode_binary_parts(message) == [EncodedPart(bytes.fromhex("050003010201"), b"a", 4)]
