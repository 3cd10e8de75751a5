"""The tables from refusals to command_status are total."""

from __future__ import annotations

from heliograph.domain.refusals import RECIPIENT_OUTCOMES, Refusal
from heliograph.gateways.smpp.errors import LATE_REFUSALS, SESSION_STATUS, SUBMIT_STATUS
from heliograph.protocols.smpp import CommandStatus
from heliograph.services.authentication import SessionRefusal


def test_every_refusal_has_a_status() -> None:
    assert set(SUBMIT_STATUS) == set(Refusal)
    assert set(SESSION_STATUS) == set(SessionRefusal)
    for status in (*SUBMIT_STATUS.values(), *SESSION_STATUS.values()):
        assert status in set(CommandStatus)


def test_what_is_told_late_is_taken_first() -> None:
    assert {r for r, status in SUBMIT_STATUS.items() if not status} == LATE_REFUSALS
    assert set(RECIPIENT_OUTCOMES) >= LATE_REFUSALS


def test_the_cases_of_the_description() -> None:
    S = CommandStatus
    assert SUBMIT_STATUS[Refusal.BAD_NUMBER] == S.ESME_RINVDSTADR
    assert SUBMIT_STATUS[Refusal.SENDER_DENIED] == S.ESME_RINVSRCADR
    assert SUBMIT_STATUS[Refusal.DUPLICATE] == S.ESME_RTHROTTLED
    assert SESSION_STATUS[SessionRefusal.UNKNOWN_LOGIN] == S.ESME_RINVSYSID
    assert SESSION_STATUS[SessionRefusal.WRONG_PASSWORD] == S.ESME_RINVPASWD
    assert SESSION_STATUS[SessionRefusal.NOT_ADMITTED] == S.ESME_RBINDFAIL
