"""7-bit alphabets, packing, headers, incoming texts: laws that hold for any input."""

from __future__ import annotations

import gsm0338
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.data_coding import decode_parts, decode_text
from heliograph.protocols.sms.errors import NotGsm7Error, UdhError
from heliograph.protocols.sms.national_tables import (
    ABSENT,
    LOCKING_TABLES,
    SINGLE_SHIFT_TABLES,
    NationalLanguage,
)
from heliograph.protocols.sms.transliteration import transliterate
from heliograph.protocols.sms.udh import (
    InformationElement,
    build_udh,
    parse_udh,
)

_ORACLE = gsm0338.Codec()
_DEFAULT_CHARACTERS = (LOCKING_TABLES[NationalLanguage.DEFAULT] + "^{}\\[~]|€\f").replace(
    ABSENT, ""
)
_LANGUAGES = st.sampled_from(list(NationalLanguage))
_gsm7_texts = st.text(st.sampled_from(_DEFAULT_CHARACTERS), max_size=400)
_any_texts = st.text(st.characters(), max_size=60)
_septets = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


@given(_gsm7_texts)
def test_encoding_agrees_with_gsm0338(text: str) -> None:
    octets = gsm7.encode(text)
    assert octets == _ORACLE.encode(text)[0]
    assert gsm7.decode(octets) == text
    assert gsm7.septets(text) == len(octets)


@given(_any_texts)
def test_membership_agrees_with_gsm0338(text: str) -> None:
    try:
        # The package takes the escape for a character of the alphabet; alone it is none.
        is_encodable = bool(_ORACLE.encode(text)) and "\x1b" not in text
    except UnicodeEncodeError:
        is_encodable = False
    assert gsm7.is_gsm7(text) == is_encodable
    beginning = gsm7.count_encodable(text)
    assert gsm7.is_gsm7(text[:beginning])
    assert is_encodable == (beginning == len(text))


@given(_LANGUAGES, _LANGUAGES, st.data())
def test_national_texts_round_trip(locking: int, single: int, data: st.DataObject) -> None:
    table = gsm7.gsm7_table(locking, single)
    characters = LOCKING_TABLES[table.locking] + SINGLE_SHIFT_TABLES[table.single]
    alphabet = st.sampled_from(sorted(set(characters) - {ABSENT}))
    text = data.draw(st.text(alphabet, max_size=100))
    octets = gsm7.encode(text, table)
    assert octets.isascii()
    assert gsm7.decode(octets, table) == text


@given(st.binary(max_size=200), _LANGUAGES, _LANGUAGES)
def test_any_octets_decode_or_are_refused(octets: bytes, locking: int, single: int) -> None:
    table = gsm7.gsm7_table(locking, single)
    shown = gsm7.decode(octets, table, errors="replace")
    assert "\x1b" not in shown
    assert ABSENT not in shown
    try:
        strict = gsm7.decode(octets, table)
    except NotGsm7Error as error:
        position = error.position
    else:
        position = 0
        assert strict == shown
    assert 0 <= position <= max(0, len(octets) - 1)


@given(_septets, st.integers(0, 6))
def test_packing_round_trips(septets: bytes, fill: int) -> None:
    packed = gsm7.pack(septets, fill=fill)
    assert gsm7.unpack(packed, len(septets), fill=fill) == septets
    if septets:
        assert len(packed) == -(-(7 * len(septets) + fill) // 8)


@given(_septets)
def test_unpacking_without_a_count_loses_only_a_final_at_sign(septets: bytes) -> None:
    unpacked = gsm7.unpack(gsm7.pack(septets))
    assert unpacked in {septets, septets.removesuffix(b"\0")}


_elements = st.lists(
    st.builds(InformationElement, st.integers(0, 255), st.binary(max_size=20)), max_size=5
)


@given(_elements, st.binary(max_size=20))
def test_headers_round_trip(elements: list[InformationElement], text: bytes) -> None:
    udh = build_udh(elements)
    if not udh:
        return
    header = parse_udh(udh + text)
    assert header.elements == tuple(elements)
    assert header.length == len(udh)


@given(st.binary(max_size=160))
def test_any_octets_parse_as_a_header_or_are_refused(user_data: bytes) -> None:
    try:
        header = parse_udh(user_data)
    except UdhError:
        return
    assert 0 < header.length <= len(user_data)
    concatenation = header.concatenation
    assert concatenation is None or 1 <= concatenation.number <= concatenation.total


@given(st.binary(max_size=160), st.integers(0, 255))
def test_any_octets_decode_to_text_that_can_be_stored(payload: bytes, data_coding: int) -> None:
    decode_text(payload, data_coding).encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100), st.data())
def test_ucs2_parts_cut_anywhere_join_again(text: str, data: st.DataObject) -> None:
    octets = text.encode("utf-16-be")
    cut = 2 * data.draw(st.integers(0, len(octets) // 2))
    parts = [(octets[:cut], 8), (octets[cut:], 8)]
    assert decode_parts(parts) == decode_text(octets, 8)


@given(st.text(st.sampled_from("абвгдежзийщюяёАБЩЮЯЁїЇқҚ Aa.№«»—"), max_size=60))
def test_transliterated_cyrillic_is_gsm7(text: str) -> None:
    for kind in (1, 2):
        assert gsm7.is_gsm7(transliterate(text, kind))
    assert transliterate(text, 1).lower() == transliterate(text.lower(), 1).lower()
