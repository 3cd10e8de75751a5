"""`send.php`: send messages, or tell what sending them would cost."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.failures import refusal_for
from heliograph.gateways.http.send_reply import Wish, write_sent
from heliograph.gateways.http.send_request import ParameterError, build_request, read_number
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["fetch_file", "send"]

_SMALLEST_FILE = 101


def send(call: Call) -> Coroutine[Any, Any, Reply] | None:
    """Accepts the request and answers after it is on disk; with `cost=1` only prices it.

    A plain send is told its reply in the moment of the commit: the hot path has no task.
    """
    fields = call.fields
    try:
        cost = read_number(fields, "cost", 3)
        request = build_request(
            call.account,
            call.parameters,
            fetches_files=call.settings.fetch is not None,
            max_recipients=call.settings.max_recipients,
        )
    except ParameterError:
        call.tell(call.refuse(Refusal.BAD_PARAMETERS))
        return None
    if cost == 1 or request.has_groups or "fileurl" in request.options:
        return _send_slowly(call, request, cost)
    call.services.submit.begin(request, partial(_tell, call, cost))
    return None


async def _send_slowly(call: Call, request: SendRequest, cost: int) -> Reply:
    """What has to wait for more than its commit."""
    if "fileurl" in request.options:
        try:
            await fetch_file(call, request)
        except ParameterError:
            return call.refuse(Refusal.BAD_PARAMETERS)
    submit = call.services.submit
    outcome = await (submit.estimate(request) if cost == 1 else submit.send(request))
    return _reply(call, cost, outcome)


def _tell(call: Call, cost: int, outcome: Submitted | Refused) -> None:
    try:
        reply = _reply(call, cost, outcome)
    except Exception as error:
        reply = call.refuse(refusal_for("send", error))
    call.tell(reply)


def _reply(call: Call, cost: int, outcome: Submitted | Refused) -> Reply:
    if isinstance(outcome, Refused):
        # A price query makes no message that could be asked for.
        return call.refuse(outcome.refusal, "" if cost == 1 else outcome.client_ref)
    fields = call.fields
    wish = Wish(call.fmt, cost, is_true(fields.get("op", "")), is_true(fields.get("err", "")))
    return Reply(write_sent(outcome, wish))


async def fetch_file(call: Call, request: SendRequest) -> None:
    """Takes the file that `fileurl` names as one more upload (send.php reference, section 3).
    Raises ParameterError when it can not be had."""
    assert call.settings.fetch is not None
    content = await call.settings.fetch(request.options["fileurl"])
    if content is None or len(content) < _SMALLEST_FILE:
        raise ParameterError("fileurl: the file can not be had, or it is too small")
    name = request.options["fileurl"].rpartition("/")[2][:100]
    request.options["files"] = [*request.options.get("files", ()), (name, "", content)]
