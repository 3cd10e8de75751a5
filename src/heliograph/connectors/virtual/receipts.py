"""Receipts as the simulated SMSC writes them: text and TLVs of a deliver_sm."""

from __future__ import annotations

import uuid
from typing import Literal
from urllib.parse import quote_plus

from heliograph.connectors.virtual.chaos import IdBase
from heliograph.domain.messages import MessageState
from heliograph.protocols.smpp.constants import EsmClass, TlvTag
from heliograph.protocols.smpp.constants import MessageState as SmppState
from heliograph.protocols.smpp.pdu import DeliverSm, SubmitSm
from heliograph.protocols.smpp.receipt import Receipt, format_receipt
from heliograph.protocols.smpp.tlv import NO_TLVS, make_tlvs

__all__ = ["STATE_NUMBERS", "write_id", "write_receipt"]

STATE_NUMBERS: dict[MessageState, SmppState] = {
    MessageState.SUBMITTED: SmppState.ENROUTE,
    MessageState.DELIVERED: SmppState.DELIVERED,
    MessageState.READ: SmppState.DELIVERED,
    MessageState.EXPIRED: SmppState.EXPIRED,
    MessageState.UNDELIVERABLE: SmppState.UNDELIVERABLE,
    MessageState.REJECTED: SmppState.REJECTED,
}

_NETWORK_GSM = 3


def write_id(number: int, base: IdBase) -> str:
    """A message id in one of the spellings that operators use."""
    match base:
        case "decimal":
            return str(number)
        case "hex":
            return f"{number:x}"
        case "hex-upper":
            return f"{number:X}"
        case "hex-padded":
            return f"{number:010X}"
        case "uuid":
            return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15 % (1 << 128)))


def write_receipt(
    submit: SubmitSm,
    message_id: str,
    *,
    state: MessageState,
    err: int,
    submitted_at: int,
    done_at: int,
    text: str,
    detail: dict[str, str] | None,
    form: Literal["text", "tlv", "both"] = "both",
) -> DeliverSm:
    """The deliver_sm that reports `state` of `submit`; times are epoch milliseconds."""
    number = STATE_NUMBERS[state]
    fields = {name: quote_plus(value) for name, value in (detail or {}).items()}
    receipt = Receipt(
        message_id="" if form == "tlv" else message_id,
        message_state=number,
        err=f"{err:03d}",
        sub=None if detail else 1,
        dlvrd=None if detail else int(state is MessageState.DELIVERED),
        submitted_at_ms=None if detail else submitted_at,
        done_at_ms=None if detail else done_at,
        text=text,
        fields=fields,
    )
    tlvs = NO_TLVS
    if form != "text":
        tlvs = make_tlvs(
            {
                TlvTag.RECEIPTED_MESSAGE_ID: message_id,
                TlvTag.MESSAGE_STATE: number,
                TlvTag.NETWORK_ERROR_CODE: bytes((_NETWORK_GSM,)) + err.to_bytes(2, "big"),
            }
        )
    is_final = state is not MessageState.SUBMITTED
    kind = EsmClass.DELIVERY_RECEIPT if is_final else EsmClass.INTERMEDIATE_NOTIFICATION
    return DeliverSm(
        source_addr_ton=submit.dest_addr_ton,
        source_addr_npi=submit.dest_addr_npi,
        source_addr=submit.destination_addr,
        dest_addr_ton=submit.source_addr_ton,
        dest_addr_npi=submit.source_addr_npi,
        destination_addr=submit.source_addr,
        esm_class=kind.value,
        short_message=format_receipt(receipt).encode("latin-1", "replace")[:254],
        tlvs=tlvs,
    )
