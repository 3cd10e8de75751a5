"""Which PDU is legal when: the state table of an SMPP session.

Theory of operation
===================

Both ends of a connection keep the same state, and both move it by the same table. A connection
begins OPEN. The ESME asks for one of three binds; from then until the answer the session is
BINDING, and a good answer makes it BOUND_TX, BOUND_RX or BOUND_TRX, a bad one OPEN again. The SMSC
may ask for a bind by outbind, which makes it OUTBOUND. Either end may unbind: while the
answer is awaited the session is UNBINDING, then it is UNBOUND, and nothing but closing is left.
A fatal error or timer makes it CLOSED from anywhere.

Two rules explain the rest:

1. *Requests are judged by the state, responses by the request.* ``LEGAL_REQUESTS`` says what each
   role may ask in each state (SMPP 3.4 table 2-1, SMPP 5.0 table 2-1). A response is legal exactly
   when a request with its sequence number waits for it, in any state.

2. *Unbinding stops new requests of ours, not the peer's.* Requests that crossed our unbind on the
   wire were legal when they were sent, so UNBINDING accepts what BOUND_TRX accepts, until the
   unbind_resp. This also covers both ends unbinding at once.

Where the versions differ the table is the union: 5.0 lets enquire_link run before the bind, and
bind_transceiver follow outbind. ``BINDING`` and ``UNBINDING`` are ours: the standard has no name
for the time between a request and its answer, and the second bind falls into just that time.
"""

from __future__ import annotations

from enum import Enum

from .constants import CommandId


class Role(Enum):
    """Who we are on this connection."""

    ESME = "esme"
    SMSC = "smsc"


class SessionState(Enum):
    """Where a session is in its life (SMPP 3.4 section 2.2)."""

    OPEN = "open"
    OUTBOUND = "outbound"
    BINDING = "binding"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    UNBOUND = "unbound"
    CLOSED = "closed"


BOUND_STATES = frozenset({SessionState.BOUND_TX, SessionState.BOUND_RX, SessionState.BOUND_TRX})

_BINDS = frozenset(
    {CommandId.BIND_TRANSMITTER, CommandId.BIND_RECEIVER, CommandId.BIND_TRANSCEIVER}
)
_LINK = frozenset({CommandId.ENQUIRE_LINK})
_BOUND = _LINK | {CommandId.UNBIND}
_ESME_TX = _BOUND | {
    CommandId.SUBMIT_SM,
    CommandId.SUBMIT_MULTI,
    CommandId.DATA_SM,
    CommandId.QUERY_SM,
    CommandId.CANCEL_SM,
    CommandId.REPLACE_SM,
}
_SMSC_RX = _BOUND | {
    CommandId.DELIVER_SM,
    CommandId.DATA_SM,
    CommandId.ALERT_NOTIFICATION,
}
_NONE: frozenset[CommandId] = frozenset()

# role that issues -> state -> commands it may issue
LEGAL_REQUESTS: dict[Role, dict[SessionState, frozenset[CommandId]]] = {
    Role.ESME: {
        SessionState.OPEN: _BINDS | _LINK,
        SessionState.OUTBOUND: _LINK | {CommandId.BIND_RECEIVER, CommandId.BIND_TRANSCEIVER},
        SessionState.BINDING: _LINK,
        SessionState.BOUND_TX: _ESME_TX,
        SessionState.BOUND_RX: _BOUND,
        SessionState.BOUND_TRX: _ESME_TX,
        SessionState.UNBINDING: _NONE,
        SessionState.UNBOUND: _NONE,
        SessionState.CLOSED: _NONE,
    },
    Role.SMSC: {
        SessionState.OPEN: _LINK | {CommandId.OUTBIND},
        SessionState.OUTBOUND: _LINK,
        SessionState.BINDING: _LINK,
        SessionState.BOUND_TX: _BOUND,
        SessionState.BOUND_RX: _SMSC_RX,
        SessionState.BOUND_TRX: _SMSC_RX,
        SessionState.UNBINDING: _NONE,
        SessionState.UNBOUND: _NONE,
        SessionState.CLOSED: _NONE,
    },
}

# (state, what was sent or received with good status) -> next state
TRANSITIONS: dict[tuple[SessionState, CommandId], SessionState] = {
    (SessionState.OPEN, CommandId.OUTBIND): SessionState.OUTBOUND,
    (SessionState.OPEN, CommandId.BIND_TRANSMITTER): SessionState.BINDING,
    (SessionState.OPEN, CommandId.BIND_RECEIVER): SessionState.BINDING,
    (SessionState.OPEN, CommandId.BIND_TRANSCEIVER): SessionState.BINDING,
    (SessionState.OUTBOUND, CommandId.BIND_RECEIVER): SessionState.BINDING,
    (SessionState.OUTBOUND, CommandId.BIND_TRANSCEIVER): SessionState.BINDING,
    (SessionState.BINDING, CommandId.BIND_TRANSMITTER_RESP): SessionState.BOUND_TX,
    (SessionState.BINDING, CommandId.BIND_RECEIVER_RESP): SessionState.BOUND_RX,
    (SessionState.BINDING, CommandId.BIND_TRANSCEIVER_RESP): SessionState.BOUND_TRX,
    (SessionState.BOUND_TX, CommandId.UNBIND): SessionState.UNBINDING,
    (SessionState.BOUND_RX, CommandId.UNBIND): SessionState.UNBINDING,
    (SessionState.BOUND_TRX, CommandId.UNBIND): SessionState.UNBINDING,
    (SessionState.UNBINDING, CommandId.UNBIND): SessionState.UNBINDING,
    (SessionState.UNBINDING, CommandId.UNBIND_RESP): SessionState.UNBOUND,
}


def legal_from_peer(role: Role, state: SessionState) -> frozenset[CommandId]:
    """Commands that the other end may issue to us (``role``) in this state; rule 2 included."""
    peer = Role.SMSC if role is Role.ESME else Role.ESME
    if state is SessionState.UNBINDING:
        state = SessionState.BOUND_TRX
    return LEGAL_REQUESTS[peer][state]
