"""One class for each PDU of SMPP 3.4 (which SMPP 5.0 kept), with the standard's field names.

The fields stand in the order of the wire after the two of the header that a PDU cannot know by
its class: ``sequence_number`` (set by the session or by the decoder) and ``command_status`` (0 in
requests). C-octet strings are ``str`` of code points below 256 (one per octet, the NUL is not part
of it), message bodies are ``bytes``, numbers are ``int``. Counts and lengths (``sm_length``,
``number_of_dests``, ``no_unsuccess``) are not stored: they follow from what they count.

These classes are mutable and positional on purpose: they are built once per message in the hottest
loop of the program, and frozen or keyword-only dataclasses cost three times as much to make. Use
keywords everywhere outside the codec.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .constants import RESPONSE_BIT, CommandId, EsmClass, TlvTag
from .tlv import NO_TLVS, Tlvs


@dataclass(slots=True)
class Pdu:
    """What every PDU has. Not sent itself."""

    command_id: ClassVar[int] = 0

    sequence_number: int = 0
    command_status: int = 0

    @property
    def is_response(self) -> bool:
        """True for responses and generic_nack."""
        return self.command_id >= RESPONSE_BIT


class ShortMessageContent:
    """Reads the message of a PDU, wherever its sender put it."""

    __slots__ = ()

    short_message: bytes
    tlvs: Tlvs
    esm_class: int

    @property
    def content(self) -> bytes:
        """The user data: ``short_message``, or the message_payload TLV when that is empty.

        SMPP 3.4 section 5.3.2.32 forbids both at once, yet operators do send a receipt in both:
        ``has_two_contents`` tells when they differ.
        """
        return self.short_message or self.tlvs.raw(TlvTag.MESSAGE_PAYLOAD) or b""

    @property
    def has_two_contents(self) -> bool:
        """True when ``short_message`` and message_payload both hold something, and not the same."""
        if not self.short_message or not self.tlvs:
            return False
        payload = self.tlvs.raw(TlvTag.MESSAGE_PAYLOAD)
        return bool(payload) and payload != self.short_message

    @property
    def has_udh(self) -> bool:
        """True when esm_class says that the user data begins with a header (UDHI)."""
        return bool(self.esm_class & EsmClass.UDHI)

    @property
    def sm_length(self) -> int:
        """Octets in ``short_message``."""
        return len(self.short_message)


# --- Binding, section 4.1 -----------------------------------------------------------------------


@dataclass(slots=True)
class BindRequest(Pdu):
    """Body shared by the three bind requests (4.1.1, 4.1.3, 4.1.5)."""

    system_id: str = ""
    password: str = field(default="", repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class BindTransmitter(BindRequest):
    """bind_transmitter (4.1.1): the ESME will submit."""

    command_id: ClassVar[int] = CommandId.BIND_TRANSMITTER.value


@dataclass(slots=True)
class BindReceiver(BindRequest):
    """bind_receiver (4.1.3): the ESME will take deliveries."""

    command_id: ClassVar[int] = CommandId.BIND_RECEIVER.value


@dataclass(slots=True)
class BindTransceiver(BindRequest):
    """bind_transceiver (4.1.5): both directions."""

    command_id: ClassVar[int] = CommandId.BIND_TRANSCEIVER.value


@dataclass(slots=True)
class BindResponse(Pdu):
    """Body shared by the three bind responses; may carry sc_interface_version."""

    system_id: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class BindTransmitterResp(BindResponse):
    """bind_transmitter_resp (4.1.2)."""

    command_id: ClassVar[int] = CommandId.BIND_TRANSMITTER_RESP.value


@dataclass(slots=True)
class BindReceiverResp(BindResponse):
    """bind_receiver_resp (4.1.4)."""

    command_id: ClassVar[int] = CommandId.BIND_RECEIVER_RESP.value


@dataclass(slots=True)
class BindTransceiverResp(BindResponse):
    """bind_transceiver_resp (4.1.6)."""

    command_id: ClassVar[int] = CommandId.BIND_TRANSCEIVER_RESP.value


@dataclass(slots=True)
class Outbind(Pdu):
    """outbind (4.1.7): the SMSC asks the ESME to bind as a receiver; it has no response."""

    command_id: ClassVar[int] = CommandId.OUTBIND.value

    system_id: str = ""
    password: str = field(default="", repr=False)


@dataclass(slots=True)
class Unbind(Pdu):
    """unbind (4.2.1)."""

    command_id: ClassVar[int] = CommandId.UNBIND.value


@dataclass(slots=True)
class UnbindResp(Pdu):
    """unbind_resp (4.2.2)."""

    command_id: ClassVar[int] = CommandId.UNBIND_RESP.value


@dataclass(slots=True)
class GenericNack(Pdu):
    """generic_nack (4.3.1): the answer to what cannot be answered otherwise."""

    command_id: ClassVar[int] = CommandId.GENERIC_NACK.value


@dataclass(slots=True)
class EnquireLink(Pdu):
    """enquire_link (4.11.1)."""

    command_id: ClassVar[int] = CommandId.ENQUIRE_LINK.value


@dataclass(slots=True)
class EnquireLinkResp(Pdu):
    """enquire_link_resp (4.11.2)."""

    command_id: ClassVar[int] = CommandId.ENQUIRE_LINK_RESP.value


# --- Messages, sections 4.4 to 4.7 --------------------------------------------------------------


@dataclass(slots=True)
class _MessageRequest(Pdu):
    """Body shared by submit_sm and deliver_sm."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = field(default=b"", repr=False)
    tlvs: Tlvs = field(default=NO_TLVS, repr=False)


@dataclass(slots=True)
class SubmitSm(_MessageRequest, ShortMessageContent):
    """submit_sm (4.4.1)."""

    command_id: ClassVar[int] = CommandId.SUBMIT_SM.value


@dataclass(slots=True)
class SubmitSmResp(Pdu):
    """submit_sm_resp (4.4.2)."""

    command_id: ClassVar[int] = CommandId.SUBMIT_SM_RESP.value

    message_id: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class DeliverSm(_MessageRequest, ShortMessageContent):
    """deliver_sm (4.6.1): an incoming message or a receipt."""

    command_id: ClassVar[int] = CommandId.DELIVER_SM.value


@dataclass(slots=True)
class DeliverSmResp(Pdu):
    """deliver_sm_resp (4.6.2); its message_id is unused and empty."""

    command_id: ClassVar[int] = CommandId.DELIVER_SM_RESP.value

    message_id: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(frozen=True, slots=True, kw_only=True)
class SmeAddress:
    """A dest_address with dest_flag 1 (4.5.1.1, 4.5.1.2)."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionList:
    """A dest_address with dest_flag 2 (4.5.1.1, 4.5.1.3)."""

    dl_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsuccessSme:
    """One refused address of a submit_multi_resp (4.5.2.1)."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    error_status_code: int = 0


@dataclass(slots=True)
class SubmitMulti(Pdu, ShortMessageContent):
    """submit_multi (4.5.1)."""

    command_id: ClassVar[int] = CommandId.SUBMIT_MULTI.value

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_address: tuple[SmeAddress | DistributionList, ...] = ()
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = field(default=b"", repr=False)
    tlvs: Tlvs = field(default=NO_TLVS, repr=False)


@dataclass(slots=True)
class SubmitMultiResp(Pdu):
    """submit_multi_resp (4.5.2)."""

    command_id: ClassVar[int] = CommandId.SUBMIT_MULTI_RESP.value

    message_id: str = ""
    unsuccess_sme: tuple[UnsuccessSme, ...] = ()
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class DataSm(Pdu):
    """data_sm (4.7.1): the message is in the message_payload TLV."""

    command_id: ClassVar[int] = CommandId.DATA_SM.value

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: Tlvs = field(default=NO_TLVS, repr=False)

    @property
    def content(self) -> bytes:
        """The user data: the message_payload TLV, empty when absent."""
        return self.tlvs.raw(TlvTag.MESSAGE_PAYLOAD) or b""


@dataclass(slots=True)
class DataSmResp(Pdu):
    """data_sm_resp (4.7.2)."""

    command_id: ClassVar[int] = CommandId.DATA_SM_RESP.value

    message_id: str = ""
    tlvs: Tlvs = NO_TLVS


# --- Messages already taken, sections 4.8 to 4.10 and 4.12 --------------------------------------


@dataclass(slots=True)
class QuerySm(Pdu):
    """query_sm (4.8.1)."""

    command_id: ClassVar[int] = CommandId.QUERY_SM.value

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class QuerySmResp(Pdu):
    """query_sm_resp (4.8.2)."""

    command_id: ClassVar[int] = CommandId.QUERY_SM_RESP.value

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class CancelSm(Pdu):
    """cancel_sm (4.9.1)."""

    command_id: ClassVar[int] = CommandId.CANCEL_SM.value

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    tlvs: Tlvs = NO_TLVS


@dataclass(slots=True)
class CancelSmResp(Pdu):
    """cancel_sm_resp (4.9.2)."""

    command_id: ClassVar[int] = CommandId.CANCEL_SM_RESP.value


@dataclass(slots=True)
class ReplaceSm(Pdu):
    """replace_sm (4.10.1)."""

    command_id: ClassVar[int] = CommandId.REPLACE_SM.value

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = field(default=b"", repr=False)
    tlvs: Tlvs = field(default=NO_TLVS, repr=False)


@dataclass(slots=True)
class ReplaceSmResp(Pdu):
    """replace_sm_resp (4.10.2)."""

    command_id: ClassVar[int] = CommandId.REPLACE_SM_RESP.value


@dataclass(slots=True)
class AlertNotification(Pdu):
    """alert_notification (4.12.1): a handset can be reached again; it has no response."""

    command_id: ClassVar[int] = CommandId.ALERT_NOTIFICATION.value

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlvs: Tlvs = NO_TLVS


_PDU_CLASSES: tuple[type[Pdu], ...] = (
    GenericNack,
    BindReceiver,
    BindReceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    DeliverSm,
    DeliverSmResp,
    Unbind,
    UnbindResp,
    ReplaceSm,
    ReplaceSmResp,
    CancelSm,
    CancelSmResp,
    BindTransceiver,
    BindTransceiverResp,
    Outbind,
    EnquireLink,
    EnquireLinkResp,
    SubmitMulti,
    SubmitMultiResp,
    AlertNotification,
    DataSm,
    DataSmResp,
)

PDU_BY_COMMAND: dict[int, type[Pdu]] = {kind.command_id: kind for kind in _PDU_CLASSES}
"""command_id -> class, for every PDU the codec knows."""


def make_response(command_id: int, sequence_number: int, command_status: int = 0) -> Pdu:
    """The response with an empty body to the request ``command_id`` of this sequence number.

    Requests that have none of their own (outbind, alert_notification, unknown ones) get
    generic_nack.
    """
    kind = PDU_BY_COMMAND.get(command_id | RESPONSE_BIT, GenericNack)
    return kind(sequence_number, command_status)


def response_to(request: Pdu, command_status: int = 0) -> Pdu:
    """``make_response`` for a request at hand."""
    return make_response(request.command_id, request.sequence_number, command_status)
