"""Settings of the built-in network."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from heliograph.connectors.base import UnknownPolicy
from heliograph.connectors.settings import ConnectorSettings
from heliograph.domain.messages import MessageType

__all__ = ["ALL_TYPES", "VirtualSettings"]

ALL_TYPES = tuple(kind.name.lower() for kind in MessageType)

TypeName = Literal[
    "sms",
    "flash",
    "binary",
    "wap_push",
    "hlr",
    "ping",
    "mms",
    "call",
    "email",
    "viber",
    "social",
    "whatsapp",
    "telegram",
]


class VirtualSettings(ConnectorSettings, frozen=True, kw_only=True):
    """How the built-in network behaves towards numbers that are not magic."""

    window: Annotated[int, Meta(ge=1, le=100_000, description="Parts without an answer.")] = 1_000
    parts_per_second: Annotated[
        float, Meta(ge=0, le=1_000_000, description="Parts that leave in a second; 0: no limit.")
    ] = 0
    latency_ms: Annotated[
        int, Meta(ge=0, le=600_000, description="From a submit to its answer, milliseconds.")
    ] = 0
    receipt_delay_ms: Annotated[
        int, Meta(ge=0, le=86_400_000, description="From the answer to the receipt, milliseconds.")
    ] = 0
    undeliverable_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of numbers never reached (error 6); a number keeps its fate.",
        ),
    ] = 0
    magic: Annotated[
        bool, Meta(description="Numbers with 0000 before their last four digits choose their end.")
    ] = True
    unknown_policy: Annotated[
        Literal["fail", "resend", "query"],
        Meta(description="What becomes of a part that was never answered."),
    ] = "fail"
    carries: Annotated[
        tuple[TypeName, ...], Meta(description="Message types, divided by commas.")
    ] = ALL_TYPES  # type: ignore[assignment]
    handset_memory: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Delivered messages kept for looking at.")
    ] = 1_000

    @property
    def types(self) -> frozenset[MessageType]:
        """`carries` in the platform's own words."""
        return frozenset(MessageType[name.upper()] for name in self.carries)

    @property
    def policy(self) -> UnknownPolicy:
        """`unknown_policy` in the platform's own words."""
        return UnknownPolicy[self.unknown_policy.upper()]
