"""From what an account is told to the deliver_sm that tells it (smpp reference, sections 4 and 5).

Receipts carry the standard text and the parameters of the service: price, flags, number of parts,
network.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote_plus

from heliograph.domain.deliveries import RECEIPT
from heliograph.domain.events import OutboxEvent
from heliograph.domain.messages import MessageState, MessageType
from heliograph.protocols.smpp.constants import VERSION_34, EsmClass, TlvTag
from heliograph.protocols.smpp.constants import MessageState as SmppState
from heliograph.protocols.smpp.pdu import DeliverSm
from heliograph.protocols.smpp.receipt import STAT_BY_STATE
from heliograph.protocols.smpp.tlv import NO_TLVS, Tlv, Tlvs
from heliograph.protocols.sms import gsm7

__all__ = ["SMPP_STATE", "compose_delivery", "format_price"]

_M = MessageState

# Status -> message_state (smpp reference, section 4).
SMPP_STATE: dict[MessageState, int] = {
    _M.SCHEDULED: SmppState.ENROUTE.value,
    _M.HELD: SmppState.ENROUTE.value,
    _M.QUEUED: SmppState.ENROUTE.value,
    _M.SUBMITTING: SmppState.ENROUTE.value,
    _M.SUBMITTED: SmppState.ACCEPTED.value,
    _M.UNKNOWN: SmppState.ACCEPTED.value,
    _M.DELIVERED: SmppState.DELIVERED.value,
    _M.READ: SmppState.DELIVERED.value,
    _M.CLICKED: SmppState.DELIVERED.value,
    _M.EXPIRED: SmppState.EXPIRED.value,
    _M.UNDELIVERABLE: SmppState.UNDELIVERABLE.value,
    _M.REJECTED: SmppState.UNDELIVERABLE.value,
    _M.DELETED: SmppState.DELETED.value,
    _M.STOPPED: SmppState.DELETED.value,
    _M.INVALID_NUMBER: SmppState.REJECTED.value,
    _M.FORBIDDEN: SmppState.REJECTED.value,
    _M.NO_FUNDS: SmppState.REJECTED.value,
    _M.NO_ROUTE: SmppState.REJECTED.value,
}
_SMPP_BY_NUMBER = {str(int(state)): value for state, value in SMPP_STATE.items()}

# Parameters of the service.
TAG_PRICE = 0x2000
TAG_FLAGS = 0x2001
TAG_PARTS = 0x2002
TAG_NETWORK = 0x2003

_RECEIPTED_MESSAGE_ID = TlvTag.RECEIPTED_MESSAGE_ID.value
_MESSAGE_STATE = TlvTag.MESSAGE_STATE.value
_NETWORK_ERROR_CODE = TlvTag.NETWORK_ERROR_CODE.value
_GSM = 3  # type of network
_TYPE_RECEIPT = EsmClass.DELIVERY_RECEIPT.value
_DELIVERED = SmppState.DELIVERED.value
_HLR_TYPE = int(MessageType.HLR)
_HLR_FIELDS = ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet")
_SHORT_MAX = 254
_ADDRESS_MAX = 20
_UCS2 = 8
_short = struct.Struct("!H").pack


def compose_delivery(
    event: OutboxEvent, *, timezone_minutes: int, is_latin: bool, version: int
) -> DeliverSm:
    """The PDU of an event. Raises ValueError, KeyError for a payload that says too little.

    `is_latin`: the default alphabet of the bind is ISO-8859-1. Peers below 3.4 get no parameters.
    """
    if event.kind == RECEIPT:
        pdu = _compose_receipt(event.payload, timezone_minutes)
    else:
        pdu = _compose_incoming(event.payload, is_latin=is_latin)
    if version < VERSION_34 and pdu.short_message:
        pdu.tlvs = NO_TLVS
    return pdu


def _compose_receipt(payload: Mapping[str, str], timezone_minutes: int) -> DeliverSm:
    state = _SMPP_BY_NUMBER[payload["state"]]
    ref = payload["id"]
    err = int(payload["err"])
    flags = int(payload["flag"])
    head = f"id:{ref} "
    if flags & 0xF == _HLR_TYPE:
        fields = " ".join(f"{n}:{quote_plus(payload.get(n, ''))}" for n in _HLR_FIELDS)
        text = f"{head}stat:{STAT_BY_STATE[state]} err:{err:03d} {fields}"
    else:
        made = _minute(int(payload["made"]) // 60, timezone_minutes)
        done = _minute(int(payload["ts"]) // 60, timezone_minutes)
        text = (
            f"{head}sub:001 dlvrd:{'001' if state == _DELIVERED else '000'} submit date:{made} "
            f"done date:{done} stat:{STAT_BY_STATE[state]} err:{err:03d} text:{payload['mes']}"
        )
    ton, npi, dest_ton, dest_npi, source = payload["echo"].split(".", 4)
    tlvs = [
        Tlv(_RECEIPTED_MESSAGE_ID, ref.encode("ascii") + b"\0"),
        Tlv(_MESSAGE_STATE, bytes((state,))),
        Tlv(_NETWORK_ERROR_CODE, bytes((_GSM, err >> 8 & 0xFF, err & 0xFF))),
        Tlv(TAG_PRICE, format_price(int(payload["cost"]))),
        Tlv(TAG_FLAGS, _short(flags & 0xFFFF)),
        Tlv(TAG_PARTS, _short(int(payload["cnt"]) & 0xFFFF)),
    ]
    if payload["mccmnc"]:
        tlvs.append(Tlv(TAG_NETWORK, payload["mccmnc"].encode("ascii")[:5]))
    content = text.encode("ascii", "replace")[:_SHORT_MAX]
    # By position: the PDU is made once a message, and keywords cost half as much again.
    return DeliverSm(
        0,
        0,
        "",
        int(dest_ton),
        int(dest_npi),
        payload["phone"][:_ADDRESS_MAX],
        int(ton),
        int(npi),
        (source or payload["sender"])[:_ADDRESS_MAX],
        _TYPE_RECEIPT,
        0,
        0,
        "",
        "",
        0,
        0,
        0,
        0,
        content,
        Tlvs(tlvs),
    )


def _compose_incoming(payload: Mapping[str, str], *, is_latin: bool) -> DeliverSm:
    text = payload["mes"]
    data_coding = 0
    encoded = _encode_default(text, is_latin=is_latin)
    if encoded is None:
        encoded, data_coding = text.encode("utf-16-be", "replace"), _UCS2
    pdu = DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=payload["phone"][:_ADDRESS_MAX],
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=payload["to"][:_ADDRESS_MAX],
        data_coding=data_coding,
    )
    if len(encoded) <= _SHORT_MAX:
        pdu.short_message = encoded
    else:
        pdu.tlvs = Tlvs((Tlv(TlvTag.MESSAGE_PAYLOAD.value, encoded[:0xFFFF]),))
    return pdu


def _encode_default(text: str, *, is_latin: bool) -> bytes | None:
    """The text in the default alphabet of the bind; None when it does not fit into it."""
    if is_latin:
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            return None
    folded = gsm7.fold(text)
    return None if folded is None else gsm7.unfold(folded)


@lru_cache(1_024)
def format_price(micros: int) -> bytes:
    """``n.nnnn``, at most 6 octets: decimals go first when the sum is large."""
    units, rest = divmod(max(micros, 0), 1_000_000)
    text = f"{units}.{rest // 100:04d}"
    return text[:6].rstrip(".").encode("ascii") if units < 1_000_000 else b"999999"


@lru_cache(512)
def _minute(minutes: int, timezone_minutes: int) -> str:
    # Cached: thousands of receipts carry the same minute.
    moment = datetime.fromtimestamp((minutes + timezone_minutes) * 60, UTC)
    return f"{moment:%y%m%d%H%M}"
