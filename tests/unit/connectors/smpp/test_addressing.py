"""Addresses: numbering read from their form."""

from __future__ import annotations

import pytest

from heliograph.connectors.smpp.addressing import address_rule


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("79991112233", (1, 1, "79991112233")),
        ("+79991112233", (1, 1, "79991112233")),
        ("2442", (3, 0, "2442")),
        ("ivan", (5, 0, "ivan")),
        ("INFO 24", (5, 0, "INFO 24")),
        ("A-very-long-name", (5, 0, "A-very-long")),
        ("", (0, 0, "")),
        ("٣٤٥٦٧٨٩٠", (5, 0, "٣٤٥٦٧٨٩٠")),  # digits, but none that the wire knows
    ],
)
@pytest.mark.parametrize("is_cached", [True, False])
def test_forms(address: str, expected: tuple[int, int, str], is_cached: bool) -> None:
    rule = address_rule(-1, -1, is_cached=is_cached)
    assert rule(address) == expected
    assert rule(address) == expected


def test_settings_win() -> None:
    assert address_rule(5, 1)("79991112233") == (5, 1, "79991112233")
    assert address_rule(-1, 9)("ivan") == (5, 9, "ivan")
