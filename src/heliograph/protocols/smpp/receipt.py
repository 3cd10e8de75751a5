"""Delivery receipts: the text of a deliver_sm and its TLVs to a ``Receipt``, and back.

SMPP 3.4 appendix B gives one text format "by example", so every operator has its own: fields in
another order, without ``sub`` and ``dlvrd``, in capitals, with blanks after colons, with ``submit
date`` as ``Submit_Date``, with dates of 8 to 16 digits or seconds since 1970, with fields of an HLR
query. Reading therefore looks for known names wherever they stand at the beginning of a word, and
takes what is between two of them as the value of the first; so an id or a text may hold colons.

The TLVs receipted_message_id, message_state and network_error_code take precedence over the text
(they were made for it); the text's own words stay in ``fields``.

Text alone does not make a receipt: any handset can send "id:1 stat:DELIVRD". ``is_receipt`` asks
esm_class and receipted_message_id only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .constants import DataCoding, EsmClass, MessageState, TlvTag
from .pdu import DataSm, DeliverSm
from .times import TimeFormatError, parse_time
from .tlv import NO_TLVS, Tlvs

_TEXT_CHARACTERS = 20  # of the message, by appendix B
_MS = 1_000

_RECEIPT_TYPES = frozenset({EsmClass.DELIVERY_RECEIPT, EsmClass.INTERMEDIATE_NOTIFICATION})

_HLR_FIELDS = ("imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet")

_NAME = re.compile(
    r"(?:(?<=[\s,;|])|^)"
    r"(id|sub|dlvrd|submit[ _-]?date|done[ _-]?date|stat|err|text|imsi|msc|mcc|mnc|cn|net|rcn|rnet)"
    r"[ \t]*:",
    re.IGNORECASE,
)

# The form of appendix B to the letter, which is what most receipts have: one match instead of a
# search for names at every letter. ``split_fields`` gives the same (a property test compares).
_STANDARD = re.compile(
    r"id:([^\s,;|]*) sub:(\d*) dlvrd:(\d*) submit date:(\d*) done date:(\d*) stat:(\w*) err:(\w*)"
    r" [tT]ext:(.*)",
    re.DOTALL | re.ASCII,
)
_STANDARD_NAMES = ("id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text")

_SEPARATORS = re.compile(r"[-/.: T]")

# The seven-letter words of appendix B, and what operators write instead.
STATE_BY_STAT: dict[str, MessageState] = {
    "SCHEDULED": MessageState.SCHEDULED,
    "SCHEDLD": MessageState.SCHEDULED,
    "ENROUTE": MessageState.ENROUTE,
    "BUFFERED": MessageState.ENROUTE,
    "BUFFRED": MessageState.ENROUTE,
    "DELIVRD": MessageState.DELIVERED,
    "DELIVERED": MessageState.DELIVERED,
    "EXPIRED": MessageState.EXPIRED,
    "DELETED": MessageState.DELETED,
    "UNDELIV": MessageState.UNDELIVERABLE,
    "UNDELIVERED": MessageState.UNDELIVERABLE,
    "UNDELIVERABLE": MessageState.UNDELIVERABLE,
    "FAILED": MessageState.UNDELIVERABLE,
    "ACCEPTD": MessageState.ACCEPTED,
    "ACCEPTED": MessageState.ACCEPTED,
    "UNKNOWN": MessageState.UNKNOWN,
    "UNKNOWNN": MessageState.UNKNOWN,
    "REJECTD": MessageState.REJECTED,
    "REJECTED": MessageState.REJECTED,
    "SKIPPED": MessageState.SKIPPED,
}

STAT_BY_STATE: dict[int, str] = {
    MessageState.SCHEDULED: "SCHEDULED",
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "SKIPPED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says. ``None`` and ``""`` mean that it does not say it.

    ``message_state`` is a ``MessageState`` number; ``stat`` the word as received, in capitals;
    ``err`` the operator's text, leading zeros kept. ``network_error`` is (network type, code) of
    the TLV. Times are epoch milliseconds. ``fields`` holds every field of the text under its lower
    case name (``submit date``, ``imsi``), the last ones of ``format_receipt`` too.
    """

    message_id: str = ""
    message_state: int | None = None
    stat: str = ""
    err: str = ""
    network_error: tuple[int, int] | None = None
    sub: int | None = None
    dlvrd: int | None = None
    submitted_at_ms: int | None = None
    done_at_ms: int | None = None
    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def is_receipt(pdu: DeliverSm | DataSm) -> bool:
    """True for a delivery receipt or intermediate notification, by what the SMSC itself sets.

    esm_class bits 5-2 (SMPP 3.4 section 5.2.12), or the receipted_message_id TLV.
    """
    if pdu.esm_class & EsmClass.TYPE_MASK in _RECEIPT_TYPES:
        return True
    return bool(pdu.tlvs) and pdu.tlvs.raw(TlvTag.RECEIPTED_MESSAGE_ID) is not None


def read_receipt(
    pdu: DeliverSm | DataSm, *, utc_offset_s: int = 0, near_ms: int | None = None
) -> Receipt | None:
    """The receipt in a PDU; None when neither text nor TLVs name a message or a state.

    ``utc_offset_s``: how far the operator's clock in the text is ahead of UTC. ``near_ms``: when
    the PDU came, which settles dates that can be read in two ways.
    """
    content = pdu.content
    if pdu.data_coding == DataCoding.UCS2:
        text = content.decode("utf-16-be", "replace")
    else:
        text = content.decode("latin-1")
    return parse_receipt(text, tlvs=pdu.tlvs, utc_offset_s=utc_offset_s, near_ms=near_ms)


def parse_receipt(
    text: str, *, tlvs: Tlvs = NO_TLVS, utc_offset_s: int = 0, near_ms: int | None = None
) -> Receipt | None:
    """``read_receipt`` for a text and TLVs apart."""
    fields = split_fields(text)
    stat = fields.get("stat", "").upper()
    state: int | None = _read_state(stat)
    message_id = fields.get("id", "")
    network_error: tuple[int, int] | None = None
    if tlvs:
        message_id = (tlvs.text(TlvTag.RECEIPTED_MESSAGE_ID) or "").strip() or message_id
        told = tlvs.number(TlvTag.MESSAGE_STATE)
        state = state if told is None else told
        error = tlvs.raw(TlvTag.NETWORK_ERROR_CODE)
        if error is not None and len(error) == 3:
            network_error = (error[0], int.from_bytes(error[1:], "big"))
    if not message_id and state is None and not stat:
        return None
    return Receipt(
        message_id=message_id,
        message_state=state,
        stat=stat,
        err=fields.get("err", ""),
        network_error=network_error,
        sub=_read_count(fields.get("sub")),
        dlvrd=_read_count(fields.get("dlvrd")),
        submitted_at_ms=parse_date(
            fields.get("submit date", ""), utc_offset_s=utc_offset_s, near_ms=near_ms
        ),
        done_at_ms=parse_date(
            fields.get("done date", ""), utc_offset_s=utc_offset_s, near_ms=near_ms
        ),
        text=fields.get("text", ""),
        fields=fields,
    )


def split_fields(text: str) -> dict[str, str]:
    """Name -> value of the known fields of a receipt text; the first of a name counts.

    ``text:`` after both ``id`` and ``stat`` takes all that follows, for the message may itself
    look like a receipt. Where it stands earlier, the fields after it are still read.
    """
    standard = _STANDARD.fullmatch(text)
    if standard is not None:
        fields = dict(zip(_STANDARD_NAMES, standard.groups(), strict=True))
        fields["text"] = fields["text"].strip("\0")
        return fields
    return search_fields(text)


def search_fields(text: str) -> dict[str, str]:
    """``split_fields`` for any form."""
    fields: dict[str, str] = {}
    marks = list(_NAME.finditer(text))
    for at, mark in enumerate(marks):
        name = mark[1].lower()
        if name.endswith("date"):
            name = f"{name[:-4].rstrip(' _-')} date"
        if name == "text" and "id" in fields and "stat" in fields:
            fields.setdefault(name, text[mark.end() :].strip("\0"))
            break
        end = marks[at + 1].start() if at + 1 < len(marks) else len(text)
        value = text[mark.end() : end].strip(" \t\r\n\0")
        if end < len(text):
            value = value.rstrip(",;| \t")
        fields.setdefault(name, value)
    return fields


def format_receipt(receipt: Receipt, *, utc_offset_s: int = 0) -> str:
    """The text of appendix B; fields the receipt does not have are left out.

    ``err`` and ``stat`` are written as they are, ``stat`` from ``message_state`` when empty. The
    HLR fields in ``receipt.fields`` follow ``err`` in their usual order, empty ones too. Dates are
    in the local time ``utc_offset_s`` ahead of UTC, without seconds.
    """
    stat = receipt.stat
    if not stat and receipt.message_state is not None:
        stat = STAT_BY_STATE.get(receipt.message_state, "UNKNOWN")
    parts = [f"id:{receipt.message_id}"]
    if receipt.sub is not None:
        parts.append(f"sub:{receipt.sub:03d}")
    if receipt.dlvrd is not None:
        parts.append(f"dlvrd:{receipt.dlvrd:03d}")
    if receipt.submitted_at_ms is not None:
        parts.append(f"submit date:{_format_date(receipt.submitted_at_ms, utc_offset_s)}")
    if receipt.done_at_ms is not None:
        parts.append(f"done date:{_format_date(receipt.done_at_ms, utc_offset_s)}")
    parts.append(f"stat:{stat}")
    parts.append(f"err:{receipt.err or '000'}")
    hlr = [f"{name}:{receipt.fields[name]}" for name in _HLR_FIELDS if name in receipt.fields]
    parts += hlr
    if not hlr:
        parts.append(f"text:{receipt.text[:_TEXT_CHARACTERS]}")
    return " ".join(parts)


def parse_date(text: str, *, utc_offset_s: int = 0, near_ms: int | None = None) -> int | None:
    """Epoch milliseconds of a receipt's date; None when there is none or it makes no sense.

    Read are ``YYMMDDhhmm`` with or without seconds, ``YYYYMMDDhhmm`` with or without seconds,
    ``YYYYMMDD``, ``YYMMDDhh``, the 16 characters of SMPP times, any of them with separators, and
    seconds or milliseconds since 1970. Where two readings are possible the one nearer to
    ``near_ms`` counts. Without it, ten digits that begin with 16-20 are seconds (2020-2036) and
    not the years 2016-2020, and other dates have two-digit years.
    """
    text = text.strip()
    if len(text) == 16 and text[-1] in "+-":
        try:
            return parse_time(text, 0)
        except TimeFormatError:
            return None
    digits = text if text.isdigit() else _SEPARATORS.sub("", text)
    if not (digits.isascii() and digits.isdigit()) or not digits.strip("0"):
        return None
    found = _read_date(digits, utc_offset_s)
    if not found:
        return None
    if near_ms is not None:
        return min(found, key=lambda at_ms: abs(at_ms - near_ms))
    return found[0]


# Length in digits -> readings, the likelier one first; each is the digits of the year and how many
# pairs (month, day, hour, minute, second) follow.
_DATE_FORMS: dict[int, tuple[tuple[int, int], ...]] = {
    8: ((4, 2), (2, 3)),
    10: ((2, 4),),
    12: ((2, 5), (4, 4)),
    14: ((4, 5),),
}


def _read_date(digits: str, utc_offset_s: int) -> list[int]:
    """Every reading of a row of digits, the likelier one first."""
    found = []
    for year_digits, pairs in _DATE_FORMS.get(len(digits), ()):
        year = int(digits[:year_digits])
        if year_digits == 2:
            year += 2000
        rest = [int(digits[at : at + 2]) for at in range(year_digits, len(digits), 2)]
        month, day, hour, minute, second = (rest + [0] * (5 - pairs))[:5]
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        found.append((int(moment.timestamp()) - utc_offset_s) * _MS)
    if len(digits) == 10:
        seconds = int(digits) * _MS
        found.insert(0 if "16" <= digits[:2] <= "20" else len(found), seconds)
    elif len(digits) == 13:
        found.append(int(digits))
    return found


def _format_date(epoch_ms: int, utc_offset_s: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms // _MS + utc_offset_s, UTC):%y%m%d%H%M}"


def _read_count(text: str | None) -> int | None:
    if not text or not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return int(text)


def _read_state(stat: str) -> int | None:
    """MessageState of a word, of the number some operators write instead, or None."""
    if stat.isascii() and stat.isdigit() and len(stat) <= 2 and int(stat) in STAT_BY_STATE:
        return int(stat)
    return STATE_BY_STAT.get(stat)
