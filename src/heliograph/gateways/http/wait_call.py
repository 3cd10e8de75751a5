"""`wait_call.php`: a person confirms a number by calling from it (status and balance reference,
section 3).
"""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.protocols.forms.replies import Format, write_json, write_xml

__all__ = ["wait_call"]


async def wait_call(call: Call) -> Reply:
    """Names the number that is to be called within five minutes."""
    refusal = call.services.limits.count(call.account, "wait_call", "")
    if refusal is not None:
        return call.refuse(refusal)
    phone = call.fields.get("phone", "").strip()
    if not phone or not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    expected = await call.services.data.arrivals.expect_call(call.account, phone)
    if isinstance(expected, Refusal):
        return call.refuse(expected)
    number, numbers = expected
    if call.fmt == Format.JSON:
        return Reply(write_json({"phone": number, "all_phones": numbers}))
    if call.fmt == Format.XML:
        return Reply(write_xml("result", {"phone": number}))
    return Reply(number)
