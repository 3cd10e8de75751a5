"""What the built-in network does with a message: pure, and the same answer every time.

A number is *magic* when its last eight digits are ``0000`` and a four-digit code: 7 900 000 0006,
44 7700 00 0006. The first digit of the code names the chapter, the other three say which line of
it (`MAGIC` is the table; docs/reference/virtual-network.md shows it). For addresses that are not
numbers the digits before ``@`` count: ``box.00000002@example.com``. Every other recipient is
served as the settings say.
"""

from __future__ import annotations

from dataclasses import dataclass

from heliograph.connectors.base import OutcomeKind
from heliograph.domain.messages import MessageState
from heliograph.domain.retries import spread_of

__all__ = ["ERROR_ENDS", "MAGIC", "Carrier", "Plan", "PlannedReceipt", "read_code"]

# The final state that goes with each error code (code tables, section 4): an operator expires
# what it waited for in vain, rejects what it forbids, and fails to deliver the rest.
ERROR_ENDS: dict[int, MessageState] = {
    **dict.fromkeys((0, 200), MessageState.DELIVERED),
    245: MessageState.EXPIRED,
    **dict.fromkeys(
        (1, 2, 3, 4, 6, 11, 12, 13, 21, 219, 220, 237, 240, 241, 242),
        MessageState.UNDELIVERABLE,
    ),
    **dict.fromkeys(
        (238, 239, 243, 244, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255),
        MessageState.REJECTED,
    ),
}

MAGIC: tuple[tuple[str, str], ...] = (
    ("0EEE", "taken; the receipt says error EEE with its state (000: delivered)"),
    ("1EEE", "refused in the answer to the submit, with error EEE"),
    ("2EEE", "taken; the receipt says expired, with error EEE"),
    ("3SSS", "taken; delivered after SSS seconds"),
    ("4NNN", "put off NNN times, a second each, then delivered"),
    ("5000", "never answered and never taken"),
    ("5001", "never answered, though taken: a receipt comes for an id nobody was told"),
    ("5002", "answered only after three seconds, when the outcome may already count as unknown"),
    ("6000", "taken; no receipt ever comes"),
    ("6001", "the receipt comes twice"),
    ("6002", "the receipt comes before the answer"),
    ("6003", "a receipt says expired, a later one delivered"),
    ("6004", "a receipt says delivered, a later one undeliverable"),
    ("6005", "an intermediate notice comes first, a second later the receipt"),
    ("6006", "a receipt for an id of somebody else comes before the right one"),
    ("6007", "delivered, and read a second later"),
    ("7000", "this network can not carry it: the next connector of the route is tried"),
    ("8000", "a network query finds the number at home, as every number that is not magic"),
    ("8001", "a network query finds the number ported to another network"),
    ("8002", "a network query finds the number roaming abroad"),
    ("9000", "delivered; the handset answers with the same text"),
    ("9001", "delivered; the handset answers STOP"),
)

_LATE_ANSWER_MS = 3_000
_SECOND_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReceipt:
    """`after_ms` counts from the answer. `is_stray`: for an id that nobody was told."""

    state: MessageState
    err: int = 0
    after_ms: int = 0
    is_stray: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The fate of one part.

    `kind` UNKNOWN: it is not answered, unless `answer_after_ms` says when it is after all.
    `reply`: what the handset sends back; ``=`` stands for the text it got.
    """

    kind: OutcomeKind = OutcomeKind.ACCEPTED
    err: int = 0
    reason: str = ""
    retry_after_ms: int = 0
    answer_after_ms: int = 0
    is_receipt_first: bool = False
    receipts: tuple[PlannedReceipt, ...] = ()
    reply: str = ""


def read_code(recipient: str) -> str:
    """The four-digit code of a magic recipient; empty for every other."""
    if not recipient.isdecimal():
        name = recipient.partition("@")[0]
        recipient = "".join(c for c in name if c in "0123456789")
    return recipient[-4:] if recipient[-8:-4] == "0000" else ""


class Carrier:
    """The rules with their settings: delays in milliseconds, `undeliverable_share` from 0 to 1."""

    __slots__ = ("_delay_ms", "_is_magic", "_lost", "_ordinary", "_share")

    def __init__(
        self,
        *,
        receipt_delay_ms: int = 0,
        undeliverable_share: float = 0.0,
        is_magic: bool = True,
    ) -> None:
        self._delay_ms = receipt_delay_ms
        self._share = undeliverable_share
        self._is_magic = is_magic
        self._ordinary = self._taken(MessageState.DELIVERED)
        self._lost = self._taken(MessageState.UNDELIVERABLE, 6)

    def plan(self, recipient: str, *, attempts: int = 0) -> Plan:
        """What becomes of a part that was put off `attempts` times before."""
        if self._is_magic and recipient[-8:-4] == "0000":
            return self._plan_magic(read_code(recipient), attempts)
        if self._share and spread_of(_ticket_of(recipient)) < self._share:
            return self._lost
        if self._is_magic and not recipient.isdecimal() and (code := read_code(recipient)):
            return self._plan_magic(code, attempts)
        return self._ordinary

    def _taken(self, state: MessageState, err: int = 0, *, extra_ms: int = 0) -> Plan:
        return Plan(receipts=(self._receipt(state, err, extra_ms=extra_ms),))

    def _receipt(
        self, state: MessageState, err: int = 0, *, extra_ms: int = 0, is_stray: bool = False
    ) -> PlannedReceipt:
        return PlannedReceipt(
            state=state, err=err, after_ms=self._delay_ms + extra_ms, is_stray=is_stray
        )

    def _plan_magic(self, code: str, attempts: int) -> Plan:
        chapter, number = code[:1], int(code[1:] or 0)
        delivered = self._ordinary
        match chapter:
            case "0" if number in ERROR_ENDS:
                return self._taken(ERROR_ENDS[number], number)
            case "1" if number in ERROR_ENDS:
                return Plan(kind=OutcomeKind.REJECTED, err=number, reason=f"code {code}")
            case "2" if number in ERROR_ENDS:
                return self._taken(MessageState.EXPIRED, number)
            case "3":
                return self._taken(MessageState.DELIVERED, extra_ms=number * _SECOND_MS)
            case "4" if attempts < number:
                return Plan(
                    kind=OutcomeKind.DEFERRED,
                    err=220,
                    reason=f"code {code}",
                    retry_after_ms=_SECOND_MS,
                )
            case "5":
                return self._plan_silence(number)
            case "6":
                return self._plan_odd_receipts(number)
            case "7" if number == 0:
                return Plan(kind=OutcomeKind.UNROUTABLE, err=248, reason=f"code {code}")
            case "9" if number in {0, 1}:
                return Plan(receipts=delivered.receipts, reply="STOP" if number else "=")
        return delivered

    def _plan_silence(self, number: int) -> Plan:
        match number:
            case 0:
                return Plan(kind=OutcomeKind.UNKNOWN, reason="code 5000")
            case 1:
                stray = self._receipt(MessageState.DELIVERED, is_stray=True)
                return Plan(kind=OutcomeKind.UNKNOWN, receipts=(stray,), reason="code 5001")
            case 2:
                return Plan(
                    kind=OutcomeKind.UNKNOWN,
                    answer_after_ms=_LATE_ANSWER_MS,
                    receipts=self._ordinary.receipts,
                    reason="code 5002",
                )
        return self._ordinary

    def _plan_odd_receipts(self, number: int) -> Plan:
        delivered = self._receipt(MessageState.DELIVERED)
        later = self._receipt(MessageState.DELIVERED, extra_ms=_SECOND_MS)
        match number:
            case 0:
                return Plan()
            case 1:
                return Plan(receipts=(delivered, delivered))
            case 2:
                return Plan(receipts=(delivered,), is_receipt_first=True)
            case 3:
                return Plan(receipts=(self._receipt(MessageState.EXPIRED, 6), later))
            case 4:
                lost = self._receipt(MessageState.UNDELIVERABLE, 6, extra_ms=_SECOND_MS)
                return Plan(receipts=(delivered, lost))
            case 5:
                return Plan(receipts=(self._receipt(MessageState.SUBMITTED), later))
            case 6:
                stray = self._receipt(MessageState.UNDELIVERABLE, 1, is_stray=True)
                return Plan(receipts=(stray, delivered))
            case 7:
                read = self._receipt(MessageState.READ, extra_ms=_SECOND_MS)
                return Plan(receipts=(delivered, read))
        return self._ordinary


def _ticket_of(recipient: str) -> int:
    if recipient.isdecimal():
        return int(recipient)
    return int.from_bytes(recipient.encode("utf-8", "replace")[-8:], "big")
