"""Errors that nobody expected: a bug is one line of the log, a database that is away is none."""

from __future__ import annotations

import pytest

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.failures import refusal_for


def test_a_bug_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    assert refusal_for("status", ValueError("text of somebody")) is Refusal.SYSTEM_ERROR
    assert "status failed: ValueError" in caplog.text
    assert "somebody" not in caplog.text


def test_a_database_that_is_away_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    assert refusal_for("status", ConnectionRefusedError("away")) is Refusal.OVERLOADED
    assert caplog.text == ""
