"""From the parameters of `users.php` to what is to be set on a sub-client.

Every setting of the users.php reference (section 4) is known here, with what may stand in it; one
that is not valid is error 1. On `chg` an empty value clears a setting; a flag is cleared by `0`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from heliograph.domain.accounts import AccountKind
from heliograph.domain.currencies import CURRENCIES
from heliograph.domain.lists import split_recipients
from heliograph.domain.money import format_micros, parse_micros
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.policies import parse_codes, parse_hours
from heliograph.domain.senders import is_valid_sender
from heliograph.domain.subclients import SubclientChanges
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.urlencoded import read_flags

__all__ = ["FLAG_ARRAYS", "SETTINGS", "is_setting", "read_changes"]

FLAG_ARRAYS = ("fl", "fl2", "fl3", "mfl")
MAX_FLAG = 31
# `0` of these is kept: an account of the operator's own has them on unless they are switched off.
_ON_UNLESS_SET = frozenset({"fl[2]", "fl[10]", "fl[11]"})
_BLOCKED, _TEST = "fl2[10]", "fl2[27]"
_MAX_CHARS = 1_000
_MAX_LONG_CHARS = 4_000
_MAX_NUMBERS = 100
# Last labels of one letter as well: clients and the documentation write `a@b.c` for nowhere.
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}\.[^@\s,;<>\".]{1,63}")
_URL = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)
_GROUP = re.compile(r"[Gg]\d{1,9}", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_HOUR = re.compile(r"([01]?\d|2[0-4])(?::00)?", re.ASCII)


def _text(value: str) -> str:
    return value.strip()[:_MAX_CHARS]


def _long_text(value: str) -> str:
    return value.strip()[:_MAX_LONG_CHARS]


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value.strip()):
        raise ValueError("not an e-mail address")
    return value.strip()


def _phone(value: str) -> str:
    number = normalise_recipient(value)
    if number is None:
        raise ValueError("not a phone number")
    return number


def _phones(value: str) -> str:
    return ",".join(_phone(each) for each in _take(value))


def _phones_or_groups(value: str) -> str:
    return ",".join(
        each.upper() if _GROUP.fullmatch(each) else _phone(each) for each in _take(value)
    )


def _take(value: str) -> list[str]:
    found = split_recipients(value)
    if len(found) > _MAX_NUMBERS:
        raise ValueError(f"more than {_MAX_NUMBERS} numbers")
    return found


def _sender(value: str) -> str:
    if not is_valid_sender(value.strip()):
        raise ValueError("not a sender name")
    return value.strip()


def _number(largest: int) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not _WHOLE.fullmatch(value.strip()) or int(value) > largest:
            raise ValueError(f"not a whole number up to {largest}")
        return str(int(value)) if int(value) else ""  # no limit at all

    return read


def _plan(value: str) -> str:
    return str(_plan_number(value) - 1)


def _plan_number(value: str) -> int:
    if not _WHOLE.fullmatch(value.strip()) or int(value) > 8:
        raise ValueError("a plan is 0 to 8")
    return int(value) + 1


def _codes(value: str) -> str:
    parse_codes(value)  # which bounds their number: to cut the text would make other codes
    return ",".join(code for code in map(str.strip, value.split(",")) if code)


def _hours(value: str) -> str:
    return value.strip() if parse_hours(value) is not None else ""


def _hour(value: str) -> str:
    if not _HOUR.fullmatch(value.strip()):
        raise ValueError("not an hour")
    return value.strip()


def _amount(value: str) -> str:
    return format_micros(parse_micros(value))


# Settings that are kept under their names. What they do: docs/reference/subclients.md.
SETTINGS: dict[str, Callable[[str], str]] = {
    "email": _email,
    "email2": _email,
    "phone": _phone,
    "phone2": _phone,
    "fio": _text,
    "props": _long_text,
    "cntr": _text,
    "notes": _long_text,
    "mintrf": _plan,
    "nb": _amount,
    "sender2": _sender,
    "fmts": _codes,
    "ktm": _number(36_500),
    "vld": _number(525_600),
    "tmlim": _hours,
    "dlim": _number(999_999_999),
    "plim": _number(999_999_999),
    "tlim": _number(999_999_999),
    "ilim": _number(999_999_999),
    "ph": _phones_or_groups,
    "answ": _text,
    "answ_call": _text,
    "mph": _phones,
    "mh1": _hour,
    "mh2": _hour,
    "mlen": _number(9_999),
    "site_id": _number(999_999_999),
}
# Names that some programs use (users.php reference, section 2).
_ALIASES = {"tarif": "tariff", "currency": "curr", "comment": "notes"}


def is_setting(name: str) -> bool:
    """Whether what is set under this name is kept under it."""
    array, _, number = name.removesuffix("]").partition("[")
    is_flag = array in FLAG_ARRAYS and number.isdecimal() and name == f"{array}[{int(number)}]"
    return name in SETTINGS or (is_flag and int(number) <= MAX_FLAG)


def read_changes(fields: Mapping[str, str], *, is_new: bool) -> SubclientChanges:
    """What the parameters set. `is_new`: empty values are left out, as nothing can be cleared.

    Raises ParameterError.
    """
    given = {_ALIASES.get(name, name): value for name, value in fields.items()}
    changes = SubclientChanges()
    for name, read in SETTINGS.items():
        value = given.get(name)
        if value is not None and (value.strip() or not is_new):
            changes.settings[name] = _read(name, value, read) if value.strip() else ""
    _read_flags(fields, changes)
    _read_columns(given, changes, is_new=is_new)
    if not is_new:
        changes.login = given.get("new_login") or None
    changes.password = given.get("password") or None
    return changes


def _read(name: str, value: str, read: Callable[[str], str]) -> str:
    try:
        return read(value)
    except ValueError as error:
        raise ParameterError(f"{name}: {error}") from None


def _read_flags(fields: Mapping[str, str], changes: SubclientChanges) -> None:
    for array in FLAG_ARRAYS:
        for number, is_on in read_flags(dict(fields), array).items():
            name = f"{array}[{number}]"
            if number > MAX_FLAG:
                continue
            if name == _BLOCKED:
                changes.is_blocked = is_on
            elif name == _TEST:
                changes.is_test = is_on
            else:
                off = "0" if name in _ON_UNLESS_SET else ""
                changes.settings[name] = "1" if is_on else off


def _read_columns(given: Mapping[str, str], changes: SubclientChanges, *, is_new: bool) -> None:
    """Settings that the account has a column for."""
    if given.get("type"):
        if given["type"] not in ("0", "1", "2", "3", "4"):
            raise ParameterError("type: 0 to 4")
        changes.kind = AccountKind(int(given["type"]))
    if given.get("curr"):
        code = CURRENCIES.get(int(given["curr"])) if _WHOLE.fullmatch(given["curr"]) else None
        if code is None:
            raise ParameterError("curr: 1 to 5")
        changes.currency = code
    if given.get("tz"):
        if not _WHOLE.fullmatch(given["tz"]) or int(given["tz"]) > 24:
            raise ParameterError("tz: 0 to 24, 12 is GMT")
        changes.timezone_minutes = (int(given["tz"]) - 12) * 60
    if given.get("tariff"):
        try:
            changes.plan_number = _plan_number(given["tariff"])
        except ValueError as error:
            raise ParameterError(f"tariff: {error}") from None
    for name in ("sender", "url"):
        value = given.get(name)
        if value is None or (is_new and not value.strip()):
            continue
        value = value.strip()
        if name == "sender":
            changes.sender = _read(name, value, _sender) if value else ""
        elif value and (not _URL.fullmatch(value) or len(value) > _MAX_CHARS):
            raise ParameterError("url: not an address that can be called")
        else:
            changes.callback_url = value
