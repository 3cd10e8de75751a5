"""Reading deliveries: the fast path agrees with the dialect reader, whatever the receipt says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.connectors.base import ReceiptReport
from heliograph.connectors.smpp.delivery import DeliveryReader, Whole
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.domain.messages import MessageState
from heliograph.protocols.smpp.pdu import DeliverSm
from heliograph.protocols.smpp.receipt import STATE_BY_STAT
from heliograph.protocols.smpp.tlv import NO_TLVS, make_tlvs

_NOW_MS = 1_767_268_900_000  # 2026-01-01 12:01:40 UTC
_DONE_MS = 1_767_268_860_000  # 12:01


def _reader(**settings: object) -> DeliveryReader:
    return DeliveryReader(SmppSettings(host="h", **settings))  # type: ignore[arg-type]


def _receipt(text: str, **tlvs: object) -> DeliverSm:
    values = {int(name[1:], 16): value for name, value in tlvs.items()}
    return DeliverSm(
        source_addr="+7999",
        esm_class=4,
        short_message=text.encode("latin-1"),
        tlvs=make_tlvs(values) if values else NO_TLVS,
    )


def _facts(report: object) -> tuple[object, ...]:
    assert isinstance(report, ReceiptReport)
    assert report.phone == "7999"
    return report.candidates, report.state, report.err, report.done_at, report.detail


@given(
    message_id=st.text("0123456789abcdefABCDEF-_", min_size=1, max_size=36),
    stat=st.sampled_from(sorted(STATE_BY_STAT)),
    err=st.integers(0, 999),
    has_counts=st.booleans(),
    tlv_state=st.none() | st.integers(0, 9),
)
def test_the_fast_path_agrees_with_the_reader_of_dialects(
    message_id: str, stat: str, err: int, has_counts: bool, tlv_state: int | None
) -> None:
    counts = "sub:001 dlvrd:001 " if has_counts else ""
    text = (
        f"id:{message_id} {counts}submit date:2601011200 done date:2601011201 "
        f"stat:{stat} err:{err:03d} text:Hello"
    )
    tlvs = {} if tlv_state is None else {"t0427": tlv_state, "t0423": b"\x03\x00\x01"}
    quick = _receipt(text, **tlvs)
    # Two blanks are enough for the pattern of the fast path not to match.
    slow = _receipt(text.replace("submit date", " submit date"), **tlvs)
    reader = _reader()
    assert _facts(reader.read(quick, _NOW_MS)) == _facts(reader.read(slow, _NOW_MS))


def test_dates_are_in_the_operators_time_and_never_in_the_future() -> None:
    text = "id:1 submit date:2601011200 done date:2601011201 stat:DELIVRD err:000"
    report = _reader().read(_receipt(text), _NOW_MS)
    assert isinstance(report, ReceiptReport)
    assert report.done_at == _DONE_MS
    moscow = _reader(utc_offset_minutes=180).read(_receipt(text), _NOW_MS)
    assert isinstance(moscow, ReceiptReport)
    assert moscow.done_at == _DONE_MS - 3 * 3_600_000
    behind = _reader(utc_offset_minutes=-180).read(_receipt(text), _NOW_MS)
    assert isinstance(behind, ReceiptReport)
    assert behind.done_at == _NOW_MS


def test_errors_in_hex() -> None:
    text = "id:1 submit date:2601011200 done date:2601011201 stat:UNDELIV err:01b"
    report = _reader(receipt_err_base="hex").read(_receipt(text), _NOW_MS)
    assert isinstance(report, ReceiptReport)
    assert report.err == 6  # 0x1b = 27, absent subscriber


def test_the_answer_of_a_network_query() -> None:
    text = (
        "id:855469 stat:DELIVRD err:000 imsi:250023012345678 msc:79232510066 mcc:250 mnc:02 "
        "cn:Russian+Federation net:MegaFON+open rcn: rnet:"
    )
    report = _reader().read(_receipt(text), _NOW_MS)
    assert isinstance(report, ReceiptReport)
    assert report.candidates[0] == "855469"
    assert report.detail == {
        "imsi": "250023012345678",
        "msc": "79232510066",
        "mcc": "250",
        "mnc": "02",
        "cn": "Russian Federation",
        "net": "MegaFON open",
        "rcn": "",
        "rnet": "",
    }


@pytest.mark.parametrize(
    "text",
    [
        "id:A1 stat:DELIVRD",
        "Id: A1 Stat: DELIVRD Err: 0",
        "id:A1 sub:1 dlvrd:1 submit_date:20260101120000 done_date:20260101120100 stat:DELIVRD",
        "stat:DELIVRD,id:A1,err:0",
    ],
)
def test_dialects(text: str) -> None:
    report = _reader().read(_receipt(text), _NOW_MS)
    assert isinstance(report, ReceiptReport)
    assert "a1" in report.candidates
    assert report.state is MessageState.DELIVERED


def test_an_intermediate_notice_is_no_end() -> None:
    pdu = _receipt("id:1 submit date:2601011200 done date:2601011201 stat:ENROUTE err:006")
    pdu.esm_class = 0x20
    report = _reader().read(pdu, _NOW_MS)
    assert isinstance(report, ReceiptReport)
    assert (report.state, report.err) == (MessageState.SUBMITTED, 0)


@pytest.mark.parametrize(
    ("settings", "data_coding", "content", "text"),
    [
        ({}, 0, b"a\x00\x1b\x65", "a@€"),
        ({"default_alphabet": "latin1"}, 0, b"a@\xfc", "a@ü"),
        ({"default_alphabet": "gsm7-packed"}, 0, bytes.fromhex("c8329bfd06"), "Hello"),
        ({}, 8, "Привет".encode("utf-16-be"), "Привет"),
        ({}, 3, b"\xfc", "ü"),
    ],
)
def test_alphabets_of_incoming_messages(
    settings: dict[str, object], data_coding: int, content: bytes, text: str
) -> None:
    pdu = DeliverSm(
        source_addr="7999", destination_addr="2442", data_coding=data_coding, short_message=content
    )
    whole = _reader(**settings).read(pdu, _NOW_MS)
    assert isinstance(whole, Whole)
    assert (whole.incoming.text, whole.key) == (text, None)


def test_sar_fragments_and_nonsense_in_their_numbers() -> None:
    def fragment(number: int, total: int, text: str) -> DeliverSm:
        tlvs = make_tlvs({0x020C: 5, 0x020E: total, 0x020F: number})
        return DeliverSm(
            source_addr="7", destination_addr="2", short_message=text.encode(), tlvs=tlvs
        )

    reader = _reader()
    assert reader.read(fragment(2, 2, "b"), _NOW_MS) is None
    whole = reader.read(fragment(1, 2, "a"), _NOW_MS)
    assert isinstance(whole, Whole)
    assert whole.incoming.text == "ab"
    alone = reader.read(fragment(3, 2, "c"), _NOW_MS)  # part three of two
    assert isinstance(alone, Whole)
    assert alone.incoming.text == "c"


@given(st.binary(max_size=60), st.integers(0, 255), st.integers(0, 255))
def test_nothing_that_comes_breaks_the_reader(
    content: bytes, esm_class: int, data_coding: int
) -> None:
    for alphabet in ("gsm7", "gsm7-packed", "latin1"):
        pdu = DeliverSm(
            source_addr="7",
            destination_addr="2",
            esm_class=esm_class,
            data_coding=data_coding,
            short_message=content,
        )
        found = _reader(default_alphabet=alphabet).read(pdu, _NOW_MS)
        assert found is None or isinstance(found, ReceiptReport | Whole)
