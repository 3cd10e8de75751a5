"""From a part to its submit_sm: addresses, coding, the ties of a long message, validity.

A message was cut into parts, and priced by them, when it was accepted. Here it is cut again by
the same rules, so whatever the operator's alphabet or way of long messages is, the number of
parts stays.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from heliograph.connectors.smpp.addressing import address_rule
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.domain.messages import Message, MessageType, Part
from heliograph.protocols.smpp.constants import CommandStatus, EsmClass, TlvTag
from heliograph.protocols.smpp.errors import LocalProtocolError
from heliograph.protocols.smpp.pdu import SubmitSm
from heliograph.protocols.smpp.times import format_relative
from heliograph.protocols.smpp.tlv import NO_TLVS, Tlvs, make_tlv
from heliograph.protocols.sms.binary import BinaryMessage, encode_binary_parts, parse_binary
from heliograph.protocols.sms.data_coding import Alphabet
from heliograph.protocols.sms.errors import SmsCodecError
from heliograph.protocols.sms.segmentation import EncodedPart, Segmentation, encode_part, segment
from heliograph.protocols.sms.udh import MAX_USER_DATA_OCTETS
from heliograph.protocols.sms.wap_push import build_wap_push, parse_wap_push_text

__all__ = ["HLR_TEXT", "Composer"]

HLR_TEXT = b"__HLR__"

_PING_PROTOCOL_ID = 0x40  # short message type 0 (3GPP TS 23.040 section 9.2.3.9)
_FLASH_BIT = 0x10
_CACHED_TEXTS = 512
_MINUTE_MS = 60_000
_VALIDITY_MAX_MS = 99 * 86_400_000
_UDHI = EsmClass.UDHI.value


class _Body(NamedTuple):
    """What differs between messages of different texts."""

    esm_class: int
    data_coding: int
    content: bytes
    tlvs: Tlvs = NO_TLVS
    protocol_id: int = 0


class Composer:
    """Writes submit_sm PDUs as one operator wants them."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._source = address_rule(settings.source_ton, settings.source_npi)
        self._destination = address_rule(settings.dest_ton, settings.dest_npi, is_cached=False)
        self._segment = lru_cache(_CACHED_TEXTS)(self._cut)
        self._single = lru_cache(_CACHED_TEXTS)(self._encode_single)

    @property
    def is_whole(self) -> bool:
        """True when one PDU carries all parts of a message (long_messages=payload)."""
        return self._settings.long_messages == "payload"

    def compose(self, part: Part, now_ms: int) -> SubmitSm:
        """The PDU of a part; of the whole message when `is_whole`.

        Raises LocalProtocolError with the command_status that says what can not be sent.
        """
        message = part.message
        kind = message.submission.type
        if kind is MessageType.SMS and message.part_count == 1:
            body = self._single(message.text)
        else:
            body = self._encode(message, kind, part.seq)
        settings = self._settings
        source_ton, source_npi, source = self._source(message.sender)
        dest_ton, dest_npi, destination = self._destination(message.recipient)
        # By position: the PDU is made once a message, and keywords cost half as much again.
        return SubmitSm(
            0,
            0,
            settings.service_type,
            source_ton,
            source_npi,
            source,
            dest_ton,
            dest_npi,
            destination,
            body[0],
            body[4],
            0,
            "",
            _validity(message.expires_at, now_ms) if settings.pass_validity else "",
            settings.registered_delivery,
            0,
            body[1],
            0,
            body[2],
            body[3],
        )

    def source_of(self, message: Message) -> tuple[int, int, str]:
        """(ton, npi, address) of the sender, as it was submitted."""
        return self._source(message.sender)

    def _encode(self, message: Message, kind: MessageType, seq: int) -> _Body:
        match kind:
            case MessageType.HLR:
                return _Body(0, self._settings.data_coding, HLR_TEXT)
            case MessageType.PING:
                # Nobody sees it, and a text that is longer than one part could not be sent.
                return self._single("")._replace(protocol_id=_PING_PROTOCOL_ID)
            case MessageType.BINARY | MessageType.WAP_PUSH:
                return self._encode_octets(message, kind, seq)
        is_flash = kind is MessageType.FLASH
        if message.part_count == 1:
            single = self._single(message.text)
            flash = single.data_coding | _FLASH_BIT if is_flash else single.data_coding
            return single._replace(data_coding=flash)
        cut = self._segment(message.text, message.part_count)
        if seq > len(cut.payloads):
            raise LocalProtocolError("no such part of the text", CommandStatus.ESME_RINVMSGLEN)
        return self._encode_long(cut, message.id, seq=seq, is_flash=is_flash)

    def _encode_single(self, text: str) -> _Body:
        cut = segment(text)
        encoded = encode_part(cut, 1, is_packed=self._is_packed)
        content, data_coding = self._recode(cut, encoded)
        if len(cut.payloads) > 1:
            raise LocalProtocolError("longer than one part", CommandStatus.ESME_RINVMSGLEN)
        return _Body(0, data_coding, content)

    def _encode_long(self, cut: Segmentation, reference: int, *, seq: int, is_flash: bool) -> _Body:
        way = self._settings.long_messages
        flash = _FLASH_BIT if is_flash else 0
        if way == "payload":
            encoded = EncodedPart(b"", b"".join(cut.payloads), cut.alphabet << 2)
            content, data_coding = self._recode(cut, encoded)
            tlvs = Tlvs((make_tlv(TlvTag.MESSAGE_PAYLOAD, content),))
            return _Body(0, data_coding | flash, b"", tlvs)
        encoded = encode_part(cut, seq, reference=reference, is_packed=self._is_packed)
        content, data_coding = self._recode(cut, encoded, seq=seq)
        if way == "sar":
            tlvs = Tlvs(
                (
                    make_tlv(TlvTag.SAR_MSG_REF_NUM, reference & 0xFFFF),
                    make_tlv(TlvTag.SAR_TOTAL_SEGMENTS, len(cut.payloads)),
                    make_tlv(TlvTag.SAR_SEGMENT_SEQNUM, seq),
                )
            )
            return _Body(0, data_coding | flash, content, tlvs)
        return _Body(_UDHI, data_coding | flash, encoded.udh + content)

    def _encode_octets(self, message: Message, kind: MessageType, seq: int) -> _Body:
        try:
            binary = _read_binary(message, kind)
            parts = encode_binary_parts(binary, reference=message.id)
            encoded = parts[seq - 1]
        except (SmsCodecError, IndexError) as error:
            raise LocalProtocolError(
                f"binary message can not be sent: {error}", CommandStatus.ESME_RINVMSGLEN
            ) from error
        if self.is_whole and len(parts) > 1:
            raise LocalProtocolError(
                "long binary messages need long_messages=udh8", CommandStatus.ESME_RINVESMCLASS
            )
        return _Body(
            _UDHI if encoded.udh else 0,
            encoded.data_coding,
            encoded.udh + encoded.payload,
            protocol_id=binary.protocol_id,
        )

    @property
    def _is_packed(self) -> bool:
        return self._settings.default_alphabet == "gsm7-packed"

    def _cut(self, text: str, part_count: int) -> Segmentation:
        """The text in as many parts as were counted, with room for a 16-bit reference if it fits.

        That reference takes one septet or unit more of each part, so a text may need one part
        more than was paid for; such a text keeps the short reference.
        """
        if self._settings.long_messages == "udh16":
            wide = segment(text, is_wide=True)
            if len(wide.payloads) == part_count:
                return wide
        return segment(text)

    def _recode(
        self, cut: Segmentation, encoded: EncodedPart, *, seq: int = 0
    ) -> tuple[bytes, int]:
        """(content, data_coding) in the operator's own alphabets. `seq` 0: the whole text."""
        settings = self._settings
        if cut.alphabet is Alphabet.UCS2:
            return encoded.payload, settings.ucs2_data_coding
        if settings.default_alphabet in {"gsm7", "gsm7-packed"}:
            return encoded.payload, settings.data_coding
        text = cut.parts[seq - 1] if seq else cut.text
        codec = "latin-1" if settings.default_alphabet == "latin1" else "ascii"
        try:
            return text.encode(codec), settings.data_coding
        except UnicodeEncodeError:
            wide = text.encode("utf-16-be")
            # What does not fit as UCS-2 goes with question marks: the part count is paid for.
            if len(wide) <= MAX_USER_DATA_OCTETS - len(encoded.udh):
                return wide, settings.ucs2_data_coding
            return text.encode(codec, "replace"), settings.data_coding


def _read_binary(message: Message, kind: MessageType) -> BinaryMessage:
    if kind is MessageType.WAP_PUSH:
        link, title = parse_wap_push_text(message.text)
        return build_wap_push(link, title)
    binary = parse_binary(message.text.encode("latin-1", "replace"), is_hex=True)
    options = message.submission.options or {}
    return BinaryMessage(
        elements=binary.elements,
        payload=binary.payload,
        data_coding=int(options.get("dcs", binary.data_coding)),
        protocol_id=int(options.get("pid", binary.protocol_id)),
    )


def _validity(expires_at: int, now_ms: int) -> str:
    """Relative validity_period: whole minutes, which differ little and so are formatted once."""
    if not expires_at:
        return ""
    left_ms = min(expires_at - now_ms, _VALIDITY_MAX_MS)
    return _format_validity(max(left_ms // _MINUTE_MS, 1))


@lru_cache(4_096)
def _format_validity(minutes: int) -> str:
    return format_relative(minutes * _MINUTE_MS)
