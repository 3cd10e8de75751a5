"""Sections of the configuration for what stands beside sending. See `heliograph.config`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["Calls", "Company", "Links", "Metrics"]


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


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may read what the gateway counts."""

    networks: Annotated[
        list[str],
        Meta(
            description="Networks from which `/metrics` is answered: it tells operators' names and "
            "how much is sent. Empty: this machine."
        ),
    ] = []


class Calls(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that people call to confirm theirs (`wait_call.php`)."""

    numbers: Annotated[
        list[Annotated[str, Meta(pattern="^[1-9][0-9]{9,14}$")]],
        Meta(
            description="Numbers whose calls a connector reports, as `79581112233`; none: "
            "`wait_call.php` refuses."
        ),
    ] = []


class Company(Struct, frozen=True, forbid_unknown_fields=True):
    """Who operates the gateway, as invoices and acts name it."""

    name: Annotated[
        str, Meta(description="Name; empty: documents name the account that issues them.")
    ] = ""
    tax_id: Annotated[str, Meta(description="Numbers with the tax office.")] = ""
    address: Annotated[str, Meta(description="Address.")] = ""
    bank: Annotated[str, Meta(description="Bank, with its codes.")] = ""
    bank_account: Annotated[str, Meta(description="Number of the bank account.")] = ""
    contact: Annotated[str, Meta(description="Telephone, e-mail.")] = ""
    signer: Annotated[str, Meta(description="Who signs.")] = ""
    tax_percent: Annotated[
        int, Meta(ge=0, le=99, description="Tax that the prices hold, in percent; 0: none.")
    ] = 0
