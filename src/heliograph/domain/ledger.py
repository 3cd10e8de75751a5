"""The ledger: append-only transfers in two phases, and the rule that proves a balance.

Accepting *reserves* the price of a message: the balance goes down at once. The end of the message
*posts* what the operator takes and *voids* the rest, which comes back. So::

    balance = sum of effects;  reserved - posted - voided = sum of prices of open messages

Many messages of one batch share one transfer row; every submission names the reserve that it is
part of. A message is resolved when it becomes final, which happens once: the storage guards it.
"""

from __future__ import annotations

from enum import IntEnum, unique

from heliograph.domain.messages import MessageState

__all__ = ["TransferKind", "charge_for"]


@unique
class TransferKind(IntEnum):
    """Kind of a transfer. Stored as a number."""

    RESERVE = 1  # effect: -amount
    POST = 2  # effect: 0 (the money left with the reserve)
    VOID = 3  # effect: +amount
    PAYMENT = 4  # effect: +amount, may be negative
    MOVE = 5  # between two accounts: two rows whose effects sum to zero
    RENT = 6  # effect: -amount


def charge_for(
    price_micros: int, part_count: int, part_ends: list[tuple[MessageState, bool]]
) -> int:
    """What a finished message costs, in micros.

    `part_ends`: for every part its final state and whether the operator had accepted it. Parts that
    the operator accepted are paid for, whatever became of them; the others are not. The price
    divides evenly, as it is a price per part times the parts.
    """
    accepted = sum(1 for _, was_accepted in part_ends if was_accepted)
    return price_micros * accepted // part_count if part_count else 0
