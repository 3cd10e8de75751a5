"""Money is an integer: micros, millionths of the account's currency unit. Never a float."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["MICROS", "format_micros", "parse_micros", "round_to_hundredth"]

MICROS = 1_000_000
# Far above any real balance, and far below 64 bits: sums of balances still fit.
_LARGEST_MICROS = 10**15
# No more digits than a Decimal multiplies exactly; some languages write floats with an exponent.
_AMOUNT = re.compile(r"[+-]?(?:\d{1,12}[.,]?\d{0,15}|[.,]\d{1,15})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_HUNDREDTH = MICROS // 100


def parse_micros(text: str) -> int:
    """Micros from a decimal text such as ``12.5``.

    Raises ValueError when the text is no number, has more than six decimals, or is beyond a
    milliard.
    """
    text = text.strip()
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"not an amount of money: {text[:40]!r}")
    micros = Decimal(text.replace(",", ".")) * MICROS
    if micros != micros.to_integral_value():
        raise ValueError(f"more than six decimals: {text!r}")
    if abs(micros) > _LARGEST_MICROS:
        raise ValueError(f"an amount beyond {_LARGEST_MICROS // MICROS}: {text!r}")
    return int(micros)


def format_micros(micros: int, *, decimals: int = 2) -> str:
    """Decimal text with at least `decimals` places and at most six, nothing lost.

    ``1_400_000`` gives ``1.40``, ``1_234_567`` gives ``1.234567``, ``0`` gives ``0.00``.
    """
    sign = "-" if micros < 0 else ""
    units, rest = divmod(abs(micros), MICROS)
    fraction = f"{rest:06d}".rstrip("0").ljust(decimals, "0")
    return f"{sign}{units}.{fraction}" if fraction else f"{sign}{units}"


def round_to_hundredth(micros: int) -> int:
    """The nearest amount that can be paid, for documents; halves go up, away from zero."""
    rounded = (abs(micros) + _HUNDREDTH // 2) // _HUNDREDTH * _HUNDREDTH
    return -rounded if micros < 0 else rounded
