"""What the management scripts share: one operation a request, and parameters read strictly.

Operations are flag parameters; of several the first in the order of the script's table counts
(general rules, section 3). A wrong parameter raises `ParameterError`, error 1.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.replies import write_done
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["Operation", "finish", "read_id", "read_text", "require", "run_operation"]

Operation = Callable[[Call], Awaitable[Reply]]

_ID = re.compile(r"\d{1,18}", re.ASCII)


async def run_operation(call: Call, operations: Mapping[str, Operation]) -> Reply:
    """Runs the operation that the request names; error 1 without one."""
    if call.parameters.is_whole:
        for name, operation in operations.items():
            if is_true(call.fields.get(name, "")):
                try:
                    return await operation(call)
                except ParameterError:
                    break
    return call.refuse(Refusal.BAD_PARAMETERS)


def finish(call: Call, refusal: Refusal | None) -> Reply:
    """The reply to an operation that was done, or refused."""
    return Reply(write_done(call.fmt)) if refusal is None else call.refuse(refusal)


def require(call: Call, name: str) -> str:
    """A parameter that must be there, without spaces around it. Raises ParameterError."""
    value = call.fields.get(name, "").strip()
    if not value:
        raise ParameterError(f"{name}: missing")
    return value


def read_id(call: Call, name: str, *, default: int | None = None) -> int:
    """A whole number; `default` when it is absent. Raises ParameterError."""
    value = call.fields.get(name, "").strip()
    if not value and default is not None:
        return default
    if not _ID.fullmatch(value):
        raise ParameterError(f"{name}: not a whole number")
    return int(value)


def read_text(call: Call, name: str, most: int) -> str:
    """A text, cleared of zero bytes, which PostgreSQL can not hold. Raises ParameterError when it
    is longer than `most`."""
    value = call.fields.get(name, "").replace("\0", "")
    if len(value) > most:
        raise ParameterError(f"{name}: more than {most} characters")
    return value
