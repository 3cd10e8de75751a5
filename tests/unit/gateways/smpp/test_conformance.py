"""The conformance statement says what the code does."""

from __future__ import annotations

from pathlib import Path

from heliograph.gateways.smpp.conformance import MARKER, describe_conformance, is_complete

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "smpp-conformance.md"


def test_the_page_is_as_the_code() -> None:
    written = PAGE.read_text(encoding="utf-8").partition(MARKER)[2].strip()
    command = f"python -m heliograph.gateways.smpp.conformance {PAGE}"
    assert written == describe_conformance().strip(), command


def test_nothing_is_left_out() -> None:
    assert is_complete()
