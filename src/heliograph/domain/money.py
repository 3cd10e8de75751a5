"""Money is an integer: micros, millionths of the account's currency unit. Never a float."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

__all__ = ["MICROS", "format_micros", "parse_micros", "round_to_hundredth"]

MICROS = 1_000_000
# Far above any real balance, and far below 64 bits: sums of balances still fit.
_LARGEST_MICROS = 10**15
_HUNDREDTH = MICROS // 100


def parse_micros(text: str) -> int:
    """Micros from a decimal text such as ``12.5``.

    Raises ValueError when the text is no finite number, has more than six decimals, or is beyond
    a milliard.
    """
    try:
        value = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        raise ValueError(f"not an amount of money: {text!r}") from None
    if not value.is_finite():
        raise ValueError(f"not an amount of money: {text!r}")
    micros = value * MICROS
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
