"""Receipts in every dialect seen, and the text we write ourselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.unit.protocols.smpp.vectors import RECEIPT_TEXT, VECTORS

from heliograph.protocols.smpp import (
    DataSm,
    DeliverSm,
    MessageState,
    Receipt,
    Tlv,
    Tlvs,
    TlvTag,
    decode,
    format_receipt,
    is_receipt,
    make_tlvs,
    parse_receipt,
    read_receipt,
)
from heliograph.protocols.smpp.receipt import (
    STAT_BY_STATE,
    STATE_BY_STAT,
    parse_date,
    search_fields,
    split_fields,
)

STANDARD = RECEIPT_TEXT.decode("ascii")
HLR = (
    "id:855469 stat:DELIVRD err:000 imsi:250023012345678 msc:79232510066 mcc:250 mnc:02 "
    "cn:Russian+Federation net:MegaFON+open+Joint+Stock+Company rcn: rnet:"
)


def ms(*when: int) -> int:
    """Epoch milliseconds of a moment in UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]


def parsed(text: str, **tlvs: bytes) -> Receipt:
    """The receipt that must be in the text."""
    receipt = parse_receipt(text)
    assert receipt is not None
    return receipt


def test_standard_text() -> None:
    receipt = parsed(STANDARD)
    assert receipt.message_id == "855469"
    assert receipt.message_state == MessageState.DELIVERED
    assert (receipt.stat, receipt.err, receipt.sub, receipt.dlvrd) == ("DELIVRD", "000", 1, 1)
    assert receipt.submitted_at_ms == ms(2024, 1, 1, 12, 0)
    assert receipt.done_at_ms == ms(2024, 1, 1, 12, 1)
    assert receipt.text == "Hello"
    assert receipt.network_error is None


@pytest.mark.parametrize(
    "text",
    [
        "ID:855469 SUB:001 DLVRD:001 SUBMIT DATE:2401011200 DONE DATE:2401011201 STAT:DELIVRD"
        " ERR:000 TEXT:Hello",
        "id:855469 stat:delivrd err:000 submit date:2401011200 done date:2401011201 text:Hello",
        "stat:DELIVRD id:855469 done date:240101120100 submit date:240101120000 err:000 Text:Hello",
        "id: 855469 submit date: 2401011200 done date: 2401011201 stat: DELIVRD err: 000"
        " text: Hello",
        "id:855469,submit date:202401011200,done date:202401011201,stat:DELIVERED,err:000,"
        "text:Hello",
        "id:855469; submit_date:20240101120000; done_date:20240101120100; stat:DELIVRD; err:000;"
        " text:Hello",
        "id:855469\nsubmit date:1704110400\ndone date:1704110460\nstat:DELIVRD\nerr:000\n"
        "text:Hello",
        "text:Hello id:855469 stat:DELIVRD err:000 submit date:2024-01-01 12:00:00"
        " done date:24.01.01 12:01",
        "id:855469 submitdate:1704110400000 donedate:240101120100000+ stat:2 err:000 text:Hello\0",
        "id:855469  sub:001 dlvrd:001 submit date:240101150000012+ done date:2401011201"
        "   stat:Delivered err:000 text:Hello",
    ],
)
def test_dialects_say_the_same(text: str) -> None:
    receipt = parsed(text)
    assert receipt.message_id == "855469"
    assert receipt.message_state == MessageState.DELIVERED
    assert receipt.submitted_at_ms == ms(2024, 1, 1, 12, 0)
    assert receipt.done_at_ms == ms(2024, 1, 1, 12, 1)
    assert receipt.err == "000"
    assert receipt.text.strip() == "Hello"


def test_missing_fields_are_none() -> None:
    receipt = parsed("id:7 stat:UNDELIV")
    assert receipt.message_state == MessageState.UNDELIVERABLE
    assert (receipt.sub, receipt.dlvrd) == (None, None)
    assert (receipt.submitted_at_ms, receipt.done_at_ms) == (None, None)
    assert (receipt.err, receipt.text) == ("", "")


@pytest.mark.parametrize(
    "message_id",
    [
        "a:b:c",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "0x4A3F",
        "ab+/=",
        "1.2.3",
        "<17@host>",
        "stat",
    ],
)
def test_ids_of_any_characters(message_id: str) -> None:
    assert parsed(STANDARD.replace("855469", message_id)).message_id == message_id
    assert parsed(f"stat:DELIVRD id:{message_id}").message_id == message_id


def test_text_that_looks_like_a_receipt() -> None:
    receipt = parsed(STANDARD.replace("Hello", "code: 5 id:666 stat:EXPIRED err:99"))
    assert (receipt.message_id, receipt.stat, receipt.err) == ("855469", "DELIVRD", "000")
    assert receipt.text == "code: 5 id:666 stat:EXPIRED err:99"
    other = parsed("stat:DELIVRD id:855469 text:a id:666 stat:EXPIRED")
    assert (other.message_id, other.stat) == ("855469", "DELIVRD")
    assert other.text == "a id:666 stat:EXPIRED"


def test_hlr_fields() -> None:
    receipt = parsed(HLR)
    assert receipt.message_id == "855469"
    assert receipt.fields["imsi"] == "250023012345678"
    assert receipt.fields["msc"] == "79232510066"
    assert (receipt.fields["mcc"], receipt.fields["mnc"]) == ("250", "02")
    assert receipt.fields["net"] == "MegaFON+open+Joint+Stock+Company"
    assert (receipt.fields["rcn"], receipt.fields["rnet"]) == ("", "")


def test_unknown_words() -> None:
    receipt = parsed("id:7 stat:QUEUED err:12AB")
    assert (receipt.message_state, receipt.stat, receipt.err) == (None, "QUEUED", "12AB")


@pytest.mark.parametrize("text", ["", "Hello", "Ваш код 1234", "avoid: this", "text:only"])
def test_other_texts_are_no_receipt(text: str) -> None:
    assert parse_receipt(text) is None


class TestTlvs:
    def test_precede_the_text(self) -> None:
        tlvs = make_tlvs(
            {
                TlvTag.RECEIPTED_MESSAGE_ID: "d0dad",
                TlvTag.MESSAGE_STATE: MessageState.EXPIRED.value,
                TlvTag.NETWORK_ERROR_CODE: b"\x03\x01\x02",
            }
        )
        receipt = parse_receipt(STANDARD, tlvs=tlvs)
        assert receipt is not None
        assert (receipt.message_id, receipt.message_state) == ("d0dad", MessageState.EXPIRED)
        assert receipt.network_error == (3, 0x102)
        assert (receipt.stat, receipt.fields["id"]) == ("DELIVRD", "855469")

    def test_alone_are_enough(self) -> None:
        tlvs = make_tlvs({TlvTag.RECEIPTED_MESSAGE_ID: "7", TlvTag.MESSAGE_STATE: 2})
        receipt = parse_receipt("", tlvs=tlvs)
        assert receipt is not None
        assert (receipt.message_id, receipt.message_state) == ("7", MessageState.DELIVERED)

    def test_empty_and_misshapen_ones_give_way_to_the_text(self) -> None:
        tlvs = Tlvs(
            [
                Tlv(TlvTag.RECEIPTED_MESSAGE_ID, b"\0"),
                Tlv(TlvTag.MESSAGE_STATE, b""),
                Tlv(TlvTag.NETWORK_ERROR_CODE, b"\x03"),
            ]
        )
        receipt = parse_receipt(STANDARD, tlvs=tlvs)
        assert receipt is not None
        assert (receipt.message_id, receipt.message_state) == ("855469", MessageState.DELIVERED)
        assert receipt.network_error is None

    def test_from_a_whole_pdu(self) -> None:
        data = next(data for name, data, _ in VECTORS if "receipt" in name)
        pdu = decode(data)
        assert isinstance(pdu, DeliverSm)
        assert is_receipt(pdu)
        receipt = read_receipt(pdu)
        assert receipt is not None
        assert receipt.message_id == "855469"
        assert receipt.network_error == (3, 0)


class TestWhatIsAReceipt:
    @pytest.mark.parametrize("esm_class", [0x04, 0x20, 0x44, 0x07])
    def test_by_esm_class(self, esm_class: int) -> None:
        assert is_receipt(DeliverSm(esm_class=esm_class))

    @pytest.mark.parametrize("esm_class", [0x00, 0x40, 0x08, 0x10, 0x03])
    def test_text_of_a_handset_is_none(self, esm_class: int) -> None:
        assert not is_receipt(DeliverSm(esm_class=esm_class, short_message=RECEIPT_TEXT))

    def test_by_tlv(self) -> None:
        assert is_receipt(DataSm(tlvs=make_tlvs({TlvTag.RECEIPTED_MESSAGE_ID: "7"})))

    def test_in_message_payload(self) -> None:
        pdu = DeliverSm(esm_class=4, tlvs=Tlvs([Tlv(TlvTag.MESSAGE_PAYLOAD, RECEIPT_TEXT)]))
        receipt = read_receipt(pdu)
        assert receipt is not None
        assert receipt.message_id == "855469"

    def test_in_ucs2(self) -> None:
        text = "id:7 stat:DELIVRD err:000 text:Привет"
        pdu = DeliverSm(esm_class=4, data_coding=8, short_message=text.encode("utf-16-be"))
        receipt = read_receipt(pdu)
        assert receipt is not None
        assert (receipt.message_id, receipt.text) == ("7", "Привет")


class TestDates:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2611221230", ms(2026, 11, 22, 12, 30)),
            ("261122123045", ms(2026, 11, 22, 12, 30, 45)),
            ("202611221230", ms(2026, 11, 22, 12, 30)),
            ("20261122123045", ms(2026, 11, 22, 12, 30, 45)),
            ("20261122", ms(2026, 11, 22)),
            ("26112212", ms(2026, 11, 22, 12)),
            ("1795350600", ms(2026, 11, 22, 12, 30)),
            ("1795350600123", ms(2026, 11, 22, 12, 30) + 123),
            ("2026-11-22T12:30:45", ms(2026, 11, 22, 12, 30, 45)),
            ("2026/11/22 12:30", ms(2026, 11, 22, 12, 30)),
            ("261122153000012+", ms(2026, 11, 22, 12, 30)),
            ("6911221230", ms(2069, 11, 22, 12, 30)),
        ],
    )
    def test_forms(self, text: str, expected: int) -> None:
        assert parse_date(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0000000000",
            "000000000000",
            "0",
            "never",
            "26",
            "261322123000",
            "2" * 40,
            "²611221230",
        ],
    )
    def test_none(self, text: str) -> None:
        assert parse_date(text) is None

    def test_local_time_of_the_operator(self) -> None:
        assert parse_date("2611221530", utc_offset_s=3 * 3600) == ms(2026, 11, 22, 12, 30)
        # Neither seconds since 1970 nor a time with its own offset is local.
        assert parse_date("1795350600", utc_offset_s=3600) == ms(2026, 11, 22, 12, 30)
        assert parse_date("261122153000012+", utc_offset_s=3600) == ms(2026, 11, 22, 12, 30)

    def test_two_readings_are_settled_by_when_it_came(self) -> None:
        assert parse_date("1801011200") == 1_801_011_200_000
        assert parse_date("1801011200", near_ms=ms(2018, 1, 1, 13)) == ms(2018, 1, 1, 12)
        assert parse_date("201201011200", near_ms=ms(2020, 12, 1)) == ms(2020, 12, 1, 1, 12)
        assert parse_date("201201011200", near_ms=ms(2012, 1, 1)) == ms(2012, 1, 1, 12)


class TestFormat:
    def test_standard(self) -> None:
        assert format_receipt(parsed(STANDARD)) == STANDARD

    def test_hlr(self) -> None:
        assert format_receipt(parsed(HLR)) == HLR

    def test_word_by_state_and_text_cut_to_twenty(self) -> None:
        receipt = Receipt(message_id="1", message_state=MessageState.REJECTED, text="x" * 30)
        assert format_receipt(receipt) == f"id:1 stat:REJECTD err:000 text:{'x' * 20}"

    def test_local_time(self) -> None:
        receipt = Receipt(message_id="1", stat="DELIVRD", done_at_ms=ms(2026, 11, 22, 21, 30))
        text = format_receipt(receipt, utc_offset_s=3 * 3600)
        assert "done date:2611230030" in text

    def test_every_state_has_a_word_that_reads_back(self) -> None:
        assert set(STAT_BY_STATE) == set(MessageState)
        for state, stat in STAT_BY_STATE.items():
            assert STATE_BY_STAT[stat] == state


@pytest.mark.parametrize("text", [STANDARD, HLR, STANDARD.replace(" text", " Text") + "\0"])
def test_short_cut_and_search_agree(text: str) -> None:
    assert split_fields(text) == search_fields(text)
