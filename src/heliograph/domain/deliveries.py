"""What the owner of a message is told through a session of its own: receipts.

A door whose protocol has receipts notes in the options of a submission whether its owner wants one,
and whatever it needs to write it (`echo`, which nobody else reads). The payload is kept in the
outbox, like that of a callback, until a session has taken it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum, unique
from typing import Any

from heliograph.domain.messages import Message, MessageState

__all__ = ["RECEIPT", "SESSION_LIFE_MS", "Wish", "Wished", "receipt_payload", "wishes_of"]

# Kind of the outbox event.
RECEIPT = "receipt"
# What no session has taken for so long is given up (smpp reference, section 4).
SESSION_LIFE_MS = 86_400_000

_TEXT_CHARS = 20  # of the message, in a receipt (SMPP 3.4 appendix B)
_GOOD_ENDS = frozenset({MessageState.DELIVERED, MessageState.READ, MessageState.CLICKED})


@unique
class Wish(IntEnum):
    """When the owner wants a receipt. The numbers are those of the protocol (smpp reference, 3)."""

    NONE = 0
    ALWAYS = 1
    ON_FAILURE = 2
    ON_SUCCESS = 3

    def is_met(self, state: MessageState) -> bool:
        """Whether the end of a message is one that the owner wants to hear of."""
        if self is Wish.ALWAYS:
            return True
        return self is (Wish.ON_SUCCESS if state in _GOOD_ENDS else Wish.ON_FAILURE)


class Wished:
    """One receipt that is owed: under which id, when, with which echo. `share` of 1 the price."""

    __slots__ = ("client_ref", "echo", "share", "wish")

    def __init__(self, client_ref: str, wish: Wish, echo: str, share: int) -> None:
        self.client_ref = client_ref
        self.wish = wish
        self.echo = echo
        self.share = share


def wishes_of(options: Mapping[str, Any], client_ref: str) -> Iterator[Wished]:
    """The receipts that the owner of a submission wants: one, or one a piece of a joined message.

    `options`: ``receipt`` (Wish), ``echo``; or ``pieces``, lists of (client_ref, wish, echo).
    """
    pieces = options.get("pieces")
    if pieces is None:
        yield Wished(client_ref, Wish(options["receipt"]), options.get("echo", ""), 1)
        return
    for ref, wish, echo in pieces:
        if wish:
            yield Wished(ref, Wish(wish), echo, len(pieces))


def receipt_payload(message: Message, wished: Wished, *, at_ms: int) -> dict[str, str]:
    """What a receipt says, as texts. Moments are Unix seconds, `cost` is micros."""
    submission = message.submission
    is_whole = wished.share == 1
    payload = {
        "id": wished.client_ref,
        "phone": message.recipient,
        "state": str(int(message.state)),
        "err": str(message.err),
        "made": str(message.created_at // 1000),
        "ts": str(at_ms // 1000),
        "cnt": str(message.part_count if is_whole else 1),
        "flag": str(message.flags & ~0xF | int(submission.type) & 0xF),
        "cost": str(message.charged_micros // wished.share),
        "mccmnc": message.mccmnc,
        "mes": message.text[:_TEXT_CHARS],
        "sender": message.sender,
        "echo": wished.echo,
    }
    if message.detail:
        payload.update(message.detail)
    return payload
