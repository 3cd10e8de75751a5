"""User data headers, built and parsed, and the faults of other people's headers."""

from __future__ import annotations

import pytest

from heliograph.protocols.sms.errors import UdhError, UdhProblem
from heliograph.protocols.sms.national_tables import NationalLanguage
from heliograph.protocols.sms.udh import (
    Concatenation,
    InformationElement,
    Ports,
    build_concatenation,
    build_language,
    build_ports,
    build_udh,
    parse_udh,
)


def test_concatenation_with_an_8_bit_reference() -> None:
    udh = build_udh([build_concatenation(0x1A7, 3, number=2)])
    assert udh.hex() == "050003a70302"
    header = parse_udh(udh + b"text")
    assert header.concatenation == Concatenation(reference=0xA7, total=3, number=2)
    assert header.length == 6
    assert header.problems == ()


def test_concatenation_with_a_16_bit_reference() -> None:
    udh = build_udh([build_concatenation(0x1A7, 255, number=255, is_wide=True)])
    assert udh.hex() == "06080401a7ffff"
    expected = Concatenation(reference=0x1A7, total=255, number=255, is_wide=True)
    assert parse_udh(udh).concatenation == expected


def test_ports_of_both_widths() -> None:
    assert build_udh([build_ports(2948, 9200)]).hex() == "0605040b8423f0"
    assert parse_udh(bytes.fromhex("0605040b8423f0")).ports == Ports(destination=2948, source=9200)
    narrow = build_udh([build_ports(240, 241, is_wide=False)])
    assert narrow.hex() == "040402f0f1"
    assert parse_udh(narrow).ports == Ports(destination=240, source=241, is_wide=False)


def test_shift_tables_before_the_concatenation() -> None:
    language = build_language(NationalLanguage.HINDI, NationalLanguage.TURKISH)
    udh = build_udh([*language, build_concatenation(9, 2, number=1)])
    assert udh.hex() == "0b240101250106" + "0003090201"
    header = parse_udh(udh)
    assert (header.locking_shift, header.single_shift) == (6, 1)
    assert header.concatenation == Concatenation(reference=9, total=2, number=1)
    assert build_language(NationalLanguage.DEFAULT, NationalLanguage.DEFAULT) == ()


def test_unknown_elements_are_kept() -> None:
    header = parse_udh(bytes.fromhex("050a03070560") + b"Hello")
    assert header.elements == (InformationElement(0x0A, b"\x07\x05\x60"),)
    assert build_udh(header.elements).hex() == "050a03070560"
    assert header.problems == ()


@pytest.mark.parametrize("user_data", ["", "05", "050003", "0500030102"])
def test_a_header_beyond_the_user_data_is_an_error(user_data: str) -> None:
    with pytest.raises(UdhError) as raised:
        parse_udh(bytes.fromhex(user_data))
    assert raised.value.problem is UdhProblem.TRUNCATED


@pytest.mark.parametrize(
    ("udh", "problem"),
    [
        ("050003a70300", UdhProblem.PART_ZERO),
        ("050003a70001", UdhProblem.TOTAL_ZERO),
        ("050003a70203", UdhProblem.PART_BEYOND_TOTAL),
        ("050003a70101", UdhProblem.ONE_PART),
        ("04000203010000", UdhProblem.ELEMENT_LENGTH),
        ("050003a70302"[:-8] + "04a70302", UdhProblem.ELEMENT_OVERRUN),
        ("0100", UdhProblem.ELEMENT_OVERRUN),
        ("03240201", UdhProblem.ELEMENT_OVERRUN),
        ("0424020101", UdhProblem.ELEMENT_LENGTH),
    ],
)
def test_faulty_elements_are_named_and_the_rest_is_read(udh: str, problem: UdhProblem) -> None:
    header = parse_udh(bytes.fromhex(udh) + b"text")
    assert header.concatenation is None
    assert problem in header.problems
    assert header.length == bytes.fromhex(udh)[0] + 1


def test_good_elements_before_an_overrun_are_kept() -> None:
    header = parse_udh(bytes.fromhex("070003a703022405"))
    assert header.concatenation == Concatenation(reference=0xA7, total=3, number=2)
    assert header.problems == (UdhProblem.ELEMENT_OVERRUN,)


def test_the_last_of_repeated_elements_counts() -> None:
    header = parse_udh(bytes.fromhex("0b" + "0003010201" + "080400020302"))
    assert header.concatenation == Concatenation(reference=2, total=3, number=2, is_wide=True)


def test_an_empty_header() -> None:
    assert parse_udh(b"\x00abc").length == 1
    assert build_udh([]) == b""


@pytest.mark.parametrize(
    ("total", "number", "problem"),
    [
        (2, 0, UdhProblem.PART_ZERO),
        (2, 3, UdhProblem.PART_BEYOND_TOTAL),
        (256, 1, UdhProblem.TOO_LONG),
    ],
)
def test_impossible_places_are_not_built(total: int, number: int, problem: UdhProblem) -> None:
    with pytest.raises(UdhError) as raised:
        build_concatenation(1, total, number=number)
    assert raised.value.problem is problem


def test_a_header_has_to_leave_the_length_octet() -> None:
    assert len(build_udh([InformationElement(0x70, b"x" * 137)])) == 140
    with pytest.raises(UdhError) as raised:
        build_udh([InformationElement(0x70, b"x" * 138)])
    assert raised.value.problem is UdhProblem.TOO_LONG


def test_a_port_has_to_fit() -> None:
    with pytest.raises(OverflowError):
        build_ports(70000, 1)
