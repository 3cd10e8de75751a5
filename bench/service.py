"""What the benchmark asks of a gateway, whichever program it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class GatewayFailure(Exception):
    """A gateway could not be set up, did not start, or died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppDoor:
    """Where and as whom clients bind."""

    port: int
    login: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a running gateway is reached. Placeholders are those of `httpload`."""

    single_url: str  # sends one message: {seq} its number, {ts} its stamp
    good: str  # an answer that means "accepted" begins so
    bulk: tuple[str, str] | None = None  # (URL, body) of a request with {list} of recipients
    smpp: SmppDoor | None = None


class Service(Protocol):
    """One gateway: `prepare` once, then `start` and `stop` or `kill` as often as wanted."""

    name: str
    patience_s: float  # when nothing new came for so long, the rest is lost

    def prepare(self, *, operator_port: int, callback_url: str | None, window: int) -> None:
        """Sets up the link to the operator, and who is called about receipts.

        `window` is the number of messages that may wait for the operator's answer.
        Raises GatewayFailure.
        """

    def start(self, *, smpp: bool) -> None:
        """Returns when it takes messages. Raises GatewayFailure."""

    def stop(self) -> None:
        """Ends all its processes in good order."""

    def close(self) -> None:
        """After the last `stop`: ends and removes whatever else it made outside of its folder."""

    def kill(self, *, stores: bool = False) -> None:
        """`kill -9` of all its processes at once; with `stores` also of the databases and brokers
        that it keeps messages in."""

    def processes(self) -> dict[str, int]:
        """Its processes by their names; descendants belong to them."""

    def is_alive(self) -> bool:
        """Whether all its processes run."""

    def log_tail(self) -> str:
        """What it said last."""

    @property
    def door(self) -> Door:
        """How to reach it while it runs."""
