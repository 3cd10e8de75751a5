"""Microseconds of CPU, and a reference loop that says what they are worth on this machine now."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bench.meters import run_time

_FORM = b"login=bench&psw=benchpsw&phones=79161234567&mes=Your+code+is+1234&fmt=3"
_REFERENCE_ROUNDS = 3_000


def reference_us() -> float:
    """One turn of the reference loop: bytes, texts, a dict and a tuple, as the hot path has them.

    Nothing of Heliograph is in it, so it stays the same when Heliograph changes.
    """
    began = time.process_time()
    for number in range(_REFERENCE_ROUNDS):
        fields: dict[str, str] = {}
        for pair in _FORM.split(b"&"):
            name, _, value = pair.partition(b"=")
            fields[name.decode()] = value.decode().replace("+", " ")
        row = (number, fields["phones"].isdigit(), len(fields["mes"]), f"{number:08d}")
        assert row[1]
    return (time.process_time() - began) * 1e6 / _REFERENCE_ROUNDS


@dataclass(slots=True)
class Watch:
    """Adds up the CPU time of what it is told to watch: all threads of this process, and the
    processes in `helpers`."""

    messages: int
    helpers: Sequence[int] = ()
    spent_s: float = 0.0
    _began: float = field(default=0.0, repr=False)

    def __enter__(self) -> Watch:
        self._began = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.spent_s += self._now() - self._began

    def _now(self) -> float:
        return time.process_time() + sum(map(run_time, self.helpers))

    @property
    def us(self) -> float:
        """For each message."""
        return self.spent_s * 1e6 / self.messages if self.messages else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a stage costs a message."""

    us: float
    ratio: float  # to the reference loop in the same minute


# Does the stage's work for so many messages, and returns what that took.
Measure = Callable[[int], Awaitable[Watch]]


async def measure(stage: Measure, messages: int, repeats: int) -> Cost:
    """The least of several tries, each beside a reference: what disturbs only ever adds."""
    stages, references = [], []
    await stage(max(1, messages // 10))
    for _ in range(repeats):
        references.append(reference_us())
        stages.append((await stage(messages)).us)
    references.append(reference_us())
    return Cost(us=min(stages), ratio=min(stages) / min(references))
