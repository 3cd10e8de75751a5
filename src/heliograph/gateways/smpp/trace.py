"""The trace of an account's PDUs in the log: without texts and passwords, numbers masked, bounded.

It reads the octets as they go by, so it shows what was really sent and received.
"""

from __future__ import annotations

from typing import Any

import structlog

from heliograph.observability import mask
from heliograph.protocols.smpp.codec import decode
from heliograph.protocols.smpp.constants import describe_command, describe_status
from heliograph.protocols.smpp.errors import ProtocolError
from heliograph.protocols.smpp.framing import FrameBuffer
from heliograph.protocols.smpp.pdu import Pdu

__all__ = ["Trace"]

# PDUs that one bind may write into the log.
_MOST = 10_000
_FIELDS = (
    "source_addr",
    "destination_addr",
    "esm_class",
    "protocol_id",
    "schedule_delivery_time",
    "validity_period",
    "registered_delivery",
    "data_coding",
    "message_id",
    "message_state",
    "error_code",
)

_log = structlog.get_logger(__name__)


class Trace:
    """One bind's, until `until_ms` (epoch) or `_MOST` PDUs."""

    def __init__(self, login: str, bind: int, until_ms: int) -> None:
        self.until_ms = until_ms
        self._login = login
        self._bind = bind
        self._left = _MOST
        self._buffers = {"in": FrameBuffer(), "out": FrameBuffer()}

    def show(self, direction: str, octets: bytes, now_ms: int) -> bool:
        """Logs what went ``in`` or ``out``; False when the trace has come to its end."""
        if now_ms >= self.until_ms or self._left <= 0:
            return False
        try:
            frames = self._buffers[direction].feed(octets)
        except ProtocolError:
            return False
        for frame in frames:
            self._left -= 1
            if self._left < 0:
                _log.info("trace ends", account=self._login, bind=self._bind, reason="too long")
                return False
            _log.info(
                "pdu", account=self._login, bind=self._bind, direction=direction, **_tell(frame)
            )
        return True


def _tell(frame: bytes) -> dict[str, Any]:
    try:
        pdu = decode(frame)
    except ProtocolError as error:
        return {"command": describe_command(int.from_bytes(frame[4:8], "big")), "bad": error.reason}
    return {
        "command": describe_command(pdu.command_id),
        "status": describe_status(pdu.command_status),
        "sequence": pdu.sequence_number,
        "octets": len(frame),
        **_fields(pdu),
    }


def _fields(pdu: Pdu) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(pdu, name, None)
        if value not in (None, "", 0):
            if isinstance(value, str):
                value = _hide(value) if name.endswith("_addr") else mask(value)
            found[name] = value
    for tag, value in getattr(pdu, "tlvs", ()):
        found[f"tlv_{tag:04x}"] = f"{len(value)} octets"
    return found


def _hide(text: str) -> str:
    """Numbers masked, also those that people write with signs between the digits."""
    digits = "".join([sign for sign in text if sign.isdigit()])
    return mask(digits if len(digits) > 6 else text)
