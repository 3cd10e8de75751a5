"""Sections of the configuration for what stands behind the doors. See `heliograph.config`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = ["Calls", "Company", "Links", "Metrics", "Moderation", "Sending"]


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


class Sending(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for messages and accounts that do not say otherwise."""

    validity_hours: Annotated[
        float, Meta(gt=0, le=168, description="Life of a message whose request gives none.")
    ] = 24.0
    receipt_wait_hours: Annotated[
        float,
        Meta(
            gt=0,
            le=720,
            description="How long after a message's life its receipt is waited for.",
        ),
    ] = 24.0
    max_recipients: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Recipients that one request may have. They are looked at in one go, about "
            "0.03 s a thousand, and everybody waits meanwhile; a mailing list takes turns.",
        ),
    ] = 30_000
    max_list_recipients: Annotated[
        int, Meta(ge=1, le=10_000_000, description="Recipients that one mailing list may have.")
    ] = 1_000_000
    repeat_minutes: Annotated[
        float,
        Meta(
            ge=0,
            le=1440,
            description="How long after its end an undelivered message of a mailing list is "
            "repeated, when the list wants that.",
        ),
    ] = 10.0
    request_log_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="How long accounts can read what became of their mails and commands.",
        ),
    ] = 30
    common_sender: Annotated[
        str,
        Meta(
            max_length=15,
            description="Sender name that every account may use and begins its list with, also of "
            "confirmation codes; empty: none.",
        ),
    ] = "Heliograph"
    timezone_minutes: Annotated[
        int,
        Meta(
            ge=-720,
            le=840,
            description="Zone of the times in replies and callbacks, in minutes east of UTC. "
            "Client programs count on Moscow, 180.",
        ),
    ] = 180
    default_language: Annotated[
        Literal["ru", "en"], Meta(description="Language of names in replies for new accounts.")
    ] = "ru"


class Moderation(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person of the operator decides before it can be used."""

    senders: Annotated[
        bool,
        Meta(description="Whether new sender names wait for `heliograph sender approve`."),
    ] = False
    templates: Annotated[
        bool,
        Meta(description="Whether new operator templates wait for `heliograph template approve`."),
    ] = False
