"""The ledger: append-only transfers in two phases, and the rule that proves a balance.

Accepting *reserves* the price of a message: the balance goes down at once. The end of the message
*posts* what the operator takes and *voids* the rest, which comes back. So::

    balance = sum of effects;  reserved - posted - voided = sum of prices of open messages

Many messages of one batch share one transfer row; every submission names the reserve that it is
part of. A message is resolved when it becomes final, which happens once: the storage guards it.

An account has an ordinary balance, and may have a second, *electronic* one (users.php reference,
section 1). Each is a *purse* with a balance and transfers of its own; a purse is named by a number,
the account's id for the ordinary one and its negative for the electronic one, so that one number
says who pays. An electronic purse pays for what needs no mobile network; it begins with the first
payment into it, and before that the ordinary purse pays for everything.
"""

from __future__ import annotations

from enum import IntEnum, unique

from heliograph.domain.messages import MessageState, MessageType

__all__ = ["ELECTRONIC_TYPES", "TransferKind", "charge_for", "owner_of_purse", "purse_of"]

ELECTRONIC_TYPES = frozenset(
    {
        MessageType.CALL,
        MessageType.EMAIL,
        MessageType.VIBER,
        MessageType.SOCIAL,
        MessageType.WHATSAPP,
        MessageType.TELEGRAM,
    }
)


@unique
class TransferKind(IntEnum):
    """Kind of a transfer. Stored as a number."""

    RESERVE = 1  # effect: -amount
    POST = 2  # effect: 0 (the money left with the reserve)
    VOID = 3  # effect: +amount
    PAYMENT = 4  # effect: +amount, may be negative
    MOVE = 5  # between two purses: a row on either side, worth the same
    RENT = 6  # effect: -amount


def purse_of(account_id: int, *, is_electronic: bool) -> int:
    """The number of a purse of an account."""
    return -account_id if is_electronic else account_id


def owner_of_purse(purse_id: int) -> int:
    """Id of the account whose purse it is."""
    return abs(purse_id)


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
