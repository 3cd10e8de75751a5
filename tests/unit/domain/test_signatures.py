"""Signatures of texts: what is there is never missed, and what is not is hardly ever supposed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.signatures import (
    WIDTHS,
    add_text,
    grams_of,
    make_signature,
    marks_of,
    shows,
)

_texts = st.text(st.sampled_from("abcабв0123456789 \n\ud800"), max_size=40)


def may_hold(signatures: dict[int, bytes], part: str) -> bool:
    """What a database answers for a block."""
    width, grams = marks_of(part)
    return all(shows(signatures[width], gram) for gram in grams)


def signatures_of(texts: list[str]) -> dict[int, bytes]:
    return {width: make_signature("\n".join(texts), width) for width in WIDTHS}


def test_grams_do_not_reach_over_lines_and_digits_have_their_own() -> None:
    assert grams_of("ab12345", 3) == {"ab1", "b12"}
    assert grams_of("ab\ncd1", 3) == {"cd1"}
    assert grams_of("ab1234 123", 4) == {"123", "234", "1234"}
    assert grams_of("a\nb1", 2) == {"a", "b", "1", "b1"}
    assert grams_of("ab1234567\n12345678", 8) == {"ab123456", "b1234567"}
    assert grams_of("ab", 3) == grams_of("12", 4) == grams_of("", 2) == grams_of("abcd", 5) == set()


def test_a_search_uses_the_grams_that_tell_most() -> None:
    expected = {
        8: ("ivan petrov", "12 34 56", "8(916) 123"),
        5: ("abcde", "12345a", "123 456"),
        4: ("123", "1234", "79161234567", "ab\n12345678"),
        3: ("abc", "123a", "abcd", "abc\nde"),
        2: ("a", "ab", "12", "ab\ncd"),
    }
    for width, parts in expected.items():
        assert [marks_of(part)[0] for part in parts] == [width] * len(parts)
    assert marks_of("\n")[1] == marks_of("")[1] == []


@given(st.lists(_texts, max_size=8), st.integers(0, 7), st.integers(0, 39), st.integers(1, 12))
def test_what_is_there_is_found(texts: list[str], which: int, at: int, length: int) -> None:
    part = (texts[which] if which < len(texts) else "")[at : at + length]
    added = signatures_of([])
    for text in texts:
        added = {width: add_text(signature, text, width) for width, signature in added.items()}
    for signatures in (signatures_of(texts), added):
        assert may_hold(signatures, part)
        assert all(0x40 <= octet < 0x80 for each in signatures.values() for octet in each)


def test_what_is_not_there_is_sorted_out() -> None:
    """Of a thousand names that are not there, hardly one is supposed to be."""
    texts = [f"7916{n * 7919 % 10**7:07d}\nclient {n}\nivanov pyotr" for n in range(32)]
    signatures = signatures_of(texts)
    for wrong in (
        [f"qw{n:04d}er" for n in range(1000)],
        [f"x{n:03d}" for n in range(1000)],
        [part for n in range(10**4) if not any((part := f"{n:04d}") in text for text in texts)],
    ):
        supposed = sum(may_hold(signatures, part) for part in wrong)
        assert supposed < len(wrong) / 8
    assert may_hold(signatures, "ivanov")
    assert not may_hold(signatures, "zz")


def test_rare_grams_are_not_supposed_wherever_usual_ones_are() -> None:
    """Two grams that share their bits in one full signature do not share them in all."""
    books = [
        "\n".join(f"{n * 7919 % 10**7:07d} {at} usual words of everybody" for n in range(200))
        for at in range(20)
    ]
    signatures = [make_signature(book, 5) for book in books]
    rare = [marks_of(f"x{n:04d}")[1] for n in range(300)]
    shown = [sum(all(shows(each, gram) for gram in grams) for each in signatures) for grams in rare]
    assert max(shown) < len(books)
