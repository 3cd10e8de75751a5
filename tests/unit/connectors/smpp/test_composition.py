"""Composition: the operator's alphabets and ways of long messages; the part count never changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.connector_events import make_message

from heliograph.connectors.smpp.composition import Composer
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.domain.messages import Message, MessageType
from heliograph.protocols.smpp.codec import decode, encode
from heliograph.protocols.smpp.constants import TlvTag
from heliograph.protocols.smpp.errors import LocalProtocolError
from heliograph.protocols.smpp.pdu import SubmitSm
from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.segmentation import count_parts


def _compose(message: Message, seq: int = 1, **settings: Any) -> SubmitSm:
    composer = Composer(SmppSettings(host="h", **settings))
    pdu = composer.compose(message.parts[seq - 1], message.created_at)
    again = decode(encode(pdu, 1))
    assert isinstance(again, SubmitSm)
    return again


@pytest.mark.parametrize(
    ("alphabet", "text", "data_coding", "content"),
    [
        ("gsm7", "a@€", 0, b"a\x00\x1b\x65"),
        ("gsm7-packed", "Hello", 0, bytes.fromhex("c8329bfd06")),
        ("latin1", "a@ü", 0, b"a@\xfc"),
        ("latin1", "10 €", 8, "10 €".encode("utf-16-be")),
        ("ascii", "a@", 0, b"a@"),
        ("ascii", "ü", 8, b"\x00\xfc"),
        ("gsm7", "Привет", 8, "Привет".encode("utf-16-be")),
    ],
)
def test_alphabets(alphabet: str, text: str, data_coding: int, content: bytes) -> None:
    pdu = _compose(make_message(text=text), default_alphabet=alphabet)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, content)


def test_an_operator_with_its_own_numbers() -> None:
    settings = {"data_coding": 3, "ucs2_data_coding": 24, "service_type": "CMT"}
    assert _compose(make_message(text="abc"), **settings).data_coding == 3
    pdu = _compose(make_message(text="Привет"), **settings)
    assert (pdu.data_coding, pdu.service_type) == (24, "CMT")


def test_a_long_text_with_signs_outside_latin1_keeps_its_parts() -> None:
    text = "Δ" + "a" * 199
    pdu = _compose(make_message(text=text, part_count=2), default_alphabet="latin1")
    assert pdu.short_message[6:] == b"?" + b"a" * 152


@pytest.mark.parametrize(("signs", "data_coding"), [(66, 8), (67, 0)])
def test_what_is_sent_as_ucs2_leaves_room_for_a_long_header(signs: int, data_coding: int) -> None:
    message = make_message(text="a" * 152 + "Δ" * signs, part_count=2)
    pdu = _compose(message, 2, default_alphabet="ascii", long_messages="udh16")
    assert (pdu.short_message[0], pdu.data_coding) == (6, data_coding)
    assert len(pdu.short_message) <= 140


@pytest.mark.parametrize(("length", "is_wide"), [(300, True), (306, False)])
def test_a_16_bit_reference_never_costs_a_part(length: int, is_wide: bool) -> None:
    message = make_message(text="a" * length, part_count=2)
    pdus = [_compose(message, seq, long_messages="udh16") for seq in (1, 2)]
    header = bytes.fromhex("060804") if is_wide else bytes.fromhex("050003")
    assert all(pdu.short_message.startswith(header) for pdu in pdus)
    assert {pdu.esm_class for pdu in pdus} == {0x40}
    assert [pdu.short_message[header[0]] for pdu in pdus] == [1, 2]
    bodies = b"".join(pdu.short_message[header[0] + 1 :] for pdu in pdus)
    assert bodies == b"a" * length


def test_sar() -> None:
    message = make_message(text="я" * 100, part_count=2)
    for seq in (1, 2):
        pdu = _compose(message, seq, long_messages="sar")
        assert pdu.esm_class == 0
        assert pdu.tlvs.number(TlvTag.SAR_MSG_REF_NUM) == message.id & 0xFFFF
        assert pdu.tlvs.number(TlvTag.SAR_TOTAL_SEGMENTS) == 2
        assert pdu.tlvs.number(TlvTag.SAR_SEGMENT_SEQNUM) == seq


def test_flash() -> None:
    short = make_message(text="abc", type=MessageType.FLASH)
    assert _compose(short).data_coding == 0x10
    long = make_message(text="я" * 100, part_count=2, type=MessageType.FLASH)
    assert _compose(long, 2).data_coding == 0x18


@pytest.mark.parametrize(
    "message",
    [
        make_message(text="zz", type=MessageType.BINARY),
        make_message(text="00", part_count=2, type=MessageType.BINARY),
        make_message(text="a" * 161),
        make_message(text="abc", part_count=2),
    ],
)
def test_what_does_not_match_its_parts_is_an_error(message: Message) -> None:
    with pytest.raises(LocalProtocolError):
        _compose(message, len(message.parts))


@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=500),
    way=st.sampled_from(["udh8", "udh16", "sar"]),
    alphabet=st.sampled_from(["gsm7", "gsm7-packed", "latin1", "ascii"]),
)
def test_every_counted_part_can_be_composed(text: str, way: str, alphabet: str) -> None:
    message = make_message(text=text, part_count=count_parts(text)[1])
    composer = Composer(SmppSettings(host="h", long_messages=way, default_alphabet=alphabet))
    received = ""
    for part in message.parts:
        pdu = composer.compose(part, message.created_at)
        header = pdu.short_message[0] + 1 if pdu.esm_class else 0
        assert len(pdu.short_message) <= 160 or alphabet in {"latin1", "ascii"}
        encode(pdu, 1)
        if alphabet == "gsm7":
            body = pdu.short_message[header:]
            received += body.decode("utf-16-be") if pdu.data_coding else gsm7.decode(body)
    if alphabet == "gsm7":
        assert received == text
