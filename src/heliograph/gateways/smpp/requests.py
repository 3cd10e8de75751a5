"""From submit_sm, data_sm and submit_multi to what the platform is asked for.

A message with a concatenation header or SAR parameters becomes a `Piece`, anything else a
`SendRequest`; what can not be taken is the command_status that says so (smpp reference, section 3
and 6).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.pieces import Piece
from heliograph.domain.requests import Entry, SendRequest
from heliograph.domain.schedule import MAX_AHEAD_MS
from heliograph.domain.senders import is_valid_sender
from heliograph.domain.texts import MAX_TEXT_CHARS, split_comment
from heliograph.gateways.smpp.errors import LATE_REFUSALS
from heliograph.protocols.smpp.constants import CommandStatus as S
from heliograph.protocols.smpp.constants import DataCoding, EsmClass, TlvTag
from heliograph.protocols.smpp.pdu import DataSm, ReplaceSm, SubmitMulti, SubmitSm
from heliograph.protocols.smpp.times import TimeFormatError, parse_time
from heliograph.protocols.sms.data_coding import (
    DefaultAlphabet,
    decode_text,
    parse_data_coding,
)
from heliograph.protocols.sms.errors import UdhError
from heliograph.protocols.sms.gsm7 import DEFAULT_TABLE, Gsm7Table, gsm7_table
from heliograph.protocols.sms.udh import (
    ElementId,
    InformationElement,
    UserDataHeader,
    build_ports,
    build_udh,
    parse_udh,
)

__all__ = ["DOOR", "Fault", "Reader", "read_times"]

DOOR = "smpp"

_UDHI = EsmClass.UDHI.value
_PING_PROTOCOL_ID = 0x40  # short message type 0 (3GPP TS 23.040 section 9.2.3.9)
_OCTETS = 4
_ASCII_PREFIX = re.compile(rb"__[A-Z]{2,8}__")
_GSM_ONLY = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f]")
_ASCII_COMMENT = re.compile(rb"(\r?\n)~~~(\r?\n|\Z)")
_VALID_MAX_MS = 168 * 3_600_000
# These elements are taken care of here; with any other one the message goes out as octets.
_UNDERSTOOD = frozenset(
    {
        ElementId.CONCATENATION_8,
        ElementId.CONCATENATION_16,
        ElementId.SINGLE_SHIFT,
        ElementId.LOCKING_SHIFT,
    }
)


class Fault(NamedTuple):
    """The command_status of a message that is not taken."""

    status: int


class _Body(NamedTuple):
    """What a message says, before it is known whether it is whole."""

    type: MessageType
    content: bytes
    header: UserDataHeader | None
    elements: tuple[InformationElement, ...]  # that go out with it


class Reader:
    """Reads the messages of one bind. `is_latin`: it was made with system_type ISO."""

    def __init__(self, *, is_latin: bool) -> None:
        self._alphabet: DefaultAlphabet = "latin-1" if is_latin else "gsm7"

    def read(
        self, pdu: SubmitSm | DataSm, account: Account, now_ms: int
    ) -> SendRequest | Piece | Fault:
        """The request or the piece that a PDU is."""
        due_at = valid_ms = protocol_id = 0
        if isinstance(pdu, SubmitSm):
            protocol_id = pdu.protocol_id
            if pdu.schedule_delivery_time or pdu.validity_period:
                times = read_times(pdu.schedule_delivery_time, pdu.validity_period, now_ms)
                if isinstance(times, Fault):
                    return times
                due_at, valid_ms = times
        source = pdu.source_addr
        wish = pdu.registered_delivery & 3
        options = _receipt_options(wish, _types_of(pdu), source) if wish else {}
        data_coding = pdu.data_coding
        coding = parse_data_coding(data_coding)
        if pdu.tlvs or pdu.esm_class & _UDHI or protocol_id or coding.codec is None:
            return self._read_special(
                pdu,
                account,
                now_ms,
                times=(due_at, valid_ms),
                protocol_id=protocol_id,
                options=options,
            )
        text = self._decode(pdu.content, data_coding)
        if not text or (len(text) > MAX_TEXT_CHARS and is_too_long(text)):
            return Fault(S.ESME_RINVMSGLEN.value)
        return SendRequest(
            account,
            [Entry([pdu.destination_addr], text)],
            type=MessageType.FLASH if coding.is_flash else MessageType.SMS,
            sender=_sender_of(source),
            valid_ms=valid_ms,
            door=DOOR,
            options=options,
            due_at=due_at,
            late_refusals=LATE_REFUSALS,
        )

    def read_multi(
        self, pdu: SubmitMulti, account: Account, recipients: list[str], now_ms: int
    ) -> SendRequest | Fault:
        """The request to these recipients. Long messages have to come whole."""
        single = SubmitSm(
            source_addr_ton=pdu.source_addr_ton,
            source_addr_npi=pdu.source_addr_npi,
            source_addr=pdu.source_addr,
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=recipients[0],
            esm_class=pdu.esm_class,
            protocol_id=pdu.protocol_id,
            schedule_delivery_time=pdu.schedule_delivery_time,
            validity_period=pdu.validity_period,
            registered_delivery=pdu.registered_delivery,
            data_coding=pdu.data_coding,
            short_message=pdu.short_message,
            tlvs=pdu.tlvs,
        )
        request = self.read(single, account, now_ms)
        if isinstance(request, Piece):
            return Fault(S.ESME_RINVESMCLASS.value)
        if isinstance(request, SendRequest):
            request.entries[0].recipients = recipients
        return request

    def read_replacement(
        self, pdu: ReplaceSm, account: Account, data_coding: int
    ) -> tuple[str, MessageType] | Fault:
        """The new text and its type; it is in the coding of the message that it replaces."""
        content = pdu.short_message or pdu.tlvs.raw(TlvTag.MESSAGE_PAYLOAD) or b""
        text = self._decode(content, data_coding)
        if not text or is_too_long(text):
            return Fault(S.ESME_RINVMSGLEN.value)
        return text, MessageType.SMS

    def _decode(self, content: bytes, data_coding: int, table: Gsm7Table = DEFAULT_TABLE) -> str:
        if (
            (content[:2] == b"__" or b"~~~" in content)
            and self._alphabet == "gsm7"
            and parse_data_coding(data_coding).codec == "default"
        ):
            content = _mend(content)
        if data_coding == DataCoding.IA5:
            # Some libraries mean the GSM alphabet by it: their @ is an octet 0. Above 0x7F it
            # can only be Latin-1.
            is_gsm = _GSM_ONLY.search(content) is not None
            data_coding = 0 if is_gsm else DataCoding.LATIN_1.value
        return decode_text(content, data_coding, default_alphabet=self._alphabet, table=table)

    def _read_special(
        self,
        pdu: SubmitSm | DataSm,
        account: Account,
        now_ms: int,
        *,
        times: tuple[int, int],
        protocol_id: int,
        options: dict[str, Any],
    ) -> SendRequest | Piece | Fault:
        """Messages with parameters, headers, octets or a protocol_id."""
        if pdu.has_two_contents if isinstance(pdu, SubmitSm) else False:
            return Fault(S.ESME_ROPTPARNOTALLWD.value)
        body = _read_body(pdu, protocol_id)
        if isinstance(body, Fault):
            return body
        data_coding = pdu.data_coding
        more: dict[str, Any] = {}
        if body.type is MessageType.BINARY:
            if data_coding != _OCTETS:
                more["dcs"] = data_coding
            if protocol_id:
                more["pid"] = protocol_id
        place = _place_of(pdu, body.header)
        if isinstance(place, Fault):
            return place
        if place is not None:
            return self._make_piece(
                pdu, account, now_ms, place=place, body=body, times=times, options=more
            )
        text = ""
        if body.type is MessageType.BINARY:
            if not body.content:
                return Fault(S.ESME_RINVMSGLEN.value)
            text = ((build_udh(body.elements) or b"\0") + body.content).hex()
        elif body.type is not MessageType.PING:
            table = DEFAULT_TABLE
            if body.header is not None:
                table = gsm7_table(body.header.locking_shift, body.header.single_shift)
            text = self._decode(body.content, data_coding, table)
            if not text or is_too_long(text):
                return Fault(S.ESME_RINVMSGLEN.value)
        return SendRequest(
            account,
            [Entry([pdu.destination_addr], text)],
            type=body.type,
            sender=_sender_of(pdu.source_addr),
            valid_ms=times[1],
            door=DOOR,
            options={**options, **more} if more else options,
            due_at=times[0],
            late_refusals=LATE_REFUSALS,
        )

    def _make_piece(
        self,
        pdu: SubmitSm | DataSm,
        account: Account,
        now_ms: int,
        *,
        place: tuple[int, int, int],
        body: _Body,
        times: tuple[int, int],
        options: dict[str, Any],
    ) -> Piece | Fault:
        """A part of a long message. What is wrong with its addresses is told at once, because the
        parts before it have been answered by the time the message is whole."""
        sender = _sender_of(pdu.source_addr)
        if normalise_recipient(pdu.destination_addr) is None:
            return Fault(S.ESME_RINVDSTADR.value)
        if sender and not is_valid_sender(sender):
            return Fault(S.ESME_RINVSRCADR.value)
        header = body.header
        reference, total, number = place
        return Piece(
            account_id=account.id,
            sender=pdu.source_addr,
            recipient=pdu.destination_addr,
            reference=reference,
            total=total,
            number=number,
            data_coding=pdu.data_coding,
            content=body.content,
            received_at=now_ms,
            options={
                "type": int(body.type),
                "alphabet": self._alphabet,
                "table": [header.locking_shift, header.single_shift] if header else [0, 0],
                "header": build_udh(body.elements).hex(),
                "sender": sender,
                "due": times[0],
                "valid": times[1],
                "door": DOOR,
                "receipt": pdu.registered_delivery & 3,
                "echo": _echo(_types_of(pdu), pdu.source_addr),
                "options": options,
            },
        )


def read_times(schedule: str, validity: str, now_ms: int) -> tuple[int, int] | Fault:
    """(time of sending or 0, life in milliseconds or 0). The life begins with the sending."""
    due_at = 0
    if schedule:
        try:
            due_at = parse_time(schedule, now_ms) or 0
        except TimeFormatError:
            return Fault(S.ESME_RINVSCHED.value)
        if due_at > now_ms + MAX_AHEAD_MS:
            return Fault(S.ESME_RINVSCHED.value)
    if not validity:
        return due_at, 0
    try:
        span_ms = _relative_span(validity)
        expires_at = now_ms + span_ms if span_ms else parse_time(validity, now_ms) or 0
    except TimeFormatError:
        return Fault(S.ESME_RINVEXPIRY.value)
    valid_ms = expires_at - max(due_at, now_ms)
    if valid_ms <= 0:
        return Fault(S.ESME_RINVEXPIRY.value)
    return due_at, min(valid_ms, _VALID_MAX_MS)


@lru_cache(4_096)
def _relative_span(text: str) -> int:
    """Milliseconds of a relative time without years and months, which clients send with every
    message; 0 for others. Raises TimeFormatError."""
    if text[-1] != "R" or text[:4] != "0000":
        return 0
    return parse_time(text, 0) or 0


def _mend(content: bytes) -> bytes:
    """Octets in the GSM alphabet in which the words of the interface stand as ASCII: in most
    clients nothing turns ``__HLR__`` into other octets. What is mended would read ``§§HLR§§`` and
    three ``ü`` alone in a line."""
    found = _ASCII_PREFIX.match(content)
    if found is not None:
        content = found[0].replace(b"_", b"\x11") + content[found.end() :]
    return _ASCII_COMMENT.sub(lambda m: m[1] + b"\x1b=" * 3 + m[2], content)


def is_too_long(text: str) -> bool:
    """Longer than a text may be; its comment does not count."""
    return len(text) > MAX_TEXT_CHARS and len(split_comment(text)[0]) > MAX_TEXT_CHARS


def _sender_of(source: str) -> str | None:
    """None: the account's default name; '': none at all (smpp reference, section 3)."""
    if not source:
        return None
    return "" if source == "." else source


def _types_of(pdu: SubmitSm | DataSm) -> tuple[int, int, int, int]:
    """Type of number and numbering plan of source and destination."""
    return pdu.source_addr_ton, pdu.source_addr_npi, pdu.dest_addr_ton, pdu.dest_addr_npi


def _echo(types: tuple[int, int, int, int], source: str) -> str:
    """What a receipt needs of the addresses as they were submitted."""
    return ".".join([*map(str, types), source])


@lru_cache(4_096)
def _receipt_options(wish: int, types: tuple[int, int, int, int], source: str) -> dict[str, Any]:
    # One dict for many messages: requests are only read.
    return {"receipt": wish, "echo": _echo(types, source)}


def _read_body(pdu: SubmitSm | DataSm, protocol_id: int) -> _Body | Fault:
    content = pdu.content
    header: UserDataHeader | None = None
    elements: tuple[InformationElement, ...] = ()
    if pdu.esm_class & _UDHI:
        try:
            header = parse_udh(content)
        except UdhError:
            return Fault(S.ESME_RINVESMCLASS.value)
        content = content[header.length :]
        elements = tuple([e for e in header.elements if e.identifier not in _UNDERSTOOD])
    elif (port := pdu.tlvs.number(TlvTag.DESTINATION_PORT)) is not None and port <= 0xFFFF:
        elements = (build_ports(port, (pdu.tlvs.number(TlvTag.SOURCE_PORT) or 0) & 0xFFFF),)
    coding = parse_data_coding(pdu.data_coding)
    if protocol_id == _PING_PROTOCOL_ID:
        type = MessageType.PING
    elif coding.codec is None or elements:
        type = MessageType.BINARY
    else:
        type = MessageType.FLASH if coding.is_flash else MessageType.SMS
    return _Body(type, content, header, elements)


def _place_of(
    pdu: SubmitSm | DataSm, header: UserDataHeader | None
) -> tuple[int, int, int] | Fault | None:
    """(reference, total, number) of a part; None: the message is whole."""
    if header is not None and header.concatenation is not None:
        found = header.concatenation
        return found.reference, found.total, found.number
    tlvs = pdu.tlvs
    total = tlvs.number(TlvTag.SAR_TOTAL_SEGMENTS) if tlvs else None
    if total is None or total < 2:
        return None
    number = tlvs.number(TlvTag.SAR_SEGMENT_SEQNUM)
    reference = tlvs.number(TlvTag.SAR_MSG_REF_NUM)
    if number is None or reference is None:
        return Fault(S.ESME_RMISSINGOPTPARAM.value)
    if not 1 <= number <= total <= 255 or reference > 0xFFFF:
        return Fault(S.ESME_RINVOPTPARAMVAL.value)
    return reference, total, number
