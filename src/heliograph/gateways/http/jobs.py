"""`jobs.php`: mailing lists. Operations are flags: `add`, `del`, `cancel`, `get`, `get_all`.

The parameters of a list are those of a message (`send_request`); its recipients are handed on piece
by piece, so that a million of them are never objects at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from heliograph.domain.campaigns import (
    SOURCE_RECIPIENTS,
    CampaignOrder,
    CampaignView,
    Repetition,
    Source,
    divide_recipients,
)
from heliograph.domain.lists import divide_list
from heliograph.domain.messages import MessageType
from heliograph.domain.money import format_micros
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest
from heliograph.domain.statuses import STATUS_NAMES
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.dates import day_begins_ms, parse_day
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.send import fetch_file
from heliograph.gateways.http.send_request import (
    ParameterError,
    build_request,
    check_sender,
    read_number,
)
from heliograph.protocols.forms.replies import (
    Format,
    Record,
    Value,
    write_done,
    write_list,
    write_numbers,
    write_record,
    write_text,
)
from heliograph.protocols.forms.urlencoded import is_true, read_flags
from heliograph.services.campaign_orders import source_of_entries

__all__ = ["jobs"]

_OPERATIONS = ("add", "del", "cancel", "get", "get_all")
_ID = re.compile(r"\d{1,15}", re.ASCII)
_MAX_NAME_CHARS = 250
# What `rptn` may say: as many hours as there are in a century.
_MAX_RUNS = 999_999
# The real recipients are not looked at with the other parameters.
_NOBODY = "0"


async def jobs(call: Call) -> Reply:
    """One operation on mailing lists (jobs.php reference)."""
    fields = call.fields
    operation = next((name for name in _OPERATIONS if is_true(fields.get(name, ""))), "")
    kind = "jobs-get" if operation.startswith("get") else "jobs"
    refusal = count_equal(call, kind)
    if refusal is not None:
        return call.refuse(refusal)
    if not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    try:
        match operation:
            case "add":
                return await _add(call)
            case "del" | "cancel":
                return await _end(call, operation)
            case "get":
                return await _get(call)
            case "get_all":
                return await _get_all(call)
    except ParameterError:
        pass
    return call.refuse(Refusal.BAD_PARAMETERS)


# --- orders ---------------------------------------------------------------------------------------


async def _add(call: Call) -> Reply:
    fields = call.fields
    if not fields.get("name", "").strip():
        raise ParameterError("name: missing")
    if fields.get("tpl"):
        await _take_template(call)
    order = _read_order(call)
    if "fileurl" in order.request.options:
        await fetch_file(call, order.request)
    outcome = await call.services.campaigns.add(order)
    if isinstance(outcome, Refused):
        return call.refuse(outcome.refusal)
    cost = format_micros(outcome.cost_micros) if order.wants_cost else None
    if call.fmt == Format.TEXT:
        price = "" if cost is None else f", COST - {cost}"
        return Reply(f"OK, ID - {outcome.id}{price}")
    record: dict[str, Value] = {"id": outcome.id}
    if cost is not None:
        record["cost"] = cost
    return Reply(write_record(call.fmt, record))


async def _take_template(call: Call) -> None:
    """Puts the text of a template of the account in the place of `mes`."""
    number = call.fields["tpl"]
    text = None
    if _ID.fullmatch(number):
        text = await call.services.campaigns.template_text(call.account, int(number))
    if text is None:
        raise ParameterError("tpl: no such template")
    known = call.parameters
    call.parameters = Parameters(
        known.raw,
        {**call.fields, "mes": text},
        charset=known.charset,
        files=known.files,
        is_whole=known.is_whole,
    )
    call.fields = call.parameters.fields


def _read_order(call: Call) -> CampaignOrder:
    fields = call.fields
    limit = call.services.campaigns.max_recipients
    if fields.get("list"):
        request, sources = _read_list(call, limit)
    else:
        request = _build(call, "phones", _NOBODY)
        phones = fields.get("phones", "")
        if not phones.strip():
            raise ParameterError("phones: missing")
        sources = divide_recipients(phones, limit=limit)
    rpt = read_number(fields, "rpt", max(Repetition))
    sender2 = fields.get("sender2")
    return CampaignOrder(
        request=request,
        sources=sources,
        name=fields["name"].strip()[:_MAX_NAME_CHARS],
        repetition=Repetition(rpt),
        max_runs=read_number(fields, "rptn", _MAX_RUNS),
        text2=_check_text2(fields.get("mes2", "")),
        sender2=check_sender(sender2) if sender2 else None,
        repeats=read_flags(fields, "fl").get(5, call.account.is_on("fl[5]")),
        wants_cost=bool(read_number(fields, "cost", 3)),
        zone=_read_zone(fields),
    )


def _read_zone(fields: dict[str, str]) -> str:
    """The name in `tz`, '' when it is a number or absent. Raises ParameterError."""
    name = fields.get("tz", "").strip()
    if "/" not in name:
        return ""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ParameterError("tz: no such zone") from None


def _check_text2(text: str) -> str:
    if len(text) > 1000:
        raise ParameterError("mes2: more than 1000 characters")
    return text


def _build(call: Call, name: str, value: str) -> SendRequest:
    """The request of the call with other recipients. Raises ParameterError."""
    known = call.parameters
    change = {name: value}
    if _read_zone(known.fields):
        change["tz"] = ""  # a name, which other scripts do not know
    replaced = Parameters(
        {**known.raw, **change},
        {**known.fields, **change},
        charset=known.charset,
        files=known.files,
    )
    fetches = call.settings.fetch is not None
    return build_request(call.account, replaced, fetches_files=fetches)


def _read_list(call: Call, limit: int) -> tuple[SendRequest, Iterator[Source]]:
    """A list with own texts: what all have in common, and the sources piece by piece."""
    fields = call.fields
    # The texts of a raw binary list are bytes, which no character set may touch.
    is_raw = is_true(fields.get("bin", "")) and fields["bin"] != "2"
    text = (call.parameters.raw if is_raw else fields)["list"].replace("\r\n", "\n")
    pieces = (
        piece
        for piece in divide_list(text, nl=is_true(fields.get("nl", "")), lines=SOURCE_RECIPIENTS)
        if piece.strip()
    )
    first = next(pieces, None)
    if first is None:
        raise ParameterError("list: empty")
    request = _build(call, "list", first)
    rest = chain.from_iterable(_build(call, "list", piece).entries for piece in pieces)
    entries = chain(request.entries, rest)
    common = replace(request, entries=[Entry([], request.entries[0].text)])
    return common, _divide_entries(entries, limit)


def _divide_entries(entries: Iterator[Entry], limit: int) -> Iterator[Source]:
    """Sources of not more recipients than one may have, also when one text goes to many."""
    portion: list[Entry] = []
    room = SOURCE_RECIPIENTS
    total = 0
    for entry in entries:
        total += len(entry.recipients)
        if total > limit:
            raise ValueError(f"more than {limit} recipients")
        left = entry.recipients
        while left:
            portion.append(Entry(left[:room], entry.text, entry.sender, entry.tz_minutes))
            taken, left = min(room, len(left)), left[room:]
            room -= taken
            if not room:
                yield source_of_entries(portion)
                portion, room = [], SOURCE_RECIPIENTS
    if portion:
        yield source_of_entries(portion)


# --- lists that are there -------------------------------------------------------------------------


def _read_id(call: Call) -> int:
    value = call.fields.get("id", "").strip()
    if not _ID.fullmatch(value):
        raise ParameterError("id: missing, or no number")
    return int(value)


async def _end(call: Call, operation: str) -> Reply:
    campaigns = call.services.campaigns
    use = campaigns.delete if operation == "del" else campaigns.cancel
    if not await use(call.account, _read_id(call)):
        return call.refuse(Refusal.NOT_FOUND)
    return Reply(write_done(call.fmt))


async def _get(call: Call) -> Reply:
    view = await call.services.campaigns.find(call.account, _read_id(call))
    if view is None:
        return call.refuse(Refusal.NOT_FOUND)
    return Reply(_write(call.fmt, _record(call, view)))


async def _get_all(call: Call) -> Reply:
    zone = call.settings.zone
    try:
        start = parse_day(call.fields.get("start", ""))
        end = parse_day(call.fields.get("end", ""))
    except ValueError:
        return call.refuse(Refusal.BAD_DATE)
    found = await call.services.campaigns.find_all(
        call.account,
        since_ms=0 if start is None else day_begins_ms(start, zone),
        until_ms=None if end is None else day_begins_ms(end + timedelta(days=1), zone),
    )
    records = [_record(call, view) for view in found]
    if call.fmt in (Format.JSON, Format.XML):
        return Reply(write_list(call.fmt, records, item="job"))
    if not records:
        return call.refuse(Refusal.NOT_FOUND)  # a body is never empty
    return Reply("\n".join(_write(call.fmt, record) for record in records))


def _record(call: Call, view: CampaignView) -> Record:
    campaign = view.campaign
    names = STATUS_NAMES[view.status]
    starts_at = campaign.next_run_at or campaign.planned_at
    return {
        "id": campaign.id,
        "name": campaign.name,
        "status": view.status,
        "status_name": names[1] if call.account.language == "ru" else names[0],
        "cnt": view.message_count,
        "cost": format_micros(view.cost_micros),
        "sender": campaign.sender,
        "format": int(campaign.type),
        "message": _shown(campaign.type, campaign.text),
        "created": _moment(call, campaign.created_at),
        "time": _moment(call, starts_at) if starts_at else "",
        "rpt": int(campaign.repetition),
        "delivered": view.delivered,
        "failed": view.failed,
    }


def _shown(type: MessageType, text: str) -> str:
    return "" if type is MessageType.HLR else text


def _moment(call: Call, at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, call.settings.zone).strftime("%d.%m.%Y %H:%M:%S")


def _write(fmt: Format, record: Record) -> str:
    if fmt == Format.NUMBERS:
        return write_numbers(list(record.values()))
    if fmt == Format.TEXT:
        # Lines begin with the id alone: clients cut it off (jobs.php reference, section 3).
        rest = {name: value for name, value in record.items() if name != "id"}
        return f"{record['id']}, {write_text(rest)}"
    return write_record(fmt, record, root="job")
