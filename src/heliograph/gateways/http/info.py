"""`info.php`: whose a number is; `get_mnp.php`: ported numbers (data reference, 7 and 8)."""

from __future__ import annotations

from datetime import date

from heliograph.domain.lists import split_recipients
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Document, Reply
from heliograph.gateways.http.dates import parse_day
from heliograph.gateways.http.repetition import count_equal
from heliograph.protocols.forms.replies import (
    Format,
    Record,
    write_json,
    write_list,
    write_record,
    write_xml,
)
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["get_mnp", "info"]

MAX_NUMBERS = 1_000
_EPOCH = date(1970, 1, 1)
_CSV_HEAD = "Phone;mccmnc"


async def info(call: Call) -> Reply:
    """`get_operator=1`: country, operator, region, network and zone of one number or several."""
    limits = call.services.limits
    refusal = limits.count(call.account, "info-any", "") or count_equal(call, "info")
    if refusal is not None:
        return call.refuse(refusal)
    text = call.fields.get("phone", "")
    phones = split_recipients(text)
    if not (
        is_true(call.fields.get("get_operator", ""))
        and call.parameters.is_whole
        and 0 < len(phones) <= MAX_NUMBERS
    ):
        return call.refuse(Refusal.BAD_PARAMETERS)
    lookups = call.services.data.lookups
    known = [found for phone in phones if (found := lookups.number(call.account, phone))]
    if not known:
        return call.refuse(Refusal.NOT_FOUND)
    records: list[Record] = [found._asdict() for found in known]
    if call.fmt == Format.TEXT:
        # A client cuts the line at its commas and counts.
        records = [{name: str(v).replace(", ", " ") for name, v in r.items()} for r in records]
    # A comma behind a single number asks for a list, as in status.php.
    if "," in text or len(phones) > 1 or call.fmt in (Format.TEXT, Format.NUMBERS):
        return Reply(write_list(call.fmt, records, item="info"))
    record = {name: value for name, value in records[0].items() if name != "phone"}
    return Reply(write_record(call.fmt, record, root="info"))


async def get_mnp(call: Call) -> Reply:
    """With `date` the changes of that day; without, all ported numbers as a CSV file."""
    refusal = count_equal(call, "get_mnp")
    if refusal is not None:
        return call.refuse(refusal)
    try:
        day = parse_day(call.fields.get("date", ""))
    except ValueError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    if not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    lookups = call.services.data.lookups
    if day is None:
        pages = [_write_lines(page) async for page in lookups.ported()]
        content = "\n".join([_CSV_HEAD, *pages, ""]).encode()
        return Reply("", document=Document("text/csv; charset=utf-8", "mnp.csv", content))
    number_of_day = (day - _EPOCH).days
    if call.fmt in (Format.TEXT, Format.NUMBERS):
        pages = [_write_lines(page) async for page in lookups.ported(number_of_day)]
        return Reply("\n".join([_CSV_HEAD, *pages]))
    pages = [_write_records(call.fmt, page) async for page in lookups.ported(number_of_day)]
    if call.fmt == Format.JSON:
        return Reply("[\n" + ",\n".join(pages) + "\n]" if pages else "[]")
    return Reply("\n".join(["<list>", *pages, "</list>"]))


def _write_lines(page: list[tuple[str, str]]) -> str:
    return "\n".join(map(";".join, page))


def _write_records(fmt: Format, page: list[tuple[str, str]]) -> str:
    """A page without what stands around all of them."""
    records = [{"phone": number, "mccmnc": mccmnc} for number, mccmnc in page]
    if fmt == Format.JSON:
        return write_json(records).removeprefix("[\n").removesuffix("\n]")
    return "\n".join(write_xml("number", record) for record in records)
