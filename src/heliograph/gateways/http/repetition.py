"""Equal requests: most scripts answer the same question a few times a minute, then error 9."""

from __future__ import annotations

import hashlib

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call

__all__ = ["count_equal"]

# Names that say who asks and in which form, and not what.
_FORM = frozenset({"login", "psw", "apikey", "fmt", "charset"})


def count_equal(call: Call, kind: str) -> Refusal | None:
    """Counts the call among the equal ones of its account; a refusal when it is one too many.

    `kind` names the limit (`domain.limits.PER_MINUTE`). Requests are equal when the same script is
    asked for the same with the same parameters, in whatever form the answer is wanted.
    """
    asked = sorted((name, value) for name, value in call.fields.items() if name not in _FORM)
    # Lists of numbers can be long, and the counters keep their keys for a minute.
    digest = hashlib.blake2b(repr((call.script, asked)).encode(errors="replace"), digest_size=16)
    return call.services.limits.count(call.account, kind, digest.hexdigest())
