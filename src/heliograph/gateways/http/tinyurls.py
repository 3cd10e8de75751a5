"""`tinyurls.php`: how often a short link was followed (data reference, section 9)."""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.operations import run_operation
from heliograph.gateways.http.repetition import count_equal
from heliograph.protocols.forms.replies import Format, Value, write_record

__all__ = ["tinyurls"]


async def tinyurls(call: Call) -> Reply:
    """Does the one operation that there is."""
    refusal = count_equal(call, "tinyurls")
    if refusal is not None:
        return call.refuse(refusal)
    return await run_operation(call, {"get": _show})


async def _show(call: Call) -> Reply:
    """`get=1`: clicks of a link by its target or its id."""
    target, code = call.fields.get("link", "").strip(), call.fields.get("id", "").strip()
    if not target and not code:
        return call.refuse(Refusal.BAD_PARAMETERS)
    # A short address may be given in either place.
    code = code.rpartition("/")[2]
    found = await call.services.data.short_links.describe(call.account, target=target, code=code)
    if found is None:
        return call.refuse(Refusal.NOT_FOUND)
    record: dict[str, Value] = {
        "id": found.id,
        "cnt": found.clicks,
        "cnt_mon": found.month_clicks,
        "cnt_day": found.day_clicks,
        "cnt_yes": found.yesterday_clicks,
    }
    if call.fmt in (Format.XML, Format.JSON):
        record |= {"link": found.target, "short": found.address}
    return Reply(write_record(call.fmt, record))
