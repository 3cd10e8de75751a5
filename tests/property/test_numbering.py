"""Numbering plan against an independent number library, and laws that hold for any input."""

from __future__ import annotations

import functools
import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.numbering import (
    CALLING_CODES,
    NumberingPlan,
    PrefixRow,
    TableImportError,
    normalise_recipient,
    parse_prefix_csv,
)
from heliograph.domain.prefix_tables import split_range

SHARED = sorted(
    str(code) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items() if regions[1:]
)


@functools.cache
def default_plan() -> NumberingPlan:
    return NumberingPlan.load_default()


def test_calling_codes_are_those_of_the_oracle() -> None:
    assert {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE} == CALLING_CODES


def test_every_region_of_the_oracle_is_found_by_its_example_numbers() -> None:
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    tried = 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in kinds:
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            expected = phonenumbers.region_code_for_number(example)
            digits = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]
            country = default_plan().country_of(digits)
            assert country is not None, digits
            assert country.iso2 == expected, digits
            tried += 1
    assert tried > 400


@pytest.mark.parametrize("code", SHARED)
def test_country_in_shared_codes_agrees_with_the_oracle(code: str) -> None:
    choice = random.Random(int(code))
    checked = 0
    for _ in range(1500):
        digits = code + "".join(choice.choices("0123456789", k=choice.choice((8, 9, 10))))
        number = phonenumbers.parse("+" + digits)
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
        if e164 != digits or not phonenumbers.is_valid_number(number):
            continue
        country = default_plan().country_of(digits)
        assert country is not None
        assert country.iso2 == phonenumbers.region_code_for_number(number), digits
        checked += 1
    assert checked > 0 or code in {"290", "599"}  # short numbers: the example test has them


@given(st.sampled_from(sorted(CALLING_CODES)), st.text("0123456789", min_size=6, max_size=12))
def test_valid_numbers_of_the_oracle_are_recipients(code: str, rest: str) -> None:
    digits = code + rest
    expected = digits if 10 <= len(digits) <= 15 else None
    assert normalise_recipient("+" + digits) == expected
    origin = default_plan().lookup(digits)
    country = default_plan().country_of(digits)
    assert origin is not None
    assert country is not None
    assert origin.iso2 == country.iso2
    prefix = default_plan().prefix_of(digits)
    assert prefix
    assert digits.startswith(prefix)
    assert origin.time_zones


@given(st.text(max_size=40))
def test_recipient_is_digits_or_nothing_and_stays_what_it_is(text: str) -> None:
    number = normalise_recipient(text)
    if number is not None:
        assert number.isascii()
        assert number.isdigit()
        assert 10 <= len(number) <= 15
        assert default_plan().lookup(number) is not None
        assert normalise_recipient("+" + number) == number


@given(st.text("0123456789+ ()-", max_size=24))
def test_writing_does_not_matter(text: str) -> None:
    spaced = "".join(f" {sign}-" for sign in text)
    assert normalise_recipient(spaced) == normalise_recipient(text)


@given(st.integers(10_000, 99_999), st.integers(0, 5_000))
def test_range_prefixes_cover_exactly_the_range(first: int, span: int) -> None:
    last = min(first + span, 99_999)
    covered: list[int] = []
    for prefix in split_range(str(first), str(last)):
        size = 10 ** (5 - len(prefix))
        covered.extend(range(int(prefix) * size, (int(prefix) + 1) * size))
    assert covered == list(range(first, last + 1))


@given(
    st.dictionaries(
        st.text("0123456789", min_size=1, max_size=6).map(lambda rest: "7" + rest),
        st.sampled_from(["25001", "25002", "25020", "99999"]),
        min_size=1,
        max_size=30,
    ),
    st.text("0123456789", min_size=10, max_size=10),
)
def test_longest_imported_prefix_decides(table: dict[str, str], rest: str) -> None:
    countries = list(default_plan().iter_countries())
    plan = NumberingPlan(
        countries,
        default_plan().iter_networks(),
        prefixes=[PrefixRow(prefix="79", mccmnc="25099")],
        imported=[PrefixRow(prefix=prefix, mccmnc=code) for prefix, code in table.items()],
    )
    number = "7" + rest
    expected = ""
    for length in range(1, 8):
        if length == 2 and number[:2] == "79":
            expected = "25099"
        elif length == 2 and number[:2] in ("76", "77"):
            expected = ""
        expected = table.get(number[:length], expected)
    origin = plan.lookup(number)
    assert origin is not None
    assert origin.mccmnc == expected


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_as_an_import(text: str) -> None:
    for header in ("", "prefix,mccmnc\n", "from;to;operator\n"):
        problems: list[str] = []
        rows: list[PrefixRow] = []
        try:
            rows = parse_prefix_csv(header + text)
        except TableImportError as error:
            problems = [str(problem) for problem in error.problems] or ["refused for no reason"]
        assert all(row.prefix.isdigit() for row in rows)
        assert all(problem.startswith("line ") for problem in problems)
