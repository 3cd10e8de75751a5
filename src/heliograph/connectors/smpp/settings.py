"""Settings of an operator's SMPP link.

The defaults are those that most operators want; what differs from one to the next is one field
each.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from heliograph.connectors.base import UnknownPolicy
from heliograph.connectors.settings import ConnectorSettings, secret
from heliograph.domain.messages import MessageType

__all__ = ["SmppSettings"]

TypeName = Literal["sms", "flash", "binary", "wap_push", "ping", "hlr"]


class SmppSettings(ConnectorSettings, frozen=True, kw_only=True):
    """How to reach an SMSC, how fast, and how it wants its messages."""

    host: Annotated[str, Meta(min_length=1, description="Name or address of the SMSC.")]
    port: Annotated[int, Meta(ge=1, le=65_535, description="Its port.")] = 2775
    system_id: Annotated[str, Meta(max_length=15, description="Login at the SMSC.")] = ""
    password: Annotated[str, secret("Password at the SMSC.", max_length=64)] = ""
    system_type: Annotated[str, Meta(max_length=12, description="Usually empty.")] = ""
    bind: Annotated[
        Literal["transceiver", "transmitter", "transmitter+receiver"],
        Meta(description="Kind of session; the pair makes two sessions for each bind."),
    ] = "transceiver"
    binds: Annotated[int, Meta(ge=1, le=64, description="How many binds at once.")] = 1
    window: Annotated[
        int, Meta(ge=1, le=10_000, description="Parts without an answer, per bind.")
    ] = 100
    parts_per_second: Annotated[
        float, Meta(ge=0, le=100_000, description="Per bind; 0: no limit.")
    ] = 0
    interface_version: Annotated[
        Literal["3.3", "3.4", "5.0"], Meta(description="Version said in the bind.")
    ] = "3.4"
    address_range: Annotated[
        str, Meta(max_length=40, description="address_range of the bind; usually empty.")
    ] = ""
    tls: Annotated[bool, Meta(description="Speak TLS from the first byte.")] = False
    tls_verify: Annotated[bool, Meta(description="Check the certificate and its name.")] = True
    tls_ca_file: Annotated[
        str, Meta(description="Trusted certificates (PEM); empty: those of the system.")
    ] = ""
    tls_cert_file: Annotated[str, Meta(description="Own certificate (PEM), if asked for.")] = ""
    tls_key_file: Annotated[str, Meta(description="Key of the own certificate (PEM).")] = ""
    tls_server_name: Annotated[
        str, Meta(description="Name in the SMSC's certificate; empty: the host.")
    ] = ""
    source_ton: Annotated[
        int, Meta(ge=-1, le=255, description="Type of number of senders; -1: by their form.")
    ] = -1
    source_npi: Annotated[
        int, Meta(ge=-1, le=255, description="Numbering plan of senders; -1: by their form.")
    ] = -1
    dest_ton: Annotated[
        int, Meta(ge=-1, le=255, description="Type of number of recipients; -1: by their form.")
    ] = -1
    dest_npi: Annotated[
        int, Meta(ge=-1, le=255, description="Numbering plan of recipients; -1: by their form.")
    ] = -1
    default_alphabet: Annotated[
        Literal["gsm7", "gsm7-packed", "latin1", "ascii"],
        Meta(description="What data_coding 0 means at this SMSC."),
    ] = "gsm7"
    data_coding: Annotated[
        int, Meta(ge=0, le=255, description="data_coding of texts in the default alphabet.")
    ] = 0
    ucs2_data_coding: Annotated[
        int, Meta(ge=0, le=255, description="data_coding of all other texts.")
    ] = 8
    long_messages: Annotated[
        Literal["udh8", "udh16", "sar", "payload"],
        Meta(description="How the parts of a long message are tied together."),
    ] = "udh8"
    registered_delivery: Annotated[
        int, Meta(ge=0, le=255, description="1: a receipt for every end; 0: none.")
    ] = 1
    service_type: Annotated[str, Meta(max_length=5, description="Usually empty or CMT.")] = ""
    pass_validity: Annotated[
        bool, Meta(description="Tell the SMSC how long the message is worth delivering.")
    ] = True
    response_timeout_s: Annotated[
        float, Meta(gt=0, le=3_600, description="After this long an answer counts as lost.")
    ] = 30
    enquire_link_s: Annotated[
        float, Meta(gt=0, le=3_600, description="Silence after which the link is tested.")
    ] = 30
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=300, description="For the connection, and again for the bind.")
    ] = 10
    reconnect_first_s: Annotated[
        float, Meta(gt=0, le=3_600, description="First pause before a new attempt; it doubles.")
    ] = 1
    reconnect_max_s: Annotated[
        float, Meta(gt=0, le=3_600, description="Longest pause before a new attempt.")
    ] = 60
    throttle_pause_s: Annotated[
        float, Meta(gt=0, le=60, description="Pause of a bind after ESME_RTHROTTLED; it doubles.")
    ] = 1
    receipt_ids: Annotated[
        Literal["auto", "exact", "hex-to-dec", "dec-to-hex"],
        Meta(
            description="How receipts name parts: letter by letter as the answer did, the "
            "answer's hex id in decimal, its decimal id in hex, or whichever fits."
        ),
    ] = "auto"
    receipt_err_base: Annotated[
        Literal["decimal", "hex"], Meta(description="Base of err: in receipts.")
    ] = "decimal"
    utc_offset_minutes: Annotated[
        int, Meta(ge=-840, le=840, description="How far dates in receipts are ahead of UTC.")
    ] = 0
    unknown_policy: Annotated[
        Literal["fail", "resend", "query"],
        Meta(description="What becomes of a part that was never answered."),
    ] = "fail"
    carries: Annotated[
        tuple[TypeName, ...], Meta(description="Message types, divided by commas.")
    ] = ("sms", "flash", "binary", "wap_push", "ping")
    hlr: Annotated[
        bool, Meta(description="Network queries as the text __HLR__ (another Heliograph does).")
    ] = False

    def __post_init__(self) -> None:
        if self.tls_key_file and not self.tls_cert_file:
            raise ValueError("tls_key_file needs tls_cert_file")
        if self.reconnect_first_s > self.reconnect_max_s:
            raise ValueError("reconnect_first_s is above reconnect_max_s")

    @property
    def types(self) -> frozenset[MessageType]:
        """`carries` and `hlr` in the platform's own words."""
        named = {MessageType[name.upper()] for name in self.carries}
        return frozenset(named | {MessageType.HLR} if self.hlr else named)

    @property
    def policy(self) -> UnknownPolicy:
        """`unknown_policy` in the platform's own words."""
        return UnknownPolicy[self.unknown_policy.upper()]

    @property
    def version_octet(self) -> int:
        """`interface_version` as it stands in a bind (SMPP 3.4 section 5.2.4)."""
        return {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}[self.interface_version]
