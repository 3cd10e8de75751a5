"""Pieces: parts of a long message that a client cut itself and sends one by one.

They belong together by account, source, destination, reference and total (smpp reference, section
3) and may come in any order and over several sessions. Pure, with bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Assembly", "Gathering", "Key", "Piece", "Place"]

# (account id, source, destination, reference, total)
Key = tuple[int, str, str, int, int]


class Piece:
    """One part as it came: octets without their header. `options` is what its door noted about it.

    `number` counts from 1. `client_ref` is its own id, under which its client asks for it.
    """

    __slots__ = (
        "account_id",
        "client_ref",
        "content",
        "data_coding",
        "id",
        "number",
        "options",
        "received_at",
        "recipient",
        "reference",
        "sender",
        "total",
    )

    def __init__(
        self,
        *,
        account_id: int,
        sender: str,
        recipient: str,
        reference: int,
        total: int,
        number: int,
        data_coding: int,
        content: bytes,
        options: dict[str, Any],
        received_at: int,
        id: int = 0,
        client_ref: str = "",
    ) -> None:
        self.id = id
        self.account_id = account_id
        self.client_ref = client_ref
        self.sender = sender
        self.recipient = recipient
        self.reference = reference
        self.total = total
        self.number = number
        self.data_coding = data_coding
        self.content = content
        self.options = options
        self.received_at = received_at

    @property
    def key(self) -> Key:
        """What the pieces of one message have in common."""
        return self.account_id, self.sender, self.recipient, self.reference, self.total

    def repeats(self, other: Piece) -> bool:
        """The same part once more, as a client sends it that missed the answer."""
        return self.content == other.content and self.data_coding == other.data_coding


class Assembly:
    """What has come of one message."""

    __slots__ = ("first_at", "key", "pieces")

    def __init__(self, key: Key, first_at: int) -> None:
        self.key = key
        self.first_at = first_at
        self.pieces: dict[int, Piece] = {}

    @property
    def is_whole(self) -> bool:
        """All parts are there."""
        return len(self.pieces) == self.key[4]

    @property
    def client_ref(self) -> str:
        """The id of the whole: that of the piece that came first."""
        return next(iter(self.pieces.values())).client_ref

    def in_order(self) -> list[Piece]:
        """The pieces by their numbers."""
        return [self.pieces[number] for number in sorted(self.pieces)]


Place = tuple[Assembly, Piece | None]


class Gathering:
    """Assemblies by key, the oldest first."""

    def __init__(self, *, pieces_max: int, account_max: int) -> None:
        """Bounds of pieces in memory: of all accounts, and of one."""
        self._pieces_max = pieces_max
        self._account_max = account_max
        self._assemblies: dict[Key, Assembly] = {}
        self._by_account: dict[int, int] = {}
        self.count = 0

    def has_room(self, account_id: int) -> bool:
        """Whether one more piece of the account may be kept."""
        return self.count < self._pieces_max and (
            self._by_account.get(account_id, 0) < self._account_max
        )

    def find(self, key: Key) -> Assembly | None:
        """What has come of a message so far."""
        return self._assemblies.get(key)

    def add(self, piece: Piece) -> Assembly:
        """Puts a piece, whose place is free, to the others of its message."""
        assembly = self._assemblies.get(piece.key)
        if assembly is None:
            assembly = self._assemblies[piece.key] = Assembly(piece.key, piece.received_at)
        assembly.pieces[piece.number] = piece
        self._count(piece.account_id, 1)
        return assembly

    def discard(self, piece: Piece) -> None:
        """Takes a piece out again that could not be kept."""
        assembly = self._assemblies.get(piece.key)
        if assembly is not None and assembly.pieces.get(piece.number) is piece:
            del assembly.pieces[piece.number]
            self._count(piece.account_id, -1)
            if not assembly.pieces:
                del self._assemblies[piece.key]

    def remove(self, assembly: Assembly) -> None:
        """The message is whole, or given up."""
        if self._assemblies.get(assembly.key) is assembly:
            del self._assemblies[assembly.key]
            self._count(assembly.key[0], -len(assembly.pieces))

    def older_than(self, moment_ms: int) -> Iterator[Assembly]:
        """Assemblies that were begun before a moment."""
        for assembly in list(self._assemblies.values()):
            if assembly.first_at > moment_ms:
                return
            yield assembly

    def _count(self, account_id: int, change: int) -> None:
        self.count += change
        left = self._by_account.get(account_id, 0) + change
        if left > 0:
            self._by_account[account_id] = left
        else:
            self._by_account.pop(account_id, None)
