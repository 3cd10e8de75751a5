"""The SMPP door of a running gateway: binds, messages, receipts, limits."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from typing import Any

import pytest
import trustme
from tests.harness.esme import PHONE, Esme, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

from heliograph.protocols.smpp import (
    BindTransceiver,
    CommandStatus,
    Tlv,
    Tlvs,
    Unbind,
    UnbindResp,
    read_receipt,
)

UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")
LONG = "The quick brown fox jumps over the lazy dog. " * 8
S = CommandStatus


def by_http(door: Gateway, message_id: str, phone: str = PHONE, **fields: Any) -> Any:
    return door.status(message_id, phone, all=1, **fields)


# --- binding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tx", "rx", "trx"])
@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
async def test_binds_of_every_kind(door: Gateway, kind: str, version: int) -> None:
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind=kind, interface_version=version)
    answer: Any = esme.log[0]
    assert answer.system_id == "smsc"
    assert answer.tlvs.number(0x0210) == (None if version == 0x33 else version)
    assert isinstance(await esme.ask(Unbind()), UnbindResp)
    await esme.closed()
    await esme.close()


@pytest.mark.parametrize(
    ("login", "password", "status"),
    [
        ("nobody", PASSWORD, S.ESME_RINVSYSID),
        (LOGIN, "wrong", S.ESME_RINVPASWD),
        ("far", PASSWORD, S.ESME_RBINDFAIL),
        ("far", "wrong", S.ESME_RINVPASWD),
        ("shut", PASSWORD, S.ESME_RBINDFAIL),
    ],
)
async def test_binds_that_fail(door: Gateway, login: str, password: str, status: int) -> None:
    esme = await Esme.connect(door.smpp)
    began = time.monotonic()
    answer = await esme.ask(BindTransceiver(system_id=login, password=password))
    assert answer.command_status == status
    assert time.monotonic() - began > 0.4  # slowed down
    await esme.close()


async def test_the_last_bind_of_an_account(door: Gateway) -> None:
    first = await Esme.bind(door.smpp, "narrow", PASSWORD)
    second = await Esme.connect(door.smpp)
    bind = BindTransceiver(system_id="narrow", password=PASSWORD)
    assert (await second.ask(bind)).command_status == S.ESME_RBINDFAIL
    await first.close()
    for _ in range(50):
        if not (await second.ask(bind)).command_status:
            break
    assert (await second.ask(bind)).command_status == S.ESME_RALYBND
    await second.close()


async def test_tls(door: Gateway, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    esme = await Esme.bind(door.smpps, LOGIN, PASSWORD, tls=context)
    assert (await esme.ask(message())).command_status == 0
    await esme.deliveries(1)
    await esme.close()


async def test_a_password_of_its_own_and_a_block(door: Gateway) -> None:
    await asyncio.to_thread(door.create_account, "own")
    await asyncio.to_thread(door.settle)
    old = await Esme.bind(door.smpp, "own", PASSWORD)
    await asyncio.to_thread(door.cli, "account", "set", "own", "--smpp-password", "short-12")
    await old.find(lambda p: isinstance(p, Unbind))  # its password holds no more
    await old.close()
    esme = await Esme.bind(door.smpp, "own", "short-12")
    shown = await asyncio.to_thread(door.cli, "account", "show", "own")
    assert re.search(r"smpp_password\s+its own", shown)
    assert "short-12" not in shown
    await asyncio.to_thread(door.cli, "account", "block", "own")
    await esme.find(lambda p: isinstance(p, Unbind))
    await esme.close()


# --- messages and their receipts ------------------------------------------------------------------


async def test_a_message_and_its_receipt(door: Gateway, esme: Esme) -> None:
    answer = await esme.ask(message("Hello"))
    assert answer.command_status == 0
    assert re.fullmatch(r"\d+", answer.message_id)
    pdu = await receipt_of(esme, answer.message_id)
    assert (pdu.esm_class, pdu.data_coding) == (4, 0)
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == (PHONE, 1, 1)
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("ivan", 5, 0)
    text = pdu.short_message.decode()
    assert re.fullmatch(
        rf"id:{answer.message_id} sub:001 dlvrd:001 submit date:\d{{10}} done date:\d{{10}} "
        r"stat:DELIVRD err:000 text:Hello",
        text,
    )
    assert [tlv.tag for tlv in pdu.tlvs] == [
        0x001E, 0x0427, 0x0423, 0x2000, 0x2001, 0x2002, 0x2003,
    ]  # fmt: skip
    assert pdu.tlvs.raw(0x2000) == b"1.0000"
    assert pdu.tlvs.raw(0x2001) == b"\0\0"
    assert pdu.tlvs.raw(0x2002) == b"\0\1"
    assert pdu.tlvs.raw(0x2003)[:3] == b"250"
    assert (pdu.tlvs.raw(0x0427), pdu.tlvs.raw(0x0423)) == (b"\2", b"\3\0\0")
    status = by_http(door, answer.message_id)
    assert (status["status"], status["sender_id"], status["message"]) == (1, "ivan", "Hello")
    assert not await asyncio.to_thread(door.audit)


@pytest.mark.parametrize(
    ("code", "stat", "state", "err"),
    [
        ("0006", "UNDELIV", 5, 6),
        ("0255", "UNDELIV", 5, 255),
        ("0000", "DELIVRD", 2, 0),
        ("2006", "EXPIRED", 3, 6),
        ("1011", "UNDELIV", 5, 11),
    ],
)
async def test_ends_of_messages(esme: Esme, code: str, stat: str, state: int, err: int) -> None:
    answer = await esme.ask(message(phone=f"7900000{code}"))
    assert answer.command_status == 0
    pdu = await receipt_of(esme, answer.message_id)
    receipt = read_receipt(pdu)
    assert receipt is not None
    assert (receipt.stat, receipt.message_state) == (stat, state)
    assert (receipt.err, receipt.network_error) == (f"{err:03d}", (3, err))


async def test_which_receipts_are_wanted(esme: Esme) -> None:
    """By registered_delivery: 1 always, 2 on failure, 3 on success, 0 never."""
    good, bad = PHONE, "79000000006"
    wanted = [(1, good), (1, bad), (2, bad), (3, good)]
    others = [(0, good), (0, bad), (2, good), (3, bad)]
    ids = {}
    for wish, phone in [*others, *wanted]:
        answer = await esme.ask(message(phone=phone, registered_delivery=wish))
        ids[wish, phone] = answer.message_id
    for each in wanted:
        await receipt_of(esme, ids[each])
    await asyncio.sleep(0.5)
    told = {pdu.tlvs.text(0x001E) for pdu in esme.inbox} & set(ids.values())
    assert told == {ids[each] for each in wanted}


async def test_refused_messages_with_a_receipt(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, "poor", PASSWORD)
    answer = await esme.ask(message())
    assert answer.command_status == 0
    pdu = await receipt_of(esme, answer.message_id)
    assert b"stat:REJECTD err:000" in pdu.short_message
    assert pdu.tlvs.number(0x0427) == 8
    status = door.status(answer.message_id, PHONE, login="poor")
    assert status["status"] == 24
    await esme.close()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"destination_addr": "123"}, S.ESME_RINVDSTADR),
        ({"destination_addr": ""}, S.ESME_RINVDSTADR),
        ({"source_addr": "Имя".encode().decode("latin-1")}, S.ESME_RINVSRCADR),
        ({"source_addr": "much-too-long-name"}, S.ESME_RINVSRCADR),
        ({"short_message": b""}, S.ESME_RINVMSGLEN),
        ({"short_message": b"", "tlvs": Tlvs([Tlv(0x0424, b"x" * 1001)])}, S.ESME_RINVMSGLEN),
        ({"schedule_delivery_time": "991399000000000+"}, S.ESME_RINVSCHED),
        ({"schedule_delivery_time": "990101000000000+"}, S.ESME_RINVSCHED),
        ({"validity_period": "200101000000000+"}, S.ESME_RINVEXPIRY),
        ({"validity_period": "tomorrow"}, S.ESME_RINVEXPIRY),
        ({"tlvs": Tlvs([Tlv(0x0424, b"another text")])}, S.ESME_ROPTPARNOTALLWD),
        ({"esm_class": 0x40, "short_message": b"\x20text"}, S.ESME_RINVESMCLASS),
    ],
)
async def test_what_is_refused_at_once(esme: Esme, fields: dict[str, Any], status: int) -> None:
    fields = dict(fields)
    phone = fields.pop("destination_addr", PHONE)
    answer = await esme.ask(message(phone=phone, **fields))
    assert answer.command_status == status, hex(answer.command_status)


@pytest.mark.parametrize(
    ("sender", "shown"), [("", ""), (".", ""), ("ivan", "ivan"), ("79990001122", "79990001122")]
)
async def test_senders(door: Gateway, esme: Esme, sender: str, shown: str) -> None:
    answer = await esme.ask(message(source_addr=sender))
    assert by_http(door, answer.message_id)["sender_id"] == shown


async def test_numbers_as_people_write_them(door: Gateway, esme: Esme) -> None:
    for number in ("+79161234567", "89161234567", "9161234567", "7(916)123-45-67"):
        answer = await esme.ask(message(phone=number))
        assert answer.command_status == 0
        pdu = await receipt_of(esme, answer.message_id)
        assert pdu.source_addr == PHONE


# --- limits and looking in ------------------------------------------------------------------------


async def test_window_and_speed(door: Gateway) -> None:
    narrow = await Esme.bind(door.smpp, "narrow", PASSWORD)
    for number in range(100):
        narrow.send(message(f"n{number}"))
    await narrow.find(lambda p: p.is_response and p.sequence_number == 100)
    full = [p for p in narrow.log if p.command_status == S.ESME_RMSGQFUL]
    assert len(full) >= 50
    # Answers follow their requests.
    numbers = [p.sequence_number for p in narrow.log if p.command_id == 0x80000004]
    assert numbers == sorted(numbers)
    await narrow.close()
    slow = await Esme.bind(door.smpp, "slow", PASSWORD)
    for number in range(40):
        slow.send(message(f"s{number}"))
    await slow.find(lambda p: p.is_response and p.sequence_number == 40)
    throttled = [p for p in slow.log if p.command_status == S.ESME_RTHROTTLED]
    assert 25 <= len(throttled) <= 31
    await slow.close()


async def test_binds_for_people(door: Gateway) -> None:
    """The list of binds with its counters and last errors, and that of binds that failed."""
    esme = await Esme.bind(door.smpp, "counted", PASSWORD, interface_version=0x50)
    esme.answers = int(S.ESME_RX_T_APPN)
    answer = await esme.ask(message("counted"))
    await receipt_of(esme, answer.message_id)
    esme.answers = True
    await esme.deliveries(2)
    assert (await esme.ask(message(phone="12"))).command_status == S.ESME_RINVDSTADR
    refused = await Esme.connect(door.smpp)
    await refused.ask(BindTransceiver(system_id="counted", password="wrong"))
    await refused.close()

    def rows(*options: str) -> list[dict[str, Any]]:
        found = json.loads(door.cli("binds", "--account", "counted", "--json", *options))
        return [each for each in found if "submitted" not in each or each["submitted"] == 2]

    (bind,) = await asyncio.to_thread(wait_for, rows, what="the counters")
    assert (bind["role"], bind["version"], bind["tls"]) == ("trx", "5.0", False)
    assert (bind["submitted"], bind["accepted"]) == (2, 1)
    assert bind["refused"] == {"ESME_RINVDSTADR": 1}
    assert (bind["delivered"], bind["deliveries_refused"]) == (1, 1)
    assert bind["last_error"] == "the number is not a valid recipient"
    (failure,) = await asyncio.to_thread(rows, "--failed")
    assert failure["reason"] == "wrong password"
    listed = await asyncio.to_thread(door.cli, "binds")
    assert re.search(r"counted +trx +5\.0 +127\.0\.0\.1", listed)
    assert door.metric('heliograph_smpp_refused_total{reason="wrong_password"') >= 1
    assert door.metric('heliograph_smpp_deliveries_total{result="refused"') >= 1
    await esme.close()


async def test_binds_and_trace_for_people(door: Gateway) -> None:
    await asyncio.to_thread(door.create_account, "watched")
    await asyncio.to_thread(door.settle)
    esme = await Esme.bind(door.smpp, "watched", PASSWORD)
    await asyncio.to_thread(door.cli, "account", "set", "watched", "--smpp-trace", "1")
    await asyncio.to_thread(door.settle)
    answer = await esme.ask(message("a secret text", phone="79161239999"))
    await receipt_of(esme, answer.message_id)
    await asyncio.to_thread(
        wait_for, lambda: "watched" in door.cli("binds"), what="the list of binds"
    )
    log = door.output.read_text()
    traced = [line for line in log.splitlines() if "watched" in line and "submit_sm" in line]
    assert traced
    assert "secret" not in log
    assert "79161239999" not in log
    assert door.metric('heliograph_smpp_requests_total{command="submit_sm",status="ESME_ROK"') > 0
    assert door.metric('heliograph_smpp_deliveries_total{result="delivered"') > 0
    assert door.metric('heliograph_smpp_binds{role="trx"') >= 1
    await esme.close()
