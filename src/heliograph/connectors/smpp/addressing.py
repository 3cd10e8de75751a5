"""Type of number and numbering plan, read from the form of an address (SMPP 3.4 sections 5.2.5-6).

Letters make an alphanumeric sender (5/0), up to six digits a short code (3/0), more digits an
international number (1/1). Settings may fix either value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from heliograph.protocols.smpp.constants import Npi, Ton

__all__ = ["Address", "address_rule"]

Address = tuple[int, int, str]

_SHORT_CODE_DIGITS = 6
_ALPHANUMERIC_MAX = 11  # 3GPP TS 23.040 section 9.1.2.5: eleven 7-bit characters
_ADDRESS_MAX = 20
_INTERNATIONAL, _ISDN = Ton.INTERNATIONAL.value, Npi.ISDN.value


def address_rule(ton: int, npi: int, *, is_cached: bool = True) -> Callable[[str], Address]:
    """Function from an address to (ton, npi, address as sent); -1 means "by its form".

    `is_cached` remembers the addresses seen: good for senders, which are few.
    """

    def rule(address: str) -> Address:
        form = _read_form(address)
        if ton < 0 and npi < 0:
            return form
        return (form[0] if ton < 0 else ton, form[1] if npi < 0 else npi, form[2])

    return lru_cache(maxsize=1_024)(rule) if is_cached else rule


def _read_form(address: str) -> Address:
    # Recipients come as bare digits: the usual case first, for it is asked once a message.
    if (
        address.isdigit()
        and address.isascii()
        and _SHORT_CODE_DIGITS < len(address) <= _ADDRESS_MAX
    ):
        return _INTERNATIONAL, _ISDN, address
    digits = address.removeprefix("+")
    if not digits:
        return Ton.UNKNOWN.value, Npi.UNKNOWN.value, ""
    if not (digits.isascii() and digits.isdigit()):
        return Ton.ALPHANUMERIC.value, Npi.UNKNOWN.value, address[:_ALPHANUMERIC_MAX]
    if len(digits) <= _SHORT_CODE_DIGITS:
        return Ton.NETWORK_SPECIFIC.value, Npi.UNKNOWN.value, digits
    return Ton.INTERNATIONAL.value, Npi.ISDN.value, digits[:_ADDRESS_MAX]
