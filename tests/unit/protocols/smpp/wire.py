"""A client and a server session joined by a wire, and what their tests share."""

from __future__ import annotations

from typing import TypeVar

from heliograph.protocols.smpp import (
    BindReceiver,
    BindRequest,
    BindTransceiver,
    BindTransmitter,
    EsmeSession,
    Event,
    ResponseReceived,
    SessionConfig,
    SmscSession,
)

T = TypeVar("T")
Bind = BindTransmitter | BindReceiver | BindTransceiver


class Wire:
    """An ESME and an SMSC, and the bytes between them."""

    def __init__(
        self, *, esme: SessionConfig | None = None, smsc: SessionConfig | None = None
    ) -> None:
        self.esme = EsmeSession(0.0, esme)
        self.smsc = SmscSession(0.0, smsc)

    def to_smsc(self, data: bytes, now: float = 0.0) -> list[Event]:
        return self.smsc.receive(data, now)

    def to_esme(self, data: bytes, now: float = 0.0) -> list[Event]:
        return self.esme.receive(data, now)

    def bind(self, bind: BindRequest | None = None) -> Wire:
        (request,) = self.to_smsc(self.esme.send(bind or BindTransceiver(system_id="a"), 0.0))
        assert isinstance(request, BindRequest)
        (answer,) = self.to_esme(self.smsc.accept_bind(request, "centre"))
        assert isinstance(answer, ResponseReceived)
        return self


def only(events: list[Event], kind: type[T]) -> T:
    """The one event, which is of this kind."""
    (event,) = events
    assert isinstance(event, kind)
    return event


def header(command_id: int, body: bytes = b"", *, sequence: int = 1, status: int = 0) -> bytes:
    """A frame with any body."""
    numbers = (16 + len(body), command_id, status, sequence)
    return b"".join(number.to_bytes(4, "big") for number in numbers) + body


def bound_smsc(config: SessionConfig | None = None) -> SmscSession:
    return Wire(smsc=config).bind().smsc


def bound_esme(config: SessionConfig | None = None) -> EsmeSession:
    return Wire(esme=config).bind().esme
