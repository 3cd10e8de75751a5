"""What of SMPP the door does, as a page: written from the tables that the code itself works by.

``python -m heliograph.gateways.smpp.conformance docs/reference/smpp-conformance.md`` renews the
page below its marker; a test holds it against the code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from heliograph.domain.messages import MessageState
from heliograph.domain.refusals import Refusal
from heliograph.gateways.smpp import deliveries
from heliograph.gateways.smpp.deliveries import SMPP_STATE
from heliograph.gateways.smpp.errors import LATE_REFUSALS, SESSION_STATUS, SUBMIT_STATUS
from heliograph.protocols.smpp.constants import (
    CommandId,
    CommandStatus,
    TlvTag,
    describe_command,
    describe_status,
)
from heliograph.protocols.smpp.receipt import STAT_BY_STATE
from heliograph.protocols.smpp.states import LEGAL_REQUESTS, Role, SessionState

__all__ = ["MARKER", "describe_conformance", "requests_taken"]

MARKER = "<!-- Below this line: written by python -m heliograph.gateways.smpp.conformance -->\n"

_C, _S, _T = CommandId, CommandStatus, TlvTag

# Requests of clients: what the door makes of them.
_TAKEN: dict[CommandId, str] = {
    _C.BIND_TRANSMITTER: "3.3, 3.4 and 5.0; the lower of both versions holds",
    _C.BIND_RECEIVER: "as bind_transmitter",
    _C.BIND_TRANSCEIVER: "as bind_transmitter",
    _C.UNBIND: "answered behind the answers that are still owed",
    _C.ENQUIRE_LINK: "answered at once, also before the bind",
    _C.SUBMIT_SM: "every field but service_type, priority_flag, replace_if_present_flag and "
    "sm_default_msg_id, which are ignored",
    _C.SUBMIT_MULTI: "numbers; distribution lists are refused; long messages have to come whole",
    _C.DATA_SM: "as submit_sm, without times",
    _C.QUERY_SM: "by message_id; source_addr is ignored",
    _C.CANCEL_SM: "by message_id, and by destination when given; without an id nothing is found",
    _C.REPLACE_SM: "a message that waits for its time; it is priced anew",
}
_SENT: dict[CommandId, str] = {
    _C.DELIVER_SM: "receipts and incoming messages, to receivers and transceivers",
    _C.ENQUIRE_LINK: "after `smpp.enquire_link_s` of silence",
    _C.UNBIND: "when the gateway stops or the account may not be bound any more",
}
_READ_TLVS: dict[TlvTag, str] = {
    _T.MESSAGE_PAYLOAD: "the text, when short_message is empty",
    _T.SAR_MSG_REF_NUM: "parts of a long message",
    _T.SAR_TOTAL_SEGMENTS: "parts of a long message",
    _T.SAR_SEGMENT_SEQNUM: "parts of a long message",
    _T.DESTINATION_PORT: "becomes a header of application ports",
    _T.SOURCE_PORT: "becomes a header of application ports",
}
_WRITTEN_TLVS: dict[int, tuple[str, str]] = {
    _T.SC_INTERFACE_VERSION: ("bind responses", "the version that holds; not to 3.3"),
    _T.RECEIPTED_MESSAGE_ID: ("receipts", "message_id"),
    _T.MESSAGE_STATE: ("receipts", "see the table of states"),
    _T.NETWORK_ERROR_CODE: ("receipts", "type 3, then the error code of the status"),
    deliveries.TAG_PRICE: ("receipts", "price, `n.nnnn`, at most six octets"),
    deliveries.TAG_FLAGS: ("receipts", "flags: the type of the message in bits 0-3"),
    deliveries.TAG_PARTS: ("receipts", "number of parts"),
    deliveries.TAG_NETWORK: ("receipts", "mobile country and network code"),
    _T.MESSAGE_PAYLOAD: ("incoming messages", "texts of more than 254 octets"),
}
# Statuses that do not come from a refusal of the platform.
_OWN_STATUSES: dict[CommandStatus, str] = {
    _S.ESME_RINVMSGLEN: "no text, or a text of more than 1000 characters",
    _S.ESME_RINVCMDLEN: "command_length or a field does not fit the PDU",
    _S.ESME_RINVCMDID: "unknown command, in generic_nack",
    _S.ESME_RINVBNDSTS: "not allowed in this state",
    _S.ESME_RALYBND: "second bind on a bound connection",
    _S.ESME_RINVSYSID: "unknown login",
    _S.ESME_RINVPASWD: "wrong password",
    _S.ESME_RBINDFAIL: "no access, wrong address, too many binds",
    _S.ESME_RINVSCHED: "schedule_delivery_time is no time, or more than a year ahead",
    _S.ESME_RINVEXPIRY: "validity_period is no time, or over before the sending",
    _S.ESME_RINVESMCLASS: "a header that does not fit; a part of a long message in submit_multi",
    _S.ESME_RINVDLNAME: "distribution lists are not kept",
    _S.ESME_RINVOPTPARSTREAM: "parameters do not fit the PDU",
    _S.ESME_ROPTPARNOTALLWD: "short_message and message_payload say different things",
    _S.ESME_RMISSINGOPTPARAM: "an incomplete set of sar_ parameters",
    _S.ESME_RINVOPTPARAMVAL: "impossible sar_ parameters",
    _S.ESME_RMSGQFUL: "more unanswered requests than the window; the disk can not be written",
    _S.ESME_RTHROTTLED: "more messages a second than allowed",
    _S.ESME_RQUERYFAIL: "query_sm: no such message",
    _S.ESME_RCANCELFAIL: "cancel_sm: nothing waits under this id",
    _S.ESME_RREPLACEFAIL: "replace_sm: nothing to replace, or no money for it",
}
# Refusals of the platform that a message can meet.
_TOLD_AT_ONCE = (
    Refusal.BAD_PARAMETERS,
    Refusal.SENDER_DENIED,
    Refusal.BAD_NUMBER,
    Refusal.DUPLICATE,
    Refusal.OVERLOADED,
    Refusal.SYSTEM_ERROR,
)


def requests_taken() -> frozenset[CommandId]:
    """What a client may ask in any state, by the state table."""
    return frozenset().union(*LEGAL_REQUESTS[Role.ESME].values())


def describe_conformance() -> str:
    """The page below its marker."""
    return "\n".join(_write())


def _write() -> Iterator[str]:
    yield "## Requests of clients\n"
    yield from _table(
        ("PDU", "command_id", "States", "Notes"),
        (
            (f"`{describe_command(c)}`", f"`{c:08X}`", _states(Role.ESME, c), note)
            for c, note in _TAKEN.items()
        ),
    )
    yield "Every other command is answered with `generic_nack` and ESME_RINVCMDID, or with"
    yield "ESME_RINVBNDSTS when it is the server's to send.\n"
    yield "## Requests of the server\n"
    yield from _table(
        ("PDU", "command_id", "States", "Notes"),
        (
            (f"`{describe_command(c)}`", f"`{c:08X}`", _states(Role.SMSC, c), note)
            for c, note in _SENT.items()
        ),
    )
    yield "## Parameters (TLVs)\n"
    yield from _table(
        ("Tag", "Name", "In", "Meaning"),
        [
            *(
                (f"`{tag:04X}`", f"`{tag.name.lower()}`", "submit_sm, data_sm, submit_multi", note)
                for tag, note in _READ_TLVS.items()
            ),
            *(
                (f"`{tag:04X}`", _name_tag(tag), place, note)
                for tag, (place, note) in _WRITTEN_TLVS.items()
            ),
        ],
    )
    yield "Other parameters of clients are ignored.\n"
    yield "## command_status\n"
    yield from _table(("Value", "Name", "When"), _statuses())
    late = ", ".join(sorted(f"*{refusal.value}*" for refusal in LATE_REFUSALS))
    yield f"Taken all the same, and told by a receipt: {late}.\n"
    yield "## States of a message\n"
    yield from _table(
        ("State here", "stat", "message_state"),
        (
            (state.name.lower(), STAT_BY_STATE[SMPP_STATE[state]], str(SMPP_STATE[state]))
            for state in MessageState
        ),
    )
    yield "To a session of 5.0 `query_sm` tells a message that waits for its time as SCHEDULED (0)."


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _states(role: Role, command: CommandId) -> str:
    found = [s.value for s in SessionState if command in LEGAL_REQUESTS[role][s]]
    return ", ".join(found)


def _name_tag(tag: int) -> str:
    return f"`{tag.name.lower()}`" if isinstance(tag, TlvTag) else "of this service"


def _statuses() -> Iterator[tuple[str, str, str]]:
    reasons: dict[int, list[str]] = {}
    for status, text in _OWN_STATUSES.items():
        reasons.setdefault(status.value, []).append(text)
    for refusal in _TOLD_AT_ONCE:
        reasons.setdefault(SUBMIT_STATUS[refusal], []).append(refusal.value)
    yield "`00000000`", "ESME_ROK", "done; a message is on disk"
    for number, texts in sorted(reasons.items()):
        yield f"`{number:08X}`", describe_status(number), "; ".join(dict.fromkeys(texts))


def is_complete() -> bool:
    """Whether the tables above say something of everything that the code does."""
    told = {status.value for status in _OWN_STATUSES}
    sent = frozenset().union(*LEGAL_REQUESTS[Role.SMSC].values())
    return (
        frozenset(_TAKEN) == requests_taken()
        and frozenset(_SENT) <= sent
        and set(SESSION_STATUS.values()) <= told
    )


def main(path: Path) -> None:
    """Renews the page."""
    head = path.read_text(encoding="utf-8").partition(MARKER)[0]
    path.write_text(f"{head}{MARKER}\n{describe_conformance()}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
