"""Who broke the protocol, and what the standard lets us answer.

    ProtocolError
    ├── LocalProtocolError          we (our caller) broke the rules; nothing was sent
    │   └── WindowFullError         the window has no room; wait for a response
    └── RemoteProtocolError         the peer did
        ├── PduError                one PDU is bad, its frame is sound: answer, go on
        └── FramingError            the next PDU cannot be found: close

The difference between the last two is the whole of error handling in SMPP: a length-prefixed
stream survives any body, and survives no wrong length.
"""

from __future__ import annotations

from .constants import CommandStatus


class ProtocolError(Exception):
    """A rule of SMPP was broken.

    ``command_status`` is the value that says so on the wire; ``reason`` is one sentence for a log
    and never holds message text, addresses or passwords.
    """

    def __init__(self, reason: str, command_status: int = CommandStatus.ESME_RUNKNOWNERR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.command_status = int(command_status)


class LocalProtocolError(ProtocolError):
    """Our side asked for something that must not be sent."""


class WindowFullError(LocalProtocolError):
    """The outgoing window is full (``command_status`` ESME_RMSGQFUL)."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that is not SMPP as the standard has it."""


class PduError(RemoteProtocolError):
    """One PDU cannot be understood, the session can go on.

    ``command_id`` and ``sequence_number`` are those of the bad PDU, so that it can be answered.
    """

    def __init__(
        self,
        reason: str,
        command_status: int,
        *,
        command_id: int = 0,
        sequence_number: int = 0,
    ) -> None:
        super().__init__(reason, command_status)
        self.command_id = command_id
        self.sequence_number = sequence_number


class FramingError(RemoteProtocolError):
    """The stream cannot be cut into PDUs any more; the connection has to be closed.

    ``is_foreign`` is true when the first bytes already were another protocol: such peers are
    scanners and lost browsers, they get no answer. ``sequence_number`` is 0 when unknown.
    """

    def __init__(self, reason: str, *, is_foreign: bool = False, sequence_number: int = 0) -> None:
        super().__init__(reason, CommandStatus.ESME_RINVCMDLEN)
        self.is_foreign = is_foreign
        self.sequence_number = sequence_number
