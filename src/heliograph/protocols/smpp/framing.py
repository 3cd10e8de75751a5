"""The receive buffer: bytes as the network delivers them in, whole PDUs out.

A frame is found by its command_length alone (SMPP 3.4 section 3.2), so a wrong length cannot be
repaired: the buffer then holds its ``error`` and takes no more. Frames that were whole before the
bad place are still given out, because the peer may have sent good messages in the same segment.

What is not SMPP at all is recognised by its first bytes: a browser's ``GET /``, a TLS ClientHello
(16 03 ..) on the plain port, ``AMQP``, an RDP cookie (03 00 ..). All of them have a first octet
that no acceptable command_length has.

Memory: never more than ``max_command_length`` plus what one ``feed`` brought.
"""

from __future__ import annotations

from struct import Struct

from .constants import RESPONSE_BIT
from .errors import FramingError
from .layout import HEADER_OCTETS

MAX_COMMAND_LENGTH = 73_728
"""72 KiB: a message_payload of 65,535 octets, 255 addresses of a submit_multi, other TLVs."""

_length_at = Struct("!I").unpack_from
_length_and_id_at = Struct("!II").unpack_from
_sequence_at = Struct("!I").unpack_from

# Vendors may use 0x00010200-0x000102FF (SMPP 3.4 section 5.1.2.1) and some use 0x01000000; a first
# command_id beyond that is some other protocol that began with a small number by chance.
_COMMAND_ID_MAX = 0x01FFFFFF


class FrameBuffer:
    """Cuts a stream into frames. ``error`` is set once the stream cannot be cut any further."""

    __slots__ = ("_is_first", "_need", "_partial", "error", "max_command_length")

    def __init__(self, max_command_length: int = MAX_COMMAND_LENGTH) -> None:
        self.max_command_length = max_command_length
        self.error: FramingError | None = None
        self._partial = bytearray()
        # Octets that _partial must reach before looking at it again makes sense.
        self._need = 1
        self._is_first = True

    def __len__(self) -> int:
        """Octets held of a PDU that is not whole yet."""
        return len(self._partial)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was received; return every frame that is whole now, in order.

        Raises the FramingError again when fed after it was found.
        """
        if self.error is not None:
            raise self.error
        partial = self._partial
        if partial:
            partial += data
            if len(partial) < self._need:
                return []
            data = bytes(partial)
            partial.clear()
        if self._is_first and data and self._begins_as_foreign(data):
            self.error = FramingError("the first bytes are not SMPP", is_foreign=True)
            return []
        frames: list[bytes] = []
        start = 0
        end = len(data)
        limit = self.max_command_length
        while end - start >= 4:
            (length,) = _length_at(data, start)
            if not HEADER_OCTETS <= length <= limit:
                self._fail(data, start, length)
                return frames
            if start + length > end:
                # The first header is judged at its eighth octet, not when its PDU is whole.
                self._need = 8 if self._is_first else length
                break
            frames.append(data[start : start + length])
            start += length
        else:
            self._need = 4
        if start < end:
            partial += data[start:]
        return frames

    def _begins_as_foreign(self, data: bytes) -> bool:
        """Judge the first bytes of the connection, as early as they can be judged."""
        most = self.max_command_length.to_bytes(4, "big")
        if data[:4] > most[: len(data)]:
            return True
        if len(data) < 8:
            # The header is not here yet; look again at every feed until it is.
            return False
        self._is_first = False
        length, command_id = _length_and_id_at(data)
        return bool(length < HEADER_OCTETS or command_id & ~RESPONSE_BIT > _COMMAND_ID_MAX)

    def _fail(self, data: bytes, start: int, length: int) -> None:
        sequence = 0
        if len(data) - start >= HEADER_OCTETS:
            (sequence,) = _sequence_at(data, start + 12)
        self.error = FramingError(
            f"command_length {length} is outside {HEADER_OCTETS}..{self.max_command_length}",
            is_foreign=self._is_first,
            sequence_number=sequence,
        )
