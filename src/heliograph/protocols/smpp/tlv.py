"""Optional parameters (TLVs): tag, length, value, in any order, known or not.

A PDU keeps its TLVs as they stood on the wire: every one, in order, duplicates too, each value as
raw bytes. That loses nothing, costs little when there are none, and lets a vendor's parameter pass
through. The typed view is taken on request: ``Tlvs.number``, ``text``, ``raw`` read by tag, and
``make_tlv`` writes a value of the right type for the tag.

Where a tag that should stand once stands twice, the first one counts.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from .constants import CommandStatus, TlvTag
from .errors import LocalProtocolError

TlvValue: TypeAlias = "int | str | bytes | None"

_HEAD = Struct("!HH")
_VALUE_MAX = 0xFFFF
_INTEGER_OCTETS_MAX = 8
# A named tuple's own constructor is a Python function; receipts bring three to seven TLVs each.
_new_tuple = tuple.__new__


class TlvKind(Enum):
    """How the value of a tag is to be read."""

    INTEGER = "integer"  # big-endian, unsigned
    C_STRING = "c-string"  # ends with NUL
    OCTETS = "octets"
    FLAG = "flag"  # no value, its presence is the message


class TlvSpec(NamedTuple):
    """What the standard says about one tag; lengths in octets, the NUL included."""

    kind: TlvKind
    length_min: int
    length_max: int


def _integer(octets: int, octets_max: int | None = None) -> TlvSpec:
    return TlvSpec(TlvKind.INTEGER, octets, octets_max or octets)


def _octets(length_min: int, length_max: int) -> TlvSpec:
    return TlvSpec(TlvKind.OCTETS, length_min, length_max)


def _c_string(length_min: int, length_max: int) -> TlvSpec:
    return TlvSpec(TlvKind.C_STRING, length_min, length_max)


# SMPP 3.4 section 5.3.2 and SMPP 5.0 section 4.8.4. Where the two differ, the range covers both.
TLV_SPECS: dict[int, TlvSpec] = {
    TlvTag.DEST_ADDR_SUBUNIT: _integer(1),
    TlvTag.DEST_NETWORK_TYPE: _integer(1),
    TlvTag.DEST_BEARER_TYPE: _integer(1),
    TlvTag.DEST_TELEMATICS_ID: _integer(2),
    TlvTag.SOURCE_ADDR_SUBUNIT: _integer(1),
    TlvTag.SOURCE_NETWORK_TYPE: _integer(1),
    TlvTag.SOURCE_BEARER_TYPE: _integer(1),
    TlvTag.SOURCE_TELEMATICS_ID: _integer(1, 2),
    TlvTag.QOS_TIME_TO_LIVE: _integer(4),
    TlvTag.PAYLOAD_TYPE: _integer(1),
    TlvTag.ADDITIONAL_STATUS_INFO_TEXT: _c_string(1, 256),
    TlvTag.RECEIPTED_MESSAGE_ID: _c_string(1, 65),
    TlvTag.MS_MSG_WAIT_FACILITIES: _integer(1),
    TlvTag.PRIVACY_INDICATOR: _integer(1),
    TlvTag.SOURCE_SUBADDRESS: _octets(2, 23),
    TlvTag.DEST_SUBADDRESS: _octets(2, 23),
    TlvTag.USER_MESSAGE_REFERENCE: _integer(2),
    TlvTag.USER_RESPONSE_CODE: _integer(1),
    TlvTag.SOURCE_PORT: _integer(2),
    TlvTag.DESTINATION_PORT: _integer(2),
    TlvTag.SAR_MSG_REF_NUM: _integer(2),
    TlvTag.LANGUAGE_INDICATOR: _integer(1),
    TlvTag.SAR_TOTAL_SEGMENTS: _integer(1),
    TlvTag.SAR_SEGMENT_SEQNUM: _integer(1),
    TlvTag.SC_INTERFACE_VERSION: _integer(1),
    TlvTag.CALLBACK_NUM_PRES_IND: _integer(1),
    TlvTag.CALLBACK_NUM_ATAG: _octets(1, 65),
    TlvTag.NUMBER_OF_MESSAGES: _integer(1),
    TlvTag.CALLBACK_NUM: _octets(4, 19),
    TlvTag.DPF_RESULT: _integer(1),
    TlvTag.SET_DPF: _integer(1),
    TlvTag.MS_AVAILABILITY_STATUS: _integer(1),
    TlvTag.NETWORK_ERROR_CODE: _octets(3, 3),
    TlvTag.MESSAGE_PAYLOAD: _octets(0, _VALUE_MAX),
    TlvTag.DELIVERY_FAILURE_REASON: _integer(1),
    TlvTag.MORE_MESSAGES_TO_SEND: _integer(1),
    TlvTag.MESSAGE_STATE: _integer(1),
    TlvTag.CONGESTION_STATE: _integer(1),
    TlvTag.USSD_SERVICE_OP: _integer(1),
    TlvTag.BROADCAST_CHANNEL_INDICATOR: _integer(1),
    TlvTag.BROADCAST_CONTENT_TYPE: _octets(3, 3),
    TlvTag.BROADCAST_CONTENT_TYPE_INFO: _octets(1, 255),
    TlvTag.BROADCAST_MESSAGE_CLASS: _integer(1),
    TlvTag.BROADCAST_REP_NUM: _integer(2),
    TlvTag.BROADCAST_FREQUENCY_INTERVAL: _octets(3, 3),
    TlvTag.BROADCAST_AREA_IDENTIFIER: _octets(1, 101),
    TlvTag.BROADCAST_ERROR_STATUS: _integer(4),
    TlvTag.BROADCAST_AREA_SUCCESS: _integer(1),
    TlvTag.BROADCAST_END_TIME: _c_string(1, 17),
    TlvTag.BROADCAST_SERVICE_GROUP: _octets(1, 255),
    TlvTag.BILLING_IDENTIFICATION: _octets(1, 1024),
    TlvTag.SOURCE_NETWORK_ID: _c_string(7, 66),
    TlvTag.DEST_NETWORK_ID: _c_string(7, 66),
    TlvTag.SOURCE_NODE_ID: _octets(6, 6),
    TlvTag.DEST_NODE_ID: _octets(6, 6),
    TlvTag.DEST_ADDR_NP_RESOLUTION: _integer(1),
    TlvTag.DEST_ADDR_NP_INFORMATION: _octets(10, 10),
    TlvTag.DEST_ADDR_NP_COUNTRY: _integer(1, 5),
    TlvTag.DISPLAY_TIME: _integer(1),
    TlvTag.SMS_SIGNAL: _integer(2),
    TlvTag.MS_VALIDITY: _integer(1, 4),
    TlvTag.ALERT_ON_MESSAGE_DELIVERY: TlvSpec(TlvKind.FLAG, 0, 1),
    TlvTag.ITS_REPLY_TYPE: _integer(1),
    TlvTag.ITS_SESSION_INFO: _octets(2, 2),
}


class Tlv(NamedTuple):
    """One optional parameter as it stands on the wire."""

    tag: int
    value: bytes

    @property
    def has_valid_length(self) -> bool:
        """False when the tag is a standard one and its value is too short or too long for it."""
        spec = TLV_SPECS.get(self.tag)
        return spec is None or spec.length_min <= len(self.value) <= spec.length_max

    def read(self) -> TlvValue:
        """The value as the standard types the tag; raw bytes for vendors' and misshapen ones."""
        spec = TLV_SPECS.get(self.tag)
        if spec is None or not self.has_valid_length:
            return self.value
        match spec.kind:
            case TlvKind.INTEGER:
                return int.from_bytes(self.value, "big")
            case TlvKind.C_STRING:
                return _read_c_string(self.value)
            case TlvKind.FLAG:
                return self.value[0] if self.value else None
        return self.value


class Tlvs(tuple[Tlv, ...]):
    """The optional parameters of one PDU, in the order of the wire."""

    __slots__ = ()

    def raw(self, tag: int) -> bytes | None:
        """Value of the first TLV with this tag, or None."""
        for found, value in self:
            if found == tag:
                return value
        return None

    def number(self, tag: int) -> int | None:
        """Value of the first TLV with this tag as an unsigned number.

        Any length of 1 to 8 octets is read: peers do send 1-octet parameters in 2 and the other
        way round. None when the tag is absent or has no such length.
        """
        value = self.raw(tag)
        if value is None or not 1 <= len(value) <= _INTEGER_OCTETS_MAX:
            return None
        return int.from_bytes(value, "big")

    def text(self, tag: int) -> str | None:
        """Value of the first TLV with this tag up to its NUL (which may be missing), or None."""
        value = self.raw(tag)
        return None if value is None else _read_c_string(value)

    def all(self, tag: int) -> list[bytes]:
        """Values of every TLV with this tag, in order (5.0 repeats some tags on purpose)."""
        return [value for found, value in self if found == tag]

    def first_misshapen(self) -> Tlv | None:
        """The first standard TLV of a wrong length, which ESME_RINVPARLEN would refuse."""
        return next((tlv for tlv in self if not tlv.has_valid_length), None)


NO_TLVS = Tlvs()


def make_tlv(tag: int, value: TlvValue) -> Tlv:
    """Build a TLV from a value of the type its tag has.

    Integers take the smallest length the standard allows for the tag and the number. Tags outside
    the standard take bytes only, because nothing tells how else to write them.

    Raises LocalProtocolError (ESME_RINVOPTPARAMVAL) for a wrong type, number or length.
    """
    spec = TLV_SPECS.get(tag)
    tlv: Tlv | None = None
    match value:
        case bytes():
            tlv = Tlv(tag, value)
        case None if spec is not None and spec.kind is TlvKind.FLAG:
            tlv = Tlv(tag, b"")
        case int() if spec is not None and spec.kind in (TlvKind.INTEGER, TlvKind.FLAG):
            octets = max(spec.length_min, (value.bit_length() + 7) // 8)
            tlv = Tlv(tag, value.to_bytes(octets, "big")) if value >= 0 else None
        case str() if spec is not None and spec.kind is TlvKind.C_STRING and value.isascii():
            tlv = Tlv(tag, value.encode("ascii") + b"\0") if "\0" not in value else None
    if tlv is None or not tlv.has_valid_length or len(tlv.value) > _VALUE_MAX:
        raise LocalProtocolError(
            f"value does not fit TLV 0x{tag:04X}", CommandStatus.ESME_RINVOPTPARAMVAL
        )
    return tlv


def make_tlvs(values: dict[int, Any]) -> Tlvs:
    """``Tlvs`` of ``make_tlv`` for each tag and value, in the order of the dict."""
    return Tlvs(make_tlv(tag, value) for tag, value in values.items())


def decode_tlvs(data: bytes, start: int) -> Tlvs | None:
    """Read TLVs from ``start`` to the end of ``data``; None when they do not fit into it.

    Up to three zero octets after the last TLV are taken as padding: they cannot be a TLV, and
    some stacks round their PDUs up.
    """
    end = len(data)
    if start == end:
        return NO_TLVS
    found = []
    while start + 4 <= end:
        tag, length = _HEAD.unpack_from(data, start)
        start += 4
        if start + length > end:
            return None
        found.append(_new_tuple(Tlv, (tag, data[start : start + length])))
        start += length
    if start != end and any(data[start:end]):
        return None
    return Tlvs(found)


def encode_tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    """The bytes of the TLVs, in their order.

    Raises LocalProtocolError (ESME_RINVOPTPARAMVAL) for a tag or length beyond 16 bits.
    """
    pieces = []
    for tag, value in tlvs:
        if not 0 <= tag <= _VALUE_MAX or len(value) > _VALUE_MAX:
            raise LocalProtocolError(
                "TLV tag or length above 65535", CommandStatus.ESME_RINVOPTPARAMVAL
            )
        pieces.append(_HEAD.pack(tag, len(value)))
        pieces.append(value)
    return b"".join(pieces)


def _read_c_string(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("latin-1")
