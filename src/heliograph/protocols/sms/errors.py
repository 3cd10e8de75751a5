"""Errors of the SMS codecs: all of them are ``ValueError``, none carries message text."""

from __future__ import annotations

import enum

__all__ = ["BinaryFormatError", "NotGsm7Error", "SmsCodecError", "UdhError", "UdhProblem"]


class SmsCodecError(ValueError):
    """Something cannot be expressed in, or read from, the user data of a short message."""


class NotGsm7Error(SmsCodecError):
    """A character or an octet is outside the 7-bit tables in use; ``position`` is its index."""

    def __init__(self, position: int) -> None:
        super().__init__(f"position {position} is outside the 7-bit alphabet in use")
        self.position = position


class BinaryFormatError(SmsCodecError):
    """A binary message is malformed (``send.php`` reference, message type flags)."""


class UdhProblem(enum.Enum):
    """What is wrong with a user data header (3GPP TS 23.040 section 9.2.3.24)."""

    TRUNCATED = "the header is longer than the user data"
    ELEMENT_OVERRUN = "an information element is longer than the header"
    ELEMENT_LENGTH = "a known information element has the wrong length"
    PART_ZERO = "the part number is zero"
    TOTAL_ZERO = "the number of parts is zero"
    PART_BEYOND_TOTAL = "the part number exceeds the number of parts"
    ONE_PART = "a concatenation of one part"
    TOO_LONG = "the header does not fit into 140 octets"


class UdhError(SmsCodecError):
    """A user data header cannot be read or built; ``problem`` says why."""

    def __init__(self, problem: UdhProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem
