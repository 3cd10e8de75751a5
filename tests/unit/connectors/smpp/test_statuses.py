"""Tables of statuses: total, and sensible in the rows that matter."""

from __future__ import annotations

import pytest

from heliograph.connectors.base import OutcomeKind
from heliograph.connectors.smpp.statuses import ERR_CODES, STATES, VERDICTS, read_err
from heliograph.connectors.virtual.carrier import ERROR_ENDS
from heliograph.domain.messages import FINAL_STATES, MessageState
from heliograph.protocols.smpp.constants import CommandStatus
from heliograph.protocols.smpp.constants import MessageState as SmppState


def test_every_command_status_has_a_verdict() -> None:
    assert set(VERDICTS) == set(CommandStatus)


def test_every_message_state_has_a_state() -> None:
    assert set(STATES) == set(SmppState)
    assert set(STATES.values()) <= FINAL_STATES | {MessageState.SUBMITTED}


def test_only_success_is_accepted_and_every_refusal_has_a_code() -> None:
    accepted = [s for s, v in VERDICTS.items() if v.kind is OutcomeKind.ACCEPTED]
    assert accepted == [CommandStatus.ESME_ROK]
    assert all(v.err in ERROR_ENDS for v in VERDICTS.values())
    assert all(v.err for s, v in VERDICTS.items() if s)


def test_throttling_is_a_deferral_of_the_whole_bind() -> None:
    throttling = {s for s, v in VERDICTS.items() if v.is_throttle}
    assert throttling == {CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL}
    assert all(VERDICTS[s].kind is OutcomeKind.DEFERRED for s in throttling)


def test_errors_translate_to_codes_of_the_api() -> None:
    assert set(ERR_CODES.values()) <= set(ERROR_ENDS)


@pytest.mark.parametrize(
    ("state", "errs", "expected"),
    [
        (MessageState.DELIVERED, (6,), 0),
        (MessageState.SUBMITTED, (6,), 0),
        (MessageState.UNDELIVERABLE, (6, 1), 6),
        (MessageState.UNDELIVERABLE, (None, 27), 6),
        (MessageState.UNDELIVERABLE, (4711, 11), 11),
        (MessageState.UNDELIVERABLE, (0, None), 255),
        (MessageState.EXPIRED, (0,), 6),
        (MessageState.REJECTED, (), 255),
    ],
)
def test_the_best_known_error_is_used(
    state: MessageState, errs: tuple[int | None, ...], expected: int
) -> None:
    assert read_err(state, *errs) == expected
