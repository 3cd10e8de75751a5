"""Binary messages: a header and octets given by the client (``send.php`` reference, flag ``bin``).

The first octet is the length of the user data header, ``00`` for none. The client may end the
message with ``\\n~~~\\npid: <n>, dcs: <n>`` to set the protocol identifier and the data coding
scheme. What does not fit into 140 octets is split, with the concatenation element put in front of
the client's own elements in every part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from heliograph.protocols.sms.errors import BinaryFormatError, UdhError, UdhProblem
from heliograph.protocols.sms.segmentation import MAX_PARTS, EncodedPart
from heliograph.protocols.sms.udh import (
    MAX_USER_DATA_OCTETS,
    ElementId,
    InformationElement,
    build_concatenation,
    build_udh,
    parse_udh,
)

__all__ = ["BinaryMessage", "count_binary_parts", "encode_binary_parts", "parse_binary"]

_OCTETS_DATA_CODING = 4
_CONCATENATION_OCTETS = 5
_CONCATENATION_IDS = frozenset({ElementId.CONCATENATION_8, ElementId.CONCATENATION_16})
_ENDING = re.compile(rb"\n~~~\npid: (\d{1,3}), dcs: (\d{1,3})\s*\Z")
_COMMENT = b"\n~~~\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryMessage:
    """Header elements and octets of a message, with its TP-DCS and TP-PID octets."""

    elements: tuple[InformationElement, ...] = ()
    payload: bytes
    data_coding: int = _OCTETS_DATA_CODING
    protocol_id: int = 0


def parse_binary(text: bytes, *, is_hex: bool) -> BinaryMessage:
    """Read the ``mes`` of a binary message: raw octets (``bin=1``) or hex digits (``bin=2``).

    Raises :class:`BinaryFormatError` for an empty message, bad hex, a ``pid`` or ``dcs`` above
    255 or a header whose elements do not fill it, and :class:`UdhError` for a header longer than
    the message.
    """
    protocol_id, data_coding = 0, _OCTETS_DATA_CODING
    ending = _ENDING.search(text)
    if ending is not None:
        protocol_id, data_coding = int(ending[1]), int(ending[2])
        if max(protocol_id, data_coding) > 0xFF:
            raise BinaryFormatError("pid and dcs are single octets")
        text = text[: ending.start()]
    elif is_hex:
        # No hex digit is a tilde, so any other comment can be told from the message and dropped.
        text = text.partition(_COMMENT)[0]
    if is_hex:
        try:
            text = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            raise BinaryFormatError("the message is not a row of hex octets") from None
    if not text:
        raise BinaryFormatError("the message is empty")
    header = parse_udh(text)
    if UdhProblem.ELEMENT_OVERRUN in header.problems:
        raise BinaryFormatError(UdhProblem.ELEMENT_OVERRUN.value)
    return BinaryMessage(
        elements=header.elements,
        payload=text[header.length :],
        data_coding=data_coding,
        protocol_id=protocol_id,
    )


def count_binary_parts(message: BinaryMessage) -> int:
    """Count the short messages that a binary message takes.

    Raises :class:`UdhError` when it cannot be sent: over 255 parts, or longer than one message
    although the client's header already makes it a part of something.
    """
    header = build_udh(message.elements)
    if len(header) + len(message.payload) <= MAX_USER_DATA_OCTETS:
        return 1
    if any(element.identifier in _CONCATENATION_IDS for element in message.elements):
        raise UdhError(UdhProblem.TOO_LONG)
    room = _count_room(header)
    total = -(-len(message.payload) // room) if room > 0 else MAX_PARTS + 1
    if total > MAX_PARTS:
        raise UdhError(UdhProblem.TOO_LONG)
    return total


def encode_binary_parts(message: BinaryMessage, *, reference: int = 0) -> list[EncodedPart]:
    """Encode all parts; the low 8 bits of ``reference`` tie them together.

    Raises :class:`UdhError` as :func:`count_binary_parts` does.
    """
    total = count_binary_parts(message)
    if total == 1:
        header = build_udh(message.elements)
        return [EncodedPart(header, message.payload, message.data_coding)]
    room = _count_room(build_udh(message.elements))
    parts = []
    for number in range(1, total + 1):
        concatenation = build_concatenation(reference, total, number=number)
        payload = message.payload[(number - 1) * room : number * room]
        header = build_udh((concatenation, *message.elements))
        parts.append(EncodedPart(header, payload, message.data_coding))
    return parts


def _count_room(header: bytes) -> int:
    """Count the octets left beside a header (with its length octet) and the concatenation."""
    return MAX_USER_DATA_OCTETS - max(len(header), 1) - _CONCATENATION_OCTETS
