"""The SMPP door of a running gateway, from the bind to the receipt."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.harness.esme import Esme
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

from heliograph.protocols.smpp import (
    CancelSm,
    CommandStatus,
    DataSm,
    DeliverSm,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitSm,
    Tlv,
    Tlvs,
    Unbind,
    UnbindResp,
    format_absolute,
    format_relative,
    read_receipt,
)

UNLIMITED = ("limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true")
PHONE = "79161234567"
LONG = "The quick brown fox jumps over the lazy dog. " * 8
S = CommandStatus


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("smpp")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pem = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    running = Gateway(
        folder / "data",
        *UNLIMITED,
        "smpp.tls_listen=127.0.0.1:0",
        f"smpp.tls_certificate={pem}",
        f"smpp.tls_key={pem}",
        "smpp.join_s=2",
        "smpp.response_s=2",
        doors=("smpp",),
    )
    running.create_account()
    for login in ("turns", "refuser"):
        running.create_account(login)
    running.create_account("poor", "0")
    running.create_account("far", networks=["192.0.2.0/24"])
    running.create_account("shut", settings={"fl[2]": "0"})
    running.create_account("narrow", smpp_binds=1, smpp_window=5)
    running.create_account("slow", smpp_rate=10)
    running.create_account("taker", settings={"fl[1]": "1"})
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text(), running.output.read_text()[-5000:]


@pytest.fixture
async def esme(door: Gateway) -> AsyncIterator[Esme]:
    """A transceiver of the account `alex`."""
    bound = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    yield bound
    await bound.close()


def message(text: str = "Hello", phone: str = PHONE, **fields: Any) -> SubmitSm:
    fields = {"source_addr": "ivan", "source_addr_ton": 5, "registered_delivery": 1} | fields
    if "short_message" not in fields:
        fields["short_message"] = text.encode("latin-1")
    return SubmitSm(dest_addr_ton=1, dest_addr_npi=1, destination_addr=phone, **fields)


async def receipt_of(esme: Esme, message_id: str, timeout_s: float = 20.0) -> DeliverSm:
    found: DeliverSm = await esme.find(
        lambda p: isinstance(p, DeliverSm) and p.tlvs.text(0x001E) == message_id,
        timeout_s=timeout_s,
    )
    return found


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
    from heliograph.protocols.smpp import BindTransceiver

    esme = await Esme.connect(door.smpp)
    began = time.monotonic()
    answer = await esme.ask(BindTransceiver(system_id=login, password=password))
    assert answer.command_status == status
    assert time.monotonic() - began > 0.4  # slowed down
    await esme.close()


async def test_the_last_bind_of_an_account(door: Gateway) -> None:
    from heliograph.protocols.smpp import BindTransceiver

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
    door.create_account("own")
    await asyncio.sleep(1)
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


async def test_a_time_that_comes(esme: Esme) -> None:
    at = format_absolute((int(time.time()) + 2) * 1000, quarter_hours=12)
    answer = await esme.ask(message(schedule_delivery_time=at, validity_period=in_minutes(60)))
    assert (await esme.ask(QuerySm(message_id=answer.message_id))).message_state == 1
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


# --- deliveries -----------------------------------------------------------------------------------


async def test_receipts_wait_for_a_bind(door: Gateway) -> None:
    door_only = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind="tx")
    answer = await door_only.ask(message("for later"))
    wait_for(lambda: by_http(door, answer.message_id)["status"] == 1)
    taker = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind="rx")
    await receipt_of(taker, answer.message_id)
    await door_only.close()
    await taker.close()


async def test_binds_take_turns(door: Gateway) -> None:
    takers = [await Esme.bind(door.smpp, "turns", PASSWORD) for _ in range(3)]
    for number in range(30):
        takers[0].send(message(f"turn {number}"))
    await asyncio.to_thread(
        wait_for, lambda: sum(len(taker.inbox) for taker in takers) == 30, what="30 receipts"
    )
    assert all(5 <= len(taker.inbox) <= 15 for taker in takers)
    for taker in takers:
        await taker.close()


async def test_refused_and_unanswered_deliveries_come_again(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, "refuser", PASSWORD)
    esme.answers = int(S.ESME_RX_T_APPN)
    answer = await esme.ask(message("refused"))
    await receipt_of(esme, answer.message_id)
    esme.answers = False  # says nothing
    await esme.deliveries(2)
    esme.answers = True
    await esme.deliveries(3)
    assert {pdu.tlvs.text(0x001E) for pdu in esme.inbox} == {answer.message_id}
    listed = await asyncio.to_thread(
        door.cli, "callbacks", "list", "--account", "refuser", "--json"
    )
    assert '"receipt"' in listed
    await esme.close()


async def test_a_lost_bind_gives_its_deliveries_to_the_next(door: Gateway) -> None:
    first = await Esme.bind(door.smpp, "taker", PASSWORD)
    first.answers = False
    answer = await first.ask(message("whose receipt"))
    await receipt_of(first, answer.message_id)
    await first.close()
    second = await Esme.bind(door.smpp, "taker", PASSWORD, kind="rx")
    await receipt_of(second, answer.message_id)
    await second.close()


async def test_receipts_over_a_restart(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", *UNLIMITED, doors=("smpp",))
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD, kind="tx")
    ids = {(await esme.ask(message(f"m{n}"))).message_id for n in range(30)}
    gateway.kill()
    await esme.close()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    await esme.deliveries(30)
    assert {pdu.tlvs.text(0x001E) for pdu in esme.inbox} == ids
    await esme.close()
    assert await asyncio.to_thread(gateway.stop) == 0


async def test_incoming_messages(door: Gateway) -> None:
    await asyncio.to_thread(door.cli, "numbering", "assign", "3434", "taker")
    esme = await Esme.bind(door.smpp, "taker", PASSWORD)
    await asyncio.sleep(1)
    for text, coding, octets in (
        ("Hello @", 0, b"Hello \0"),
        ("Привет", 8, "Привет".encode("utf-16-be")),
    ):
        esme.inbox.clear()
        esme.send(message(text, phone="79000009000", source_addr="3434", registered_delivery=0,
                          data_coding=8, short_message=text.encode("utf-16-be")))  # fmt: skip
        (pdu,) = await esme.deliveries(1)
        assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0, coding, octets)
        assert (pdu.source_addr, pdu.destination_addr) == ("79000009000", "3434")
    await esme.close()


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


async def test_binds_and_trace_for_people(door: Gateway) -> None:
    door.create_account("watched")
    await asyncio.sleep(1)
    esme = await Esme.bind(door.smpp, "watched", PASSWORD)
    await asyncio.to_thread(door.cli, "account", "set", "watched", "--smpp-trace", "1")
    await asyncio.sleep(1.2)
    answer = await esme.ask(message("a secret text", phone="79161239999"))
    await receipt_of(esme, answer.message_id)
    await asyncio.sleep(2.2)
    shown = await asyncio.to_thread(door.cli, "binds")
    assert "watched" in shown
    log = door.output.read_text()
    traced = [line for line in log.splitlines() if "watched" in line and "submit_sm" in line]
    assert traced
    assert "secret" not in log
    assert "79161239999" not in log
    assert door.metric('heliograph_smpp_requests_total{command="submit_sm",status="ESME_ROK"') > 0
    assert door.metric('heliograph_smpp_deliveries_total{result="delivered"') > 0
    assert door.metric('heliograph_smpp_binds{role="trx"') >= 1
    await esme.close()
