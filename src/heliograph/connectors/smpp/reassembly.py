"""Long messages from handsets: fragments in, whole messages out, in bounded memory.

A fragment is acknowledged when it comes, because an SMSC with a window of one would send no
second one before. So fragments live in memory only; what is whole is acknowledged (with its last
fragment) once it is stored. When the others do not come in time, what has come is handed over
with an ellipsis in each gap: half a message is better than none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from heliograph.connectors.base import Incoming
from heliograph.protocols.sms.data_coding import DefaultAlphabet, decode_parts
from heliograph.protocols.sms.gsm7 import DEFAULT_TABLE, Gsm7Table

__all__ = ["Fragment", "Key", "Reassembly"]

Key = tuple[str, str, int, int]

_WAIT_MS = 300_000
_MESSAGES_MAX = 10_000
_GAP = "…"


class Fragment(NamedTuple):
    """One part of a long message. `number` counts from 1; `content` is without its header."""

    source: str
    destination: str
    reference: int
    total: int
    number: int
    content: bytes
    data_coding: int
    table: Gsm7Table = DEFAULT_TABLE

    @property
    def key(self) -> Key:
        """What the parts of one message have in common."""
        return self.source, self.destination, self.reference, self.total


@dataclass(slots=True)
class _Pending:
    first_at: int
    parts: dict[int, Fragment] = field(default_factory=dict)


class Reassembly:
    """Gathers fragments by source, destination, reference and total. Times are milliseconds."""

    def __init__(
        self,
        alphabet: DefaultAlphabet = "gsm7",
        *,
        wait_ms: int = _WAIT_MS,
        messages_max: int = _MESSAGES_MAX,
    ) -> None:
        self._alphabet = alphabet
        self._wait_ms = wait_ms
        self._messages_max = messages_max
        self._pending: dict[Key, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, fragment: Fragment, now_ms: int) -> Incoming | None:
        """The whole message when this was its last missing fragment.

        It is remembered until `forget`, so that a last fragment which comes again, because it was
        refused when storing failed, makes the message whole again.
        """
        pending = self._pending.get(fragment.key)
        if pending is None:
            pending = self._pending[fragment.key] = _Pending(now_ms)
        pending.parts[fragment.number] = fragment
        if len(pending.parts) < fragment.total:
            return None
        return self._join(fragment.key, now_ms)

    def forget(self, key: Key) -> None:
        """The message is stored (or not wanted)."""
        self._pending.pop(key, None)

    def expire(self, now_ms: int) -> list[tuple[Key, Incoming]]:
        """What waited too long, or is too much to keep; call `forget` once it is stored."""
        ended = []
        surplus = len(self._pending) - self._messages_max
        for at, (key, pending) in enumerate(self._pending.items()):
            if at >= surplus and pending.first_at + self._wait_ms > now_ms:
                break  # the rest is younger
            ended.append((key, self._join(key, now_ms)))
        return ended

    def _join(self, key: Key, now_ms: int) -> Incoming:
        source, destination, _, total = key
        parts = self._pending[key].parts
        texts: list[str] = []
        run: list[Fragment] = []
        for number in range(1, total + 2):
            fragment = parts.get(number)
            if fragment is not None:
                run.append(fragment)
                continue
            if run:
                # Octets are joined before they are decoded: peers cut characters in two.
                texts.append(
                    decode_parts(
                        [(f.content, f.data_coding) for f in run],
                        default_alphabet=self._alphabet,
                        table=run[0].table,
                    )
                )
                run = []
            if number <= total and (not texts or texts[-1] != _GAP):
                texts.append(_GAP)
        return Incoming(
            source=source, destination=destination, text="".join(texts), received_at=now_ms
        )
