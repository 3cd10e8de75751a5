"""`users.php`: sub-clients. Operations are flags: `add`, `chg`, `pay`, `get_stat`, `get_stat_all`.

Who may do what is decided by `services.subclients`; this is the form of requests and replies.
"""

from __future__ import annotations

import asyncio
import re
import time
from calendar import timegm
from collections.abc import Awaitable, Callable
from functools import cache, partial

from heliograph.domain.money import format_micros, parse_micros
from heliograph.domain.refusals import Refusal
from heliograph.domain.subclients import SubclientChanges
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.send_request import ParameterError
from heliograph.gateways.http.subclient_settings import read_changes
from heliograph.protocols.forms.replies import (
    Format,
    Record,
    write_created,
    write_done,
    write_list,
)
from heliograph.protocols.forms.urlencoded import is_true
from heliograph.services.statistics import Selection, SubclientDetail, SubclientSums

__all__ = ["users"]

_MANY_LINES = 1_000
_DAY_MS = 86_400_000
_LAST_DAY = 2_900_000  # "from then on": into the year 9909
_DATE = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)
_ID = re.compile(r"\d{1,15}", re.ASCII)


async def users(call: Call) -> Reply:
    """One operation on sub-clients (users.php reference)."""
    if not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    for name, operation in _OPERATIONS.items():
        if is_true(call.fields.get(name, "")):
            try:
                return await operation(call)
            except ParameterError:
                return call.refuse(Refusal.BAD_PARAMETERS)
    return call.refuse(Refusal.BAD_PARAMETERS)


async def _add(call: Call) -> Reply:
    refusal = call.services.limits.count(call.account, "users-add", "")
    if refusal is not None:
        return call.refuse(refusal)
    login = _require(call, "user")
    changes = read_changes(call.fields, is_new=True)
    if changes.password is None:
        raise ParameterError("password: missing")
    made = await call.services.subclients.add(call.account, login, changes)
    if isinstance(made, Refusal):
        return call.refuse(made)
    await _grant_names(call, made, changes)
    return Reply(write_created(call.fmt, str(made)))


async def _grant_names(call: Call, account_id: int, changes: SubclientChanges) -> None:
    """Who gives a sub-client a name to send under lets it use that name."""
    names = [name for name in (changes.sender, changes.settings.get("sender2")) if name]
    if names:
        await call.services.books.senders.grant(call.account, account_id, names)


async def _change(call: Call) -> Reply:
    login = call.fields.get("user", "").strip()
    known = call.services.subclients.find(call.account, login)
    # By its id: another name does not make it another sub-client.
    key = login[:64] if known is None else str(known.id)
    refusal = call.services.limits.count(call.account, "users-chg", key)
    if refusal is not None:
        return call.refuse(refusal)
    login = _require(call, "user")
    changes = read_changes(call.fields, is_new=False)
    refusal = await call.services.subclients.change(
        call.account, login, changes, present_password=call.fields.get("pswc", "")
    )
    if refusal is None and known is not None:
        await _grant_names(call, known.id, changes)
    return Reply(write_done(call.fmt)) if refusal is None else call.refuse(refusal)


async def _pay(call: Call) -> Reply:
    login = _require(call, "user")
    try:
        amount_micros = parse_micros(_require(call, "sum"))
    except ValueError as error:
        raise ParameterError(f"sum: {error}") from None
    if not amount_micros:
        raise ParameterError("sum: zero")
    refusal = await call.services.subclients.pay(
        call.account, login, amount_micros, is_electronic=_is_electronic(call)
    )
    return Reply(write_done(call.fmt)) if refusal is None else call.refuse(refusal)


async def _show_sums(call: Call) -> Reply:
    refusal = _count_question(call)
    if refusal is not None:
        return call.refuse(refusal)
    found = await call.services.statistics.subclients(call.account, _read_selection(call))
    if isinstance(found, Refusal):
        return call.refuse(found)
    if len(found) <= _MANY_LINES:
        return Reply(_write_sums(call.fmt, found))
    # By a thread: it would hold up everybody else's requests.
    return Reply(await asyncio.to_thread(_write_sums, call.fmt, found))


def _write_sums(fmt: Format, sums: list[SubclientSums]) -> str:
    is_full = fmt == Format.JSON
    return write_list(fmt, [_sums_record(each, is_full=is_full) for each in sums], item="stat")


async def _show_details(call: Call) -> Reply:
    refusal = _count_question(call)
    if refusal is not None:
        return call.refuse(refusal)
    found = await call.services.statistics.details(call.account, _read_selection(call))
    if isinstance(found, Refusal):
        return call.refuse(found)
    if len(found) <= _MANY_LINES:
        return Reply(_write_details(call, found))
    return Reply(await asyncio.to_thread(_write_details, call, found))


def _write_details(call: Call, details: list[SubclientDetail]) -> str:
    # A few networks and days on thousands of lines.
    names_of = cache(partial(call.services.statistics.names_of, language=call.account.language))
    date_of = cache(_write_day)
    records = [_detail_record(each, *names_of(each.mccmnc), date_of(each.day)) for each in details]
    return write_list(call.fmt, records, item="stat")


# In the order of the reference's table: of several flags the first one counts.
_OPERATIONS: dict[str, Callable[[Call], Awaitable[Reply]]] = {
    "add": _add,
    "chg": _change,
    "pay": _pay,
    "get_stat": _show_sums,
    "get_stat_all": _show_details,
}
_QUESTION = (
    "get_stat",
    "get_stat_all",
    "start",
    "end",
    "reseller",
    "user",
    "user_id",
    "balance2",
    "mycur",
    "mycurr",
)


def _require(call: Call, name: str) -> str:
    value = call.fields.get(name, "").strip()
    if not value:
        raise ParameterError(f"{name}: missing")
    return value


def _is_electronic(call: Call) -> bool:
    return is_true(call.fields.get("balance2", ""))


def _count_question(call: Call) -> Refusal | None:
    """Three identical questions a minute."""
    key = "&".join(f"{name}={call.fields.get(name, '')[:64]}" for name in _QUESTION)
    return call.services.limits.count(call.account, "users-stat", key)


def _read_selection(call: Call) -> Selection:
    fields = call.fields
    number = fields.get("user_id", "").strip()
    if number and not _ID.fullmatch(number):
        raise ParameterError("user_id: not a number")
    start, end = fields.get("start", "").strip(), fields.get("end", "").strip()
    if start or end:
        days = _read_day(start) if start else 0, _read_day(end) if end else _LAST_DAY
    else:
        days = _first_of_month(call.services.statistics.today()), _LAST_DAY
    if days[0] > days[1]:
        raise ParameterError("start: after the end")
    return Selection(
        days=days,
        has_balance=is_true(fields.get("reseller", "")),
        login=fields.get("user", "").strip(),
        account_id=int(number or 0),
        is_electronic=_is_electronic(call),
        in_mains_currency=is_true(fields.get("mycur", "") or fields.get("mycurr", "")),
    )


def _read_day(text: str) -> int:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ParameterError("start, end: DD.MM.YYYY")
    day, month, year = int(match[1]), int(match[2]), int(match[3])
    seconds = timegm((year, month, day, 0, 0, 0)) if year >= 1970 and 1 <= month <= 12 else 0
    moment = time.gmtime(seconds)
    if (moment.tm_mday, moment.tm_mon, moment.tm_year) != (day, month, year):
        raise ParameterError("start, end: no such day")
    return seconds * 1000 // _DAY_MS


def _first_of_month(day: int) -> int:
    return day - time.gmtime(day * _DAY_MS // 1000).tm_mday + 1


def _sums_record(sums: SubclientSums, *, is_full: bool) -> Record:
    account, currency, sent, spent_micros, paid_micros = sums
    record: dict[str, int | str] = {
        "login": account.login,
        "cnt": sent,
        "credit": format_micros(spent_micros),
        "debit": format_micros(paid_micros),
        "currency": currency,
    }
    if is_full:  # readers of lines and of XML count the fields
        record["user_id"] = account.id
        record["sms"] = sent
    return record


def _write_day(day: int) -> str:
    at = time.gmtime(day * _DAY_MS // 1000)
    return f"{at.tm_mday:02d}.{at.tm_mon:02d}.{at.tm_year}"


def _detail_record(detail: SubclientDetail, country: str, operator: str, date: str) -> Record:
    account, currency, _, type, mccmnc, sent, spent_micros = detail
    return {
        "login": account.login,
        "date": date,
        "country": country,
        "operator": operator,
        "mccmnc": mccmnc,
        "format": type,
        "cnt": sent,
        "credit": format_micros(spent_micros),
        "currency": currency,
    }
