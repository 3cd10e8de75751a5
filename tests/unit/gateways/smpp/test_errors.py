"""The tables from refusals to answers of sessions are total."""

from __future__ import annotations

from heliograph.domain.refusals import RECIPIENT_OUTCOMES, Refusal
from heliograph.gateways.smpp.errors import LATE_REFUSALS, SESSION_STATUS, SUBMIT_STATUS
from heliograph.services.authentication import SessionRefusal


def test_every_refusal_has_an_answer() -> None:
    assert set(SUBMIT_STATUS) == set(Refusal)
    assert set(SESSION_STATUS) == set(SessionRefusal)


def test_what_is_told_by_a_receipt_is_answered_as_taken() -> None:
    assert {refusal for refusal, status in SUBMIT_STATUS.items() if status == 0} == LATE_REFUSALS
    assert set(RECIPIENT_OUTCOMES) >= LATE_REFUSALS
