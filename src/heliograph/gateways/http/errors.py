"""From refusals of the platform to the numbers and wire texts of the API, script by script.

The texts are what the old service wrote (code tables, sections 1 and 2); clients read the number.
Every table is total: a new `Refusal` without a row here fails a test.
"""

from __future__ import annotations

from heliograph.domain.refusals import Refusal

__all__ = ["ERRORS", "SYSTEM_ERROR_NUMBER", "error_of"]

# A number outside of the scripts' own tables, which clients turn into a general error. No number of
# theirs may be used: each of them says something about the request.
SYSTEM_ERROR_NUMBER = 99

_DENIED = (6, "message is denied")
_TOO_OFTEN = (9, "duplicate request, wait a minute")

_SEND: dict[Refusal, tuple[int, str]] = {
    Refusal.BAD_PARAMETERS: (1, "parameters error"),
    Refusal.NOT_AUTHORISED: (2, "authorise error"),
    Refusal.NO_FUNDS: (3, "no money"),
    Refusal.ADDRESS_BLOCKED: (4, "ip is blocked"),
    Refusal.BAD_DATE: (5, "invalid date format"),
    Refusal.TEXT_DENIED: _DENIED,
    Refusal.SENDER_DENIED: _DENIED,
    Refusal.NUMBER_BLOCKED: _DENIED,
    Refusal.NUMBER_LIMIT: _DENIED,
    Refusal.ACCOUNT_LIMIT: _DENIED,
    Refusal.OUTSIDE_HOURS: _DENIED,
    Refusal.CODE_DENIED: _DENIED,
    Refusal.MAILINGS_DENIED: _DENIED,
    Refusal.BAD_NUMBER: (7, "invalid number"),
    Refusal.NO_ROUTE: (8, "can't to deliver"),
    Refusal.DUPLICATE: _TOO_OFTEN,
    Refusal.TOO_MANY_REQUESTS: _TOO_OFTEN,
    Refusal.TOO_MANY_AT_ONCE: (9, "too many concurrent requests"),
    Refusal.NOT_FOUND: (1, "parameters error"),
    Refusal.NOT_DELETED: (1, "parameters error"),
    Refusal.NO_SUCH_ACCOUNT: (1, "parameters error"),
    Refusal.SHARED_BALANCE: (1, "parameters error"),
    Refusal.NOT_SAVED: (1, "parameters error"),
    Refusal.WRONG_CODE: (1, "parameters error"),
    Refusal.NOT_ALLOWED: _DENIED,
    # Nothing was accepted, and the same request may be repeated: what clients do on error 9.
    Refusal.OVERLOADED: (9, "too many concurrent requests"),
    Refusal.SYSTEM_ERROR: (SYSTEM_ERROR_NUMBER, "system error"),
}

# Scripts that only read do not know most of these numbers; what they can never refuse is an error
# of ours if it comes.
_READING: dict[Refusal, tuple[int, str]] = dict.fromkeys(Refusal, _SEND[Refusal.SYSTEM_ERROR]) | {
    refusal: _SEND[refusal]
    for refusal in (
        Refusal.BAD_PARAMETERS,
        Refusal.NOT_AUTHORISED,
        Refusal.ADDRESS_BLOCKED,
        Refusal.DUPLICATE,
        Refusal.TOO_MANY_REQUESTS,
        Refusal.TOO_MANY_AT_ONCE,
        Refusal.OVERLOADED,
    )
}

_CONTACTS = _READING | {
    Refusal.NOT_FOUND: (3, "record not found"),
    Refusal.NOT_SAVED: (5, "operation error"),
}
_TEMPLATES = _READING | {
    Refusal.NOT_FOUND: (3, "record not found"),
    Refusal.NOT_SAVED: (5, "save error"),
}

ERRORS: dict[str, dict[Refusal, tuple[int, str]]] = {
    "send": _SEND,
    "status": _READING
    | {
        Refusal.NOT_FOUND: (5, "message is not deleted"),
        Refusal.NOT_DELETED: (5, "message is not deleted"),
    },
    "balance": _READING,
    "jobs": _READING
    | {
        Refusal.NOT_FOUND: (3, "record not found"),
        Refusal.NOT_SAVED: (3, "save error"),
        Refusal.BAD_DATE: _SEND[Refusal.BAD_DATE],
    },
    "get": _READING | {Refusal.NOT_FOUND: (3, "record not found")},
    "info": _READING | {Refusal.NOT_FOUND: (3, "operator not found")},
    "get_mnp": _READING,
    "documents": _READING
    | {
        Refusal.NOT_FOUND: (3, "document not found"),
        Refusal.NOT_SAVED: (5, "document not created"),
        Refusal.NO_SUCH_ACCOUNT: (6, "subclient not found"),
    },
    "receive_phones": _READING
    | {Refusal.NOT_FOUND: (3, "number not found"), Refusal.NO_FUNDS: (3, "no money")},
    "wait_call": _READING
    | {
        Refusal.NO_FUNDS: (3, "no money"),
        Refusal.BAD_NUMBER: (5, "invalid number"),
        Refusal.NUMBER_LIMIT: (6, "too many calls for this number"),
        Refusal.NO_ROUTE: (6, "no number to call"),
    },
    "tinyurls": _READING | {Refusal.NOT_FOUND: (3, "link not found")},
    "users": _READING
    | {
        Refusal.NOT_FOUND: (3, "record not found"),
        Refusal.NOT_ALLOWED: (5, "operation error"),
        Refusal.NO_SUCH_ACCOUNT: (6, "subclient not found"),
        Refusal.SHARED_BALANCE: (7, "common balance"),
        Refusal.NOT_SAVED: (8, "save error"),
        Refusal.NO_FUNDS: (10, "no money"),
    },
    "phones": _CONTACTS,
    "mails": _CONTACTS,
    "templates": _TEMPLATES,
    "op_templates": _TEMPLATES,
    "senders": _READING
    | {
        Refusal.NOT_FOUND: (3, "sender not found"),
        Refusal.NO_SUCH_ACCOUNT: (3, "subclient not found"),
        Refusal.NOT_SAVED: (5, "save error"),
        Refusal.BAD_NUMBER: (7, "invalid number"),
        Refusal.NO_ROUTE: (8, "can't to deliver"),
        Refusal.DUPLICATE: (10, "code was sent already, try again after 8 hours"),
        Refusal.WRONG_CODE: (11, "wrong code"),
    },
    "ping": _SEND,
}

# Errors about a message, which the client may ask for by its id (send.php reference, 6.3).
WITH_ID = frozenset({3, 6, 7, 8})


def error_of(script: str, refusal: Refusal) -> tuple[int, str]:
    """(number, wire text) of a refusal in the replies of `script`."""
    return ERRORS[script][refusal]
