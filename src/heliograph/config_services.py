"""Sections of the configuration for what stands beside sending. See `heliograph.config`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["Calls", "Links"]


class Links(Struct, frozen=True, forbid_unknown_fields=True):
    """Short links in messages that were sent with `tinyurl=1`."""

    url: Annotated[
        str,
        Meta(
            pattern="^(https?://[^/ ]+(/[^ ]*[^/ ])?)?$",
            description="Address that the codes of short links follow, as `https://s.example.com`; "
            "it must lead to the HTTP door. Empty: the address of the HTTP door.",
        ),
    ] = ""
    days: Annotated[int, Meta(ge=1, le=3650, description="How long a short link lives.")] = 365


class Calls(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that people call to confirm theirs (`wait_call.php`)."""

    numbers: Annotated[
        list[Annotated[str, Meta(pattern="^[1-9][0-9]{9,14}$")]],
        Meta(
            description="Numbers whose calls a connector reports, as `79581112233`; none: "
            "`wait_call.php` refuses."
        ),
    ] = []
