"""The lists of `get.php` that are messages: those that were sent, and those from handsets.

Members, their order and their labels in lines are those of the data reference, sections 1 and 2.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from datetime import date, timedelta

from heliograph.domain.lists import split_recipients
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import exactly, normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.statuses import STATUS_NAMES
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.dates import day_begins_ms, day_of, parse_day
from heliograph.gateways.http.send_reply import format_cost
from heliograph.gateways.http.status import format_date
from heliograph.protocols.forms.replies import (
    Format,
    Value,
    identifier,
    write_list,
)
from heliograph.services.history import IncomingMessage, IncomingQuery, Period, Sent

__all__ = ["list_answers", "list_messages"]

MAX_DAYS = 184  # "at most six months", the longest six
MAX_MESSAGES = 1_000
DEFAULT_MESSAGES = 100
MAX_NUMBERS = 1_000
MAX_ANSWERS = 10_000
_MANY_ANSWERS = 1_000
MAX_HOURS = 168
_HOUR_MS = 3_600_000
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
# The order of a line and its labels, which are not those of JSON ("" : the member's own name).
_LINE = (
    ("status", "Status"),
    ("last_date", "check_time"),
    ("err", ""),
    ("send_date", ""),
    ("phone", ""),
    ("mccmnc", ""),
    ("country", ""),
    ("operator", ""),
    ("region", ""),
    ("cost", ""),
    ("sender_id", ""),
    ("status_name", ""),
    ("message", ""),
    ("type", ""),
    ("id", "ID"),
    ("int_id", ""),
    ("sms_cnt", ""),
    ("format", ""),
    ("crc", ""),
)


def _read_number(text: str, *, default: int, most: int) -> int:
    """A whole number; above `most` it is `most`. Programs that always send all parameters write 0
    for what they do not want to say. Raises ValueError."""
    if not text:
        return default
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a whole number")
    return min(int(text) or default, most)


def _read_period(fields: dict[str, str], today: date) -> tuple[date, date]:
    """First and last day. Raises ValueError."""
    end = parse_day(fields.get("end", ""))
    start = parse_day(fields.get("start", "")) or end or today
    if end is None:
        end = min(max(today, start), start + timedelta(days=MAX_DAYS - 1))
    if end < start or (end - start).days >= MAX_DAYS:
        raise ValueError("a period of at most six months")
    return start, end


def _read_recipients(fields: dict[str, str], name: str) -> list[str]:
    given = split_recipients(fields.get(name, ""))
    if len(given) > MAX_NUMBERS:
        raise ValueError("too many numbers")
    if name == "email":
        return list(dict.fromkeys(given))
    # Also as they are: numbers that were sent to with a plus are not corrected.
    kept = [
        phone
        for each in given
        for phone in (normalise_recipient(each) or each[:64], normalise_recipient(exactly(each)))
        if phone
    ]
    return list(dict.fromkeys(kept))


async def list_messages(call: Call) -> Reply:
    """`get_messages=1`: messages of a period, newest first."""
    fields, zone = call.fields, call.settings.zone
    history = call.services.data.history
    # Who asks for an address means mail, also without saying so.
    mails = fields.get("format", "8" if fields.get("email") else "0") == "8"
    try:
        start, end = _read_period(fields, day_of(history.now_ms(), zone))
        limit = _read_number(fields.get("cnt", ""), default=DEFAULT_MESSAGES, most=MAX_MESSAGES)
        before = _read_number(fields.get("prev_id", ""), default=0, most=10**18)
        recipients = _read_recipients(fields, "email" if mails else "phone")
    except ValueError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    found = await history.sent(
        call.account,
        Period(day_begins_ms(start, zone), day_begins_ms(end + timedelta(days=1), zone)),
        recipients=recipients,
        mails=mails,
        before_id=before or None,
        limit=limit,
    )
    if not found:
        return call.refuse(Refusal.NOT_FOUND)
    records = [_describe(call, sent) for sent in found]
    if call.fmt == Format.TEXT:
        records = [_line(record) for record in records]
    return Reply(write_list(call.fmt, records, item="message"))


def _describe(call: Call, sent: Sent) -> dict[str, Value]:
    answer, zone = sent.answer, call.settings.zone
    is_hlr = answer.type == MessageType.HLR
    return {
        "status": answer.status,
        "last_date": format_date(answer.changed_at, zone),
        "last_timestamp": answer.changed_at // 1000,
        "flag": answer.flags & ~0xF | answer.type & 0xF,
        "err": answer.err,
        "send_date": format_date(answer.sent_at, zone),
        "send_timestamp": answer.sent_at // 1000,
        "phone": answer.recipient,
        "cost": format_cost(answer.cost_micros),
        "sender_id": "HLR" if is_hlr else answer.sender,
        "status_name": STATUS_NAMES.get(answer.status, ("", ""))[call.account.language == "ru"],
        "message": answer.text,
        "mccmnc": answer.mccmnc,
        "country": answer.country,
        "operator": answer.operator,
        "region": answer.region,
        "type": int(answer.type),
        "sms_cnt": answer.part_count,
        "id": identifier(answer.client_ref),
        "int_id": sent.id,
        "format": 8 if answer.type == MessageType.EMAIL else 0,
        # Clients keep it in 32 bits with a sign.
        "crc": zlib.crc32(answer.text.encode(errors="replace")) & 0x7FFF_FFFF,
    }


def _line(record: dict[str, Value]) -> dict[str, Value]:
    """A record as a line of text shows it; `err` only when there is one."""
    return {label or name: record[name] for name, label in _LINE if name != "err" or record["err"]}


async def list_answers(call: Call) -> Reply:
    """`get_answers=1`: messages from handsets, in the order of their ids."""
    fields = call.fields
    history = call.services.data.history
    try:
        hours = _read_number(fields.get("hour", ""), default=0, most=MAX_HOURS)
        after_id = _read_number(fields.get("after_id", ""), default=0, most=10**18)
        limit = _read_number(fields.get("cnt", ""), default=MAX_ANSWERS, most=MAX_ANSWERS)
    except ValueError:
        return call.refuse(Refusal.BAD_PARAMETERS)
    if not hours and not after_id:
        hours = MAX_HOURS
    query = IncomingQuery(
        after_id=after_id,
        since_ms=history.now_ms() - hours * _HOUR_MS if hours else 0,
        destination=fields.get("to_phone", "").strip().lstrip("+"),
        limit=limit,
    )
    found = await history.incoming(call.account, query)
    if not found and call.fmt in (Format.TEXT, Format.NUMBERS):
        return call.refuse(Refusal.NOT_FOUND)
    if len(found) > _MANY_ANSWERS:  # by a thread: it would hold up everybody else's requests
        return Reply(await asyncio.to_thread(_write_answers, call, found))
    return Reply(_write_answers(call, found))


def _write_answers(call: Call, found: list[IncomingMessage]) -> str:
    return write_list(call.fmt, [_tell(call, each) for each in found], item="answer")


def _tell(call: Call, message: IncomingMessage) -> dict[str, Value]:
    received = format_date(message.received_at, call.settings.zone)
    return {
        "id": message.id,
        "received": received,
        "phone": message.source,
        "message": message.text,
        "to_phone": message.destination,
        # Upstreams tell no time of sending; clients want a date here.
        "sent": received,
    }
