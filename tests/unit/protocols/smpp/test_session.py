"""Both ends of an SMPP connection, joined by a fake wire and a fake clock."""

from __future__ import annotations

import pytest
from tests.unit.protocols.smpp.vectors import octets
from tests.unit.protocols.smpp.wire import Bind, Wire, bound_esme, bound_smsc, header, only

from heliograph.protocols.smpp import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    CommandId,
    CommandStatus,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    FramingFailed,
    GenericNack,
    LocalProtocolError,
    Outbind,
    PduRejected,
    QuerySm,
    ResponseReceived,
    SessionConfig,
    SessionState,
    SmscSession,
    SubmitSm,
    SubmitSmResp,
    TlvTag,
    UnbindResp,
    decode,
    encode,
)


class TestBinding:
    @pytest.mark.parametrize(
        ("bind", "state"),
        [
            (BindTransmitter(system_id="a"), SessionState.BOUND_TX),
            (BindReceiver(system_id="a"), SessionState.BOUND_RX),
            (BindTransceiver(system_id="a"), SessionState.BOUND_TRX),
        ],
    )
    def test_three_ways(self, bind: Bind, state: SessionState) -> None:
        wire = Wire()
        assert not wire.esme.is_bound
        wire.bind(bind)
        assert wire.esme.state is wire.smsc.state is state
        assert wire.esme.is_bound

    def test_refusal_opens_the_session_for_another_try(self) -> None:
        wire = Wire()
        request = only(wire.to_smsc(wire.esme.send(BindTransceiver(), 0.0)), BindTransceiver)
        assert wire.smsc.state is SessionState.BINDING
        answer = wire.smsc.refuse_bind(request, CommandStatus.ESME_RINVPASWD)
        event = only(wire.to_esme(answer), ResponseReceived)
        assert event.pdu == BindTransceiverResp(1, CommandStatus.ESME_RINVPASWD)
        assert wire.esme.state is wire.smsc.state is SessionState.OPEN
        assert wire.bind().esme.is_bound

    def test_nack_to_a_bind_opens_the_session(self) -> None:
        wire = Wire()
        wire.esme.send(BindTransceiver(), 0.0)
        only(wire.to_esme(encode(GenericNack(command_status=3), 1)), ResponseReceived)
        assert wire.esme.state is SessionState.OPEN

    def test_unreadable_bind_response_opens_the_session(self) -> None:
        wire = Wire()
        wire.esme.send(BindTransceiver(), 0.0, context="bind")
        bad = header(CommandId.BIND_TRANSCEIVER_RESP, b"smsc\0\x02\x10\x00\x09\x34")
        event = only(wire.to_esme(bad), PduRejected)
        assert (event.is_response, event.is_matched, event.context) == (True, True, "bind")
        assert wire.esme.state is SessionState.OPEN

    def test_second_bind(self) -> None:
        wire = Wire().bind()
        event = only(wire.to_smsc(encode(BindReceiver(system_id="b"), 9)), PduRejected)
        assert event.command_status == CommandStatus.ESME_RALYBND
        assert decode(wire.smsc.take_output()) == BindReceiverResp(9, CommandStatus.ESME_RALYBND)
        assert wire.smsc.is_bound

    def test_second_bind_before_the_first_is_answered(self) -> None:
        wire = Wire()
        two = encode(BindTransceiver(), 1) + encode(BindTransceiver(), 2)
        first, second = wire.to_smsc(two)
        assert isinstance(first, BindTransceiver)
        assert isinstance(second, PduRejected)
        assert second.command_status == CommandStatus.ESME_RALYBND

    def test_answer_of_another_kind_of_bind_is_our_mistake(self) -> None:
        wire = Wire()
        wire.to_smsc(encode(BindTransceiver(), 1))
        with pytest.raises(LocalProtocolError):
            wire.smsc.respond(BindReceiverResp(), 1)

    def test_outbind(self) -> None:
        wire = Wire()
        event = only(wire.to_esme(wire.smsc.send(Outbind(system_id="centre"), 0.0)), Outbind)
        assert event.system_id == "centre"
        assert wire.esme.state is wire.smsc.state is SessionState.OUTBOUND
        wire.bind(BindReceiver(system_id="a"))
        assert wire.esme.state is SessionState.BOUND_RX

    @pytest.mark.parametrize(
        ("ours", "theirs", "agreed", "told"),
        [
            (0x50, 0x50, 0x50, 0x50),
            (0x50, 0x34, 0x34, 0x34),
            (0x34, 0x50, 0x34, 0x34),
            (0x50, 0x33, 0x33, None),
            (0x34, 0x00, 0x33, None),
            (0x50, 34, 0x34, 0x34),
            (0x50, 50, 0x50, 0x50),
        ],
    )
    def test_version(self, ours: int, theirs: int, agreed: int, told: int | None) -> None:
        smsc = SmscSession(0.0, SessionConfig(interface_version=ours))
        bind = BindTransceiver(system_id="a", interface_version=theirs)
        request = only(smsc.receive(encode(bind, 1), 0.0), BindTransceiver)
        answer = decode(smsc.accept_bind(request, "centre"))
        assert smsc.interface_version == agreed
        assert isinstance(answer, BindTransceiverResp)
        assert answer.tlvs.number(TlvTag.SC_INTERFACE_VERSION) == told

    def test_client_learns_the_version_of_the_server(self) -> None:
        wire = Wire(
            esme=SessionConfig(interface_version=0x50), smsc=SessionConfig(interface_version=0x34)
        )
        wire.bind(BindTransceiver(system_id="a", interface_version=0x50))
        assert wire.esme.interface_version == 0x34


class TestMessages:
    def test_response_brings_back_the_context(self) -> None:
        wire = Wire().bind()
        mark = object()
        data = wire.esme.send(SubmitSm(destination_addr="7913"), 5.0, context=mark)
        request = only(wire.to_smsc(data), SubmitSm)
        assert wire.smsc.unanswered == 1
        answer = wire.smsc.respond(SubmitSmResp(message_id="42"), request.sequence_number)
        assert wire.smsc.unanswered == 0
        event = only(wire.to_esme(answer), ResponseReceived)
        assert event.context is mark
        assert event.sent_at == 5.0
        assert event.pdu == SubmitSmResp(request.sequence_number, 0, "42")
        assert wire.esme.outstanding == 0

    def test_one_byte_at_a_time(self) -> None:
        wire = Wire().bind()
        data = wire.esme.send(SubmitSm(short_message=b"Hello"), 0.0) + wire.esme.send(
            QuerySm(message_id="1"), 0.0
        )
        events = [event for at in range(len(data)) for event in wire.to_smsc(data[at : at + 1])]
        assert [type(event) for event in events] == [SubmitSm, QuerySm]

    def test_answers_out_of_order(self) -> None:
        wire = Wire().bind()
        requests = wire.to_smsc(
            b"".join(wire.esme.send(SubmitSm(), 0.0, context=name) for name in "abc")
        )
        answers = b"".join(
            wire.smsc.respond(
                SubmitSmResp(message_id=str(pdu.sequence_number)), pdu.sequence_number
            )
            for pdu in reversed(requests)
            if isinstance(pdu, SubmitSm)
        )
        contexts = [
            event.context for event in wire.to_esme(answers) if isinstance(event, ResponseReceived)
        ]
        assert contexts == ["c", "b", "a"]

    def test_ten_thousand_in_one_segment(self) -> None:
        wire = Wire(esme=SessionConfig(window_max=10_000)).bind()
        data = b"".join(wire.esme.send(SubmitSm(), 0.0, context=n) for n in range(10_000))
        requests = wire.to_smsc(data)
        assert len(requests) == 10_000
        answers = b"".join(
            wire.smsc.respond(SubmitSmResp(message_id="1"), pdu.sequence_number)
            for pdu in requests
            if isinstance(pdu, SubmitSm)
        )
        contexts = [e.context for e in wire.to_esme(answers) if isinstance(e, ResponseReceived)]
        assert contexts == list(range(10_000))

    def test_delivery_the_other_way(self) -> None:
        wire = Wire().bind()
        request = only(wire.to_esme(wire.smsc.send(DeliverSm(), 0.0, context=1)), DeliverSm)
        answer = wire.esme.respond(DeliverSmResp(), request.sequence_number)
        assert only(wire.to_smsc(answer), ResponseReceived).context == 1

    def test_data_sm_goes_both_ways(self) -> None:
        wire = Wire().bind()
        request = only(wire.to_esme(wire.smsc.send(DataSm(), 0.0)), DataSm)
        wire.to_smsc(wire.esme.respond(DataSmResp(), request.sequence_number))
        request = only(wire.to_smsc(wire.esme.send(DataSm(), 0.0)), DataSm)
        only(
            wire.to_esme(wire.smsc.respond(DataSmResp(), request.sequence_number)),
            ResponseReceived,
        )

    def test_alert_notification_wants_no_answer(self) -> None:
        wire = Wire().bind()
        only(wire.to_esme(wire.smsc.send(AlertNotification(), 0.0)), AlertNotification)
        assert wire.smsc.outstanding == 0
        assert wire.esme.unanswered == 0

    def test_generic_nack_settles_a_request(self) -> None:
        wire = Wire().bind()
        only(wire.to_smsc(wire.esme.send(SubmitSm(), 0.0, context="x")), SubmitSm)
        event = only(
            wire.to_esme(wire.smsc.respond(GenericNack(command_status=3), 2)), ResponseReceived
        )
        assert (event.context, event.pdu) == ("x", GenericNack(2, 3))
        assert wire.esme.outstanding == 0

    def test_enquire_link_is_answered_at_once(self) -> None:
        smsc = bound_smsc()
        only(smsc.receive(encode(EnquireLink(), 77), 1.0), EnquireLink)
        assert decode(smsc.take_output()) == EnquireLinkResp(77)
        assert smsc.take_output() == b""
        assert smsc.unanswered == 0


class TestWrongState:
    def test_submit_before_bind(self) -> None:
        smsc = SmscSession(0.0)
        event = only(smsc.receive(encode(SubmitSm(), 3), 0.0), PduRejected)
        assert isinstance(event.pdu, SubmitSm)
        assert decode(smsc.take_output()) == SubmitSmResp(3, CommandStatus.ESME_RINVBNDSTS)
        assert smsc.state is SessionState.OPEN

    def test_submit_on_a_receiver(self) -> None:
        wire = Wire().bind(BindReceiver(system_id="a"))
        only(wire.to_smsc(encode(SubmitSm(), 3)), PduRejected)
        assert decode(wire.smsc.take_output()) == SubmitSmResp(3, CommandStatus.ESME_RINVBNDSTS)
        with pytest.raises(LocalProtocolError) as caught:
            wire.esme.send(SubmitSm(), 0.0)
        assert caught.value.command_status == CommandStatus.ESME_RINVBNDSTS

    def test_deliver_on_a_transmitter(self) -> None:
        wire = Wire().bind(BindTransmitter(system_id="a"))
        with pytest.raises(LocalProtocolError):
            wire.smsc.send(DeliverSm(), 0.0)

    def test_client_that_delivers(self) -> None:
        smsc = bound_smsc()
        only(smsc.receive(encode(DeliverSm(), 4), 0.0), PduRejected)
        assert decode(smsc.take_output()) == DeliverSmResp(4, CommandStatus.ESME_RINVBNDSTS)

    def test_response_is_not_a_request_nor_the_other_way(self) -> None:
        esme = bound_esme()
        with pytest.raises(LocalProtocolError):
            esme.send(SubmitSmResp(), 0.0)
        with pytest.raises(LocalProtocolError):
            esme.respond(SubmitSm(), 1)
        with pytest.raises(LocalProtocolError):
            esme.respond(DeliverSmResp(), 1)
        with pytest.raises(LocalProtocolError):
            esme.respond(UnbindResp(), 1)

    def test_refused_send_changes_nothing(self) -> None:
        esme = bound_esme()
        with pytest.raises(LocalProtocolError):
            esme.send(SubmitSm(source_addr="x" * 21), 0.0)
        assert esme.outstanding == 0
        assert decode(esme.send(SubmitSm(), 0.0)).sequence_number == 2


class TestBadPdus:
    def test_unknown_command_is_nacked_and_the_session_goes_on(self) -> None:
        smsc = bound_smsc()
        data = header(0x99, b"junk", sequence=5) + encode(SubmitSm(), 6)
        bad, good = smsc.receive(data, 0.0)
        assert isinstance(bad, PduRejected)
        assert isinstance(good, SubmitSm)
        assert decode(smsc.take_output()) == GenericNack(5, CommandStatus.ESME_RINVCMDID)
        assert smsc.is_bound

    def test_bad_body_is_answered_in_kind(self) -> None:
        smsc = bound_smsc()
        body = b"\0\5\0" + b"x" * 30 + b"\0\1\0017913\0\0\0\0\0\0\1\0\0\0\2Hi"
        event = only(smsc.receive(header(CommandId.SUBMIT_SM, body, sequence=8), 0.0), PduRejected)
        assert (event.sequence_number, event.is_response) == (8, False)
        assert decode(smsc.take_output()) == SubmitSmResp(8, CommandStatus.ESME_RINVSRCADR)

    def test_submit_of_sixteen_octets(self) -> None:
        smsc = bound_smsc()
        only(smsc.receive(header(CommandId.SUBMIT_SM), 0.0), PduRejected)
        assert decode(smsc.take_output()) == SubmitSmResp(1, CommandStatus.ESME_RINVCMDLEN)

    def test_bad_response_reaches_the_one_who_waits(self) -> None:
        esme = bound_esme()
        esme.send(QuerySm(message_id="1"), 0.0, context="query")
        bad = header(CommandId.QUERY_SM_RESP, b"1\0", sequence=2)
        event = only(esme.receive(bad, 0.0), PduRejected)
        assert (event.is_matched, event.context) == (True, "query")
        assert esme.take_output() == b""
        assert esme.outstanding == 0

    def test_bad_response_to_nothing_is_not_answered(self) -> None:
        esme = bound_esme()
        for command_id in (CommandId.QUERY_SM_RESP, 0x80000099):
            event = only(esme.receive(header(command_id, b"1\0", sequence=50), 0.0), PduRejected)
            assert (event.is_response, event.is_matched) == (True, False)
        assert esme.take_output() == b""

    def test_bad_notification_is_not_answered(self) -> None:
        esme = bound_esme()
        only(esme.receive(header(CommandId.ALERT_NOTIFICATION, b"\1"), 0.0), PduRejected)
        assert esme.take_output() == b""

    def test_broken_framing_ends_the_session_after_what_was_good(self) -> None:
        smsc = bound_smsc()
        bad = octets("00000005 00000004 00000000 00000009")
        good, failed = smsc.receive(encode(SubmitSm(), 6) + bad, 0.0)
        assert isinstance(good, SubmitSm)
        assert isinstance(failed, FramingFailed)
        assert decode(smsc.take_output()) == GenericNack(9, CommandStatus.ESME_RINVCMDLEN)
        assert smsc.state is SessionState.CLOSED
        assert smsc.receive(encode(SubmitSm(), 7), 0.0) == []
        assert smsc.respond(SubmitSmResp(message_id="1"), 6) == b""
        assert smsc.next_deadline is None
        assert smsc.tick(1e9) == []

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01"])
    def test_foreign_peers_get_no_answer(self, data: bytes) -> None:
        smsc = SmscSession(0.0)
        event = only(smsc.receive(data, 0.0), FramingFailed)
        assert event.error.command_status == CommandStatus.ESME_RINVCMDLEN
        assert smsc.take_output() == b""
        assert smsc.state is SessionState.CLOSED
