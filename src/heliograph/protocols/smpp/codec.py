"""PDUs to bytes and back, by the tables of ``layout``.

``decode`` takes one whole frame (see ``framing``) and ``encode`` makes one. Both first try the
hand-written paths of ``hot`` for the four PDUs that carry the traffic; whatever those do not like
comes here, so that every rule and every error has one home. ``decode_by_table`` and
``encode_by_table`` are public because a property test holds the fast paths against them.

Reading is tolerant where it is safe: unknown TLVs are kept, a body behind a bodiless PDU is
ignored, a response may lack its body. A failed response keeps its status whatever its body says,
for the sender must learn the outcome.
"""

from __future__ import annotations

from struct import error as StructError
from typing import Any

from .constants import RESPONSE_BIT, CommandStatus, describe_command
from .errors import LocalProtocolError, PduError
from .hot import DECODERS, ENCODERS
from .layout import HEADER, HEADER_OCTETS, LAYOUTS, Layout
from .pdu import PDU_BY_COMMAND, Pdu
from .tlv import decode_tlvs, encode_tlvs

_COMMAND_ID_END = 8


def decode(frame: bytes) -> Pdu:
    """One PDU from one frame of exactly its command_length.

    Raises PduError with the status to answer; its sequence number is that of the frame.
    """
    decoder = DECODERS.get(frame[4:_COMMAND_ID_END])
    if decoder is not None:
        pdu = decoder(frame)
        if pdu is not None:
            return pdu
    return decode_by_table(frame)


def encode(pdu: Pdu, sequence_number: int) -> bytes:
    """The octets of ``pdu`` under this sequence number (the PDU itself is left as it is).

    Raises LocalProtocolError for a value that its field cannot hold; nothing is cut short.
    """
    encoder = ENCODERS.get(type(pdu))
    if encoder is not None:
        octets = encoder(pdu, sequence_number)
        if octets is not None:
            return octets
    return encode_by_table(pdu, sequence_number)


def decode_by_table(frame: bytes) -> Pdu:
    """``decode`` without the fast paths."""
    if len(frame) < HEADER_OCTETS:
        raise PduError("frame is shorter than a header", CommandStatus.ESME_RINVCMDLEN)
    command_length, command_id, command_status, sequence_number = HEADER.unpack_from(frame)
    try:
        if command_length != len(frame):
            raise PduError("command_length lies", CommandStatus.ESME_RINVCMDLEN)
        kind = PDU_BY_COMMAND.get(command_id)
        if kind is None:
            raise PduError(
                f"unknown command {describe_command(command_id)}", CommandStatus.ESME_RINVCMDID
            )
        try:
            values = _decode_body(frame, LAYOUTS[command_id])
        except PduError:
            if not command_id & RESPONSE_BIT or command_status == CommandStatus.ESME_ROK:
                raise
            values = {}
    except PduError as error:
        error.command_id = command_id
        error.sequence_number = sequence_number
        raise
    return kind(sequence_number, command_status, **values)


def encode_by_table(pdu: Pdu, sequence_number: int) -> bytes:
    """``encode`` without the fast paths."""
    layout = LAYOUTS.get(pdu.command_id)
    if layout is None:
        raise LocalProtocolError("not a PDU that can be sent", CommandStatus.ESME_RINVCMDID)
    body = b"".join(field.write(getattr(pdu, field.name)) for field in layout.fields)
    tlvs = getattr(pdu, "tlvs", ())
    if tlvs:
        body += encode_tlvs(tlvs)
    elif pdu.command_status and layout.is_omitted_on_failure and not any(body):
        body = b""
    try:
        return (
            HEADER.pack(
                HEADER_OCTETS + len(body), pdu.command_id, pdu.command_status, sequence_number
            )
            + body
        )
    except StructError as error:
        raise LocalProtocolError(
            "header field is not an unsigned 32-bit number", CommandStatus.ESME_RINVCMDLEN
        ) from error


def _decode_body(frame: bytes, layout: Layout) -> dict[str, Any]:
    values: dict[str, Any] = {}
    start = HEADER_OCTETS
    for field in layout.fields:
        values[field.name], start = field.read(frame, start)
    if layout.has_tlvs:
        tlvs = decode_tlvs(frame, start)
        if tlvs is None:
            raise PduError("TLVs do not fit the PDU", CommandStatus.ESME_RINVOPTPARSTREAM)
        values["tlvs"] = tlvs
    return values
