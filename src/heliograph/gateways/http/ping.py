"""`ping.php`: an outside system lets a task group be notified (templates reference, section 3)."""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.domain.texts import MAX_TEXT_CHARS
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.operations import finish, read_id, read_text
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["ping"]


async def ping(call: Call) -> Reply:
    """Sends the group's notification of a failure, or with `ok=1` of a recovery."""
    refusal = count_equal(call, "ping")
    if refusal is not None:
        return call.refuse(refusal)
    if not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    try:
        number = read_id(call, "id")
        values = {name: read_text(call, name, MAX_TEXT_CHARS) for name in ("name", "host", "info")}
    except ParameterError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    is_recovery = is_true(call.fields.get("ok", ""))
    return finish(
        call,
        await call.services.books.tasks.notify(
            call.account, number, values, is_recovery=is_recovery
        ),
    )
