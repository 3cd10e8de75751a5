"""SMPP times, operators' ids and receipts: there and back, and never an unexpected error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.smpp import (
    IdOrigin,
    MessageState,
    Receipt,
    TimeFormatError,
    format_absolute,
    format_receipt,
    format_relative,
    normalise_external_id,
    parse_receipt,
    parse_time,
)
from heliograph.protocols.smpp.receipt import parse_date, search_fields, split_fields

SECONDS = st.integers(946_684_800 + 86_400, 4_102_444_800 - 86_400)  # inside 2000-2099 in any zone
MINUTES = SECONDS.map(lambda seconds: seconds // 60 * 60_000)
IDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",;|"), min_size=1
)


@given(SECONDS, st.integers(0, 9), st.integers(-48, 48))
def test_absolute_times(seconds: int, tenths: int, quarter_hours: int) -> None:
    moment = seconds * 1000 + tenths * 100
    assert parse_time(format_absolute(moment, quarter_hours=quarter_hours), 0) == moment


@given(st.integers(0, 99 * 86_400), SECONDS)
def test_relative_times(seconds: int, now: int) -> None:
    assert parse_time(format_relative(seconds * 1000), now * 1000) == (now + seconds) * 1000


@given(st.one_of(st.text(max_size=20), st.from_regex(r"[0-9]{15}[-+R]", fullmatch=True)), SECONDS)
def test_any_text_is_a_time_or_a_time_format_error(text: str, now: int) -> None:
    try:
        moment = parse_time(text, now * 1000)
    except TimeFormatError:
        return
    assert (moment is None) == (not text)


@given(st.integers(0, 2**64 - 1), st.integers(0, 20), st.booleans())
def test_a_number_is_one_id_in_every_writing(number: int, zeros: int, is_upper: bool) -> None:
    decimal = str(number)
    padded = decimal.zfill(min(zeros, 20))
    assert normalise_external_id(padded) == normalise_external_id(decimal)
    digits = f"{number:X}" if is_upper else f"{number:x}"
    if not digits.isdigit():
        assert normalise_external_id(digits)[0] in normalise_external_id(decimal)
        assert normalise_external_id(decimal)[0] in normalise_external_id(digits.zfill(16))
    stored = normalise_external_id(digits.zfill(min(zeros, 16)), "hex-to-dec")
    assert stored == normalise_external_id(padded, "hex-to-dec", origin=IdOrigin.RECEIPT)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_two_numbers_in_one_writing_never_meet(first: int, second: int) -> None:
    if first == second:
        return
    for write in ("{}", "{:x}", "{:016X}"):
        there = normalise_external_id(write.format(first))
        back = normalise_external_id(write.format(second))
        assert there[0] != back[0]


@given(IDS)
def test_ids_have_keys_and_the_rule_is_stable(text: str) -> None:
    keys = normalise_external_id(text)
    assert keys
    assert normalise_external_id(keys[0])[0] == keys[0]


@given(
    st.builds(
        Receipt,
        message_id=IDS.filter(lambda text: ":" not in text),
        message_state=st.sampled_from(list(MessageState)),
        err=st.from_regex(r"[0-9]{3}", fullmatch=True),
        sub=st.integers(0, 999),
        dlvrd=st.integers(0, 999),
        submitted_at_ms=MINUTES,
        done_at_ms=MINUTES,
        text=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    ),
    st.integers(-48, 48),
)
def test_receipts(receipt: Receipt, quarter_hours: int) -> None:
    offset = quarter_hours * 900
    text = format_receipt(receipt, utc_offset_s=offset)
    back = parse_receipt(text, utc_offset_s=offset, near_ms=receipt.done_at_ms)
    assert back is not None
    assert (back.message_id, back.message_state) == (receipt.message_id, receipt.message_state)
    assert (back.err, back.sub, back.dlvrd) == (receipt.err, receipt.sub, receipt.dlvrd)
    assert back.done_at_ms == receipt.done_at_ms
    assert back.text == receipt.text[:20]
    assert split_fields(text) == search_fields(text)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["id:", "stat:DELIVRD", "submit date:", "done date:2", "text:", " ", ",", "err:1"]
            ),
            st.text(max_size=8),
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_is_a_receipt_or_none(text: str) -> None:
    receipt = parse_receipt(text)
    assert receipt is None or receipt.message_id or receipt.stat
    assert split_fields(text) == search_fields(text)
    parse_date(text)
