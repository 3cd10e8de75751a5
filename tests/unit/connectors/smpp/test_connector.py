"""The SMPP connector and the habits of bad operators, each against a real server on a socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.contract.connector_events import Recorder, make_message, make_parts, poll, send

from heliograph.connectors.base import OutcomeKind
from heliograph.connectors.registry import build
from heliograph.connectors.smpp.connector import SmppConnector
from heliograph.connectors.virtual.chaos import Chaos
from heliograph.connectors.virtual.smsc import SmscServer, serve_smsc
from heliograph.domain.messages import MessageState, MessageType
from heliograph.protocols.smpp.pdu import DeliverSm, Unbind
from heliograph.protocols.smpp.tlv import make_tlvs
from heliograph.protocols.sms.segmentation import encode_part, segment

Starter = Callable[..., Awaitable[SmppConnector]]
_LONG = "Abcdefghij" * 40  # three parts of 153 septets


@pytest.fixture
async def smsc() -> AsyncIterator[SmscServer]:
    server = await serve_smsc(system_id="alex", password="123")
    yield server
    await server.close()


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def start(smsc: SmscServer, recorder: Recorder) -> AsyncIterator[Starter]:
    """Starts a connector; waits for its bind unless `is_awaited` is False."""
    made: list[SmppConnector] = []

    async def start_connector(*, is_awaited: bool = True, **settings: Any) -> SmppConnector:
        settings = {
            "host": "127.0.0.1",
            "port": smsc.port,
            "system_id": "alex",
            "password": "123",
            "reconnect_first_s": 0.02,
            **settings,
        }
        connector = build(id=1, name="op", kind="smpp", settings=settings)
        assert isinstance(connector, SmppConnector)
        made.append(connector)
        await connector.start(recorder)
        if is_awaited:
            await recorder.until(lambda: all(bind.state == "bound" for bind in connector.status()))
        return connector

    yield start_connector
    for connector in made:
        await connector.stop(0)


async def test_a_lost_link_makes_its_parts_unknown_and_comes_back(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.latency_ms = 60_000
    connector = await start(window=5)
    parts = make_parts(5)
    await send(connector, recorder, parts)
    await asyncio.sleep(0.05)
    smsc.drop_links()
    await recorder.until(lambda: len(recorder.outcomes) == 5)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * 5
    assert all("link lost" in outcome.reason for _, outcome in recorder.outcomes)
    smsc.chaos.latency_ms = 0
    await recorder.until(lambda: connector.is_up)
    await send(connector, recorder, make_parts(1))
    await recorder.until(lambda: len(recorder.outcomes) == 6)
    assert recorder.kinds()[-1] is OutcomeKind.ACCEPTED
    assert smsc.stats.binds == 2


async def test_an_smsc_that_unbinds_may_answer_before_it_goes(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.latency_ms = 400
    connector = await start(window=5)
    parts = make_parts(5)
    await send(connector, recorder, parts)
    await poll(lambda: smsc.stats.submits == 5)
    [link] = smsc.connections
    link._output.append(link.session.send(Unbind(), asyncio.get_running_loop().time()))
    link.flush()
    await poll(lambda: not connector.is_up)
    assert connector.take(1) == 0
    await recorder.until(lambda: len(recorder.outcomes) == 5)
    assert recorder.kinds() == [OutcomeKind.ACCEPTED] * 5
    await recorder.until(lambda: len(recorder.receipts) == 5)
    await asyncio.wait_for(link.closed, 30)
    await recorder.until(lambda: connector.is_up)
    assert smsc.stats.binds == 2


@pytest.mark.interpreted
async def test_an_smsc_that_unbinds_and_answers_nothing_is_left(
    start: Starter, smsc: SmscServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph.connectors.smpp.link._GOODBYE_S", 0.5)
    smsc.chaos.latency_ms = 60_000
    connector = await start()
    await send(connector, recorder, make_parts(2))
    await poll(lambda: smsc.stats.submits == 2)
    [link] = smsc.connections
    link._output.append(link.session.send(Unbind(), asyncio.get_running_loop().time()))
    link.flush()
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * 2
    assert all("the SMSC unbound" in outcome.reason for _, outcome in recorder.outcomes)
    await recorder.until(lambda: connector.is_up)


async def test_parts_claimed_while_the_link_went_down_are_put_off(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(reconnect_first_s=30)
    assert connector.take(2) == 2
    smsc.drop_links()
    await poll(lambda: not connector.is_up)
    await asyncio.sleep(0.05)
    connector.submit(make_parts(2))
    assert not recorder.outcomes  # never from inside submit
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.DEFERRED] * 2
    assert connector.status()[0].in_flight == 0


async def test_a_silent_peer_is_noticed(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(enquire_link_s=0.3, response_timeout_s=1.5, reconnect_first_s=30)
    smsc.chaos.is_deaf = True
    parts = make_parts(2)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * 2
    await poll(lambda: not connector.is_up)
    assert "enquire_link" in connector.status()[0].last_error


async def test_an_answer_after_the_timeout_still_counts(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.latency_ms = 600
    connector = await start(response_timeout_s=0.2, enquire_link_s=60)
    [part] = make_parts(1)
    await send(connector, recorder, [part])
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    unknown, accepted = recorder.outcomes_of(part)
    assert unknown.kind is OutcomeKind.UNKNOWN
    assert accepted.kind is OutcomeKind.ACCEPTED
    await recorder.until(lambda: recorder.receipts)
    assert recorder.receipts[0].candidates[0] == accepted.external_id
    assert connector.status()[0].in_flight == 0


async def test_a_refusal_after_the_timeout_says_that_nothing_was_taken(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    """Unless the part has been sent again: then it is about the one before."""
    smsc.chaos.latency_ms = 600
    smsc.chaos.throttle_every = 1
    connector = await start(response_timeout_s=0.2, enquire_link_s=60)
    lost, repeated = make_parts(2)
    await send(connector, recorder, [lost, repeated])
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * 2
    lost.state = MessageState.UNKNOWN
    repeated.state = MessageState.SUBMITTING
    await recorder.until(lambda: len(recorder.outcomes) == 3)
    [_, late] = recorder.outcomes_of(lost)
    assert late.kind is OutcomeKind.DEFERRED
    assert late.err == 220
    [last] = make_parts(1)
    smsc.chaos.throttle_every = smsc.chaos.latency_ms = 0
    await recorder.until(lambda: connector.take(1))
    connector.submit([last])
    await recorder.until(lambda: recorder.outcomes_of(last))
    assert len(recorder.outcomes_of(repeated)) == 1
    assert connector.status()[0].in_flight == 0


async def test_throttling_slows_the_whole_bind(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(throttle_pause_s=0.8, window=4)
    smsc.chaos.throttle_every = 1
    await send(connector, recorder, make_parts(4))
    await recorder.until(lambda: len(recorder.outcomes) == 4)
    assert recorder.kinds() == [OutcomeKind.DEFERRED] * 4
    assert all(0 < o.retry_after_ms <= 800 and o.err == 220 for _, o in recorder.outcomes)
    assert connector.take(4) == 0
    smsc.chaos.throttle_every = 0
    started = asyncio.get_running_loop().time()
    await send(connector, recorder, make_parts(1))  # report_ready comes when the pause is over
    assert asyncio.get_running_loop().time() - started > 0.1
    await recorder.until(lambda: len(recorder.outcomes) == 5)
    assert recorder.kinds()[-1] is OutcomeKind.ACCEPTED


@pytest.mark.parametrize(
    "bases",
    [
        ("decimal", "decimal"),
        ("hex", "hex"),
        ("hex-upper", "hex"),
        ("hex-padded", "hex"),
        ("hex-padded", "decimal"),
        ("decimal", "hex-padded"),
        ("uuid", "uuid"),
    ],
)
@pytest.mark.parametrize("form", ["text", "tlv", "both"])
async def test_receipts_match_across_spellings_of_ids(
    start: Starter, smsc: SmscServer, recorder: Recorder, bases: tuple[Any, Any], form: Any
) -> None:
    smsc.chaos = Chaos(id_base=bases[0], receipt_id_base=bases[1], receipt_form=form)
    smsc._last_id = 0x6ABCDEF0  # hex with letters: others can not be told from decimal
    connector = await start()
    parts = make_parts(9)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.receipts) == 9)
    for part, report in zip(parts, recorder.receipts, strict=True):
        assert part.external_id in report.candidates


async def test_a_known_change_of_base_is_exact_even_for_digits(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos = Chaos(id_base="hex", receipt_id_base="decimal")
    smsc._last_id = 0x12340
    connector = await start(receipt_ids="hex-to-dec")
    parts = make_parts(3)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.receipts) == 3)
    assert [r.candidates for r in recorder.receipts] == [(p.external_id,) for p in parts]


async def test_an_answer_without_an_id_is_an_acceptance(
    start: Starter, smsc: SmscServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part has to be paid for, which is told by its external id."""
    connector = await start(receipt_ids="exact")
    monkeypatch.setattr(smsc, "_accept", lambda connection, pdu, plan: " ")
    parts = make_parts(2)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.ACCEPTED] * 2
    ids = {outcome.external_id for _, outcome in recorder.outcomes}
    assert len(ids) == 2
    assert "" not in ids


async def test_answers_out_of_order_go_to_their_own_parts(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.shuffle_answers = True
    connector = await start()
    parts = [make_message(f"7999111{n:04d}").parts[0] for n in range(50)]
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == 50)
    assert [part for part, _ in recorder.outcomes] != parts
    arrived = {a.message_id: a.destination for a in smsc.inbox}
    for part, outcome in recorder.outcomes:
        assert arrived[outcome.external_id] == part.message.recipient


async def test_receipts_are_acknowledged_only_once_stored(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    recorder.hold_stored = True
    connector = await start()
    await send(connector, recorder, make_parts(3))
    await recorder.until(lambda: len(recorder.receipts) == 3)
    await asyncio.sleep(0.05)
    assert smsc.stats.receipts_acknowledged == 0
    for stored in recorder.held:
        stored(True)
    await poll(lambda: smsc.stats.receipts_acknowledged == 3)


async def test_receipts_of_a_lost_link_come_on_the_next_one(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    recorder.hold_stored = True
    connector = await start()
    await send(connector, recorder, make_parts(2))
    await recorder.until(lambda: len(recorder.receipts) == 2)
    smsc.drop_links()
    await asyncio.sleep(0.05)
    for stored in recorder.held:
        stored(True)  # too late: the link they came on is gone; nothing may break
    recorder.hold_stored = False
    await recorder.until(lambda: len(recorder.receipts) == 4)


async def test_every_nth_answer_lost(start: Starter, smsc: SmscServer, recorder: Recorder) -> None:
    smsc.chaos.drop_every = 3
    connector = await start(response_timeout_s=1.5, window=10)
    parts = make_parts(9)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == 9)
    assert recorder.kinds().count(OutcomeKind.UNKNOWN) == 3
    assert connector.take(10) == 10


async def test_a_pair_submits_on_one_session_and_hears_on_the_other(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(bind="transmitter+receiver")
    assert [s.name for s in connector.status()] == ["op-1-transmitter", "op-1-receiver"]
    await send(connector, recorder, make_parts(20))
    await recorder.until(lambda: len(recorder.receipts) == 20)
    assert [s.submitted for s in connector.status()] == [20, 0]


async def test_several_binds_share_the_work(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.latency_ms = 20
    connector = await start(binds=3, window=5)
    await send(connector, recorder, make_parts(30))
    await recorder.until(lambda: len(recorder.outcomes) == 30)
    assert all(status.submitted >= 5 for status in connector.status())
    assert smsc.stats.window_max <= 5


async def test_a_refused_bind_says_why_and_hides_the_password(
    start: Starter, smsc: SmscServer, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    connector = await start(password="geheim77", is_awaited=False)
    await poll(lambda: smsc.stats.bind_refusals >= 2)
    assert not connector.is_up
    assert "ESME_RINVPASWD" in connector.status()[0].last_error
    printed = capsys.readouterr()
    assert "geheim77" not in printed.out + printed.err + repr(connector.status())


@pytest.mark.parametrize("way", ["udh8", "udh16", "sar", "payload"])
async def test_long_messages_arrive_whole(
    start: Starter, smsc: SmscServer, recorder: Recorder, way: str
) -> None:
    connector = await start(long_messages=way)
    text = _LONG + "€[]"
    message = make_message(text=text, part_count=len(segment(text).parts))
    await send(connector, recorder, message.parts)
    await recorder.until(lambda: len(recorder.receipts) == message.part_count)
    assert recorder.kinds() == [OutcomeKind.ACCEPTED] * message.part_count
    assert "".join(arrival.text for arrival in smsc.inbox) == text
    ids = [part.external_id for part in message.parts]
    assert len(set(ids)) == message.part_count
    assert sorted(r.candidates[0] for r in recorder.receipts) == sorted(ids)
    assert connector.status()[0].in_flight == 0


async def test_one_refusal_speaks_for_all_parts_of_a_payload(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(long_messages="payload")
    message = make_message("79000001249", _LONG, part_count=3)
    await send(connector, recorder, message.parts)
    await recorder.until(lambda: len(recorder.outcomes) == 3)
    assert recorder.kinds() == [OutcomeKind.REJECTED] * 3
    assert smsc.stats.submits == 1
    assert connector.status()[0].in_flight == 0


async def test_other_types_of_messages(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start(hlr=True)
    kinds = MessageType
    ems = "050A0307056048656C6C6F"
    messages = [
        make_message("79990000001", "Achtung", type=kinds.FLASH),
        # Its text is of no use to anybody, and takes no room.
        make_message("79990000002", "long " * 100, type=kinds.PING),
        make_message("79990000003", ems, type=kinds.BINARY, options={"pid": 1, "dcs": 245}),
        make_message("79990000004", "http://wap.ru/\nTitle", type=kinds.WAP_PUSH),
        make_message("79000008002", "", type=kinds.HLR, sender="HLR"),
    ]
    assert {m.submission.type for m in messages} <= connector.carries
    await send(connector, recorder, [m.parts[0] for m in messages])
    await recorder.until(lambda: len(recorder.receipts) == 5)
    flash, ping, binary, push, hlr = (arrival.pdu for arrival in smsc.inbox)
    assert flash.data_coding == 0x10
    assert (ping.protocol_id, ping.short_message) == (0x40, b"")
    assert binary.short_message == bytes.fromhex(ems)
    assert (binary.esm_class, binary.data_coding, binary.protocol_id) == (0x40, 245, 1)
    assert push.esm_class == 0x40
    assert push.short_message.startswith(bytes.fromhex("0605040B84"))
    assert hlr.short_message == b"__HLR__"
    [answer] = [r for r in recorder.receipts if r.detail]
    assert answer.detail is not None
    assert answer.detail["imsi"].startswith("25001")
    assert answer.detail["cn"] == "Russian Federation"
    assert answer.detail["rnet"] == "Vodafone"


async def test_long_incoming_messages_are_joined_in_any_order(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    await start()
    text = "Привет, мир! 😀 " * 12
    cut = segment(text)
    fragments = []
    for number in range(1, len(cut.parts) + 1):
        part = encode_part(cut, number, reference=7)
        fragments.append(
            DeliverSm(
                source_addr="79991112233",
                destination_addr="2442",
                esm_class=0x40,
                data_coding=part.data_coding,
                short_message=part.udh + part.payload,
            )
        )
    for fragment in reversed(fragments):
        smsc.deliver(fragment)
    await recorder.until(lambda: recorder.incoming)
    assert [m.text for m in recorder.incoming] == [text]
    await poll(lambda: smsc.stats.incoming_acknowledged == len(fragments))


async def test_a_text_that_looks_like_a_receipt_is_a_message(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    await start()
    smsc.deliver(
        DeliverSm(
            source_addr="79991112233",
            destination_addr="2442",
            short_message=b"id:1 stat:DELIVRD err:000",
        )
    )
    await recorder.until(lambda: recorder.incoming)
    assert not recorder.receipts


async def test_a_receipt_without_an_id_is_acknowledged_and_dropped(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start()
    smsc.deliver(DeliverSm(source_addr="7999", esm_class=4, short_message=b"stat:DELIVRD"))
    smsc.deliver(DeliverSm(source_addr="7999", esm_class=4, short_message=b"\xff\xfe"))
    await poll(lambda: smsc.stats.incoming_acknowledged == 2)
    assert not recorder.receipts
    assert not recorder.incoming
    assert connector.status()[0].extra["unreadable"] == 2


async def test_tlvs_have_the_last_word(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    await start()
    smsc.deliver(
        DeliverSm(
            source_addr="7999",
            esm_class=4,
            short_message=b"id:1 sub:001 dlvrd:000 submit date:2601010000 "
            b"done date:2601010000 stat:DELIVRD err:000 text:",
            tlvs=make_tlvs({0x001E: "77", 0x0427: 5, 0x0423: b"\x03\x00\x1b"}),
        )
    )
    await recorder.until(lambda: recorder.receipts)
    [report] = recorder.receipts
    assert (report.candidates[0], report.state, report.err) == (
        "77",
        MessageState.UNDELIVERABLE,
        6,
    )


@pytest.mark.parametrize("way", ["udh8", "payload"])
async def test_an_smsc_that_names_nothing(
    start: Starter, smsc: SmscServer, recorder: Recorder, way: str
) -> None:
    """What it took is told apart, so that it is paid for and can be forgotten."""
    accept = smsc._accept
    smsc._accept = lambda *taken: accept(*taken) and ""  # type: ignore[method-assign]
    connector = await start(long_messages=way)
    parts = make_message("79991112233", "x" * 300, part_count=2).parts + make_parts(2)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == 4)
    assert {outcome.kind for _, outcome in recorder.outcomes} == {OutcomeKind.ACCEPTED}
    names = [outcome.external_id for _, outcome in recorder.outcomes]
    assert all(names)
    assert len(set(names)) == 4


async def test_query_says_the_id_as_the_smsc_wrote_it(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    smsc.chaos.id_base = "hex-padded"
    connector = await start(unknown_policy="query")
    [part] = make_parts(1)
    await send(connector, recorder, [part])
    await recorder.until(lambda: recorder.receipts)
    report = (await connector.query([part]))[part.id]
    assert report is not None
    assert report.state is MessageState.DELIVERED


async def test_tls_with_a_certificate_that_is_checked(recorder: Recorder, tmp_path: Path) -> None:
    authority = trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("smsc.example").configure_cert(server_tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    server = await serve_smsc(tls=server_tls)
    settings = {
        "host": "127.0.0.1",
        "port": server.port,
        "tls": True,
        "tls_ca_file": str(ca_file),
        "reconnect_first_s": 0.02,
    }
    good = build(
        id=1, name="good", kind="smpp", settings=settings | {"tls_server_name": "smsc.example"}
    )
    bad = build(
        id=2, name="bad", kind="smpp", settings=settings | {"tls_server_name": "other.example"}
    )
    try:
        await good.start(recorder)
        await recorder.until(lambda: good.is_up)
        await send(good, recorder, make_parts(5))
        await recorder.until(lambda: len(recorder.receipts) == 5)
        await bad.start(recorder)
        await poll(lambda: "certificate" in bad.status()[0].last_error)
        assert not bad.is_up
    finally:
        await good.stop(1)
        await bad.stop(0)
        await server.close()


async def test_what_can_not_be_said_in_smpp_is_refused_alone(
    start: Starter, smsc: SmscServer, recorder: Recorder
) -> None:
    connector = await start()
    bad = make_message("79991112233", sender="Привет").parts[0]
    long = make_message("79991112233", "x" * 200).parts[0]  # counted wrongly as one part
    good = make_message("79991112233").parts[0]
    await send(connector, recorder, [bad, long, good])
    await recorder.until(lambda: len(recorder.outcomes) == 3)
    assert recorder.outcomes_of(bad)[0].err == 254
    assert recorder.outcomes_of(long)[0].kind is OutcomeKind.REJECTED
    assert recorder.outcomes_of(good)[0].kind is OutcomeKind.ACCEPTED
    assert connector.status()[0].in_flight == 0


async def test_validity_is_passed_on(start: Starter, smsc: SmscServer, recorder: Recorder) -> None:
    connector = await start()
    message = make_message()
    message.expires_at += 30_000  # is not passed on: whole minutes are
    await send(connector, recorder, message.parts)
    await recorder.until(lambda: recorder.outcomes)
    assert smsc.inbox[0].pdu.validity_period == "000001000000000R"
