"""Every character table against the PyPI package gsmcodecs, built from the specification."""

from __future__ import annotations

import gsmcodecs
import pytest

from heliograph.protocols.sms.national_tables import (
    ABSENT,
    ESCAPE,
    LOCKING_TABLES,
    SINGLE_SHIFT_TABLES,
    NationalLanguage,
)

_INDIC = range(NationalLanguage.BENGALI, NationalLanguage.URDU + 1)

# Where the package differs from the printed tables (a comma lost in its own source files), prints
# a misprint of the specification, or leaves out the euro sign that all single shifts have.
_KNOWN = {
    **{(language, "locking", 0x2C): "," for language in _INDIC},
    (NationalLanguage.KANNADA, "locking", 0x24): "\u0ca1",
    (NationalLanguage.TELUGU, "singleShift", 0x65): "€",
}


@pytest.mark.parametrize("kind", ["locking", "singleShift"])
@pytest.mark.parametrize("language", list(NationalLanguage))
def test_table_agrees_with_gsmcodecs(language: NationalLanguage, kind: str) -> None:
    tables = LOCKING_TABLES if kind == "locking" else SINGLE_SHIFT_TABLES
    published = gsmcodecs.GSMCHARMAPS[language].get(kind)
    assert (published is None) == (language not in tables)
    if published is None:
        return
    for code, character in enumerate(tables[language]):
        if code == ESCAPE:
            assert character == ABSENT
            continue
        point = published["decode"].get(code)
        expected = _KNOWN.get((language, kind, code), ABSENT if point is None else chr(point))
        assert character == expected, hex(code)


def test_spanish_has_only_a_single_shift_table() -> None:
    assert set(SINGLE_SHIFT_TABLES) - set(LOCKING_TABLES) == {NationalLanguage.SPANISH}


@pytest.mark.parametrize("table", [*LOCKING_TABLES.values(), *SINGLE_SHIFT_TABLES.values()])
def test_table_has_128_codes_of_the_basic_plane(table: str) -> None:
    assert len(table) == 128
    assert all(ord(character) < 0x10000 for character in table)


@pytest.mark.parametrize("table", LOCKING_TABLES.values())
def test_locking_table_has_each_character_once(table: str) -> None:
    characters = table.replace(ABSENT, "")
    assert len(set(characters)) == len(characters)
