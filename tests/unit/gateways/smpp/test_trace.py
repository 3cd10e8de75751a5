"""The trace of PDUs: what it shows, what it never shows, and that it ends."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from heliograph.gateways.smpp import trace
from heliograph.gateways.smpp.trace import Trace
from heliograph.protocols.smpp import (
    DeliverSm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    encode,
)

SUBMIT = encode(
    SubmitSm(
        source_addr="79160000000",
        destination_addr="79161234567",
        registered_delivery=1,
        short_message=b"a secret text",
        tlvs=Tlvs([Tlv(0x0424, b"another secret")]),
    ),
    7,
)


def test_what_is_shown() -> None:
    shown = Trace("shop", 3, until_ms=1_000)
    with capture_logs() as lines:
        assert shown.show("in", SUBMIT[:20], 1)
        assert shown.show("in", SUBMIT[20:], 1)
        assert shown.show("out", encode(SubmitSmResp(0, 0x58, "855469"), 7), 1)
        assert shown.show("out", encode(QuerySmResp(message_id="1", message_state=2), 8), 1)
    assert [line["command"] for line in lines] == ["submit_sm", "submit_sm_resp", "query_sm_resp"]
    first, second, third = lines
    assert (first["account"], first["bind"], first["direction"]) == ("shop", 3, "in")
    assert (first["sequence"], first["octets"]) == (7, len(SUBMIT))
    assert first["tlv_0424"] == "14 octets"
    assert second["status"] == "ESME_RTHROTTLED"
    assert third["message_state"] == 2


def test_no_text_and_no_whole_number_is_shown() -> None:
    receipt = DeliverSm(
        source_addr="79161234567",
        esm_class=4,
        short_message=b"id:1 text:a secret text",
        tlvs=Tlvs([Tlv(0x0424, b"more secret")]),
    )
    with capture_logs() as lines:
        shown = Trace("shop", 3, until_ms=1_000)
        shown.show("in", SUBMIT, 1)
        shown.show("out", encode(receipt, 9), 1)
        shown.show("in", encode(SubmitSm(destination_addr="+7 (916) 123-45-67"), 10), 1)
    assert len(lines) == 3
    for secret in ("secret", "79161234567", "79160000000", "123-45-67"):
        assert secret not in str(lines)


def test_what_can_not_be_read_is_shown_as_that() -> None:
    broken = b"\0\0\0\x14\0\0\0\4\0\0\0\0\0\0\0\1text"
    shown = Trace("shop", 3, until_ms=1_000)
    with capture_logs() as lines:
        assert shown.show("in", broken, 1)
        shown.show("in", b"no SMPP at all", 1)
        assert not shown.show("in", SUBMIT, 1)  # nobody knows any more where a PDU begins
    (line,) = lines
    assert line["command"] == "submit_sm"
    assert "bad" in line
    assert "text" not in str(line["bad"])


def test_it_ends_with_its_time_and_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Trace("shop", 3, until_ms=1_000)
    assert shown.show("in", SUBMIT, 999)
    assert not shown.show("in", SUBMIT, 1_000)
    monkeypatch.setattr(trace, "_MOST", 3)
    shown = Trace("shop", 3, until_ms=1_000)
    with capture_logs() as lines:
        assert not shown.show("in", SUBMIT * 5, 1)
    assert [line["event"] for line in lines] == ["pdu", "pdu", "pdu", "trace ends"]
