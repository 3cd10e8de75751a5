"""The bodies of all PDUs as tables: which field, of which type, how long, what if it is wrong.

A layout is a tuple of fields in the order of the wire (SMPP 3.4 section 4). Each kind of field can
read itself from a frame and write itself from a value; the codec only walks the table. A new PDU
is one class in ``pdu`` and one row here.

Two lengths belong to a string. What we *write* keeps to the standard. What we *read* may be longer
where refusing would lose a message or a client: ids in responses (operators exceed 64 signs, and
the message is already theirs), passwords, and addresses of incoming messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, Protocol

from .constants import CommandId, CommandStatus
from .errors import LocalProtocolError, PduError
from .pdu import DistributionList, SmeAddress, UnsuccessSme

HEADER = Struct("!IIII")
"""command_length, command_id, command_status, sequence_number (section 3.2)."""

HEADER_OCTETS = 16

SHORT_MESSAGE_MAX = 255
"""Octets of short_message: 255 in 5.0; 3.4 stops at 254, which senders to 3.4 peers must mind."""

DESTINATIONS_MAX = 255
"""Addresses of one submit_multi: number_of_dests is one octet (3.4 said 254, 5.0 says 255)."""

_LENIENT_MESSAGE_ID_MAX = 256
_LENIENT_PASSWORD_MAX = 65
_LENIENT_ADDRESS_MAX = 65


class Field(Protocol):
    """One step of a layout."""

    @property
    def name(self) -> str:
        """Attribute of the PDU class that the field fills."""

    def read(self, frame: bytes, start: int) -> tuple[Any, int]:
        """Value at ``start`` and the offset after it; raises PduError."""

    def write(self, value: Any) -> bytes:
        """Octets of ``value``; raises LocalProtocolError."""


@dataclass(frozen=True, slots=True)
class CString:
    """C-octet string; ``length_max`` octets with the NUL (SMPP 3.4 section 3.1).

    ``read_max`` is the tolerated length, ``status`` the answer to a longer one. ``may_lack_nul``:
    the end of the PDU ends the string too (several operators' submit_sm_resp).
    """

    name: str
    length_max: int
    status: int = CommandStatus.ESME_RINVCMDLEN
    read_max: int = 0
    may_lack_nul: bool = False

    def read(self, frame: bytes, start: int) -> tuple[str, int]:
        end = frame.find(b"\0", start)
        after = end + 1
        if end < 0:
            if not self.may_lack_nul:
                raise PduError(f"{self.name} does not end", CommandStatus.ESME_RINVCMDLEN)
            end = after = len(frame)
        if end - start >= (self.read_max or self.length_max):
            raise PduError(f"{self.name} is too long", self.status)
        return frame[start:end].decode("latin-1"), after

    def write(self, value: str) -> bytes:
        try:
            octets = value.encode("latin-1")
        except UnicodeEncodeError:
            raise LocalProtocolError(
                f"{self.name} has a character above U+00FF", self.status
            ) from None
        if len(octets) >= self.length_max:
            raise LocalProtocolError(f"{self.name} is too long", self.status)
        if b"\0" in octets:
            raise LocalProtocolError(f"{self.name} has a NUL in it", self.status)
        return octets + b"\0"


@dataclass(frozen=True, slots=True)
class Integer:
    """Unsigned big-endian number of ``octets`` octets."""

    name: str
    octets: int = 1

    def read(self, frame: bytes, start: int) -> tuple[int, int]:
        end = start + self.octets
        if end > len(frame):
            raise PduError(f"{self.name} is missing", CommandStatus.ESME_RINVCMDLEN)
        return int.from_bytes(frame[start:end], "big"), end

    def write(self, value: int) -> bytes:
        try:
            return int(value).to_bytes(self.octets, "big")
        except OverflowError:
            raise LocalProtocolError(
                f"{self.name} does not fit {self.octets} octets", CommandStatus.ESME_RINVCMDLEN
            ) from None


@dataclass(frozen=True, slots=True)
class CountedOctets:
    """sm_length and short_message: one octet of length, then that many octets."""

    name: str = "short_message"

    def read(self, frame: bytes, start: int) -> tuple[bytes, int]:
        if start >= len(frame):
            raise PduError("sm_length is missing", CommandStatus.ESME_RINVCMDLEN)
        end = start + 1 + frame[start]
        if end > len(frame):
            raise PduError("sm_length is more than there is", CommandStatus.ESME_RINVMSGLEN)
        return frame[start + 1 : end], end

    def write(self, value: bytes) -> bytes:
        if len(value) > SHORT_MESSAGE_MAX:
            raise LocalProtocolError(
                f"short_message above {SHORT_MESSAGE_MAX} octets", CommandStatus.ESME_RINVMSGLEN
            )
        return bytes((len(value),)) + value


_SME_FLAG = 1
_LIST_FLAG = 2
_DEST_TON = Integer("dest_addr_ton")
_DEST_NPI = Integer("dest_addr_npi")
_DEST_ADDR = CString("destination_addr", 21, CommandStatus.ESME_RINVDSTADR)
_DL_NAME = CString("dl_name", 21, CommandStatus.ESME_RINVDLNAME)
_ERROR_STATUS = Integer("error_status_code", 4)


@dataclass(frozen=True, slots=True)
class DestAddresses:
    """number_of_dests and dest_address(es) of submit_multi (4.5.1.1)."""

    name: str = "dest_address"

    def read(
        self, frame: bytes, start: int
    ) -> tuple[tuple[SmeAddress | DistributionList, ...], int]:
        count, start = Integer("number_of_dests").read(frame, start)
        found: list[SmeAddress | DistributionList] = []
        for _ in range(count):
            flag, start = Integer("dest_flag").read(frame, start)
            if flag == _SME_FLAG:
                values, start = _read_all((_DEST_TON, _DEST_NPI, _DEST_ADDR), frame, start)
                found.append(SmeAddress(**values))
            elif flag == _LIST_FLAG:
                name, start = _DL_NAME.read(frame, start)
                found.append(DistributionList(dl_name=name))
            else:
                raise PduError("dest_flag is not 1 or 2", CommandStatus.ESME_RINVDESTFLAG)
        return tuple(found), start

    def write(self, value: Sequence[SmeAddress | DistributionList]) -> bytes:
        if len(value) > DESTINATIONS_MAX:
            raise LocalProtocolError("too many destinations", CommandStatus.ESME_RINVNUMDESTS)
        pieces = [bytes((len(value),))]
        for item in value:
            if isinstance(item, DistributionList):
                pieces.append(bytes((_LIST_FLAG,)) + _DL_NAME.write(item.dl_name))
            else:
                pieces.append(bytes((_SME_FLAG,)))
                pieces += _write_all((_DEST_TON, _DEST_NPI, _DEST_ADDR), item)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class UnsuccessSmes:
    """no_unsuccess and unsuccess_sme(s) of submit_multi_resp (4.5.2.1)."""

    name: str = "unsuccess_sme"

    def read(self, frame: bytes, start: int) -> tuple[tuple[UnsuccessSme, ...], int]:
        count, start = Integer("no_unsuccess").read(frame, start)
        found = []
        for _ in range(count):
            values, start = _read_all(_UNSUCCESS, frame, start)
            found.append(UnsuccessSme(**values))
        return tuple(found), start

    def write(self, value: Sequence[UnsuccessSme]) -> bytes:
        if len(value) > DESTINATIONS_MAX:
            raise LocalProtocolError("too many unsuccess_sme", CommandStatus.ESME_RINVNUMDESTS)
        pieces = [bytes((len(value),))]
        for item in value:
            pieces += _write_all(_UNSUCCESS, item)
        return b"".join(pieces)


_UNSUCCESS: tuple[Field, ...] = (_DEST_TON, _DEST_NPI, _DEST_ADDR, _ERROR_STATUS)


def _read_all(fields: Sequence[Field], frame: bytes, start: int) -> tuple[dict[str, Any], int]:
    values = {}
    for step in fields:
        values[step.name], start = step.read(frame, start)
    return values, start


def _write_all(fields: Sequence[Field], source: object) -> list[bytes]:
    return [step.write(getattr(source, step.name)) for step in fields]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Body of one PDU. ``has_tlvs``: optional parameters may follow the fields.

    ``is_omitted_on_failure``: an empty body is not written when command_status tells of an error
    (4.1.2, 4.4.2 and others: "the body is not returned").
    """

    fields: tuple[Field, ...] = ()
    has_tlvs: bool = True
    is_omitted_on_failure: bool = False


def _address(side: str, length_max: int, read_max: int = 0) -> tuple[Field, ...]:
    if side == "source":
        name, status = "source_addr", CommandStatus.ESME_RINVSRCADR
    else:
        name, status = "destination_addr", CommandStatus.ESME_RINVDSTADR
    return (
        Integer(f"{side}_addr_ton"),
        Integer(f"{side}_addr_npi"),
        CString(name, length_max, status, read_max),
    )


def _message(destination: tuple[Field, ...], read_max: int = 0) -> Layout:
    return Layout(
        fields=(
            _SERVICE_TYPE,
            *_address("source", 21, read_max),
            *destination,
            Integer("esm_class"),
            Integer("protocol_id"),
            Integer("priority_flag"),
            _SCHEDULE,
            _VALIDITY,
            Integer("registered_delivery"),
            Integer("replace_if_present_flag"),
            Integer("data_coding"),
            Integer("sm_default_msg_id"),
            CountedOctets(),
        )
    )


_SERVICE_TYPE = CString("service_type", 6, CommandStatus.ESME_RINVSERTYP)
_SCHEDULE = CString("schedule_delivery_time", 17, CommandStatus.ESME_RINVSCHED)
_VALIDITY = CString("validity_period", 17, CommandStatus.ESME_RINVEXPIRY)
_SYSTEM_ID = CString("system_id", 16, CommandStatus.ESME_RINVSYSID)
_PASSWORD = CString("password", 9, CommandStatus.ESME_RINVPASWD, _LENIENT_PASSWORD_MAX)
_MESSAGE_ID = CString("message_id", 65, CommandStatus.ESME_RINVMSGID)
_GIVEN_ID = CString(
    "message_id", 65, CommandStatus.ESME_RINVMSGID, _LENIENT_MESSAGE_ID_MAX, may_lack_nul=True
)

_EMPTY = Layout(has_tlvs=False)
_ID_ONLY = Layout(fields=(_GIVEN_ID,), is_omitted_on_failure=True)
_BIND = Layout(
    fields=(
        _SYSTEM_ID,
        _PASSWORD,
        CString("system_type", 13, CommandStatus.ESME_RINVSYSTYP),
        Integer("interface_version"),
        Integer("addr_ton"),
        Integer("addr_npi"),
        CString("address_range", 41),
    )
)
_BIND_RESP = Layout(
    fields=(CString("system_id", 16, read_max=65, may_lack_nul=True),), is_omitted_on_failure=True
)

LAYOUTS: dict[int, Layout] = {
    CommandId.GENERIC_NACK: _EMPTY,
    CommandId.BIND_RECEIVER: _BIND,
    CommandId.BIND_RECEIVER_RESP: _BIND_RESP,
    CommandId.BIND_TRANSMITTER: _BIND,
    CommandId.BIND_TRANSMITTER_RESP: _BIND_RESP,
    CommandId.BIND_TRANSCEIVER: _BIND,
    CommandId.BIND_TRANSCEIVER_RESP: _BIND_RESP,
    CommandId.OUTBIND: Layout(fields=(_SYSTEM_ID, _PASSWORD), has_tlvs=False),
    CommandId.UNBIND: _EMPTY,
    CommandId.UNBIND_RESP: _EMPTY,
    CommandId.ENQUIRE_LINK: _EMPTY,
    CommandId.ENQUIRE_LINK_RESP: _EMPTY,
    CommandId.SUBMIT_SM: _message(_address("dest", 21)),
    CommandId.SUBMIT_SM_RESP: _ID_ONLY,
    CommandId.DELIVER_SM: _message(
        _address("dest", 21, _LENIENT_ADDRESS_MAX), read_max=_LENIENT_ADDRESS_MAX
    ),
    CommandId.DELIVER_SM_RESP: _ID_ONLY,
    CommandId.SUBMIT_MULTI: _message((DestAddresses(),)),
    CommandId.SUBMIT_MULTI_RESP: Layout(
        fields=(_GIVEN_ID, UnsuccessSmes()), is_omitted_on_failure=True
    ),
    CommandId.DATA_SM: Layout(
        fields=(
            _SERVICE_TYPE,
            *_address("source", 65),
            *_address("dest", 65),
            Integer("esm_class"),
            Integer("registered_delivery"),
            Integer("data_coding"),
        )
    ),
    CommandId.DATA_SM_RESP: _ID_ONLY,
    CommandId.QUERY_SM: Layout(fields=(_MESSAGE_ID, *_address("source", 21))),
    CommandId.QUERY_SM_RESP: Layout(
        fields=(
            CString("message_id", 65, CommandStatus.ESME_RINVMSGID, _LENIENT_MESSAGE_ID_MAX),
            CString("final_date", 17),
            Integer("message_state"),
            Integer("error_code"),
        ),
        is_omitted_on_failure=True,
    ),
    CommandId.CANCEL_SM: Layout(
        fields=(_SERVICE_TYPE, _MESSAGE_ID, *_address("source", 21), *_address("dest", 21))
    ),
    CommandId.CANCEL_SM_RESP: _EMPTY,
    CommandId.REPLACE_SM: Layout(
        fields=(
            _MESSAGE_ID,
            *_address("source", 21),
            _SCHEDULE,
            _VALIDITY,
            Integer("registered_delivery"),
            Integer("sm_default_msg_id"),
            CountedOctets(),
        )
    ),
    CommandId.REPLACE_SM_RESP: _EMPTY,
    CommandId.ALERT_NOTIFICATION: Layout(
        fields=(
            *_address("source", 65),
            Integer("esme_addr_ton"),
            Integer("esme_addr_npi"),
            CString("esme_addr", 65),
        )
    ),
}
