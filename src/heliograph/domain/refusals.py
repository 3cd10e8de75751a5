"""Every refusal that the platform can give, for one request or for one recipient.

Doors translate: each gateway owns one total table from `Refusal` to its own codes, and a test
proves the table total. A refusal is a value and not an exception, because refusing is ordinary
work.
"""

from __future__ import annotations

from enum import Enum, unique

from heliograph.domain.messages import MessageState

__all__ = ["RECIPIENT_OUTCOMES", "Refusal"]


@unique
class Refusal(Enum):
    """Why something was not done. The value is the reason shown to people in logs and timelines."""

    BAD_PARAMETERS = "a parameter is missing or not valid"
    NOT_AUTHORISED = "wrong login, password or key, or the address is not on the account's list"
    NO_FUNDS = "the balance does not cover the price"
    ADDRESS_BLOCKED = "too many wrong requests from this address"
    BAD_DATE = "the time of sending is not understood"
    TEXT_DENIED = "the text is not allowed"
    SENDER_DENIED = "the sender name is not allowed"
    BAD_NUMBER = "the number is not a valid recipient"
    NO_ROUTE = "no route carries this message"
    DUPLICATE = "the same request came within a minute"
    TOO_MANY_REQUESTS = "too many requests in a minute"
    TOO_MANY_AT_ONCE = "too many requests at once"
    NOT_FOUND = "there is no such record"
    NOT_DELETED = "the message could not be deleted"
    NO_SUCH_ACCOUNT = "there is no such account below this one"
    SHARED_BALANCE = "the balance is shared, or the amount is on the other balance of the account"
    NOT_SAVED = "the record could not be saved"
    WRONG_CODE = "the confirmation code is not the one that was sent"
    NOT_ALLOWED = "the account may not do this"
    NUMBER_BLOCKED = "the number is on a black list"
    NUMBER_LIMIT = "the limit of messages to one number is reached"
    ACCOUNT_LIMIT = "the account's limit of messages is reached"
    OUTSIDE_HOURS = "outside the hours in which the account may send"
    CODE_DENIED = "the account may not send to numbers of this code"
    MAILINGS_DENIED = "the account may not send, or not so many messages at once"
    OVERLOADED = "the gateway takes no messages at the moment; nothing was accepted"
    SYSTEM_ERROR = "an unexpected error; nothing was accepted"


# What a recipient's refusal makes of its message: the final state and the error code inside the
# status (reference: code tables, "usual pairs").
RECIPIENT_OUTCOMES: dict[Refusal, tuple[MessageState, int]] = {
    Refusal.BAD_NUMBER: (MessageState.INVALID_NUMBER, 249),
    Refusal.NO_ROUTE: (MessageState.NO_ROUTE, 248),
    Refusal.NO_FUNDS: (MessageState.NO_FUNDS, 0),
    Refusal.TEXT_DENIED: (MessageState.FORBIDDEN, 253),
    Refusal.SENDER_DENIED: (MessageState.FORBIDDEN, 254),
    Refusal.NUMBER_BLOCKED: (MessageState.FORBIDDEN, 250),
    Refusal.NUMBER_LIMIT: (MessageState.FORBIDDEN, 251),
    Refusal.ACCOUNT_LIMIT: (MessageState.FORBIDDEN, 247),
    Refusal.OUTSIDE_HOURS: (MessageState.FORBIDDEN, 246),
    Refusal.CODE_DENIED: (MessageState.FORBIDDEN, 250),
    Refusal.MAILINGS_DENIED: (MessageState.FORBIDDEN, 244),
    Refusal.DUPLICATE: (MessageState.FORBIDDEN, 251),
}
