"""`status.php`: what became of messages and HLR queries, and deleting them.

A comma in `id` or `phone` asks for the multiple form: a list, one entry a pair, in the order of the
request (status.php reference, section 1).
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache

from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import bad_recipient, exactly, normalise_recipient
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import StatusAnswer
from heliograph.domain.statuses import STATUS_NAMES
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.send_reply import format_cost
from heliograph.protocols.forms.replies import (
    Format,
    Value,
    identifier,
    write_done,
    write_json,
    write_numbers,
    write_text,
    write_xml,
)
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["MAX_PAIRS", "format_date", "status"]

MAX_PAIRS = 500
_MAX_PHONE_CHARS = 320
_HLR_NAMES = ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet")

# What text and numbers show of the members: (member, label in the text form or '' for its own
# name). Members that only newer servers have are in JSON and XML alone.
_LINE_HEAD = (("status", "Status"), ("last_date", "check_time"), ("err", ""))
_LINE_PLACE = ("country", "operator", "region")
_LINE_TAIL = ("cost", "sender_id", "status_name", "message", "comment", "type")
# Official libraries find the message by counting commas: nothing before it may hold one.
_COMMA_FREE = frozenset(
    {"country", "operator", "region", "sender_id", "status_name", "cn", "net", "rcn", "rnet"}
)

# (id, recipient as it is kept, the same if it was sent to with a plus)
_Pair = tuple[str, str, str]


async def status(call: Call) -> Reply:
    """Reports the asked messages, or with `del=1` deletes them."""
    pairs = _read_pairs(call.fields)
    if pairs is None or not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    if is_true(call.fields.get("del", "")):
        if not await call.services.statuses.delete(call.account, await _choose(call, pairs)):
            return call.refuse(Refusal.NOT_DELETED)
        return Reply(write_done(call.fmt))
    is_multiple = _is_multiple(call.fields)
    kind, key = ("status-many", "") if is_multiple else ("status", ":".join(pairs[0][:2]))
    refusal = call.services.limits.count(call.account, kind, key)
    if refusal is not None:
        return call.refuse(refusal)
    language = call.account.language
    chosen = await _choose(call, pairs)
    answers = await call.services.statuses.find(call.account, chosen, language=language)
    depth = {"1": 1, "2": 2, "true": 1}.get(call.fields.get("all", ""), 0)
    records = [
        _members(answer, depth, language=language, zone=call.settings.zone) for answer in answers
    ]
    if not is_multiple:
        return Reply(_write(call.fmt, records[0], answers[0], depth))
    for record, answer in zip(records, answers, strict=True):
        record["id"] = identifier(answer.client_ref)
        record.setdefault("phone", answer.recipient)
    if call.fmt == Format.JSON:
        return Reply(write_json(records))
    if call.fmt == Format.XML:
        return Reply(write_xml("result", records, item="sms"))
    lines = [
        _write(call.fmt, record, answer, depth, is_multiple=True)
        for record, answer in zip(records, answers, strict=True)
    ]
    return Reply("\n".join(lines))


def _is_multiple(fields: dict[str, str]) -> bool:
    return "," in fields.get("id", "") or "," in fields.get("phone", "")


def _read_pairs(fields: dict[str, str]) -> list[_Pair] | None:
    """What is asked about; a single value is repeated for all. None when they do not pair up."""
    refs = [each for each in map(str.strip, fields.get("id", "").split(",")) if each]
    phones = [_read_phone(each) for each in fields.get("phone", "").split(",") if each.strip()]
    if not refs or not phones:
        return None
    count = max(len(refs), len(phones))
    if len(refs) == 1:
        refs *= count
    if len(phones) == 1:
        phones *= count
    if len(refs) != len(phones) or count > MAX_PAIRS:
        return None
    return [(ref, *phone) for ref, phone in zip(refs, phones, strict=True)]


def _read_phone(text: str) -> tuple[str, str]:
    """A recipient as messages are kept under it (corrected as in sending, or as it was refused),
    and as it would be kept if it had been sent to with a plus."""
    text = text.strip()[:_MAX_PHONE_CHARS]
    if text[0] in "@#" or "@" in text:
        return text, text
    digits = bad_recipient(text)
    phone = normalise_recipient(text) or digits
    return phone, normalise_recipient(exactly(digits)) or phone


async def _choose(call: Call, pairs: list[_Pair]) -> list[tuple[str, str]]:
    """Pairs of (id, recipient) for which there are messages, as far as there are.

    Replies and callbacks name a number by its digits. When it was sent to with a plus, these may
    look like what is corrected without one (84912345678), and then are meant as they are.
    """
    unsure = [pair for pair in pairs if pair[1] != pair[2]]
    found: set[tuple[str, str]] = set()
    if unsure:
        both = [(ref, phone) for ref, *phones in unsure for phone in phones]
        answers = await call.services.statuses.find(call.account, both)
        found = {(each.client_ref, each.recipient) for each in answers if each.is_found}
    return [
        (ref, exact if (ref, exact) in found and (ref, phone) not in found else phone)
        for ref, phone, exact in pairs
    ]


def format_date(time_ms: int, zone: tzinfo) -> str:
    """`DD.MM.YYYY hh:mm:ss` of epoch milliseconds in the zone of replies, whose offset is of whole
    minutes."""
    minute, second = divmod(time_ms // 1000, 60)
    return f"{_format_minute(minute, zone)}{second:02}"


@lru_cache(maxsize=1024)
def _format_minute(minute: int, zone: tzinfo) -> str:
    """Kept, as a page has two thousand dates, mostly of the same hour."""
    at = datetime.fromtimestamp(minute * 60, zone)
    return f"{at.day:02}.{at.month:02}.{at.year} {at.hour:02}:{at.minute:02}:"


def _members(answer: StatusAnswer, depth: int, *, language: str, zone: tzinfo) -> dict[str, Value]:
    """Members of one answer as JSON and XML show them, in the reference's order."""
    members: dict[str, Value] = {
        "status": answer.status,
        "last_date": format_date(answer.changed_at, zone),
        "last_timestamp": answer.changed_at // 1000,
        "flag": answer.flags & ~0xF | answer.type & 0xF,
        "err": answer.err,
    }
    if not answer.is_found:
        return members
    is_hlr = answer.type == MessageType.HLR
    if is_hlr:
        detail = answer.detail or {}
        members |= {name: detail.get(name, "") for name in _HLR_NAMES}
    if not depth:
        return members
    members |= {
        "send_date": format_date(answer.sent_at, zone),
        "send_timestamp": answer.sent_at // 1000,
        "phone": answer.recipient,
    }
    if depth == 2:
        members |= {
            "country": answer.country,
            "operator": answer.operator,
            "operator_orig": answer.operator_orig,
            "region": answer.region,
        }
    members |= {
        "cost": format_cost(answer.cost_micros),
        # Libraries tell an HLR answer by this word at its position.
        "sender_id": "HLR" if is_hlr else answer.sender,
        "status_name": STATUS_NAMES.get(answer.status, ("", ""))[language == "ru"],
        "message": answer.text,
        "comment": answer.comment,
        "mccmnc": answer.mccmnc,
        "type": int(answer.type),
        "sms_cnt": answer.part_count,
    }
    return members


def _write(
    fmt: Format,
    members: dict[str, Value],
    answer: StatusAnswer,
    depth: int,
    *,
    is_multiple: bool = False,
) -> str:
    if fmt == Format.JSON:
        return write_json(members)
    if fmt == Format.XML:
        return write_xml("sms", members)
    line = _line(members, depth, is_text=fmt == Format.TEXT)
    if is_multiple:
        line["id"] = answer.client_ref
        if not depth:
            line["phone"] = answer.recipient
    return write_text(line) if fmt == Format.TEXT else write_numbers(list(line.values()))


def _line(members: dict[str, Value], depth: int, *, is_text: bool) -> dict[str, Value]:
    """The members that a line of text or numbers shows, by label, in the order of positions.

    Text shows dates where numbers show timestamps.
    """
    line: dict[str, Value] = {}
    for name, label in _LINE_HEAD:
        is_date = name == "last_date" and not is_text
        line[label or name] = members["last_timestamp" if is_date else name]
    names = list(_HLR_NAMES) if "imsi" in members else []
    if depth and "send_date" in members:
        names += ["send_date" if is_text else "send_timestamp", "phone"]
        names += _LINE_PLACE if depth == 2 else ()
        names += _LINE_TAIL
    for name in names:
        value = members[name]
        if name in _COMMA_FREE and isinstance(value, str) and "," in value:
            value = value.replace(", ", " ").replace(",", " ")
        line[name] = value
    return line
