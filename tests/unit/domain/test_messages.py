"""The table of states and what is derived from parts."""

from __future__ import annotations

from itertools import product

import pytest

from heliograph.domain.messages import (
    FINAL_STATES,
    TRANSITIONS,
    Message,
    MessageState,
    MessageType,
    Part,
    Submission,
    derive_state,
    may_advance,
    message_id_of,
    part_id,
)
from heliograph.domain.statuses import API_STATUS, STATUS_NAMES

S = MessageState


def test_the_table_is_total_and_every_state_has_a_status_with_a_name() -> None:
    assert set(TRANSITIONS) == set(MessageState)
    assert set(API_STATUS) == set(MessageState)
    assert {API_STATUS[s] for s in MessageState} <= set(STATUS_NAMES)


def test_no_final_state_becomes_open_again() -> None:
    for final, following in product(FINAL_STATES, MessageState):
        if may_advance(final, following):
            assert following in FINAL_STATES
            assert following in {S.DELIVERED, S.READ, S.CLICKED}


def test_every_open_state_can_reach_an_end() -> None:
    for state in set(MessageState) - FINAL_STATES:
        reached, todo = {state}, [state]
        while todo:
            for following in TRANSITIONS[todo.pop()] - reached:
                reached.add(following)
                todo.append(following)
        assert S.DELIVERED in reached
        assert S.EXPIRED in reached


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([S.DELIVERED], S.DELIVERED),
        ([S.DELIVERED, S.DELIVERED], S.DELIVERED),
        ([S.DELIVERED, S.EXPIRED], S.EXPIRED),
        ([S.UNDELIVERABLE, S.EXPIRED], S.UNDELIVERABLE),
        ([S.SUBMITTED, S.DELIVERED], S.SUBMITTED),
        ([S.SUBMITTED, S.QUEUED], S.QUEUED),
        ([S.REJECTED, S.SUBMITTING], S.SUBMITTING),
        ([S.UNKNOWN, S.DELIVERED], S.UNKNOWN),
    ],
)
def test_state_of_a_message_from_its_parts(
    parts: list[MessageState], expected: MessageState
) -> None:
    assert derive_state(parts) is expected
    assert derive_state(reversed(parts)) is expected


def test_part_ids_name_their_message() -> None:
    submission = Submission(
        id=1,
        account_id=1,
        payer_id=1,
        client_ref="5",
        type=MessageType.SMS,
        sender="shop",
        text="hello",
        created_at=0,
    )
    message = Message(
        id=77,
        submission=submission,
        recipient="79161234567",
        mccmnc="25001",
        state=S.QUEUED,
        part_count=2,
        price_micros=2,
        created_at=0,
        expires_at=1,
        own_sender="other",
    )
    part = Part(message, 2, S.QUEUED, 1)
    assert part.id == part_id(77, 2)
    assert message_id_of(part.id) == 77
    assert (message.text, message.sender) == ("hello", "other")
