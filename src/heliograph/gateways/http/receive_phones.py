"""`receive_phones.php`: dedicated numbers and their rent (status reference, section 4)."""

from __future__ import annotations

from heliograph.domain.money import format_micros
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.dates import day_of, format_day
from heliograph.gateways.http.operations import finish, require, run_operation
from heliograph.gateways.http.repetition import count_equal
from heliograph.protocols.forms.replies import Format, Value, write_list
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["receive_phones"]


async def receive_phones(call: Call) -> Reply:
    """Lists, rents, or changes a rent."""
    refusal = count_equal(call, "receive_phones")
    if refusal is not None:
        return call.refuse(refusal)
    operations = {"get": _list, "gets": _list, "buy": _rent, "chg": _change}
    return await run_operation(call, operations)


async def _list(call: Call) -> Reply:
    """`get=1`: numbers that can be rented, and those that are."""
    records: list[dict[str, Value]] = []
    for each in await call.services.data.rentals.list(call.account):
        record: dict[str, Value] = {
            "phone": each.number,
            "cost": format_micros(each.cost_micros),
            "country": each.country.replace(",", ""),
        }
        if each.is_mine:
            till = day_of(each.paid_until - 1, call.settings.zone) if each.paid_until else None
            record["noprolong"] = int(each.is_ending)
            record["till"] = "" if till is None else format_day(till)
        records.append(record)
    if not records and call.fmt in (Format.TEXT, Format.NUMBERS):
        return call.refuse(Refusal.NOT_FOUND)  # a body is never empty
    return Reply(write_list(call.fmt, records, item="phone", root="result"))


async def _rent(call: Call) -> Reply:
    """`buy=1`: the rest of the month is charged."""
    number, is_ending = _read(call)
    refusal = await call.services.data.rentals.rent(call.account, number, is_ending=is_ending)
    return finish(call, refusal)


async def _change(call: Call) -> Reply:
    """`chg=1`: whether the next month is to be charged."""
    number, is_ending = _read(call)
    refusal = await call.services.data.rentals.change(call.account, number, is_ending=is_ending)
    if refusal is not None:
        return call.refuse(Refusal.NOT_FOUND)
    return finish(call, None)


def _read(call: Call) -> tuple[str, bool]:
    phone = require(call, "phone")
    return normalise_recipient(phone) or phone, is_true(call.fields.get("noprolong", ""))
