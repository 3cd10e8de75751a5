"""Signatures of texts: what is there is never missed, and what is not is hardly ever supposed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.signatures import (
    ANYTHING,
    MAX_MARKS,
    add_text,
    grams_of,
    make_signature,
    marks_of,
)

_texts = st.text(st.sampled_from("abcабв0123456789 \n\ud800"), max_size=40)


def may_hold(signature: bytes, part: str) -> bool:
    """What a database answers for a block."""
    return all(signature[place % len(signature)] & mask for place, mask in marks_of(part))


def test_grams_of_a_number_are_longer() -> None:
    assert grams_of("ab12345") == {"ab1", "b12", "1234", "2345"}
    assert grams_of("ab\ncd1") == {"cd1"}
    assert grams_of("ab") == grams_of("123") == grams_of("") == set()


@given(st.lists(_texts, max_size=8), st.integers(0, 7), st.integers(0, 39), st.integers(1, 12))
def test_what_is_there_is_found(texts: list[str], which: int, at: int, length: int) -> None:
    part = (texts[which] if which < len(texts) else "")[at : at + length]
    added = make_signature([])
    for text in texts:
        added = add_text(added, text)
    for signature in (make_signature(texts), added, ANYTHING, add_text(ANYTHING, "x")):
        assert may_hold(signature, part)
        assert all(0x40 <= octet < 0x80 for octet in signature)
    assert len(marks_of(part)) <= MAX_MARKS


def test_what_is_not_there_is_sorted_out() -> None:
    """Of a thousand names that are not there, hardly one is supposed to be."""
    texts = [f"7916{n * 7919 % 10**7:07d}\nclient {n}\nivanov pyotr" for n in range(64)]
    signature = make_signature(texts)
    wrong = sum(may_hold(signature, f"qw{n:04d}er") for n in range(1000))
    assert wrong < 100
    assert may_hold(signature, "ivanov")
    assert may_hold(signature, "zz")  # too short to tell anything
