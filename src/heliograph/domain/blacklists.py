"""Black lists: addresses that an account does not want to send to (contacts reference, section 1).

A list in memory is one sorted array of 64-bit keys, so a million entries take 8 MB, and whether a
number is on it is one binary search. The key of an entry holds the address and the type: entries of
one address are neighbours.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from enum import IntEnum, unique
from hashlib import blake2b

__all__ = ["BlackList", "BlackType", "black_key"]

# Numbers have up to 15 digits (E.164), less than 2^50; hashes of other addresses lie above them.
_HASHED = 1 << 58
_HASH_MASK = _HASHED - 1


@unique
class BlackType(IntEnum):
    """What an entry holds off; the numbers are the API's."""

    ALL = 0
    MASS = 1  # requests with more than one recipient
    SINGLE = 2


def black_key(address: str, type: BlackType) -> int:
    """The key of an entry, a positive 63-bit number: (address, type)."""
    if address.isdecimal() and len(address) <= 15:
        base = int(address)
    else:
        digest = blake2b(address.casefold().encode(), digest_size=8).digest()
        base = _HASHED | int.from_bytes(digest, "big") & _HASH_MASK
    return base << 2 | type


class BlackList:
    """The entries of one account."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[int] = ()) -> None:
        """`keys` in ascending order."""
        self._keys = array("Q", keys)

    def __len__(self) -> int:
        """Entries."""
        return len(self._keys)

    def blocks(self, address: str, *, is_mass: bool) -> bool:
        """Whether nothing may be sent to an address; `is_mass`: one of several recipients."""
        base = black_key(address, BlackType.ALL)
        keys = self._keys
        at = bisect_left(keys, base)
        own = base | (BlackType.MASS if is_mass else BlackType.SINGLE)
        # Up to three entries of one address stand side by side.
        while at < len(keys) and keys[at] <= own:
            if keys[at] == base or keys[at] == own:
                return True
            at += 1
        return False

    def add(self, key: int) -> None:
        """Adds an entry; one that is there stays."""
        at = bisect_left(self._keys, key)
        if at == len(self._keys) or self._keys[at] != key:
            self._keys.insert(at, key)

    def remove(self, key: int) -> None:
        """Takes an entry off, if it is there."""
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key:
            del self._keys[at]
