"""Names, headers, parts and times out of shape, at the live door: told so, and nothing else breaks.

What clients mean well and write badly is in `test_hostile` and `test_messages`.
"""

from __future__ import annotations

import struct
import time
from typing import Any

import pytest
from tests.harness.esme import PHONE, Esme, message, receipt_of
from tests.harness.gateway import Gateway

from heliograph.protocols.smpp import (
    CancelSm,
    CommandStatus,
    QuerySm,
    Tlv,
    Tlvs,
    encode,
    format_absolute,
    format_relative,
)

S = CommandStatus
HOUR_MS = 3_600_000


def by_http(door: Gateway, message_id: str) -> Any:
    return door.status(message_id, PHONE, all=1)


async def ask_raw(esme: Esme, octets: bytes, sequence: int) -> Any:
    """The answer to a PDU that our own encoder would not write; its length is put right."""
    esme.write(struct.pack("!I", len(octets)) + octets[4:])
    return await esme.find(lambda p: p.is_response and p.sequence_number == sequence)


# --- names and addresses --------------------------------------------------------------------------


async def test_a_name_with_a_sign_that_is_zero(door: Gateway, esme: Esme) -> None:
    """`@` is the octet 0 in the GSM alphabet: the name ends there and all that follows is moved."""
    whole = encode(message(source_addr="info-shop"), 50)
    broken = whole.replace(b"info-shop", b"info\0shop")
    answer = await ask_raw(esme, broken, 50)
    assert answer.command_status
    assert (await esme.ask(message())).command_status == 0


@pytest.mark.parametrize(
    ("field", "status"),
    [("source_addr", S.ESME_RINVSRCADR), ("destination_addr", S.ESME_RINVDSTADR)],
)
@pytest.mark.parametrize("size", [21, 65, 3000])
async def test_addresses_longer_than_the_standard_has_them(
    esme: Esme, field: str, status: int, size: int
) -> None:
    mark = "7" * 15
    fields = {"source_addr": mark} if field == "source_addr" else {}
    phone = mark if field == "destination_addr" else PHONE
    whole = encode(message(phone=phone, **fields), 51)
    answer = await ask_raw(esme, whole.replace(mark.encode(), b"7" * size), 51)
    assert answer.command_status == status
    assert (await esme.ask(message())).command_status == 0


# --- headers and parts ----------------------------------------------------------------------------


async def test_national_alphabets_stand_before_the_concatenation(door: Gateway, esme: Esme) -> None:
    """Single and locking shift to Turkish, then the element that joins the parts."""
    ids = []
    for number, piece in enumerate((b"\x04uro \x1bs", b"g\x07\x0b"), 1):
        header = b"\x24\1\1\x25\1\1\0\3\x5a\2" + bytes([number])
        pdu = message(short_message=bytes([len(header)]) + header + piece, esm_class=0x40)
        ids.append((await esme.ask(pdu)).message_id)
    for each in ids:
        await receipt_of(esme, each)
    assert by_http(door, ids[0])["message"] == "€uro şgıĞ"


async def test_parts_that_do_not_agree_on_their_number(esme: Esme) -> None:
    """One of two and two of three are no message; each fails by itself."""
    ids = []
    for total, number in ((2, 1), (3, 2), (3, 3)):
        header = bytes([5, 0, 3, 0x5B, total, number])
        answer = await esme.ask(message(short_message=header + b"part", esm_class=0x40))
        assert answer.command_status == 0
        ids.append(answer.message_id)
    for each in ids:
        assert b"stat:UNDELIV err:241" in (await receipt_of(esme, each)).short_message


@pytest.mark.parametrize("way", ["udh", "sar"])
async def test_the_rest_comes_when_the_first_part_was_given_up(esme: Esme, way: str) -> None:
    """Hours later, by the clock of `smpp.join_s`: a part that came too late is alone as well."""
    for number in (1, 2):
        answer = await esme.ask(_part(way, number))
        assert answer.command_status == 0
        pdu = await receipt_of(esme, answer.message_id)
        assert b"stat:UNDELIV err:241" in pdu.short_message
        state = await esme.ask(QuerySm(message_id=answer.message_id))
        assert (state.message_state, state.error_code) == (5, 241)


def _part(way: str, number: int) -> Any:
    if way == "udh":
        header = bytes([5, 0, 3, 0x5C, 2, number])
        return message(short_message=header + b"late", esm_class=0x40)
    tlvs = Tlvs([Tlv(0x020C, b"\0\x5d"), Tlv(0x020E, b"\2"), Tlv(0x020F, bytes([number]))])
    return message(short_message=b"late", tlvs=tlvs)


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quarters", [0, 23, 48, -14, -48])
async def test_times_of_every_zone(door: Gateway, esme: Esme, quarters: int) -> None:
    """Quarter hours ahead of UTC and behind it: Nepal, the date line, Newfoundland."""
    due = (int(time.time()) + 7200) * 1000
    answer = await esme.ask(
        message(
            f"zone {quarters}",
            schedule_delivery_time=format_absolute(due, quarter_hours=quarters),
            validity_period=format_absolute(due + HOUR_MS, quarter_hours=-quarters),
        )
    )
    assert answer.command_status == 0
    status = by_http(door, answer.message_id)
    assert status["status"] == -1
    assert status["send_timestamp"] == due // 1000
    assert (await esme.ask(CancelSm(message_id=answer.message_id))).command_status == 0


@pytest.mark.parametrize(
    ("schedule", "validity", "status"),
    [
        ("000000000000000+", "", S.ESME_RINVSCHED),  # all zero: no such month
        ("0000000000000000", "", S.ESME_RINVSCHED),
        ("260230120000000+", "", S.ESME_RINVSCHED),  # the 30th of February
        ("270101120000049+", "", S.ESME_RINVSCHED),  # more than twelve hours from UTC
        ("2701011200000", "", S.ESME_RINVSCHED),
        ("", "000000000000000R", S.ESME_RINVEXPIRY),  # over when it begins
        ("", "000000000000000+", S.ESME_RINVEXPIRY),
        ("", "000101000000000+", S.ESME_RINVEXPIRY),  # the year 2000
        ("000101000000000+", "", 0),  # in the past: at once
        ("000000000000000R", "", 0),
        ("", "990101000000000+", 0),  # the year 2099 is not 1999: cut to the longest life
    ],
)
async def test_times_that_make_no_sense(
    esme: Esme, schedule: str, validity: str, status: int
) -> None:
    answer = await esme.ask(message(schedule_delivery_time=schedule, validity_period=validity))
    assert answer.command_status == status
    if not status:
        await receipt_of(esme, answer.message_id)


async def test_a_life_that_is_over_before_the_sending(esme: Esme) -> None:
    answer = await esme.ask(
        message(
            schedule_delivery_time=format_relative(2 * HOUR_MS),
            validity_period=format_absolute((int(time.time()) + 3600) * 1000),
        )
    )
    assert answer.command_status == S.ESME_RINVEXPIRY
