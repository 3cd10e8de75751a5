"""Optional parameters: the table of the standard, typed reading and writing."""

from __future__ import annotations

import pytest

from heliograph.protocols.smpp import LocalProtocolError, Tlv, Tlvs, TlvTag, make_tlv, make_tlvs
from heliograph.protocols.smpp.tlv import (
    NO_TLVS,
    TLV_SPECS,
    TlvKind,
    TlvValue,
    decode_tlvs,
    encode_tlvs,
)


def test_every_standard_tag_is_typed() -> None:
    assert set(TLV_SPECS) == {int(tag) for tag in TlvTag}


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (TlvTag.MESSAGE_STATE, 2, b"\x02"),
        (TlvTag.USER_MESSAGE_REFERENCE, 1, b"\x00\x01"),
        (TlvTag.QOS_TIME_TO_LIVE, 86400, b"\x00\x01\x51\x80"),
        (TlvTag.SOURCE_TELEMATICS_ID, 300, b"\x01\x2c"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "855469", b"855469\0"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "", b"\0"),
        (TlvTag.NETWORK_ERROR_CODE, b"\x03\x00\x0b", b"\x03\x00\x0b"),
        (TlvTag.MESSAGE_PAYLOAD, b"", b""),
        (TlvTag.ALERT_ON_MESSAGE_DELIVERY, None, b""),
        (TlvTag.ALERT_ON_MESSAGE_DELIVERY, 1, b"\x01"),
        (0x2000, b"1.4000", b"1.4000"),
    ],
)
def test_typed_value_there_and_back(tag: int, value: TlvValue, octets: bytes) -> None:
    tlv = make_tlv(tag, value)
    assert tlv == (tag, octets)
    assert tlv.read() == value


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (TlvTag.MESSAGE_STATE, 256),
        (TlvTag.MESSAGE_STATE, -1),
        (TlvTag.MESSAGE_STATE, "2"),
        (TlvTag.MESSAGE_STATE, b""),
        (TlvTag.MESSAGE_STATE, None),
        (TlvTag.RECEIPTED_MESSAGE_ID, "x" * 65),
        (TlvTag.RECEIPTED_MESSAGE_ID, "a\0b"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "й"),
        (TlvTag.RECEIPTED_MESSAGE_ID, 5),
        (TlvTag.NETWORK_ERROR_CODE, b"\x03\x00"),
        (TlvTag.MESSAGE_PAYLOAD, b"x" * 65536),
        (0x2000, 5),
        (0x2000, "text"),
    ],
)
def test_value_of_another_type_or_size_is_refused(tag: int, value: TlvValue) -> None:
    with pytest.raises(LocalProtocolError):
        make_tlv(tag, value)


def test_reading_forgives_lengths() -> None:
    tlvs = Tlvs(
        [
            Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\x05"),
            Tlv(TlvTag.MESSAGE_STATE, b"\x00\x02"),
            Tlv(TlvTag.RECEIPTED_MESSAGE_ID, b"no end"),
            Tlv(TlvTag.SAR_MSG_REF_NUM, b""),
            Tlv(TlvTag.QOS_TIME_TO_LIVE, b"123456789"),
        ]
    )
    assert tlvs.number(TlvTag.USER_MESSAGE_REFERENCE) == 5
    assert tlvs.number(TlvTag.MESSAGE_STATE) == 2
    assert tlvs.text(TlvTag.RECEIPTED_MESSAGE_ID) == "no end"
    assert tlvs.number(TlvTag.SAR_MSG_REF_NUM) is None
    assert tlvs.number(TlvTag.QOS_TIME_TO_LIVE) is None
    assert tlvs.number(TlvTag.SOURCE_PORT) is None
    assert tlvs.text(TlvTag.SOURCE_NETWORK_ID) is None
    assert tlvs.raw(TlvTag.SOURCE_PORT) is None
    assert tlvs.first_misshapen() == (TlvTag.USER_MESSAGE_REFERENCE, b"\x05")
    assert tlvs[0].read() == b"\x05"
    assert Tlvs([Tlv(0x1403, b"any")]).first_misshapen() is None


def test_order_and_duplicates_survive_the_wire() -> None:
    tlvs = Tlvs([Tlv(2, b"b"), Tlv(1, b""), Tlv(2, b"c"), Tlv(0xFFFF, b"\0" * 300)])
    assert decode_tlvs(encode_tlvs(tlvs), 0) == tlvs


def test_make_tlvs_keeps_the_order() -> None:
    made = make_tlvs({TlvTag.MESSAGE_STATE: 2, TlvTag.RECEIPTED_MESSAGE_ID: "1"})
    assert made == ((TlvTag.MESSAGE_STATE, b"\x02"), (TlvTag.RECEIPTED_MESSAGE_ID, b"1\0"))


@pytest.mark.parametrize("data", [b"\x02", b"\0\0\1", b"\x04\x24\x00\x05Hell", b"\x04\x24\xff\xff"])
def test_what_does_not_fit_is_none(data: bytes) -> None:
    assert decode_tlvs(data, 0) is None


def test_nothing_is_no_tlvs() -> None:
    assert decode_tlvs(b"abc", 3) is NO_TLVS


def test_kinds_are_all_in_use() -> None:
    assert {spec.kind for spec in TLV_SPECS.values()} == set(TlvKind)
