"""Messages of every kind through the SMPP door: codings, long ones, those that wait."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.harness.esme import PHONE, Esme, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import (
    CancelSm,
    CommandStatus,
    DataSm,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitSm,
    Tlv,
    Tlvs,
    format_absolute,
    format_relative,
)

UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")
LONG = "The quick brown fox jumps over the lazy dog. " * 8
S = CommandStatus


def by_http(door: Gateway, message_id: str, phone: str = PHONE, **fields: Any) -> Any:
    return door.status(message_id, phone, all=1, **fields)


# --- codings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_coding", "octets", "text", "kind"),
    [
        (0, b"Hello \0 \x1b\x65", "Hello @ €", 0),
        (1, b"plain", "plain", 0),
        (3, "café".encode("latin-1"), "café", 0),
        (6, "Привет".encode("iso8859-5"), "Привет", 0),
        (8, "Привет".encode("utf-16-be"), "Привет", 0),
        (0x10, b"flash", "flash", 1),
        (0x18, "вспышка".encode("utf-16-be"), "вспышка", 1),
        (2, b"\1\2\xff", "000102ff", 2),
        (4, b"\1\2\xff", "000102ff", 2),
        (8, "Привет".encode(), "Привет", 0),  # UTF-8 where UCS-2 is claimed
        (0, "Привет".encode(), "Привет", 0),
    ],
)
async def test_codings(
    door: Gateway, esme: Esme, *, data_coding: int, octets: bytes, text: str, kind: int
) -> None:
    answer = await esme.ask(message(data_coding=data_coding, short_message=octets))
    assert answer.command_status == 0
    status = by_http(door, answer.message_id)
    assert (status["message"], status["type"]) == (text, kind)
    pdu = await receipt_of(esme, answer.message_id)
    assert pdu.tlvs.number(0x2001) == kind


async def test_latin_by_system_type(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD, system_type="ISO")
    octets = "prix: 5 £ à café".encode("latin-1")
    answer = await esme.ask(message(short_message=octets))
    assert by_http(door, answer.message_id)["message"] == "prix: 5 £ à café"
    await esme.close()


async def test_message_payload_is_split_by_the_server(door: Gateway, esme: Esme) -> None:
    text = LONG[:400]
    tlvs = Tlvs([Tlv(0x0424, text.encode())])
    answer = await esme.ask(message(short_message=b"", tlvs=tlvs))
    pdu = await receipt_of(esme, answer.message_id)
    assert (pdu.tlvs.number(0x2002), pdu.tlvs.raw(0x2000)) == (3, b"3.0000")
    assert by_http(door, answer.message_id)["message"] == text


async def test_prefixes_comments_and_ping(door: Gateway, esme: Esme) -> None:
    hlr = await esme.ask(message("__HLR__"))
    ping = await esme.ask(message("", protocol_id=0x40))
    noted = await esme.ask(message("text\n~~~\nmy own note"))
    pdu = await receipt_of(esme, hlr.message_id)
    assert re.match(
        rf"id:{hlr.message_id} stat:DELIVRD err:000 imsi:\d* msc:\d* mcc:\d+ mnc:\d+ cn:\S* net:",
        pdu.short_message.decode(),
    )
    assert pdu.tlvs.number(0x2001) == 4
    assert (await receipt_of(esme, ping.message_id)).tlvs.number(0x2001) == 5
    status = by_http(door, noted.message_id)
    assert (status["message"], status["comment"]) == ("text", "my own note")


# --- long messages --------------------------------------------------------------------------------


def cut(text: str, size: int, reference: int, *, way: str = "udh8") -> list[SubmitSm]:
    """Parts of a text, as clients make them."""
    pieces = [text[at : at + size].encode() for at in range(0, len(text), size)]
    total = len(pieces)
    parts = []
    for number, piece in enumerate(pieces, 1):
        if way == "sar":
            tlvs = Tlvs(
                [
                    Tlv(0x020C, reference.to_bytes(2, "big")),
                    Tlv(0x020E, bytes([total])),
                    Tlv(0x020F, bytes([number])),
                ]
            )
            parts.append(message(short_message=piece, tlvs=tlvs))
            continue
        header = bytes([5, 0, 3, reference & 0xFF, total, number])
        if way == "udh16":
            header = b"\6\x08\4" + reference.to_bytes(2, "big") + bytes([total, number])
        parts.append(message(short_message=header + piece, esm_class=0x40))
    return parts


@pytest.mark.parametrize("way", ["udh8", "udh16", "sar"])
async def test_parts_in_any_order_become_one_message(door: Gateway, esme: Esme, way: str) -> None:
    text = LONG[:300]
    parts = cut(text, 134, 77, way=way)
    answers = [await esme.ask(part) for part in reversed(parts)]
    ids = [answer.message_id for answer in answers]
    assert len(set(ids)) == 3
    for message_id in ids:
        pdu = await receipt_of(esme, message_id)
        assert pdu.tlvs.number(0x2002) == 1
        assert (await esme.ask(QuerySm(message_id=message_id))).message_state == 2
    status = by_http(door, ids[0])
    assert (status["message"], status["status"]) == (text, 1)


async def test_parts_over_several_binds(door: Gateway, esme: Esme) -> None:
    other = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind="tx")
    stranger = await Esme.bind(door.smpp, "slow", PASSWORD)
    first, second = cut(LONG[:200], 134, 78)
    one = await esme.ask(first)
    # The same reference from another account is another message.
    lonely = await stranger.ask(second)
    again = await other.ask(first)
    assert again.message_id == one.message_id  # a repetition of what is there already
    two = await other.ask(second)
    await receipt_of(esme, one.message_id)
    await receipt_of(esme, two.message_id)
    # Nothing more comes for the stranger: error 241 after smpp.join_s.
    pdu = await receipt_of(stranger, lonely.message_id)
    assert b"stat:UNDELIV err:241" in pdu.short_message
    state = await stranger.ask(QuerySm(message_id=lonely.message_id))
    assert (state.message_state, state.error_code) == (5, 241)
    await other.close()
    await stranger.close()


async def test_parts_wait_over_a_restart(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", *UNLIMITED, doors=("smpp",))
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    first, second = cut(LONG[:200], 134, 79)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    one = await esme.ask(first)
    waiting = await esme.ask(QuerySm(message_id=one.message_id))
    assert (waiting.command_status, waiting.message_state) == (0, 1)
    gateway.kill()
    await esme.close()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    two = await esme.ask(second)
    for answer in (one, two):
        await receipt_of(esme, answer.message_id)
    assert by_http(gateway, one.message_id)["message"] == LONG[:200]
    await esme.close()
    assert await asyncio.to_thread(gateway.stop) == 0


async def test_surrogates_cut_in_two(door: Gateway, esme: Esme) -> None:
    octets = ("я" * 66 + "😀" + "ю" * 20).encode("utf-16-be")
    ids = []
    for number, piece in enumerate((octets[:134], octets[134:]), 1):
        udh = bytes([5, 0, 3, 9, 2, number])
        pdu = message(short_message=udh + piece, esm_class=0x40, data_coding=8)
        ids.append((await esme.ask(pdu)).message_id)
    assert by_http(door, ids[0])["message"] == octets.decode("utf-16-be")


@pytest.mark.parametrize(
    "header",
    [
        b"\5\0\3\x09\1\1",  # one part
        b"\5\0\3\x09\2\0",  # part 0
        b"\5\0\3\x09\2\3",  # beyond the total
        b"\3\x24\1\1",  # a national alphabet
    ],
)
async def test_headers_that_make_no_part(door: Gateway, esme: Esme, header: bytes) -> None:
    answer = await esme.ask(message(short_message=header + b"text", esm_class=0x40))
    await receipt_of(esme, answer.message_id)
    assert by_http(door, answer.message_id)["message"] == "text"


async def test_ports_go_out_as_octets(door: Gateway, esme: Esme) -> None:
    header = b"\6\5\4\x0b\x84\x23\xf0"
    answer = await esme.ask(message(short_message=header + b"abc", esm_class=0x40, data_coding=4))
    await receipt_of(esme, answer.message_id)
    status = by_http(door, answer.message_id)
    assert (status["message"], status["type"]) == ((header + b"abc").hex(), 2)


# --- what waits -----------------------------------------------------------------------------------


def in_minutes(minutes: int) -> str:
    return format_relative(minutes * 60_000)


async def test_schedule_query_cancel_replace(door: Gateway, esme: Esme) -> None:
    answer = await esme.ask(message("first text", schedule_delivery_time=in_minutes(60)))
    message_id = answer.message_id
    state = await esme.ask(QuerySm(message_id=message_id, source_addr="ivan"))
    assert (state.command_status, state.message_state, state.final_date) == (0, 1, "")
    assert by_http(door, message_id)["status"] == -1

    replaced = await esme.ask(
        ReplaceSm(message_id=message_id, registered_delivery=1, short_message=b"second text")
    )
    assert replaced.command_status == 0
    status = by_http(door, message_id)
    assert (status["message"], status["status"]) == ("second text", -1)

    gone = await esme.ask(CancelSm(message_id=message_id, source_addr="ivan"))
    assert gone.command_status == 0
    pdu = await receipt_of(esme, message_id)
    assert b"stat:DELETED" in pdu.short_message
    assert (await esme.ask(QuerySm(message_id=message_id))).message_state == 4
    assert (await esme.ask(CancelSm(message_id=message_id))).command_status == S.ESME_RCANCELFAIL
    again = await esme.ask(ReplaceSm(message_id=message_id, short_message=b"third"))
    assert again.command_status == S.ESME_RREPLACEFAIL
    told = [p for p in esme.inbox if p.tlvs.text(0x001E) == message_id]
    assert len(told) == 1
    assert not await asyncio.to_thread(door.audit)


async def test_replacements_at_the_same_time_leave_one_message(door: Gateway, esme: Esme) -> None:
    answer = await esme.ask(message("first text", schedule_delivery_time=in_minutes(60)))
    message_id = answer.message_id
    texts = [b"one", b"two", b"three", b"four"]
    asked = [
        esme.send(ReplaceSm(message_id=message_id, registered_delivery=1, short_message=text))
        for text in texts
    ]
    for number in asked:
        found = await esme.find(lambda p, n=number: p.is_response and p.sequence_number == n)
        assert found.command_status == 0
    assert by_http(door, message_id)["message"] == "four"
    assert (await esme.ask(CancelSm(message_id=message_id))).command_status == 0
    await receipt_of(esme, message_id)
    assert (await esme.ask(CancelSm(message_id=message_id))).command_status == S.ESME_RCANCELFAIL
    assert not await asyncio.to_thread(door.audit)


async def test_a_time_that_comes(esme: Esme) -> None:
    due = int(time.time()) + 2
    at = format_absolute(due * 1000, quarter_hours=12)
    answer = await esme.ask(message(schedule_delivery_time=at, validity_period=in_minutes(60)))
    state = await esme.ask(QuerySm(message_id=answer.message_id))
    assert state.message_state == 1 or time.time() >= due
    await receipt_of(esme, answer.message_id)
    state = await esme.ask(QuerySm(message_id=answer.message_id))
    assert (state.message_state, state.error_code) == (2, 0)
    assert re.fullmatch(r"\d{12}\d12\+", state.final_date)


async def test_scheduled_in_words_of_5_0(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD, interface_version=0x50)
    answer = await esme.ask(message(schedule_delivery_time=in_minutes(60)))
    assert (await esme.ask(QuerySm(message_id=answer.message_id))).message_state == 0
    assert (await esme.ask(CancelSm(message_id=answer.message_id))).command_status == 0
    await esme.close()


async def test_what_is_not_there(esme: Esme) -> None:
    assert (await esme.ask(QuerySm(message_id="99999999"))).command_status == S.ESME_RQUERYFAIL
    assert (await esme.ask(CancelSm(message_id="99999999"))).command_status == S.ESME_RCANCELFAIL
    assert (await esme.ask(CancelSm())).command_status == S.ESME_RCANCELFAIL
    answer = await esme.ask(ReplaceSm(message_id="99999999", short_message=b"x"))
    assert answer.command_status == S.ESME_RREPLACEFAIL


async def test_many_recipients_and_data(door: Gateway, esme: Esme) -> None:
    numbers = ("79161110001", "123", "79161110002")
    answer = await esme.ask(
        SubmitMulti(
            source_addr="ivan",
            dest_address=tuple(SmeAddress(destination_addr=n) for n in numbers),
            registered_delivery=1,
            short_message=b"to many",
        )
    )
    assert answer.command_status == 0
    (bad,) = answer.unsuccess_sme
    assert (bad.destination_addr, bad.error_status_code) == ("123", S.ESME_RINVDSTADR)
    for number in (numbers[0], numbers[2]):
        pdu = await esme.find(lambda p, n=number: getattr(p, "source_addr", "") == n)
        assert pdu.tlvs.text(0x001E) == answer.message_id
    data = await esme.ask(
        DataSm(
            source_addr="ivan",
            destination_addr=PHONE,
            registered_delivery=1,
            tlvs=Tlvs([Tlv(0x0424, b"by data-sm")]),
        )
    )
    await receipt_of(esme, data.message_id)
    assert by_http(door, data.message_id)["message"] == "by data-sm"
