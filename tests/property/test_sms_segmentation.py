"""Segmentation: nothing lost, nothing too long, no pair cut, the longest beginning kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.data_coding import Alphabet, decode_parts
from heliograph.protocols.sms.national_tables import NationalLanguage
from heliograph.protocols.sms.segmentation import Segmentation, count_parts, encode_part, segment
from heliograph.protocols.sms.udh import parse_udh

# Few different characters, so that pairs crowd around the edges; long enough for many parts.
_pieces = st.sampled_from(["a", "a" * 50, "a" * 153, "{", "€" * 7, "@"])
_wide_pieces = st.sampled_from(["a", "ы" * 33, "ы" * 67, "😀", "😀" * 20, "{"])
_turkish_pieces = st.sampled_from(["ı", "ş" * 50, "ğ" * 149, "{", "€" * 7, "ç" * 3])
_texts = st.one_of(
    st.lists(_pieces, max_size=20).map("".join),
    st.lists(_wide_pieces, max_size=20).map("".join),
    st.lists(_turkish_pieces, max_size=12).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
)
_languages = st.lists(st.sampled_from([*NationalLanguage][1:]), max_size=2, unique=True)


def _check_parts(cut: Segmentation) -> None:
    total = len(cut.parts)
    for number in range(1, total + 1):
        part = encode_part(cut, number, reference=5, is_packed=True)
        assert len(part.udh) + len(part.payload) <= 140
        payload = cut.payloads[number - 1]
        if cut.alphabet is Alphabet.UCS2:
            payload.decode("utf-16-be")  # raises when a pair is cut
        else:
            assert not payload.endswith(b"\x1b")
        if total > 1:
            header = parse_udh(part.udh)
            assert header.concatenation is not None
            place = (header.concatenation.number, header.concatenation.total)
            assert place == (number, total)


@given(_texts, _languages, st.booleans())
def test_parts_join_to_the_text_and_keep_the_limits(
    text: str, languages: list[NationalLanguage], is_wide: bool
) -> None:
    cut = segment(text, languages=languages, is_wide=is_wide)
    assert "".join(cut.parts) == text
    _check_parts(cut)
    expected = (cut.alphabet, len(cut.parts))
    assert count_parts(text, languages=languages, is_wide=is_wide) == expected


@given(_texts, _languages)
def test_the_far_side_reads_the_text(text: str, languages: list[NationalLanguage]) -> None:
    cut = segment(text, languages=languages)
    table = gsm7.gsm7_table(cut.locking, cut.single)
    parts = [encode_part(cut, number) for number in range(1, len(cut.parts) + 1)]
    if cut.alphabet is Alphabet.UCS2:
        assert b"".join(part.payload for part in parts).decode("utf-16-be") == text
    else:
        read = [(part.payload, part.data_coding) for part in parts]
        assert decode_parts(read, table=table) == text


@given(_texts, st.integers(1, 4), st.booleans())
def test_the_longest_beginning_that_fits_is_kept(text: str, max_parts: int, is_wide: bool) -> None:
    cut = segment(text, max_parts=max_parts, is_wide=is_wide)
    assert len(cut.parts) <= max_parts
    assert text.startswith(cut.text)
    assert cut.is_cut == (cut.text != text)
    assert count_parts(cut.text, is_wide=is_wide) == (cut.alphabet, len(cut.parts))
    if cut.is_cut:
        longer = text[: len(cut.text) + 1]
        assert count_parts(longer, is_wide=is_wide)[1] > max_parts


@given(_texts, st.integers(1, 3), _languages)
def test_cutting_with_national_tables_keeps_the_limit(
    text: str, max_parts: int, languages: list[NationalLanguage]
) -> None:
    cut = segment(text, max_parts=max_parts, languages=languages)
    assert len(cut.parts) <= max_parts
    assert text.startswith(cut.text)
    assert bool(text) == bool(cut.text)
    _check_parts(cut)


@given(st.text(st.characters(), max_size=150))
def test_any_text_can_be_sent(text: str) -> None:
    cut = segment(text, max_parts=2)
    cut.text.encode("utf-8")  # no surrogate is left
    _check_parts(cut)
