"""Fair share between accounts, priority, bounds."""

from __future__ import annotations

from heliograph.domain.messages import Message, MessageState, MessageType, Part, Submission
from heliograph.queueing.lanes import LANE_CAPACITY, Lanes


def make_part(id: int, account_id: int) -> Part:
    submission = Submission(
        id=id,
        account_id=account_id,
        payer_id=account_id,
        client_ref=str(id),
        type=MessageType.SMS,
        sender="",
        text="x",
        created_at=0,
    )
    message = Message(
        id=id,
        submission=submission,
        recipient="79161234567",
        mccmnc="",
        state=MessageState.QUEUED,
        part_count=1,
        price_micros=0,
        created_at=0,
        expires_at=1,
    )
    part = Part(message, 1, MessageState.QUEUED, 1)
    message.parts.append(part)
    return part


def test_one_account_keeps_its_order() -> None:
    lanes = Lanes()
    for n in range(100):
        assert lanes.push(make_part(n, 1), is_bulk=False)
    assert [p.message.id for p in lanes.pop(40)] == list(range(40))
    assert [p.message.id for p in lanes.pop(100)] == list(range(40, 100))
    assert lanes.is_empty()


def test_a_flood_delays_another_account_by_a_round_only() -> None:
    lanes = Lanes()
    for n in range(5_000):
        lanes.push(make_part(n, 1), is_bulk=False)
    lanes.push(make_part(9_999, 2), is_bulk=False)
    first = [p.message.id for p in lanes.pop(64)]
    assert 9_999 in first


def test_single_messages_pass_mailings_which_are_not_starved() -> None:
    lanes = Lanes()
    for n in range(1_000):
        lanes.push(make_part(n, 1), is_bulk=True)
        lanes.push(make_part(10_000 + n, 2), is_bulk=False)
    taken = [p.message.id for p in lanes.pop(512)]
    bulk = sum(1 for i in taken if i < 10_000)
    assert 0 < bulk < 128


def test_what_does_not_fit_spills_and_later_parts_spill_too() -> None:
    lanes = Lanes()
    kept = [lanes.push(make_part(n, 1), is_bulk=False) for n in range(LANE_CAPACITY + 5)]
    assert kept.count(True) == LANE_CAPACITY
    lanes.pop(100)
    assert not lanes.push(make_part(50_000, 1), is_bulk=False)
    assert lanes.push(make_part(50_001, 2), is_bulk=False)
    assert lanes.spilled == {1: (LANE_CAPACITY << 8 | 1) - 1}


def test_returned_parts_come_first_again() -> None:
    lanes = Lanes()
    for n in range(10):
        lanes.push(make_part(n, 1), is_bulk=False)
    lanes.push_back(lanes.pop(3))
    assert [p.message.id for p in lanes.pop(10)] == list(range(10))
    assert len(lanes) == 0


def test_what_spills_while_the_feeder_reads_is_read_for() -> None:
    lanes = Lanes()
    lanes.spilled[1] = 100
    assert lanes.begin_page(1) == 100
    lanes.end_page(1, 200)
    assert lanes.spilled == {1: 200}
    lanes.begin_page(1)
    assert not lanes.is_empty()
    part = make_part(3, 1)
    assert not lanes.push(part, is_bulk=False)
    lanes.end_page(1, None)
    assert lanes.spilled == {1: part.id - 1}
    lanes.begin_page(1)
    lanes.end_page(1, None)
    assert lanes.is_empty()
