"""Grams of texts: whoever holds a part of a text is found by its grams, and few others are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.contacts import name_key, search_key
from heliograph.domain.grams import (
    MARK_BITS,
    add_holders,
    common_holders,
    gram_of_group,
    grams_of,
    grams_to_find,
    mark_of,
)

_texts = st.text(st.sampled_from("abcабв0123456789 \n\r\xa0\ud800ßΣ"), max_size=40)
_names = st.text(st.sampled_from("abc \n\tßİ"), max_size=5)
_places = st.sets(st.integers(0, 4095), max_size=400)


def test_grams_do_not_reach_over_lines() -> None:
    assert grams_of("ab\nd") == {"a", "b", "ab", "d"}
    assert grams_of("abc") == {"a", "b", "c", "ab", "bc", "abc"}
    assert grams_of("") == grams_of("\n\n") == set()
    assert grams_of("", "iv") == {"\ni", "\niv"}
    assert grams_of("", "ivanov") == {"\ni", "\niv", "\niva"}
    assert gram_of_group(1) not in grams_of("\n" + gram_of_group(1))


def test_a_search_takes_the_grams_that_tell_most() -> None:
    assert grams_to_find("abcdef") == ["abcd", "bcde", "cdef"]
    assert grams_to_find("abcde") == ["abcd", "bcde", "abc", "bcd", "cde"]
    assert grams_to_find("abc") == ["abc", "ab", "bc"]
    assert grams_to_find("ab\nc") == ["ab", "c"]
    assert grams_to_find("a") == ["a"]
    assert grams_to_find("", "iv pe") == ["iv", "pe", "\niv "]
    assert grams_to_find("", "iva") == ["\niva"]
    assert grams_to_find("", "ivan") == ["ivan", "iva", "van", "\niva"]
    assert grams_to_find("van", "iv") == ["van", "va", "an", "\niv"]
    assert grams_to_find("\n", "") == []
    # Whose syllables are all of another word.
    assert not set(grams_to_find("alesal")) <= grams_of("wholesale")
    long = grams_to_find("abcdefghijklmnopqrstuvwxyz")
    assert len(long) == 6
    assert (long[0], long[-1]) == ("abcd", "wxyz")


@given(_texts, st.integers(0, 39), st.integers(1, 12))
def test_who_holds_a_part_holds_its_grams(text: str, at: int, length: int) -> None:
    assert set(grams_to_find(text[at : at + length])) <= grams_of(text)


@given(_names, _names, _names, st.integers(0, 12))
def test_who_has_a_name_holds_its_grams(last: str, first: str, middle: str, length: int) -> None:
    fields = {"last_name": last, "first_name": first, "middle_name": middle}
    key = name_key(last, first, middle)
    beginning = " ".join(key[:length].split())
    if key.startswith(beginning):
        assert set(grams_to_find("", beginning)) <= grams_of(search_key(fields), key)


@given(st.lists(_places, min_size=1, max_size=5))
def test_rows_of_holders_are_sets(sets: list[set[int]]) -> None:
    rows = []
    for places in sets:
        row = b""
        for place in places:
            row = add_holders(row, [place])
        assert row == add_holders(row, places) == add_holders(row, sorted(places)[:3])
        assert len(row) == min(2 * len(places), 512)
        assert common_holders([row]) == sorted(places)
        rows.append(row)
    assert common_holders(rows) == sorted(set.intersection(*sets))


def test_grams_that_share_a_mark_do_not_share_it_on_every_shelf() -> None:
    """A rare one would seem to be wherever a usual one is."""
    grams = [f"{n:03}" for n in range(1000)] + [f"{n:02}" for n in range(100)]
    for gram in grams[::7]:
        others = [each for each in grams if each != gram]
        for shelf in range(5):
            mark = mark_of(gram, shelf)
            assert 0 <= mark < 1 << MARK_BITS
            others = [each for each in others if mark_of(each, shelf) == mark]
        assert not others
    for count in (1, 2, 3, 4):
        marks = {mark_of("abcd"[:count], shelf) for shelf in range(100)}
        assert len(marks) > 90
