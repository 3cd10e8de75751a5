"""From the parameters of `send.php` to a `SendRequest`, with everything checked that the door can.

What a request *means* is decided here (its type, texts, numbers, options); whether it is *allowed*
(senders, numbers, money) is for the services. Every fault raises `ParameterError`, error 1 of the
API (send.php reference, section 2). Prefixes and comments stay in the texts.
"""

from __future__ import annotations

import re
from typing import Any

from heliograph.domain.accounts import Account
from heliograph.domain.contacts import GROUP_REFERENCE
from heliograph.domain.lists import parse_list, parse_zone, split_recipients
from heliograph.domain.messages import MessageType
from heliograph.domain.requests import Entry, SendRequest, Spread
from heliograph.domain.texts import MAX_TEXT_CHARS, split_comment, split_pid_dcs
from heliograph.gateways.http.parameters import Parameters
from heliograph.protocols.forms.urlencoded import is_true

__all__ = [
    "ParameterError",
    "build_request",
    "check_sender",
    "read_client_ref",
    "read_number",
    "read_validity_ms",
]

_MAX_ADDRESS_CHARS = 254
_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_DAY_MINUTES = 24 * 60

_CLIENT_REF = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_DECIMAL = re.compile(r"\d{1,6}(?:[.,]\d{1,6})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_VOICE = re.compile(r"[mw][234]?(?:,[A-Za-z]{2,3}(?:-[A-Za-z]{2,4})?)?", re.ASCII)
_URL = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)

# In the order of the reference's table: of several flags the first one counts.
_TYPE_FLAGS = (
    ("flash", MessageType.FLASH),
    ("bin", MessageType.BINARY),
    ("push", MessageType.WAP_PUSH),
    ("hlr", MessageType.HLR),
    ("ping", MessageType.PING),
    ("mms", MessageType.MMS),
    ("call", MessageType.CALL),
    ("mail", MessageType.EMAIL),
    ("viber", MessageType.VIBER),
    ("soc", MessageType.SOCIAL),
    ("whatsapp", MessageType.WHATSAPP),
    ("tg", MessageType.TELEGRAM),
    ("bot", MessageType.TELEGRAM),
)
_TYPE_NAMES = frozenset(name for name, _ in _TYPE_FLAGS)
# Parameters that a plain message does not have; without any of them there is nothing to look at.
_DELIVERY_NAMES = frozenset({"translit", "time", "tz", "period", "valid", "maxsms"})
_OPTION_NAMES = frozenset(
    {"tinyurl", "subj", "fileurl", "voice", "param", "imgcode", "userip", "smsreq"}
)
_TEXTLESS = frozenset({MessageType.HLR, MessageType.PING})


class ParameterError(ValueError):
    """A parameter is missing or not valid; the text says which, without its value."""


def read_client_ref(fields: dict[str, str]) -> str:
    """The client's message id; '' when there is none (official libraries send `id=0`)."""
    client_ref = fields.get("id", "")
    if not client_ref or client_ref == "0":
        return ""
    if not _CLIENT_REF.fullmatch(client_ref):
        raise ParameterError("id: up to 40 latin letters, digits and . - _")
    return client_ref if client_ref.strip("0") else ""


def read_number(fields: dict[str, str], name: str, largest: int) -> int:
    """A whole number from 0; 0 when absent, 1 for a word that means yes."""
    value = fields.get(name)
    if not value or value == "0":
        return 0
    if _WHOLE.fullmatch(value):
        number = int(value)
    elif value.lower() in ("true", "yes", "on", "false", "no", "off"):
        number = int(is_true(value))
    else:
        raise ParameterError(f"{name}: not a whole number")
    if number > largest:
        raise ParameterError(f"{name}: above {largest}")
    return number


def read_validity_ms(valid: str) -> int:
    """Life of a message from `valid` (hours 1..24, or `hh:mm`); 0 for the default one."""
    if not valid or valid == "0":
        return 0
    clock = _CLOCK.fullmatch(valid)
    if clock is not None:
        minutes = int(clock[1]) * 60 + int(clock[2])
        if int(clock[2]) > 59 or not 1 <= minutes <= _DAY_MINUTES:
            raise ParameterError("valid: from 00:01 to 24:00")
        return minutes * _MINUTE_MS
    if not _WHOLE.fullmatch(valid) or not 1 <= int(valid) <= 24:
        raise ParameterError("valid: hours from 1 to 24, or hh:mm")
    return int(valid) * _HOUR_MS


def build_request(
    account: Account,
    parameters: Parameters,
    *,
    fetches_files: bool = False,
    max_recipients: int | None = None,
) -> SendRequest:
    """The request that the parameters describe. Raises ParameterError, for more than
    `max_recipients` before anything else is done for them."""
    fields = parameters.fields
    if not parameters.is_whole:
        raise ParameterError("the request is broken or has too many parameters")
    type_ = MessageType.SMS if _TYPE_NAMES.isdisjoint(fields) else _read_type(fields)
    if not _OPTION_NAMES.isdisjoint(fields) or type_ or parameters.files:
        options = _read_options(parameters, type_, fetches_files=fetches_files)
    else:
        options = {}
    entries = _read_entries(parameters, type_, options, max_recipients)
    if type_ == MessageType.BINARY:
        _encode_binary(entries, fields["bin"] == "2", options)
    sender = fields.get("sender")
    if sender is not None:
        sender = check_sender(sender)
    request = SendRequest(
        account,
        entries,
        type_,
        read_client_ref(fields),
        sender,
        options=options,
    )
    if not _DELIVERY_NAMES.isdisjoint(fields):
        _read_delivery(fields, request)
    request.has_groups = _has_groups(entries)
    return request


def _has_groups(entries: list[Entry]) -> bool:
    for entry in entries:
        for recipient in entry.recipients:
            if recipient[0] in "Gg" and GROUP_REFERENCE.fullmatch(recipient):
                return True
    return False


def _read_delivery(fields: dict[str, str], request: SendRequest) -> None:
    """How and when: transliteration, time, spread, validity, parts."""
    request.translit = read_number(fields, "translit", 2)
    # The plus of `+<minutes>` arrives as a space, so the text is not stripped.
    request.time = fields.get("time", "")
    zone = fields.get("tz")
    if zone:
        try:
            request.tz_minutes = parse_zone(zone)
        except ValueError:
            raise ParameterError("tz: hours from Moscow") from None
    # Programs fill in 0 for what they do not use.
    if fields.get("period", "0") not in ("", "0") and fields.get("freq"):
        request.spread = Spread(
            round(_read_span(fields, "period", 0.1, 720) * _HOUR_MS),
            round(_read_span(fields, "freq", 1, 1440) * _MINUTE_MS),
        )
    valid = fields.get("valid")
    if valid:
        request.valid_ms = read_validity_ms(valid)
    request.max_parts = read_number(fields, "maxsms", 999_999_999)


def _read_span(fields: dict[str, str], name: str, least: float, largest: float) -> float:
    value = fields[name]
    if not _DECIMAL.fullmatch(value) or not least <= float(value.replace(",", ".")) <= largest:
        raise ParameterError(f"{name}: from {least} to {largest}")
    return float(value.replace(",", "."))


def _read_type(fields: dict[str, str]) -> MessageType:
    for name, type_ in _TYPE_FLAGS:
        value = fields.get(name)
        if not value or not is_true(value):
            continue
        if name == "bin" and value.lower() not in ("1", "2", "true", "yes", "on"):
            raise ParameterError("bin: 1 or 2")
        if name == "bot":
            return MessageType.WHATSAPP if value.startswith("wa:") else type_
        return type_
    return MessageType.SMS


def check_sender(sender: str) -> str:
    """The sender name, '' for none at all. Raises ParameterError."""
    sender = sender.strip()
    if sender in ("", "."):
        return ""
    # Whether it may be used is the platform's answer, and another error.
    if len(sender) > _MAX_ADDRESS_CHARS or not sender.isprintable():
        raise ParameterError("sender: too long, or not printable")
    return sender


def _read_entries(
    parameters: Parameters,
    type_: MessageType,
    options: dict[str, Any],
    max_recipients: int | None,
) -> list[Entry]:
    # The text of a raw binary message is bytes, which no character set may touch.
    is_raw = type_ == MessageType.BINARY and parameters.fields["bin"] != "2"
    fields = parameters.raw if is_raw else parameters.fields
    lines = fields.get("list")
    if lines:
        try:
            entries = parse_list(lines, nl=is_true(fields.get("nl", "")), most=max_recipients)
        except ValueError as error:
            raise ParameterError(f"list: {error}") from None
    else:
        recipients = split_recipients(fields.get("phones", ""))
        if not recipients:
            raise ParameterError("phones: missing")
        if max_recipients is not None and len(recipients) > max_recipients:
            raise ParameterError("phones: too many")
        entries = [Entry(recipients, fields.get("mes", ""))]
    for entry in entries:
        if not entry.text or (entry.text[0] in "\r\n" and not split_comment(entry.text)[0]):
            _check_textless(type_, parameters, options)
        elif len(entry.text) > MAX_TEXT_CHARS and type_ != MessageType.EMAIL:
            _check_length(entry.text, type_)
        if entry.sender:
            entry.sender = check_sender(entry.sender)
    if type_ == MessageType.EMAIL and "@" not in fields.get("sender", ""):
        raise ParameterError("sender: an e-mail needs an address")
    return entries


def _check_textless(type_: MessageType, parameters: Parameters, options: dict[str, Any]) -> None:
    """Raises ParameterError unless messages of this kind may come without a text."""
    has_file = bool(parameters.files) or "fileurl" in options
    if type_ in _TEXTLESS:
        return
    if type_ == MessageType.MMS and "subject" in options:
        return
    if type_ in (MessageType.CALL, MessageType.VIBER) and has_file:
        return
    raise ParameterError("mes: missing")


def _check_length(text: str, type_: MessageType) -> None:
    sent = text if type_ == MessageType.BINARY else split_comment(text)[0]
    # Two hex digits are one octet, and raw octets arrive one a character.
    if len(sent) > (2 * MAX_TEXT_CHARS if type_ == MessageType.BINARY else MAX_TEXT_CHARS):
        raise ParameterError(f"mes: more than {MAX_TEXT_CHARS} characters")


def _encode_binary(entries: list[Entry], is_hex: bool, options: dict[str, Any]) -> None:
    """Turn the texts of a binary request into hex, their `pid` and `dcs` into options."""
    given: set[tuple[int, int] | None] = set()
    for entry in entries:
        try:
            text, octets = split_pid_dcs(entry.text)
        except ValueError as error:
            raise ParameterError(f"mes: {error}") from None
        given.add(octets)
        if len(given) > 1:
            raise ParameterError("mes: one pid and dcs for the whole list")
        if octets is not None:
            options["pid"], options["dcs"] = octets
        if is_hex:
            text, comment = split_comment(text)
            if not _HEX.fullmatch(text):
                raise ParameterError("mes: not a hex string")
            entry.text = f"{text}\n~~~\n{comment}" if comment else text
            continue
        try:
            entry.text = text.encode("latin-1").hex().upper()
        except UnicodeEncodeError:
            raise ParameterError("mes: not a string of bytes") from None


def _read_options(
    parameters: Parameters, type_: MessageType, *, fetches_files: bool
) -> dict[str, Any]:
    """What few submissions have, under the names that the services know."""
    fields = parameters.fields
    options: dict[str, Any] = {}
    for name, option in (("imgcode", "captcha"), ("userip", "end_user_address")):
        if fields.get(name):
            options[option] = fields[name][:_MAX_ADDRESS_CHARS]
    if is_true(fields.get("tinyurl", "")):
        options["tinyurl"] = True
    if fields.get("subj"):
        options["subject"] = fields["subj"][:MAX_TEXT_CHARS]
    if parameters.files:
        options["files"] = parameters.files
    url = fields.get("fileurl")
    if url:
        if not fetches_files or not _URL.fullmatch(url):
            raise ParameterError("fileurl: not an address that can be fetched")
        options["fileurl"] = url
    if type_ == MessageType.EMAIL and "subject" not in options:
        raise ParameterError("subj: missing")
    if type_ == MessageType.CALL:
        _read_voice(fields, options)
    if type_ in (MessageType.TELEGRAM, MessageType.WHATSAPP) and fields.get("bot"):
        options["bot"] = fields["bot"][:_MAX_ADDRESS_CHARS]
        days = read_number(fields, "smsreq", 999)
        if days and days < 10:
            raise ParameterError("smsreq: from 10 to 999")
        if days:
            options["smsreq"] = days
    return options


def _read_voice(fields: dict[str, str], options: dict[str, Any]) -> None:
    voice = fields.get("voice")
    if voice:
        if not _VOICE.fullmatch(voice):
            raise ParameterError("voice: m, m2 .. m4, w, w2 .. w4, with a language after a comma")
        options["voice"] = voice
    param = fields.get("param")
    if not param:
        return
    values = param.split(",")
    limits = ((0, 99), (10, 3600), (1, 9))
    if len(values) > len(limits):
        raise ParameterError("param: wait, pause, attempts")
    for name, value, (least, largest) in zip(
        ("call_wait_s", "call_pause_s", "call_attempts"), values, limits, strict=False
    ):
        if not value:
            continue
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= largest:
            raise ParameterError(f"param: {name} from {least} to {largest}")
        options[name] = int(value)
