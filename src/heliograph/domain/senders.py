"""Sender names: what may stand where the recipient sees who wrote (send.php reference, 2.1)."""

from __future__ import annotations

import re

__all__ = ["is_valid_sender"]

# Up to 11 signs of the GSM alphabet's ASCII part (3GPP TS 23.040, 9.1.2.5), or up to 15 digits.
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 !\"#$%&'()*+,\-./:;<=>?@_]{1,11}|\+?\d{3,15}")


def is_valid_sender(sender: str) -> bool:
    """True for a name of up to 11 characters with a letter in it, or a number of 3 to 15 digits."""
    return _NAME.fullmatch(sender) is not None
