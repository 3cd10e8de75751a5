"""From refusals of the platform to what the sending mail server is told.

A well-formed mail is taken whatever became of the order in it (smtp reference, section 4): its
owner reads the outcome in the request log. Only what is over in a while is left to the sending
server to try again: then nothing was accepted.
"""

from __future__ import annotations

from heliograph.domain.refusals import Refusal

__all__ = ["REPLIES", "TAKEN", "TRY_LATER"]

TAKEN = "250 2.0.0 OK"
TRY_LATER = "451 4.3.0 Try again later"

REPLIES: dict[Refusal, str] = dict.fromkeys(Refusal, TAKEN) | {
    Refusal.OVERLOADED: TRY_LATER,
    Refusal.SYSTEM_ERROR: TRY_LATER,
    Refusal.TOO_MANY_AT_ONCE: TRY_LATER,
    Refusal.ADDRESS_BLOCKED: "450 4.7.0 Too many failures from this address, try again later",
}
