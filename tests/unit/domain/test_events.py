"""What callbacks say, and when they are repeated."""

from __future__ import annotations

from heliograph.domain.events import (
    HANDOVER_MS,
    LIFE_MS,
    OutboxEvent,
    incoming_payload,
    next_try_after,
    status_payload,
    waitcall_payload,
)
from heliograph.domain.messages import Message, MessageState, MessageType, Submission

AT_MS = 1_476_794_052_999


def make_message(kind: MessageType = MessageType.SMS, *, flags: int = 0) -> Message:
    submission = Submission(
        id=1,
        account_id=1,
        payer_id=1,
        client_ref="1234",
        type=kind,
        sender="Shop",
        text="mes=1",
        created_at=0,
        flags=flags,
    )
    return Message(
        id=2,
        submission=submission,
        recipient="79999999999",
        mccmnc="25001",
        state=MessageState.DELIVERED,
        part_count=3,
        price_micros=0,
        created_at=0,
        expires_at=0,
    )


def test_a_status_call_in_the_order_of_the_reference() -> None:
    payload = status_payload(make_message(), 1, err=0, at_ms=AT_MS, cost_micros=1_200_000)
    assert payload == {
        "id": "1234",
        "phone": "79999999999",
        "status": "1",
        "time": "18.10.2016 15:34:12",
        "ts": "1476794052",
        "err": "0",
        "cnt": "3",
        "type": "0",
        "flag": "0",
        "cost": "1.20",
        "sender": "Shop",
    }
    assert list(payload)[:4] == ["id", "phone", "status", "time"]


def test_the_low_bits_of_the_flag_are_the_type() -> None:
    message = make_message(MessageType.EMAIL, flags=40)
    payload = status_payload(message, 1, err=0, at_ms=AT_MS, cost_micros=0)
    assert (payload["type"], payload["flag"]) == ("8", "40")


def test_an_hlr_answer_adds_its_members_and_nothing_that_changes_the_kind_of_call() -> None:
    message = make_message(MessageType.HLR)
    message.detail = {"imsi": "250019", "rcn": "", "net": "MTS", "mes": "x", "waitcall": "1"}
    payload = status_payload(message, 1, err=0, at_ms=AT_MS, cost_micros=0)
    assert payload["imsi"] == "250019"
    assert payload["net"] == "MTS"
    assert not {"rcn", "mes", "waitcall"} & set(payload)


def test_the_zone_of_the_installation() -> None:
    message = make_message()
    payload = status_payload(message, 1, err=0, at_ms=AT_MS, cost_micros=0, tz_minutes=0)
    assert payload["time"] == "18.10.2016 12:34:12"
    assert payload["ts"] == "1476794052"


def test_kinds_are_told_apart_by_a_name() -> None:
    incoming = incoming_payload(
        incoming_id=7, source="79261234567", destination="1234", text="Да", received_at_ms=AT_MS
    )
    assert incoming["mes"] == "Да"
    assert (incoming["phone"], incoming["to"], incoming["id"]) == ("79261234567", "1234", "7")
    call = waitcall_payload("79261234567", AT_MS)
    assert call["waitcall"] == "1"
    assert "mes" not in call


def test_the_published_schedule() -> None:
    minutes = []
    attempts = 1
    while (at := next_try_after(attempts, 0)) is not None:
        minutes.append(at // 60_000)
        attempts += 1
    assert minutes == [1, 2, 5, 10, 30, 60]
    assert sum(minutes) * 60_000 == LIFE_MS


def test_a_new_event_is_left_to_memory_for_a_while() -> None:
    event = OutboxEvent(
        id=1, account_id=1, message_id=1, kind="status", payload={"phone": "secret"}, created_at=10
    )
    assert event.next_try_at == 10 + HANDOVER_MS
    assert "secret" not in repr(event)
