"""Messages in memory: what is forgotten is really gone."""

from __future__ import annotations

import gc

import pytest

from heliograph.domain.messages import Message, MessageState, MessageType, Part, Submission
from heliograph.services import tracker as module
from heliograph.services.tracker import Tracker


def expected(tracker: Tracker, id: int, *, parts: int = 1) -> Message:
    """A submitted message whose receipts are expected."""
    submission = Submission(
        id=id,
        account_id=1,
        payer_id=1,
        client_ref=str(id),
        type=MessageType.SMS,
        sender="",
        text="",
        created_at=0,
    )
    message = Message(
        id=id,
        submission=submission,
        recipient="79161234567",
        mccmnc="",
        state=MessageState.QUEUED,
        part_count=parts,
        price_micros=0,
        created_at=0,
        expires_at=0,
    )
    tracker.add(message)
    for seq in range(1, parts + 1):
        part = Part(message, seq, MessageState.SUBMITTED, 1)
        part.external_id = f"{id}-{seq}"
        message.parts.append(part)
        tracker.expect(part)
    return message


def finish(tracker: Tracker, message: Message) -> None:
    message.final_at = 1
    for part in message.parts:
        part.state = MessageState.DELIVERED
    tracker.remove(message)


@pytest.mark.parametrize("are_finished", [True, False])
def test_forgotten_messages_leave_no_circles(
    monkeypatch: pytest.MonkeyPatch, are_finished: bool
) -> None:
    """Without the collector, which hardly ever runs here: memory is bounded all the same, also
    when an operator sends no receipts."""
    monkeypatch.setattr(module, "_MAX_EXPECTED", 100)
    tracker = Tracker()
    gc.collect()
    others = sum(isinstance(each, Message) for each in gc.get_objects())  # of other tests
    gc.disable()
    try:
        for id in range(1, 501):
            message = expected(tracker, id)
            if are_finished:
                finish(tracker, message)
        del message
        left = [each for each in gc.get_objects() if isinstance(each, Message)]
        assert len(left) - others == 100
        assert len(tracker.live) == (0 if are_finished else 100)
        del left
    finally:
        gc.enable()


def test_a_message_keeps_its_parts_while_one_of_them_is_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_EXPECTED", 3)
    tracker = Tracker()
    message = expected(tracker, 1, parts=2)
    finish(tracker, message)
    expected(tracker, 2, parts=2)
    assert tracker.find(1, ["1-1"]) is None
    assert tracker.find(1, ["1-2"]) is message.parts[1]
    expected(tracker, 3)
    assert message.parts == []


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.UNKNOWN])
def test_a_message_that_waits_here_too_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, state: MessageState
) -> None:
    monkeypatch.setattr(module, "_MAX_EXPECTED", 1)
    tracker = Tracker()
    message = expected(tracker, 1)
    message.parts.append(Part(message, 2, state, 1))
    expected(tracker, 2)
    assert tracker.live[1] is message
    assert len(message.parts) == 2


def test_messages_in_hand_keep_their_parts_though_they_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_EXPECTED", 1)
    tracker = Tracker()
    message = expected(tracker, 1)
    with tracker.hold([message]):
        with tracker.hold([message]):
            pass
        expected(tracker, 2)
        assert 1 not in tracker.live
        assert len(message.parts) == 1


def test_a_message_that_was_taken_twice_is_expected_under_its_newer_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_EXPECTED", 2)
    tracker = Tracker()
    message = expected(tracker, 1)
    (part,) = message.parts
    part.external_id = "sent again"
    tracker.expect(part)
    expected(tracker, 2)
    assert tracker.find(1, ["1-1"]) is None
    assert tracker.find(1, ["sent again"]) is part
    assert message.parts == [part]
