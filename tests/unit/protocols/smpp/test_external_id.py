"""Operators' message ids: which compare equal, and above all which do not."""

from __future__ import annotations

from typing import cast

import pytest

from heliograph.protocols.smpp import IdOrigin, IdPolicy, normalise_external_id


def meet(first: str, second: str, policy: IdPolicy = "auto") -> bool:
    """Would a receipt with ``second`` find the message stored under ``first``, and vice versa?"""
    there = normalise_external_id(first, policy, origin=IdOrigin.RESPONSE)
    back = normalise_external_id(second, policy, origin=IdOrigin.RECEIPT)
    return bool(there) and bool(back) and there[0] in back and back[0] in there


@pytest.mark.parametrize(
    ("response", "receipt"),
    [
        ("855469", "855469"),
        ("0000855469", "855469"),
        ("4A3F", "4a3f"),
        ("00004A3F", "4a3f"),
        ("4A3F", "19007"),
        ("19007", "0x4A3F"),
        ("0x1234", "4660"),
        ("000D0DAF", "855471"),
        (" 12 ", "12\0"),
        ("FFFFFFFFFFFFFFFF", "18446744073709551615"),
        ("0", "000"),
        ("6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ("id:with:colons", "id:with:colons"),
        ("aB3-x", "aB3-x"),
    ],
)
def test_equal(response: str, receipt: str) -> None:
    assert meet(response, receipt)
    assert meet(receipt, response)


@pytest.mark.parametrize(
    ("response", "receipt"),
    [
        ("1234", "4660"),  # hex of 4660, but nothing says that it is hex
        ("aB3-x", "ab3-x"),
        ("Ab3F", "aB3f"),  # mixed case is base 64 rather than hex
        ("00xyz", "xyz"),
        ("12-07", "12-7"),
        ("4a3f", "4a30"),
        ("1", "10"),
        ("", ""),
        ("1ffffffffffffffff", "36893488147419103231"),  # more than 64 bits
        ("id", "ID"),
    ],
)
def test_not_equal(response: str, receipt: str) -> None:
    assert not meet(response, receipt)


def test_the_own_form_comes_first() -> None:
    assert normalise_external_id("19007") == ("19007", "4a3f")
    assert normalise_external_id("00004A3F") == ("4a3f", "19007")
    assert normalise_external_id("4660") == ("4660",)


def test_exact() -> None:
    assert normalise_external_id("00004A3F ", "exact") == ("00004A3F",)
    assert not meet("4A3F", "4a3f", "exact")


@pytest.mark.parametrize(
    ("response", "receipt"),
    [("4660", "18016"), ("1234", "0000004660"), ("4a3f", "19007"), ("x-1", "x-1"), ("10", "0x10")],
)
def test_hex_to_dec(response: str, receipt: str) -> None:
    assert meet(response, receipt, "hex-to-dec")


def test_hex_to_dec_reads_digits_of_a_response_as_hex() -> None:
    assert normalise_external_id("10", "hex-to-dec") == ("16",)
    assert normalise_external_id("10", "hex-to-dec", origin=IdOrigin.RECEIPT) == ("10",)
    assert not meet("10", "10", "hex-to-dec")


def test_dec_to_hex_is_the_mirror() -> None:
    assert meet("16", "10", "dec-to-hex")
    assert not meet("10", "16", "dec-to-hex")


def test_unknown_policy() -> None:
    with pytest.raises(ValueError, match="policy"):
        normalise_external_id("1", cast(IdPolicy, "guess"))
