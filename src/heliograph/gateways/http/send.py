"""`send.php`: send messages, or tell what sending them would cost."""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.send_reply import Wish, write_sent
from heliograph.gateways.http.send_request import ParameterError, build_request, read_number
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["fetch_file", "send"]

_SMALLEST_FILE = 101


async def send(call: Call) -> Reply:
    """Accepts the request and answers after it is on disk; with `cost=1` only prices it."""
    fields = call.fields
    try:
        cost = read_number(fields, "cost", 3)
        request = build_request(
            call.account, call.parameters, fetches_files=call.settings.fetch is not None
        )
        if "fileurl" in request.options:
            await fetch_file(call, request)
    except ParameterError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    submit = call.services.submit
    outcome = await (submit.estimate(request) if cost == 1 else submit.send(request))
    if isinstance(outcome, Refused):
        # A price query makes no message that could be asked for.
        return call.refuse(outcome.refusal, "" if cost == 1 else outcome.client_ref)
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
