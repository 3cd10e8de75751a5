"""From refusals of the platform to command_status values (smpp reference, section 6).

Every table is total: a new `Refusal` without a row here fails a test.
"""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.protocols.smpp.constants import CommandStatus as S
from heliograph.services.authentication import SessionRefusal

__all__ = ["LATE_REFUSALS", "SESSION_STATUS", "SUBMIT_STATUS"]

# Accepted all the same, then a receipt with status 23, 24 or 25.
LATE_REFUSALS = frozenset(
    {
        Refusal.NO_FUNDS,
        Refusal.TEXT_DENIED,
        Refusal.NO_ROUTE,
        Refusal.NUMBER_BLOCKED,
        Refusal.NUMBER_LIMIT,
        Refusal.ACCOUNT_LIMIT,
        Refusal.OUTSIDE_HOURS,
        Refusal.CODE_DENIED,
        Refusal.MAILINGS_DENIED,
    }
)

# Clients retry on ESME_RTHROTTLED and ESME_RMSGQFUL and give up on the others.
SUBMIT_STATUS: dict[Refusal, int] = {
    Refusal.BAD_PARAMETERS: S.ESME_RSUBMITFAIL.value,
    Refusal.NOT_AUTHORISED: S.ESME_RINVBNDSTS.value,
    Refusal.NO_FUNDS: S.ESME_ROK.value,
    Refusal.ADDRESS_BLOCKED: S.ESME_RINVBNDSTS.value,
    Refusal.BAD_DATE: S.ESME_RINVSCHED.value,
    Refusal.TEXT_DENIED: S.ESME_ROK.value,
    Refusal.SENDER_DENIED: S.ESME_RINVSRCADR.value,
    Refusal.BAD_NUMBER: S.ESME_RINVDSTADR.value,
    Refusal.NO_ROUTE: S.ESME_ROK.value,
    Refusal.DUPLICATE: S.ESME_RTHROTTLED.value,
    Refusal.TOO_MANY_REQUESTS: S.ESME_RTHROTTLED.value,
    Refusal.TOO_MANY_AT_ONCE: S.ESME_RTHROTTLED.value,
    Refusal.NOT_FOUND: S.ESME_RINVMSGID.value,
    Refusal.NOT_DELETED: S.ESME_RCANCELFAIL.value,
    Refusal.NUMBER_BLOCKED: S.ESME_ROK.value,
    Refusal.NUMBER_LIMIT: S.ESME_ROK.value,
    Refusal.ACCOUNT_LIMIT: S.ESME_ROK.value,
    Refusal.OUTSIDE_HOURS: S.ESME_ROK.value,
    Refusal.CODE_DENIED: S.ESME_ROK.value,
    Refusal.MAILINGS_DENIED: S.ESME_ROK.value,
    # About sub-clients and sender names, which no session can ask for.
    Refusal.WRONG_CODE: S.ESME_RSYSERR.value,
    Refusal.NO_SUCH_ACCOUNT: S.ESME_RSYSERR.value,
    Refusal.SHARED_BALANCE: S.ESME_RSYSERR.value,
    Refusal.NOT_SAVED: S.ESME_RSYSERR.value,
    Refusal.NOT_ALLOWED: S.ESME_RSYSERR.value,
    Refusal.OVERLOADED: S.ESME_RMSGQFUL.value,
    Refusal.SYSTEM_ERROR: S.ESME_RSYSERR.value,
}

SESSION_STATUS: dict[SessionRefusal, int] = {
    SessionRefusal.UNKNOWN_LOGIN: S.ESME_RINVSYSID.value,
    SessionRefusal.WRONG_PASSWORD: S.ESME_RINVPASWD.value,
    SessionRefusal.NOT_ADMITTED: S.ESME_RBINDFAIL.value,
    SessionRefusal.OVERLOADED: S.ESME_RBINDFAIL.value,
}
