"""What an SMSC's numbers mean to the platform: command_status of an answer, stat and err of a
receipt.

Two tables. `VERDICTS` says for every command_status of SMPP 3.4 and 5.0 whether the part is
refused, put off, put off with the whole bind slowed down, or handed to the next connector.
Statuses outside the standard (vendors use 0x400-0x4FF) refuse, for nothing says that another
attempt would help.

`ERR_CODES` reads the ``err`` of a receipt. Operators fill it with the MAP error of the radio
network (3GPP TS 29.002 section 17.6.6) or with numbers of their own; the first are the API's own
codes in part, others are translated, unknown ones become "no exact reason".
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.connectors.base import OutcomeKind
from heliograph.domain.messages import MessageState
from heliograph.protocols.smpp.constants import CommandStatus
from heliograph.protocols.smpp.constants import MessageState as SmppState

__all__ = ["ERR_CODES", "STATES", "UNKNOWN_STATUS", "VERDICTS", "Verdict", "read_err"]


class Verdict(NamedTuple):
    """`err` is a code of the API; `is_throttle`: the whole bind has to slow down."""

    kind: OutcomeKind
    err: int
    is_throttle: bool = False


_NO_REASON = 255
_QUEUE_FULL = 220
_BAD_NUMBER = 249
_BAD_SENDER = 254
_CONVERSION = 241

_S = CommandStatus
_REFUSED = Verdict(OutcomeKind.REJECTED, _NO_REASON)
_UNREADABLE = Verdict(OutcomeKind.REJECTED, _CONVERSION)
_PUT_OFF = Verdict(OutcomeKind.DEFERRED, _NO_REASON)
_SLOW_DOWN = Verdict(OutcomeKind.DEFERRED, _QUEUE_FULL, True)
# Complaints about what the connector itself puts into every PDU: its settings do not suit this
# SMSC, which is no fault of the message.
_MISFIT = Verdict(OutcomeKind.UNROUTABLE, _NO_REASON)

UNKNOWN_STATUS = _REFUSED

VERDICTS: dict[int, Verdict] = {
    _S.ESME_ROK: Verdict(OutcomeKind.ACCEPTED, 0),
    # The message.
    _S.ESME_RINVMSGLEN: _UNREADABLE,
    _S.ESME_RINVDCS: _UNREADABLE,
    _S.ESME_RINVDSTADR: Verdict(OutcomeKind.REJECTED, _BAD_NUMBER),
    _S.ESME_RINVDSTADDRSUBUNIT: Verdict(OutcomeKind.REJECTED, _BAD_NUMBER),
    _S.ESME_RINVNUMDESTS: Verdict(OutcomeKind.REJECTED, _BAD_NUMBER),
    _S.ESME_RINVSRCADR: Verdict(OutcomeKind.UNROUTABLE, _BAD_SENDER),
    _S.ESME_RINVSRCADDRSUBUNIT: Verdict(OutcomeKind.UNROUTABLE, _BAD_SENDER),
    _S.ESME_RSUBMITFAIL: _REFUSED,
    _S.ESME_RDELIVERYFAILURE: _REFUSED,
    _S.ESME_RX_P_APPN: _REFUSED,
    _S.ESME_RX_R_APPN: _REFUSED,
    _S.ESME_RUNKNOWNERR: _REFUSED,
    # Not now.
    _S.ESME_RSYSERR: _PUT_OFF,
    _S.ESME_RX_T_APPN: _PUT_OFF,
    _S.ESME_RSERTYPUNAVAIL: _PUT_OFF,
    _S.ESME_RMSGQFUL: _SLOW_DOWN,
    _S.ESME_RTHROTTLED: _SLOW_DOWN,
    # The session is not what we think it is; it will be mended or closed by its own rules.
    _S.ESME_RINVBNDSTS: _PUT_OFF,
    _S.ESME_RALYBND: _PUT_OFF,
    # Settings of the link.
    _S.ESME_RINVCMDLEN: _MISFIT,
    _S.ESME_RINVCMDID: _MISFIT,
    _S.ESME_RINVPRTFLG: _MISFIT,
    _S.ESME_RINVREGDLVFLG: _MISFIT,
    _S.ESME_RINVSERTYP: _MISFIT,
    _S.ESME_RINVESMCLASS: _MISFIT,
    _S.ESME_RINVSRCTON: _MISFIT,
    _S.ESME_RINVSRCNPI: _MISFIT,
    _S.ESME_RINVDSTTON: _MISFIT,
    _S.ESME_RINVDSTNPI: _MISFIT,
    _S.ESME_RINVSYSTYP: _MISFIT,
    _S.ESME_RINVREPFLAG: _MISFIT,
    _S.ESME_RINVSCHED: _MISFIT,
    _S.ESME_RINVEXPIRY: _MISFIT,
    _S.ESME_RINVDFTMSGID: _MISFIT,
    _S.ESME_RINVOPTPARSTREAM: _MISFIT,
    _S.ESME_ROPTPARNOTALLWD: _MISFIT,
    _S.ESME_RINVPARLEN: _MISFIT,
    _S.ESME_RMISSINGOPTPARAM: _MISFIT,
    _S.ESME_RINVOPTPARAMVAL: _MISFIT,
    _S.ESME_RSERTYPUNAUTH: _MISFIT,
    _S.ESME_RSERTYPDENIED: _MISFIT,
    _S.ESME_RPROHIBITED: _MISFIT,
    _S.ESME_RBINDFAIL: _MISFIT,
    _S.ESME_RINVPASWD: _MISFIT,
    _S.ESME_RINVSYSID: _MISFIT,
    # Answers to requests that the connector does not make; an SMSC that gives them to a submit_sm
    # refuses it.
    _S.ESME_RINVMSGID: _REFUSED,
    _S.ESME_RCANCELFAIL: _REFUSED,
    _S.ESME_RREPLACEFAIL: _REFUSED,
    _S.ESME_RINVDLNAME: _REFUSED,
    _S.ESME_RINVDESTFLAG: _REFUSED,
    _S.ESME_RINVSUBREP: _REFUSED,
    _S.ESME_RCNTSUBDL: _REFUSED,
    _S.ESME_RINVNUMMSGS: _REFUSED,
    _S.ESME_RQUERYFAIL: _REFUSED,
    _S.ESME_RINVBCASTFREQINT: _REFUSED,
    _S.ESME_RINVBCASTALIAS_NAME: _REFUSED,
    _S.ESME_RINVBCASTAREAFMT: _REFUSED,
    _S.ESME_RINVNUMBCAST_AREAS: _REFUSED,
    _S.ESME_RINVBCASTCNTTYPE: _REFUSED,
    _S.ESME_RINVBCASTMSGCLASS: _REFUSED,
    _S.ESME_RBCASTFAIL: _REFUSED,
    _S.ESME_RBCASTQUERYFAIL: _REFUSED,
    _S.ESME_RBCASTCANCELFAIL: _REFUSED,
    _S.ESME_RINVBCAST_REP: _REFUSED,
    _S.ESME_RINVBCASTSRVGRP: _REFUSED,
    _S.ESME_RINVBCASTCHANIND: _REFUSED,
}

# message_state -> the state of the part, SUBMITTED for news that are not the end. An operator
# that deleted a message, skipped it or lost sight of it has not delivered it.
STATES: dict[int, MessageState] = {
    SmppState.SCHEDULED: MessageState.SUBMITTED,
    SmppState.ENROUTE: MessageState.SUBMITTED,
    SmppState.ACCEPTED: MessageState.SUBMITTED,
    SmppState.DELIVERED: MessageState.DELIVERED,
    SmppState.EXPIRED: MessageState.EXPIRED,
    SmppState.DELETED: MessageState.UNDELIVERABLE,
    SmppState.UNDELIVERABLE: MessageState.UNDELIVERABLE,
    SmppState.UNKNOWN: MessageState.UNDELIVERABLE,
    SmppState.REJECTED: MessageState.REJECTED,
    SmppState.SKIPPED: MessageState.UNDELIVERABLE,
}

ERR_CODES: dict[int, int] = {
    # The API's own codes, which another platform with the same API reports as they are.
    **{code: code for code in (1, 6, 11, 12, 13, 21, 200, 219, 220, *range(237, 256))},
    5: 1,  # unidentified subscriber
    9: 13,  # illegal subscriber
    27: 6,  # absent subscriber
    31: 6,  # subscriber busy for short messages
    32: 12,  # delivery failure: memory full, protocol or equipment error
    33: 220,  # message waiting list full
}

_USUAL = {MessageState.EXPIRED: 6}


def read_err(state: MessageState, *errs: int | None) -> int:
    """The API's error code for a part's end; `errs` are the upstream's numbers, best source first.

    0 for a delivered part and for news that are not the end.
    """
    if state is MessageState.DELIVERED or state is MessageState.SUBMITTED:
        return 0
    for err in errs:
        if err is not None and (code := ERR_CODES.get(err)) is not None:
            return code
    return _USUAL.get(state, _NO_REASON)
