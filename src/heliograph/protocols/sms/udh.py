"""User data headers: the information elements in front of a text (3GPP TS 23.040 9.2.3.24).

A header starts with its own length octet, then elements of identifier, length and data. Building
is strict. Parsing keeps what it can: unknown elements are kept as they are, and what is wrong is
listed in ``problems``, because a message with a bad header is still better delivered than lost.
Only a header longer than the user data is an error, for then nobody can tell where text begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from heliograph.protocols.sms.errors import UdhError, UdhProblem
from heliograph.protocols.sms.national_tables import NationalLanguage

__all__ = [
    "MAX_USER_DATA_OCTETS",
    "Concatenation",
    "ElementId",
    "InformationElement",
    "Ports",
    "UserDataHeader",
    "build_concatenation",
    "build_language",
    "build_ports",
    "build_udh",
    "parse_udh",
]

MAX_USER_DATA_OCTETS = 140
"""What one short message carries, header included (TS 23.040 section 9.2.3.16)."""


class ElementId:
    """Identifiers of the elements that are understood here."""

    CONCATENATION_8 = 0x00
    PORTS_8 = 0x04
    PORTS_16 = 0x05
    CONCATENATION_16 = 0x08
    SINGLE_SHIFT = 0x24
    LOCKING_SHIFT = 0x25


class InformationElement(NamedTuple):
    """One element: identifier octet and its data."""

    identifier: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenation:
    """Place of a part in its message; ``number`` counts from 1."""

    reference: int
    total: int
    number: int
    is_wide: bool = False
    """True for a 16-bit reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Application port addressing."""

    destination: int
    source: int
    is_wide: bool = True
    """True for 16-bit ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDataHeader:
    """A parsed header; ``length`` is the octets it takes, its length octet included.

    ``concatenation`` is None when the element is absent, faulty, or says that there is one part.
    """

    elements: tuple[InformationElement, ...]
    length: int
    concatenation: Concatenation | None = None
    ports: Ports | None = None
    single_shift: int = NationalLanguage.DEFAULT
    locking_shift: int = NationalLanguage.DEFAULT
    problems: tuple[UdhProblem, ...] = ()


def build_concatenation(
    reference: int, total: int, *, number: int, is_wide: bool = False
) -> InformationElement:
    """Build the concatenation element; the low 8 or 16 bits of ``reference`` are used.

    Raises :class:`UdhError` for a part outside 1..total or a total above 255.
    """
    if not 0 < number <= total:
        raise UdhError(UdhProblem.PART_BEYOND_TOTAL if number else UdhProblem.PART_ZERO)
    if total > 255:
        raise UdhError(UdhProblem.TOO_LONG)
    if is_wide:
        data = bytes((reference >> 8 & 0xFF, reference & 0xFF, total, number))
        return InformationElement(ElementId.CONCATENATION_16, data)
    return InformationElement(ElementId.CONCATENATION_8, bytes((reference & 0xFF, total, number)))


def build_ports(destination: int, source: int, *, is_wide: bool = True) -> InformationElement:
    """Build the port element. Raises ``OverflowError`` for a port that does not fit."""
    size = 2 if is_wide else 1
    data = destination.to_bytes(size, "big") + source.to_bytes(size, "big")
    return InformationElement(ElementId.PORTS_16 if is_wide else ElementId.PORTS_8, data)


def build_language(
    locking: NationalLanguage, single: NationalLanguage
) -> tuple[InformationElement, ...]:
    """Build the elements for the shift tables in use, none for the default tables."""
    elements = []
    if single is not NationalLanguage.DEFAULT:
        elements.append(InformationElement(ElementId.SINGLE_SHIFT, bytes((single,))))
    if locking is not NationalLanguage.DEFAULT:
        elements.append(InformationElement(ElementId.LOCKING_SHIFT, bytes((locking,))))
    return tuple(elements)


def build_udh(elements: Sequence[InformationElement]) -> bytes:
    """Build the header, length octet first; nothing at all for no elements.

    Raises :class:`UdhError` when it would not fit into a message.
    """
    if not elements:
        return b""
    body = b"".join([bytes((identifier, len(data))) + data for identifier, data in elements])
    if len(body) >= MAX_USER_DATA_OCTETS:
        raise UdhError(UdhProblem.TOO_LONG)
    return bytes((len(body),)) + body


def parse_udh(user_data: bytes) -> UserDataHeader:
    """Parse the header at the start of user data (SMPP ``esm_class`` bit 0x40).

    The text begins at ``user_data[header.length:]``. An element that repeats, or contradicts an
    earlier one, replaces it (TS 23.040 section 9.2.3.24). Raises :class:`UdhError` with
    ``TRUNCATED`` when the header does not end within the user data.
    """
    if not user_data or user_data[0] >= len(user_data):
        raise UdhError(UdhProblem.TRUNCATED)
    length = user_data[0] + 1
    elements, problems = _split_elements(user_data[1:length])
    concatenation: Concatenation | None = None
    ports: Ports | None = None
    shifts = {ElementId.SINGLE_SHIFT: 0, ElementId.LOCKING_SHIFT: 0}
    for identifier, data in elements:
        expected = _DATA_LENGTHS.get(identifier)
        if expected is None:
            continue
        if len(data) != expected:
            problems.append(UdhProblem.ELEMENT_LENGTH)
        elif identifier in shifts:
            shifts[identifier] = data[0]
        elif identifier in _PORT_IDS:
            half = expected // 2
            ports = Ports(
                destination=int.from_bytes(data[:half], "big"),
                source=int.from_bytes(data[half:], "big"),
                is_wide=half == 2,
            )
        else:
            problem = _check_concatenation(total=data[-2], number=data[-1])
            if problem is not None:
                problems.append(problem)
            concatenation = (
                None
                if problem is not None
                else Concatenation(
                    reference=int.from_bytes(data[:-2], "big"),
                    total=data[-2],
                    number=data[-1],
                    is_wide=expected == 4,
                )
            )
    return UserDataHeader(
        elements=tuple(elements),
        length=length,
        concatenation=concatenation,
        ports=ports,
        single_shift=shifts[ElementId.SINGLE_SHIFT],
        locking_shift=shifts[ElementId.LOCKING_SHIFT],
        problems=tuple(problems),
    )


_DATA_LENGTHS = {
    ElementId.CONCATENATION_8: 3,
    ElementId.CONCATENATION_16: 4,
    ElementId.PORTS_8: 2,
    ElementId.PORTS_16: 4,
    ElementId.SINGLE_SHIFT: 1,
    ElementId.LOCKING_SHIFT: 1,
}
_PORT_IDS = frozenset({ElementId.PORTS_8, ElementId.PORTS_16})


def _split_elements(body: bytes) -> tuple[list[InformationElement], list[UdhProblem]]:
    elements: list[InformationElement] = []
    start = 0
    while start < len(body):
        data_start = start + 2
        end = data_start + body[start + 1] if data_start <= len(body) else len(body) + 1
        if end > len(body):
            return elements, [UdhProblem.ELEMENT_OVERRUN]
        elements.append(InformationElement(body[start], body[data_start:end]))
        start = end
    return elements, []


def _check_concatenation(*, total: int, number: int) -> UdhProblem | None:
    if total == 0:
        return UdhProblem.TOTAL_ZERO
    if number == 0:
        return UdhProblem.PART_ZERO
    if number > total:
        return UdhProblem.PART_BEYOND_TOTAL
    return UdhProblem.ONE_PART if total == 1 else None
