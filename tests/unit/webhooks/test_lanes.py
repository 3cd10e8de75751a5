"""Order of one account's events, its memory and its circuit, without any I/O."""

from __future__ import annotations

import pytest

from heliograph.domain.events import OutboxEvent
from heliograph.webhooks.lanes import Depth, Lane


def event(id: int, message_id: int = 0) -> OutboxEvent:
    return OutboxEvent(
        id=id, account_id=1, message_id=message_id, kind="status", payload={}, created_at=0
    )


@pytest.fixture
def depth() -> Depth:
    return Depth()


@pytest.fixture
def lane(depth: Depth) -> Lane:
    return Lane(1, depth, is_behind=False)


def offer(lane: Lane, *events: OutboxEvent, is_full: bool = False) -> list[bool]:
    return [lane.offer(e, is_full=is_full) for e in events]


def take_all(lane: Lane) -> list[int]:
    taken = []
    while (e := lane.take()) is not None:
        taken.append(e.id)
    return taken


def test_events_of_one_message_go_one_after_the_other(lane: Lane) -> None:
    first, second, other = event(1, 7), event(2, 7), event(3, 8)
    offer(lane, first, second, other)
    assert lane.take() is first
    assert lane.take() is other  # the second waits for the first
    assert lane.take() is None
    lane.settle_success(first)
    assert lane.take() is second


def test_events_without_a_message_do_not_wait(lane: Lane) -> None:
    offer(lane, event(1), event(2))
    assert take_all(lane) == [1, 2]


def test_the_same_event_is_queued_once(lane: Lane, depth: Depth) -> None:
    offer(lane, event(1), event(1))
    lane.begin_page()
    assert lane.put_page([event(1), event(2)], is_all=False) == 1
    assert take_all(lane) == [1, 2]
    assert depth.count == 2


def test_what_is_behind_a_failed_event_goes_back_to_the_database(lane: Lane, depth: Depth) -> None:
    failed = event(1, 7)
    offer(lane, failed, event(2, 7), event(3, 8), event(4, 7))
    assert lane.take() is failed
    assert lane.take() is not None  # 3; and 2 is put behind 1
    lane.settle_failure(failed, is_probe=False, now_ms=0)
    assert take_all(lane) == []  # 4 must not overtake 1 either
    assert lane.is_behind
    assert lane.held == {1, 3}
    lane.release(1)
    assert depth.count == 1


def test_a_failure_whose_result_is_not_on_disk_still_blocks_its_message(lane: Lane) -> None:
    failed = event(1, 7)
    offer(lane, failed)
    lane.take()
    lane.settle_failure(failed, is_probe=False, now_ms=0)
    lane.begin_page()
    lane.put_page([event(2, 7), event(3, 8)], is_all=True)
    assert take_all(lane) == [3]
    assert lane.is_behind  # something does wait: the failed one
    lane.release(1)
    lane.begin_page()
    lane.put_page([event(2, 7)], is_all=True)
    assert take_all(lane) == [2]
    assert not lane.is_behind


def test_a_lane_that_is_behind_takes_nothing_from_memory(lane: Lane, depth: Depth) -> None:
    assert offer(lane, event(1), is_full=True) == [False]
    assert offer(lane, event(2)) == [False]
    assert depth.count == 0


def test_a_lane_catches_up_with_what_came_while_it_read(lane: Lane) -> None:
    offer(lane, event(1), is_full=True)
    lane.begin_page()
    offer(lane, event(3), event(2))  # 2 was committed before the page was read, 3 after it
    assert lane.put_page([event(1), event(2)], is_all=True) == 2
    assert not lane.is_behind
    assert take_all(lane) == [1, 2, 3]


def test_a_lane_does_not_catch_up_when_something_was_left_out(lane: Lane) -> None:
    offer(lane, event(1), is_full=True)
    lane.begin_page()
    offer(lane, event(2), is_full=True)
    offer(lane, event(3))
    lane.put_page([event(1)], is_all=True)
    assert lane.is_behind
    lane.begin_page()
    lane.put_page([event(1), event(2), event(3)], is_all=False)  # a full page: there is more
    assert lane.is_behind


def test_what_comes_while_a_page_is_read_is_bounded(lane: Lane, depth: Depth) -> None:
    lane.is_behind = True
    lane.begin_page()
    offer(lane, *(event(i) for i in range(20_000)))
    lane.put_page([], is_all=True)
    assert lane.is_behind
    assert depth.count == 0


def fail(lane: Lane, id: int, now_ms: int, *, is_probe: bool = False) -> None:
    lane.begin_page()
    lane.put_page([event(id)], is_all=False)
    taken = lane.take()
    assert taken is not None
    lane.settle_failure(taken, is_probe=is_probe, now_ms=now_ms)
    lane.release(id)


def test_the_circuit_opens_after_failures_in_a_row_and_drops_the_queue(
    lane: Lane, depth: Depth
) -> None:
    for id in range(4):
        fail(lane, id, 1000)
    assert not lane.is_open
    lane.put_page([event(9), event(10), event(11)], is_all=False)
    taken = lane.take()
    assert taken is not None
    lane.settle_failure(taken, is_probe=False, now_ms=1000)
    assert lane.is_open
    assert lane.open_until == 6000
    assert not lane.queue
    assert depth.count == 1  # the failed one, until its result is written


def test_a_success_between_failures_keeps_the_circuit_closed(lane: Lane) -> None:
    for id in range(20):
        fail(lane, id, 0)
        lane.begin_page()
        lane.put_page([event(100 + id)], is_all=False)
        taken = lane.take()
        assert taken is not None
        lane.settle_success(taken)
    assert not lane.is_open


def test_pauses_between_probes_grow_to_a_minute(lane: Lane) -> None:
    for id in range(5):
        fail(lane, id, 0)
    pauses = [lane.pause_ms]
    for id in range(5, 10):
        fail(lane, id, 0, is_probe=True)
        pauses.append(lane.pause_ms)
    assert pauses == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]
    fail(lane, 11, 0)  # a call that had begun before the circuit opened
    assert lane.pause_ms == 60_000
    lane.begin_page()
    lane.put_page([event(12)], is_all=False)
    taken = lane.take()
    assert taken is not None
    lane.settle_success(taken)
    assert not lane.is_open
    assert lane.pause_ms == 0


def test_an_idle_lane_can_be_forgotten(lane: Lane) -> None:
    assert lane.is_idle
    offer(lane, event(1, 7))
    assert not lane.is_idle
    taken = lane.take()
    assert taken is not None
    lane.settle_success(taken)
    assert not lane.is_idle  # its result is not on disk
    lane.release(1)
    assert lane.is_idle
