"""`get.php`: what an account sent, what it received, what it spent, and what things cost.

The operation is a flag parameter; of several the first one in the order of the reference is done
(data reference, sections 1 to 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from heliograph.domain.money import format_micros
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.dates import day_begins_ms, day_of, parse_day
from heliograph.gateways.http.history import list_answers, list_messages
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.senders import list_senders
from heliograph.protocols.forms.replies import Format, Record, write_json, write_list
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["get"]

Operation = Callable[[Call], Awaitable[Reply]]
_PRICE_KINDS = ("api", "mass", "mms", "hlr", "call")


async def get(call: Call) -> Reply:
    """Does the operation that is asked for."""
    refusal = count_equal(call, "get")
    if refusal is not None:
        return call.refuse(refusal)
    operation = next((do for name, do in _OPERATIONS if is_true(call.fields.get(name, ""))), None)
    if operation is None or not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    return await operation(call)


async def _show_statistics(call: Call) -> Reply:
    """`get_stat=1`: messages and money of a period, a row for each currency."""
    zone = call.settings.zone
    today = day_of(call.services.data.history.now_ms(), zone)
    try:
        end = parse_day(call.fields.get("end", ""))
        start = parse_day(call.fields.get("start", ""))
    except ValueError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    if start is None:
        start = end or today
    end = end or max(today, start)
    if end < start:
        return call.refuse(Refusal.BAD_PARAMETERS)
    sums = await call.services.data.summaries.of_account(
        call.account,
        (start, end),
        (day_begins_ms(start, zone), day_begins_ms(end, zone) + 86_400_000),
        electronic=is_true(call.fields.get("balance2", "")),
        in_own_currency=is_true(call.fields.get("mycur", "")),
    )
    records: list[Record] = []
    for each in sums:
        record: dict[str, str | int] = {
            "login": call.account.login.replace(",", " "),
            "cnt": each.count,
            "credit": format_micros(each.spent_micros),
            "debit": format_micros(each.paid_micros),
            "currency": each.currency,
        }
        if call.fmt == Format.JSON:
            # A client that was written from another edition of the reference calls it so.
            record["sms"] = each.count
        records.append(record)
    return Reply(write_list(call.fmt, records, item="stat"))


async def _show_prices(call: Call) -> Reply:
    """`get_price=1`: what a part costs, by zone and kind of traffic."""
    zones = call.services.data.lookups.prices(call.account)
    records: list[Record] = []
    for zone in zones:
        name = zone.name if call.fmt in (Format.JSON, Format.XML) else zone.name.replace(",", "")
        prices = {
            kind: "" if price is None else format_micros(price)
            for kind, price in zip(_PRICE_KINDS, zone.prices, strict=True)
        }
        records.append({"zone": zone.zone, "name": name, **prices})
    if call.fmt == Format.JSON:
        return Reply(write_json({"zones": records, "currency": call.account.currency}))
    if not records and call.fmt != Format.XML:
        return call.refuse(Refusal.NOT_FOUND)  # a body is never empty
    return Reply(write_list(call.fmt, records, item="zone"))


async def _show_megafon_accounts(call: Call) -> Reply:
    """`get_mega_accounts=1`: there are none of these here."""
    return call.refuse(Refusal.NOT_FOUND)


_OPERATIONS: tuple[tuple[str, Operation], ...] = (
    ("get_messages", list_messages),
    ("get_message", list_messages),  # as one client spells it
    ("get_answers", list_answers),
    ("get_stat", _show_statistics),
    ("get_senders", list_senders),
    ("get_price", _show_prices),
    ("get_mega_accounts", _show_megafon_accounts),
)
