"""What an SMSC delivers: receipts become reports, the rest messages from handsets.

Nearly every receipt in the world has one of two shapes of text, so one regular expression reads
them; whatever it does not match goes to `protocols.smpp.receipt`, which knows all dialects and
costs twenty times as much.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

from heliograph.connectors.base import Incoming, ReceiptReport
from heliograph.connectors.smpp.reassembly import Fragment, Key, Reassembly
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.connectors.smpp.statuses import STATES, read_err
from heliograph.domain.messages import MessageState
from heliograph.protocols.smpp.constants import EsmClass, TlvTag
from heliograph.protocols.smpp.external_id import IdOrigin, normalise_external_id
from heliograph.protocols.smpp.pdu import DataSm, DeliverSm
from heliograph.protocols.smpp.receipt import (
    STATE_BY_STAT,
    Receipt,
    is_receipt,
    parse_date,
    read_receipt,
)
from heliograph.protocols.sms import gsm7
from heliograph.protocols.sms.data_coding import (
    Alphabet,
    DefaultAlphabet,
    decode_text,
    parse_data_coding,
)
from heliograph.protocols.sms.errors import UdhError
from heliograph.protocols.sms.gsm7 import DEFAULT_TABLE, Gsm7Table, gsm7_table
from heliograph.protocols.sms.udh import parse_udh

__all__ = ["DeliveryReader", "Whole"]

_COMMON = re.compile(
    rb"id:(\S{1,64}) (?:sub:\d{1,3} dlvrd:\d{1,3} )?submit date:\d{10,12} done date:(\d{10,12}) "
    rb"stat:([A-Z]{5,10}) err:(\w{1,4})(?: [Tt]ext:.*)?\Z",
    re.DOTALL,
)
_HLR_FIELDS = ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet")
_ALPHABETS: dict[str, DefaultAlphabet] = {
    "gsm7": "gsm7",
    "gsm7-packed": "gsm7",
    "latin1": "latin-1",
    "ascii": "ascii",
}
_TYPE_MASK = EsmClass.TYPE_MASK.value
_DELIVERY_RECEIPT = EsmClass.DELIVERY_RECEIPT.value
_RECEIPTED_MESSAGE_ID = TlvTag.RECEIPTED_MESSAGE_ID.value
_MESSAGE_STATE = TlvTag.MESSAGE_STATE.value
_NETWORK_ERROR_CODE = TlvTag.NETWORK_ERROR_CODE.value
_STAT_BY_WORD = {word.encode("ascii"): state.value for word, state in STATE_BY_STAT.items()}


class Whole(NamedTuple):
    """A message from a handset; `key` is set when it was put together from fragments."""

    incoming: Incoming
    key: Key | None = None


class DeliveryReader:
    """Reads deliver_sm and data_sm of one operator."""

    def __init__(self, settings: SmppSettings) -> None:
        self._policy = settings.receipt_ids
        self._err_base = 16 if settings.receipt_err_base == "hex" else 10
        self._offset_s = settings.utc_offset_minutes * 60
        self._alphabet = _ALPHABETS[settings.default_alphabet]
        self._is_packed = settings.default_alphabet == "gsm7-packed"
        self.reassembly = Reassembly(self._alphabet)
        # Receipts of one minute share their date.
        self._read_date = lru_cache(1_024)(self._parse_date)

    def read(self, pdu: DeliverSm | DataSm, now_ms: int) -> ReceiptReport | Whole | None:
        """A report, a message, or None: a fragment that waits for others, or nothing of use."""
        if pdu.esm_class & _TYPE_MASK == _DELIVERY_RECEIPT and type(pdu) is DeliverSm:
            found = _COMMON.match(pdu.short_message)
            if found is not None:
                return self._report_common(pdu, found, now_ms)
        if is_receipt(pdu):
            receipt = read_receipt(pdu, utc_offset_s=self._offset_s, near_ms=now_ms)
            phone = pdu.source_addr.removeprefix("+")
            return None if receipt is None else self._report(receipt, phone, now_ms)
        return self._read_message(pdu, now_ms)

    def key_of(self, message_id: str) -> str:
        """The external id under which a part is stored that was answered with `message_id`."""
        keys = normalise_external_id(message_id, self._policy)
        return keys[0] if keys else ""

    def report_state(
        self, state: int, *, external_id: str, err: int | None, done_at: int
    ) -> ReceiptReport:
        """The report of a query_sm_resp."""
        ours = STATES.get(state, MessageState.SUBMITTED)
        return ReceiptReport(
            candidates=(external_id,), state=ours, err=read_err(ours, err), done_at=done_at
        )

    def _report_common(
        self, pdu: DeliverSm, found: re.Match[bytes], now_ms: int
    ) -> ReceiptReport | None:
        message_id, date, stat, err = found.groups()
        external_id = message_id.decode("latin-1")
        smpp_state: int | None = _STAT_BY_WORD.get(stat)
        network_err: int | None = None
        if pdu.tlvs:
            for tag, value in pdu.tlvs:
                if tag == _RECEIPTED_MESSAGE_ID:
                    external_id = value.partition(b"\0")[0].decode("latin-1") or external_id
                elif tag == _MESSAGE_STATE and len(value) == 1:
                    smpp_state = value[0]
                elif tag == _NETWORK_ERROR_CODE and len(value) == 3:
                    network_err = value[1] << 8 | value[2]
        candidates = normalise_external_id(external_id, self._policy, origin=IdOrigin.RECEIPT)
        if smpp_state is None or not candidates:
            return None
        state = STATES.get(smpp_state, MessageState.SUBMITTED)
        code = 0
        if state is not MessageState.DELIVERED:
            code = read_err(state, self._read_number(err.decode("ascii")), network_err)
        done_at = self._read_date(date, now_ms // 86_400_000)
        return ReceiptReport(
            candidates=candidates,
            state=state,
            err=code,
            done_at=min(done_at or now_ms, now_ms),
            phone=pdu.source_addr.removeprefix("+"),
        )

    def _report(self, receipt: Receipt, phone: str, now_ms: int) -> ReceiptReport | None:
        keys = normalise_external_id(receipt.message_id, self._policy, origin=IdOrigin.RECEIPT)
        if not keys or receipt.message_state is None:
            return None
        state = STATES.get(receipt.message_state, MessageState.SUBMITTED)
        network_err = receipt.network_error[1] if receipt.network_error else None
        return ReceiptReport(
            candidates=keys,
            state=state,
            err=read_err(state, self._read_number(receipt.err), network_err),
            done_at=min(receipt.done_at_ms or now_ms, now_ms),
            detail=_read_lookup(receipt),
            phone=phone,
        )

    def _read_number(self, err: str) -> int | None:
        try:
            return int(err, self._err_base)
        except ValueError:
            return None

    def _parse_date(self, digits: bytes, day: int) -> int | None:
        return parse_date(
            digits.decode("ascii"), utc_offset_s=self._offset_s, near_ms=day * 86_400_000
        )

    def _read_message(self, pdu: DeliverSm | DataSm, now_ms: int) -> Whole | None:
        content = pdu.content
        fragment: Fragment | None = None
        table = DEFAULT_TABLE
        header_octets = 0
        reference = total = number = 0
        if pdu.esm_class & EsmClass.UDHI:
            try:
                header = parse_udh(content)
            except UdhError:
                header = None
            if header is not None:
                header_octets = header.length
                content = content[header_octets:]
                table = _table_of(header.locking_shift, header.single_shift)
                if header.concatenation is not None:
                    reference = header.concatenation.reference
                    total, number = header.concatenation.total, header.concatenation.number
        elif (segments := pdu.tlvs.number(TlvTag.SAR_TOTAL_SEGMENTS)) is not None:
            reference = pdu.tlvs.number(TlvTag.SAR_MSG_REF_NUM) or 0
            total, number = segments, pdu.tlvs.number(TlvTag.SAR_SEGMENT_SEQNUM) or 0
        if self._is_packed and parse_data_coding(pdu.data_coding).alphabet is Alphabet.GSM7:
            content = gsm7.unpack(content, fill=gsm7.fill_bits(header_octets))
        if 1 < total <= 255 and 1 <= number <= total:
            fragment = Fragment(
                pdu.source_addr,
                pdu.destination_addr,
                reference,
                total,
                number,
                content,
                pdu.data_coding,
                table,
            )
            incoming = self.reassembly.add(fragment, now_ms)
            return None if incoming is None else Whole(incoming, fragment.key)
        text = decode_text(content, pdu.data_coding, default_alphabet=self._alphabet, table=table)
        return Whole(
            Incoming(
                source=pdu.source_addr,
                destination=pdu.destination_addr,
                text=text,
                received_at=now_ms,
            )
        )


def _table_of(locking: int, single: int) -> Gsm7Table:
    if not locking and not single:
        return DEFAULT_TABLE
    return gsm7_table(locking, single)


def _read_lookup(receipt: Receipt) -> dict[str, str] | None:
    """The members of an HLR answer; names are URL-encoded in the text (SMPP interface, 4)."""
    if "imsi" not in receipt.fields and "msc" not in receipt.fields:
        return None
    return {name: unquote_plus(receipt.fields.get(name, "")) for name in _HLR_FIELDS}
