"""Sessions: sequence numbers, window, time and how they end."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from tests.unit.protocols.smpp.vectors import octets
from tests.unit.protocols.smpp.wire import Wire, bound_esme, bound_smsc, only

from heliograph.protocols.smpp import (
    BindTransceiver,
    BindTransceiverResp,
    CancelSm,
    CommandId,
    CommandStatus,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    EsmeSession,
    FramingFailed,
    LocalProtocolError,
    Pdu,
    PduRejected,
    QuerySm,
    QuerySmResp,
    ResponseReceived,
    ResponseTimedOut,
    Role,
    Session,
    SessionConfig,
    SessionState,
    SmscSession,
    SubmitSm,
    SubmitSmResp,
    Timer,
    TimerExpired,
    Unbind,
    UnbindResp,
    UnexpectedResponse,
    WindowFullError,
    decode,
    encode,
)
from heliograph.protocols.smpp.constants import SEQUENCE_MAX
from heliograph.protocols.smpp.states import BOUND_STATES, LEGAL_REQUESTS, TRANSITIONS


class TestSequenceAndWindow:
    def test_numbers_begin_at_one_and_wrap(self) -> None:
        esme = EsmeSession(0.0)
        assert decode(esme.send(BindTransceiver(), 0.0)).sequence_number == 1
        esme.receive(encode(BindTransceiverResp(), 1), 0.0)
        esme._sequence = SEQUENCE_MAX - 1
        numbers = [decode(esme.send(SubmitSm(), 0.0)).sequence_number for _ in range(3)]
        assert numbers == [SEQUENCE_MAX, 1, 2]

    def test_wrapping_steps_over_numbers_in_use(self) -> None:
        esme = bound_esme()
        first = decode(esme.send(SubmitSm(), 0.0, context="old")).sequence_number
        esme._sequence = first - 1
        assert decode(esme.send(SubmitSm(), 0.0, context="new")).sequence_number == first + 1
        event = only(
            esme.receive(encode(SubmitSmResp(message_id="1"), first), 0.0), ResponseReceived
        )
        assert event.context == "old"

    @pytest.mark.parametrize("sequence", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
    def test_numbers_of_the_peer_are_his_own(self, sequence: int) -> None:
        smsc = bound_smsc()
        two = encode(SubmitSm(), sequence) * 2
        events = smsc.receive(two, 0.0)
        assert len(events) == 2
        for _ in events:
            answer = decode(smsc.respond(SubmitSmResp(message_id="1"), sequence))
            assert answer.sequence_number == sequence

    def test_window(self) -> None:
        esme = bound_esme(SessionConfig(window_max=2))
        assert esme.window_room == 2
        esme.send(SubmitSm(), 0.0)
        esme.send(SubmitSm(), 0.0)
        assert (esme.window_room, esme.outstanding) == (0, 2)
        with pytest.raises(WindowFullError) as caught:
            esme.send(SubmitSm(), 0.0)
        assert caught.value.command_status == CommandStatus.ESME_RMSGQFUL
        esme.send(EnquireLink(), 0.0)
        esme.receive(encode(SubmitSmResp(message_id="1"), 2), 0.0)
        assert esme.window_room == 1
        esme.send(SubmitSm(), 0.0)

    def test_inbound_window(self) -> None:
        smsc = bound_smsc(SessionConfig(inbound_max=2))
        events = smsc.receive(b"".join(encode(SubmitSm(), n) for n in (1, 2, 3)), 0.0)
        assert [type(event) for event in events] == [SubmitSm, SubmitSm, PduRejected]
        assert decode(smsc.take_output()) == SubmitSmResp(3, CommandStatus.ESME_RMSGQFUL)
        smsc.respond(SubmitSmResp(message_id="1"), 1)
        only(smsc.receive(encode(SubmitSm(), 4), 0.0), SubmitSm)

    def test_at_most(self) -> None:
        smsc = bound_smsc()
        octets = b"".join(encode(SubmitSm(), n) for n in range(1, 6))
        events = smsc.receive(octets, 0.0, 2)
        assert [event.sequence_number for event in events if isinstance(event, SubmitSm)] == [1, 2]
        assert (smsc.backlog, smsc.unanswered) == (3, 2)
        assert smsc.receive(encode(SubmitSm(), 6), 0.0, 0) == []
        assert smsc.backlog == 4
        events = smsc.receive(b"", 0.0, 3)
        assert [event.sequence_number for event in events if isinstance(event, SubmitSm)] == [
            3,
            4,
            5,
        ]
        assert only(smsc.receive(b"", 0.0), SubmitSm).sequence_number == 6
        assert smsc.backlog == 0

    def test_a_broken_stream_is_told_behind_the_backlog(self) -> None:
        smsc = bound_smsc()
        events = smsc.receive(encode(SubmitSm(), 1) * 2 + octets("00000001"), 0.0, 1)
        assert [type(event) for event in events] == [SubmitSm]
        first, last = smsc.receive(b"more", 0.0)
        assert (type(first), type(last)) == (SubmitSm, FramingFailed)
        assert smsc.receive(b"", 0.0) == []

    def test_response_to_nothing(self) -> None:
        esme = bound_esme()
        event = only(
            esme.receive(encode(SubmitSmResp(message_id="1"), 99), 0.0), UnexpectedResponse
        )
        assert (event.context, event.is_late) == (None, False)

    def test_response_of_another_kind_settles_nothing(self) -> None:
        esme = bound_esme()
        esme.send(SubmitSm(), 0.0)
        only(esme.receive(encode(QuerySmResp(message_id="1"), 2), 0.0), UnexpectedResponse)
        assert esme.outstanding == 1


class TestTime:
    CONFIG = SessionConfig(
        session_init_s=5.0, enquire_link_s=20.0, inactivity_s=50.0, response_s=10.0, late_max=2
    )

    def test_session_init(self) -> None:
        smsc = SmscSession(100.0, self.CONFIG)
        assert smsc.next_deadline == 105.0
        assert smsc.tick(104.9) == []
        assert only(smsc.tick(105.0), TimerExpired).timer is Timer.SESSION_INIT
        assert smsc.state is SessionState.CLOSED

    def test_bind_that_is_never_answered(self) -> None:
        esme = EsmeSession(0.0, SessionConfig(response_s=10.0, session_init_s=None))
        esme.send(BindTransceiver(), 0.0, context="bind")
        event = only(esme.tick(10.0), ResponseTimedOut)
        assert (event.command_id, event.context) == (CommandId.BIND_TRANSCEIVER, "bind")

    def test_enquire_link_when_it_is_quiet(self) -> None:
        esme = bound_esme(self.CONFIG)
        assert esme.next_deadline == 20.0
        assert esme.tick(19.9) == []
        assert esme.take_output() == b""
        assert esme.tick(20.0) == []
        link = decode(esme.take_output())
        assert isinstance(link, EnquireLink)
        assert esme.next_deadline == 30.0
        assert esme.tick(25.0) == []
        assert esme.take_output() == b""
        only(esme.receive(encode(EnquireLinkResp(), link.sequence_number), 26.0), ResponseReceived)
        assert esme.next_deadline == 46.0
        assert esme.tick(30.0) == []

    def test_link_that_does_not_answer_is_dead(self) -> None:
        esme = bound_esme(self.CONFIG)
        esme.tick(20.0)
        assert only(esme.tick(30.0), TimerExpired).timer is Timer.ENQUIRE_LINK
        assert esme.is_over

    def test_link_that_talks_but_ignores_enquire_link_is_alive(self) -> None:
        esme = bound_esme(self.CONFIG)
        esme.tick(20.0)
        esme.receive(encode(DeliverSm(), 1), 25.0)
        assert esme.tick(30.0) == []
        assert esme.is_bound
        assert esme.next_deadline == 45.0

    def test_inactivity(self) -> None:
        smsc = bound_smsc(SessionConfig(enquire_link_s=None, inactivity_s=120.0))
        smsc.receive(encode(EnquireLink(), 1), 60.0)
        assert smsc.next_deadline == 180.0
        assert smsc.tick(179.0) == []
        assert only(smsc.tick(180.0), TimerExpired).timer is Timer.INACTIVITY

    def test_dripping_half_a_pdu_is_inactivity(self) -> None:
        smsc = bound_smsc(SessionConfig(enquire_link_s=None, inactivity_s=120.0))
        smsc.receive(octets("0000FFFF 00000004"), 60.0)
        smsc.receive(b"x", 119.0)
        assert only(smsc.tick(120.0), TimerExpired).timer is Timer.INACTIVITY

    def test_response_timeouts_in_order(self) -> None:
        esme = bound_esme(self.CONFIG)
        for at in (1.0, 2.0, 3.0):
            esme.send(SubmitSm(), at, context=at)
        assert esme.next_deadline == 11.0
        esme.receive(encode(SubmitSmResp(message_id="1"), 2), 4.0)
        timed_out = esme.tick(12.0)
        assert [e.context for e in timed_out if isinstance(e, ResponseTimedOut)] == [2.0]
        assert esme.next_deadline == 13.0
        assert esme.outstanding == 1
        event = only(esme.tick(13.0), ResponseTimedOut)
        assert (event.sequence_number, event.command_id) == (4, CommandId.SUBMIT_SM)
        assert (event.context, event.sent_at) == (3.0, 3.0)
        assert esme.window_room == esme.config.window_max

    def test_late_response_brings_its_context(self) -> None:
        esme = bound_esme(self.CONFIG)
        for name in "abc":
            esme.send(SubmitSm(), 0.0, context=name)
        assert len(esme.tick(10.0)) == 3
        answers = b"".join(encode(SubmitSmResp(message_id="1"), n) for n in (2, 3, 4, 4))
        late = [e for e in esme.receive(answers, 11.0) if isinstance(e, UnexpectedResponse)]
        assert [(e.context, e.is_late) for e in late] == [
            (None, False),  # forgotten: late_max is 2
            ("b", True),
            ("c", True),
            (None, False),
        ]

    def test_mass_timeout_is_linear(self) -> None:
        esme = bound_esme(SessionConfig(window_max=50_000, response_s=10.0, enquire_link_s=None))
        for _ in range(50_000):
            esme.send(SubmitSm(), 0.0)
        gc.collect()
        began = time.process_time()
        assert len(esme.tick(10.0)) == 50_000
        # Linear work takes some 0.1 s; one scan of the dict per request would take minutes.
        assert time.process_time() - began < 5.0

    def test_no_timers_no_deadline(self) -> None:
        esme = bound_esme(
            SessionConfig(session_init_s=None, enquire_link_s=None, inactivity_s=None)
        )
        assert esme.next_deadline is None
        esme.send(SubmitSm(), 1.0)
        assert esme.next_deadline == 61.0


class TestEnding:
    def test_unbind(self) -> None:
        wire = Wire().bind()
        request = only(wire.to_smsc(wire.esme.send(Unbind(), 0.0)), Unbind)
        assert wire.esme.state is wire.smsc.state is SessionState.UNBINDING
        with pytest.raises(LocalProtocolError):
            wire.esme.send(SubmitSm(), 0.0)
        with pytest.raises(LocalProtocolError):
            wire.smsc.send(DeliverSm(), 0.0)
        answer = wire.smsc.respond(UnbindResp(), request.sequence_number)
        only(wire.to_esme(answer), ResponseReceived)
        assert wire.esme.state is wire.smsc.state is SessionState.UNBOUND
        assert wire.esme.is_over

    def test_messages_that_crossed_the_unbind_are_taken(self) -> None:
        wire = Wire().bind()
        delivery = wire.smsc.send(DeliverSm(), 0.0, context="receipt")
        unbind = wire.esme.send(Unbind(), 0.0)
        request = only(wire.to_esme(delivery), DeliverSm)
        answer = wire.esme.respond(DeliverSmResp(), request.sequence_number)
        first, second = wire.to_smsc(unbind + answer)
        assert isinstance(first, Unbind)
        assert isinstance(second, ResponseReceived)
        assert second.context == "receipt"

    def test_both_unbind_at_once(self) -> None:
        wire = Wire().bind()
        ours, theirs = wire.esme.send(Unbind(), 0.0), wire.smsc.send(Unbind(), 0.0)
        request = only(wire.to_esme(theirs), Unbind)
        only(wire.to_smsc(ours), Unbind)
        answer = wire.esme.respond(UnbindResp(), request.sequence_number)
        assert wire.esme.state is SessionState.UNBOUND
        only(wire.to_smsc(answer), ResponseReceived)
        assert wire.smsc.state is SessionState.UNBOUND

    def test_close_gives_back_what_waits(self) -> None:
        wire = Wire().bind()
        wire.esme.send(SubmitSm(), 1.0, context="a")
        wire.esme.send(CancelSm(), 2.0, context="b")
        wire.esme.send(EnquireLink(), 3.0)
        abandoned = wire.esme.close()
        assert [(item.command_id, item.context) for item in abandoned] == [
            (CommandId.ENQUIRE_LINK, None),
            (CommandId.SUBMIT_SM, "a"),
            (CommandId.CANCEL_SM, "b"),
        ]
        assert wire.esme.close() == []
        assert wire.esme.next_deadline is None
        with pytest.raises(LocalProtocolError):
            wire.esme.send(SubmitSm(), 4.0)


class TestStateTable:
    def test_every_state_has_a_row_for_both_roles(self) -> None:
        for role in Role:
            assert set(LEGAL_REQUESTS[role]) == set(SessionState)

    def test_every_state_but_closed_can_be_reached_by_the_table(self) -> None:
        reached = {SessionState.OPEN} | set(TRANSITIONS.values())
        assert reached == set(SessionState) - {SessionState.CLOSED}

    def test_every_bound_state_can_be_left(self) -> None:
        for state in BOUND_STATES:
            assert TRANSITIONS[state, CommandId.UNBIND] is SessionState.UNBINDING

    @pytest.mark.parametrize("make", [EsmeSession, SmscSession])
    def test_illegal_requests_of_the_peer_are_refused_in_every_state(
        self, make: Callable[[float], Session]
    ) -> None:
        requests: list[Pdu] = [
            SubmitSm(),
            DeliverSm(),
            DataSm(),
            QuerySm(),
            Unbind(),
            EnquireLink(),
        ]
        for state in SessionState:
            if state is SessionState.CLOSED:
                continue
            for request in requests:
                session = make(0.0)
                peer = Role.SMSC if session.role is Role.ESME else Role.ESME
                session._enter(state)
                (event,) = session.receive(encode(request, 5), 0.0)
                asked = SessionState.BOUND_TRX if state is SessionState.UNBINDING else state
                legal = request.command_id in LEGAL_REQUESTS[peer][asked]
                assert isinstance(event, PduRejected) is not legal
