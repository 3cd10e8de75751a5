"""What the live SMPP listener must survive, while a well-behaved neighbour goes on working.

Here: lengths, other protocols, PDUs, states, content and addresses. Loads, storms and clients that
never read or answer are in `test_hostile_traffic`; names, parts and times in `test_hostile_content`
and `test_messages`; what operators do to us in `tests/unit/connectors/smpp`.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.harness.esme import Esme, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

from heliograph.protocols.smpp import (
    BindReceiver,
    BindTransceiver,
    CommandStatus,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    Unbind,
    encode,
)

S = CommandStatus
PHONE = "79161234567"
UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("hostile") / "data",
        *UNLIMITED,
        "smpp.bind_s=2",
        "smpp.idle_s=8",
        "smpp.enquire_link_s=3",
        "smpp.response_s=3",
        "smpp.max_binds=60",
        "smpp.max_connections=100",
        "smpp.max_pdu_bytes=16384",
        doors=("smpp",),
    )
    running.create_account()
    running.create_account("other")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text(), running.output.read_text()[-5000:]


@pytest.fixture
async def neighbour(door: Gateway) -> AsyncIterator[Esme]:
    """A client that does everything right, before and after what a test does."""
    bound = await Esme.bind(door.smpp, "other", PASSWORD)
    await serve(bound)
    yield bound
    await serve(bound)
    await bound.close()


async def serve(esme: Esme) -> None:
    answer = await esme.ask(message())
    assert answer.command_status == 0
    await receipt_of(esme, answer.message_id)


def message(text: bytes = b"Hello") -> SubmitSm:
    return SubmitSm(
        source_addr="ivan", destination_addr=PHONE, registered_delivery=1, short_message=text
    )


async def bound(door: Gateway, kind: str = "trx") -> Esme:
    return await Esme.bind(door.smpp, LOGIN, PASSWORD, kind=kind)


def frame(command_id: int, body: bytes = b"", *, length: int | None = None, seq: int = 7) -> bytes:
    size = 16 + len(body) if length is None else length
    return struct.pack("!IIII", size, command_id, 0, seq) + body


# --- lengths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [*range(16), 16385, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_impossible_lengths(door: Gateway, neighbour: Esme, length: int) -> None:
    esme = await bound(door)
    esme.write(frame(0x15, length=length))
    await esme.closed()
    assert all(isinstance(p, GenericNack) for p in esme.log[1:])
    await esme.close()


async def test_lengths_that_do_not_fit_their_bodies(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    # 16 on a PDU with a body, one octet too few in the middle of it.
    esme.write(frame(0x04, length=16))
    answer = await esme.find(lambda p: p.sequence_number == 7)
    assert answer.command_status in (S.ESME_RINVCMDLEN, S.ESME_RINVSERTYP)
    whole = encode(message(), 8)
    short = struct.pack("!I", len(whole) - 3) + whole[4:-3]
    esme.write(short)
    answer = await esme.find(lambda p: p.sequence_number == 8)
    assert answer.command_status
    padded = encode(message(), 9) + b"\0\0"
    esme.write(struct.pack("!I", len(padded)) + padded[4:])
    answer = await esme.find(lambda p: p.sequence_number == 9)
    assert answer.command_status == 0  # padding is forgiven
    await esme.close()


async def test_one_octet_at_a_time(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    esme.answers = False  # an answer of its own would fall into the middle
    for octet in encode(message(), 77):
        esme.write(bytes([octet]))
        await asyncio.sleep(0)
    answer = await esme.find(lambda p: p.sequence_number == 77)
    assert answer.command_status == 0
    await esme.close()


async def test_a_header_and_then_silence(door: Gateway, neighbour: Esme) -> None:
    fresh = await Esme.connect(door.smpp)
    fresh.write(frame(0x09, length=60))
    await fresh.closed()  # smpp.bind_s
    half = await bound(door)
    half.write(frame(0x04, length=200)[:20])
    half.answers = False
    await half.closed()  # smpp.idle_s: what is not whole is no sign of life
    await fresh.close()
    await half.close()


@pytest.mark.timeout(400)
async def test_ten_thousand_in_one_segment(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    esme.write(b"".join(encode(message(b"%d" % n), 1000 + n) for n in range(10_000)))
    await esme.find(lambda p: p.sequence_number == 10_999, timeout_s=150)
    answers = [p for p in esme.log if isinstance(p, SubmitSmResp)]
    assert [p.sequence_number for p in answers] == list(range(1000, 11_000))
    assert {p.command_status for p in answers} <= {0, S.ESME_RMSGQFUL}
    taken = sum(not p.command_status for p in answers)
    assert taken >= 300
    await esme.deliveries(taken, timeout_s=150)
    await esme.close()


async def test_a_peer_that_never_reads(door: Gateway, neighbour: Esme) -> None:
    esme = await Esme.connect(door.smpp, reads=False)
    esme.write(encode(BindTransceiver(system_id="x", password="y"), 1))
    query = b"".join(encode(EnquireLink(), n) for n in range(2, 60_000))
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(3):
            while True:
                esme.write(query)
                await esme.drain()
                await asyncio.sleep(0)
    await serve(neighbour)
    await esme.close()


# --- other protocols ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
        b"AMQP\0\0\x09\x01",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        b"\0" * 64,
        bytes(range(256)),
    ],
)
async def test_first_octets_that_are_not_smpp(
    door: Gateway, neighbour: Esme, octets: bytes
) -> None:
    before = door.metric("heliograph_smpp_refused_total")
    esme = await Esme.connect(door.smpp)
    esme.write(octets)
    await esme.closed()
    assert not [p for p in esme.log if not isinstance(p, GenericNack)]
    assert door.metric("heliograph_smpp_refused_total") > before
    await esme.close()


# --- PDUs -----------------------------------------------------------------------------------------


async def test_unknown_commands_and_parameters(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    for command_id in (0x99, 0x111, 0x10203):
        esme.write(frame(command_id, b"body"))
        nack = await esme.find(lambda p: p.command_status == S.ESME_RINVCMDID)
        assert isinstance(nack, GenericNack)
        esme.log.clear()
    pdu = message()
    pdu.tlvs = Tlvs([Tlv(0x1400, b"vendor"), Tlv(0x1400, b"twice"), Tlv(0x020C, b"\0\1")])
    assert (await esme.ask(pdu)).command_status == 0
    too_long = encode(message(), 50) + b"\x04\x24\xff\xffabc"
    esme.write(struct.pack("!I", len(too_long)) + too_long[4:])
    answer = await esme.find(lambda p: p.sequence_number == 50)
    assert answer.command_status == S.ESME_RINVOPTPARSTREAM
    await esme.close()


async def test_strings_without_their_ends(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    whole = encode(message(), 60)
    for at in [i for i in range(16, len(whole)) if whole[i] == 0]:
        broken = whole[:at] + b"\x01" + whole[at + 1 :]
        esme.log.clear()
        esme.write(broken)
        await esme.find(lambda p: p.sequence_number == 60)
    esme.write(frame(0x04, b"A" * 200, seq=61))
    assert (await esme.find(lambda p: p.sequence_number == 61)).command_status
    await esme.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"L" * 80 + b"\0pw\0\0\x34\0\0\0", S.ESME_RINVSYSID),
        (b"login\0" + b"p" * 200 + b"\0\0\x34\0\0\0", S.ESME_RINVPASWD),
        (b"login", S.ESME_RINVCMDLEN),
    ],
)
async def test_binds_out_of_shape(door: Gateway, neighbour: Esme, body: bytes, status: int) -> None:
    esme = await Esme.connect(door.smpp)
    esme.write(frame(0x09, body))
    answer = await esme.find(lambda p: p.sequence_number == 7)
    assert answer.command_status == status
    await esme.close()


@pytest.mark.parametrize("size", [253, 254, 255])
async def test_bounds_of_short_message(door: Gateway, neighbour: Esme, size: int) -> None:
    esme = await bound(door)
    head = encode(message(b""), 70)[:-1]
    octets = head + bytes([size]) + b"x" * size
    esme.write(struct.pack("!I", len(octets)) + octets[4:])
    answer = await esme.find(lambda p: p.sequence_number == 70)
    assert answer.command_status == 0  # 255 is beyond the standard, and readable
    esme.write(struct.pack("!I", len(octets) - 1) + octets[4:-1])  # sm_length beyond the end
    answer = await esme.find(lambda p: p.sequence_number == 70 and p.command_status)
    await esme.close()


# --- states ---------------------------------------------------------------------------------------


async def test_requests_in_the_wrong_state(door: Gateway, neighbour: Esme) -> None:
    fresh = await Esme.connect(door.smpp)
    assert (await fresh.ask(message())).command_status == S.ESME_RINVBNDSTS
    assert (await fresh.ask(QuerySm(message_id="1"))).command_status == S.ESME_RINVBNDSTS
    fresh.send(Outbind(system_id="x", password="y"))
    assert (await fresh.ask(EnquireLink())).command_status == 0
    receiver = await bound(door, "rx")
    assert (await receiver.ask(message())).command_status == S.ESME_RINVBNDSTS
    both = await bound(door)
    again = await both.ask(BindReceiver(system_id=LOGIN, password="x"))
    assert again.command_status == S.ESME_RALYBND
    assert (await both.ask(message())).command_status == 0
    for esme in (fresh, receiver, both):
        await esme.close()


async def test_responses_that_nobody_asked_for(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    for sequence in (0, 1, 5, 0x7FFFFFFF, 0xFFFFFFFF):
        esme.write(encode(DeliverSmResp(), sequence))
        esme.write(encode(EnquireLinkResp(), sequence))
        esme.write(encode(SubmitSmResp(message_id="1"), sequence))
        esme.write(encode(GenericNack(0, 3), sequence))
    assert (await esme.ask(message())).command_status == 0
    await esme.close()


async def test_sequence_numbers_of_every_kind(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    for sequence in (0, 1, 1, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        esme.write(encode(message(), sequence))
    await esme.find(lambda p: p.sequence_number == 0xFFFFFFFF)
    answers = [p for p in esme.log if isinstance(p, SubmitSmResp)]
    assert [p.sequence_number for p in answers] == [0, 1, 1, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    assert len({p.message_id for p in answers}) == 7
    await esme.close()


async def test_unbind_behind_a_window_of_messages(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door, "tx")
    esme.write(b"".join(encode(message(b"%d" % n), n) for n in range(1, 101)))
    esme.write(encode(Unbind(), 101))
    await esme.closed()
    assert [p.sequence_number for p in esme.log[1:]] == list(range(1, 102))
    assert {p.command_status for p in esme.log} == {0}
    await esme.close()


async def test_a_bind_for_every_message(door: Gateway, neighbour: Esme) -> None:
    for number in range(40):
        esme = await bound(door, "tx")
        assert (await esme.ask(message(b"%d" % number))).command_status == 0
        await esme.close()  # without an unbind


async def test_dozens_of_binds_and_a_storm_of_reconnects(door: Gateway, neighbour: Esme) -> None:
    for _ in range(3):
        many = await asyncio.gather(*(bound(door) for _ in range(50)))
        answers = await asyncio.gather(*(esme.ask(message()) for esme in many))
        assert {answer.command_status for answer in answers} == {0}
        await asyncio.gather(*(esme.close() for esme in many))
        # Not more than smpp.max_binds at once: the server has to see that these are gone.
        await asyncio.to_thread(wait_for, lambda: door.metric("heliograph_smpp_binds") <= 1)


async def test_more_connections_than_allowed(door: Gateway, neighbour: Esme) -> None:
    many = [await Esme.connect(door.smpp) for _ in range(110)]
    async with asyncio.timeout(30):
        while sum(esme.is_closed.is_set() for esme in many) < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await serve(neighbour)
    for esme in many:
        await esme.close()


async def test_silence_and_life(door: Gateway, neighbour: Esme) -> None:
    esme = await Esme.connect(door.smpp)
    await esme.closed()  # never bound
    await esme.close()
    idle = await bound(door, "tx")
    asked = await idle.find(lambda p: isinstance(p, EnquireLink))
    assert asked.sequence_number == 1
    for _ in range(500):
        idle.send(EnquireLink())
    assert (await idle.ask(message())).command_status == 0
    await idle.close()
    dead = await bound(door, "tx")
    dead._take = dead.log.append  # type: ignore[method-assign]
    await dead.closed()  # it does not answer enquire_link
    await dead.close()


async def test_a_peer_that_never_answers_deliveries(door: Gateway, neighbour: Esme) -> None:
    esme = await bound(door)
    esme.answers = False
    for number in range(30):
        esme.send(message(b"%d" % number))
    await esme.deliveries(10)
    assert len(esme.inbox) == 10  # the window
    # Answered long after it was given up and repeated: nothing breaks.
    await esme.deliveries(20)
    for pdu in list(esme.inbox):
        esme.write(encode(DeliverSmResp(), pdu.sequence_number))
    esme.answers = True
    told: set[str | None] = set()
    async with asyncio.timeout(90):
        while len(told) < 30:
            await asyncio.sleep(0.1)
            told = {p.tlvs.text(0x001E) for p in esme.inbox}
    await esme.close()


# --- content --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_coding", "octets"),
    [
        (8, b"\xd8\x00"),
        (8, b"\x00"),
        (8, b"\xff\xfeP\x00"),
        (8, "Привет".encode("cp1251")),
        (8, "Привет".encode("utf-16-le")),
        (8, b"\xfe\xff" + "BOM".encode("utf-16-be")),
        (0, bytes(range(1, 200))),
        (1, bytes(range(1, 200))),
        (5, b"\x82\xa0"),
        (14, b"\xb0\xa1"),
        (0xF5, b"\1\2"),
        (0xC8, b"waiting"),
        (0xFF, bytes(100)),
    ],
)
async def test_content_of_every_kind(
    door: Gateway, neighbour: Esme, data_coding: int, octets: bytes
) -> None:
    esme = await bound(door)
    pdu = message(octets)
    pdu.data_coding = data_coding
    answer = await esme.ask(pdu)
    assert answer.command_status == 0
    await receipt_of(esme, answer.message_id)
    await esme.close()


@pytest.mark.parametrize(
    "user_data",
    [
        b"",
        b"\0",
        b"\0text",
        b"\x05\0\3\1\2",
        b"\xff" * 20,
        b"\5\0\3\1\0\0text",
        b"\5\0\xff\1\2\1text",
        b"\x0b\5\4\x15\x81\0\0\0\3\1\2\1" + b"x" * 100,
    ],
)
async def test_headers_of_every_kind(door: Gateway, neighbour: Esme, user_data: bytes) -> None:
    esme = await bound(door)
    pdu = message(user_data)
    pdu.esm_class = 0x40
    answer = await esme.ask(pdu)
    assert answer.command_status in (0, S.ESME_RINVESMCLASS, S.ESME_RINVMSGLEN, S.ESME_RSUBMITFAIL)
    await esme.close()


@pytest.mark.parametrize(
    "tlvs",
    [
        [Tlv(0x020C, b"\0\1"), Tlv(0x020E, b"\3")],
        [Tlv(0x020C, b"\0\1"), Tlv(0x020E, b"\3"), Tlv(0x020F, b"\0")],
        [Tlv(0x020C, b"\0\1"), Tlv(0x020E, b"\3"), Tlv(0x020F, b"\4")],
        [Tlv(0x020C, b"\0\1\2\3"), Tlv(0x020E, b"\3"), Tlv(0x020F, b"\1")],
        [Tlv(0x020E, b"\xff\xff"), Tlv(0x020F, b"\1")],
    ],
)
async def test_sar_with_holes(door: Gateway, neighbour: Esme, tlvs: list[Tlv]) -> None:
    esme = await bound(door)
    pdu = message()
    pdu.tlvs = Tlvs(tlvs)
    answer = await esme.ask(pdu)
    assert answer.command_status in (S.ESME_RMISSINGOPTPARAM, S.ESME_RINVOPTPARAMVAL)
    await esme.close()


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("89161234567", True),
        ("9161234567", True),
        ("7(913)123-45-67", True),
        ("+79161234567", True),
        ("0079161234567", False),
        ("12345678901234567890", False),
        ("", False),
        ("+", False),
        ("no number", False),
    ],
)
async def test_addresses(door: Gateway, neighbour: Esme, number: str, is_good: bool) -> None:
    esme = await bound(door)
    pdu = message()
    pdu.destination_addr = number
    pdu.dest_addr_ton, pdu.dest_addr_npi = 7, 255
    status = (await esme.ask(pdu)).command_status
    assert status == (0 if is_good else S.ESME_RINVDSTADR)
    await esme.close()
