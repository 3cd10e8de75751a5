"""The tables from refusals to error numbers are total, and say what the code tables say."""

from __future__ import annotations

import pytest

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.app import SCRIPTS
from heliograph.gateways.http.errors import ERRORS, SYSTEM_ERROR_NUMBER, error_of


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_has_a_row_for_every_refusal(script: str) -> None:
    assert set(ERRORS[script]) == set(Refusal)
    for number, text in ERRORS[script].values():
        assert number > 0
        assert text.isascii()
        assert text


def test_no_table_without_a_script() -> None:
    assert set(ERRORS) == set(SCRIPTS)


@pytest.mark.parametrize(
    ("refusal", "number", "text"),
    [
        (Refusal.BAD_PARAMETERS, 1, "parameters error"),
        (Refusal.NOT_AUTHORISED, 2, "authorise error"),
        (Refusal.NO_FUNDS, 3, "no money"),
        (Refusal.ADDRESS_BLOCKED, 4, "ip is blocked"),
        (Refusal.BAD_DATE, 5, "invalid date format"),
        (Refusal.TEXT_DENIED, 6, "message is denied"),
        (Refusal.SENDER_DENIED, 6, "message is denied"),
        (Refusal.BAD_NUMBER, 7, "invalid number"),
        (Refusal.NO_ROUTE, 8, "can't to deliver"),
        (Refusal.DUPLICATE, 9, "duplicate request, wait a minute"),
        (Refusal.TOO_MANY_AT_ONCE, 9, "too many concurrent requests"),
    ],
)
def test_wire_texts_of_sending(refusal: Refusal, number: int, text: str) -> None:
    assert error_of("send", refusal) == (number, text)


def test_the_number_of_our_own_faults_is_nobody_elses() -> None:
    for table in ERRORS.values():
        users = {refusal for refusal, (number, _) in table.items() if number == SYSTEM_ERROR_NUMBER}
        assert Refusal.SYSTEM_ERROR in users
    assert SYSTEM_ERROR_NUMBER > 11
