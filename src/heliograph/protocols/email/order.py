"""The order in the body of a mail: one line, fields divided by colons (smtp reference, section 2).

::

    login:password:id:time,tz:translit,format,sender,test:phones:text
    login:password:id:time,tz:translit,format,sender,test::list

A mail program that adds lines of its own is told where the order is: `[text]...[/text]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from heliograph.protocols.email.markup import remove_tags, text_of_html
from heliograph.protocols.email.mime import Mail

__all__ = ["BINARY", "EMAIL", "FORMATS", "Order", "OrderError", "read_order"]

# Numbers of the field `format` that need care of their own.
BINARY = 4
EMAIL = 8
FORMATS = range(12)

_FIELDS = 7
_BEGIN = re.compile(r"\[text\]", re.IGNORECASE)
_END = re.compile(r"\[/text\]", re.IGNORECASE)
_FORMAT = re.compile(r"\d{1,2}", re.ASCII)


class OrderError(ValueError):
    """The body is no order; the text says what is missing and repeats nothing of it. `login`: whose
    order it would be, as far as it can be read."""

    def __init__(self, reason: str, *, login: str = "") -> None:
        super().__init__(reason)
        self.login = login


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order. Fields are as they were written, '' when left out; of `phones` and `entries` (own
    texts for numbers, the syntax of lists) one is ''. `login` '': `password` is an API key."""

    login: str
    password: str = field(repr=False)
    client_ref: str = ""
    time: str = ""
    tz: str = ""
    translit: str = ""
    format: int = 0
    sender: str = ""
    is_test: bool = False
    phones: str = ""
    text: str = ""
    entries: str = ""


def read_order(mail: Mail) -> Order:
    """The order in a mail. Raises OrderError."""
    if mail.is_html:
        text, _ = _take_marked(text_of_html(mail.text))
        return _parse(text)
    text, is_marked = _take_marked(mail.text)
    order = _parse(text)
    if order.format == BINARY:
        return _parse(_take_marked(mail.raw)[0])  # bytes that no charset may touch
    if is_marked and order.format != EMAIL:
        return _parse(remove_tags(text))
    return order


def _take_marked(text: str) -> tuple[str, bool]:
    """What is between the marks, and whether there are any."""
    begin = _BEGIN.search(text)
    if begin is None:
        return text, False
    end = _END.search(text, begin.end())
    return text[begin.end() : end.start() if end else len(text)], True


def _parse(text: str) -> Order:
    fields = text.replace("\r\n", "\n").strip().split(":", _FIELDS - 1)
    if len(fields) < _FIELDS:
        raise OrderError("not an order: login:password:id:time,tz:translit,format,sender:phones:")
    login, password, client_ref, moment, options, phones, rest = fields
    time, _, tz = moment.partition(",")
    translit, kind, sender, is_test = (options.split(",", 3) + [""] * 3)[:4]
    kind = kind.strip()
    if kind and (not _FORMAT.fullmatch(kind) or int(kind) not in FORMATS):
        raise OrderError("format: from 0 to 11", login=login.strip())
    has_phones = bool(phones.strip())
    return Order(
        login=login.strip(),
        password=password.strip(),
        client_ref=client_ref.strip(),
        # The plus of `+<minutes>` is text here, but a space before it is none.
        time=time.strip(),
        tz=tz.strip(),
        translit=translit.strip(),
        format=int(kind or 0),
        sender=sender.strip(),
        is_test=is_test.strip() not in ("", "0"),
        phones=phones if has_phones else "",
        text=rest if has_phones else "",
        entries="" if has_phones else rest,
    )
