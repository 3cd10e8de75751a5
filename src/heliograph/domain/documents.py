"""Invoices and acts: what stands in them, and the page that becomes a PDF.

A document keeps its own copy of everything in it, parties included: what was issued is never
changed, and taken back by a counter-document with the same lines and the other sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import IntEnum, unique
from html import escape

from heliograph.domain.messages import MessageType
from heliograph.domain.money import format_micros, round_to_hundredth

__all__ = ["Content", "DocumentKind", "Line", "Party", "counter_content", "make_page", "type_name"]


@unique
class DocumentKind(IntEnum):
    """Kind of a document. Stored as a number."""

    INVOICE = 1
    ACT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One of the two parties. `details` are lines as they are to be printed."""

    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One service: how many, and the sum of them in micros, tax included."""

    name: str
    count: int
    sum_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that a document says, but for its number. `tax_percent` 0: without tax. `period`: the
    first and last day of an act, else empty. `corrects`: the number of the document that this one
    takes back, 0: none."""

    language: str
    day: str
    currency: str
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    tax_percent: int = 0
    period: tuple[str, ...] = ()
    corrects: int = 0
    signers: tuple[str, ...] = field(default=())

    @property
    def total_micros(self) -> int:
        """The sum of the lines."""
        return sum(line.sum_micros for line in self.lines)

    def as_record(self) -> dict[str, object]:
        """For a column."""
        return asdict(self)


# (English, Russian)
_WORDS: dict[str, tuple[str, str]] = {
    "invoice": ("Invoice", "Счёт на оплату"),
    "act": ("Act of services rendered", "Акт об оказании услуг"),
    "counter_invoice": ("Credit note to invoice", "Корректировочный счёт к счёту"),
    "counter_act": ("Counter-act to act", "Корректировочный акт к акту"),
    "number": ("No.", "№"),
    "of": ("of", "от"),
    "seller": ("Seller", "Исполнитель"),
    "buyer": ("Buyer", "Заказчик"),
    "service": ("Service", "Наименование услуги"),
    "count": ("Quantity", "Количество"),
    "sum": ("Sum", "Сумма"),
    "total": ("Total", "Итого"),
    "tax": ("including VAT {}%", "в том числе НДС {}%"),
    "no_tax": ("VAT is not charged", "Без НДС"),
    "period": ("Period", "Период"),
    "done": (
        "The services above were rendered in full and on time. The buyer has no claims.",
        "Вышеперечисленные услуги оказаны полностью и в срок. Заказчик претензий не имеет.",
    ),
    "taken_back": (
        "This document takes back the document named above.",
        "Настоящий документ отменяет указанный выше документ.",
    ),
}
_TYPE_NAMES: dict[MessageType, tuple[str, str]] = {
    MessageType.SMS: ("Text messages", "SMS-сообщения"),
    MessageType.FLASH: ("Flash messages", "Flash SMS"),
    MessageType.BINARY: ("Binary messages", "Бинарные SMS"),
    MessageType.WAP_PUSH: ("WAP push", "WAP-push"),
    MessageType.HLR: ("HLR queries", "HLR-запросы"),
    MessageType.PING: ("Ping messages", "Ping-SMS"),
    MessageType.MMS: ("MMS", "MMS-сообщения"),
    MessageType.CALL: ("Voice calls", "Голосовые звонки"),
    MessageType.EMAIL: ("E-mails", "E-mail-сообщения"),
    MessageType.VIBER: ("Viber messages", "Viber-сообщения"),
    MessageType.SOCIAL: ("Messages in social networks", "Сообщения в социальных сетях"),
    MessageType.WHATSAPP: ("WhatsApp messages", "WhatsApp-сообщения"),
    MessageType.TELEGRAM: ("Telegram messages", "Telegram-сообщения"),
}
_STYLE = """
@page { size: A4; margin: 20mm 18mm }
body { font: 10pt 'DejaVu Sans', 'Liberation Sans', sans-serif; overflow-wrap: anywhere }
h1 { font-size: 15pt; margin: 0 0 8mm }
.party { margin: 0 0 4mm } .party b { float: left; width: 31mm }
.party div { margin-left: 32mm }
table { width: 100%; border-collapse: collapse; margin: 6mm 0 }
td, th { border: 0.3mm solid #444; padding: 1.5mm 2mm; text-align: left; vertical-align: top }
td.n, th.n { text-align: right; white-space: nowrap }
.total td { font-weight: bold }
.sign { margin-top: 16mm; width: 100% } .sign td { border: 0; width: 50%; padding-top: 10mm }
"""


def type_name(type: int, language: str) -> str:
    """What a kind of message is called in an act."""
    return _TYPE_NAMES[MessageType(type)][language == "ru"]


def counter_content(content: Content, number: int, day: date) -> Content:
    """What takes back a document with that number."""
    lines = tuple(
        Line(name=line.name, count=-line.count, sum_micros=-line.sum_micros)
        for line in content.lines
    )
    return Content(
        language=content.language,
        day=day.strftime("%d.%m.%Y"),
        currency=content.currency,
        seller=content.seller,
        buyer=content.buyer,
        lines=lines,
        tax_percent=content.tax_percent,
        period=content.period,
        corrects=number,
        signers=content.signers,
    )


def make_page(kind: DocumentKind, number: int, content: Content) -> str:
    """The document as an HTML page that needs nothing else."""
    words = {name: both[content.language == "ru"] for name, both in _WORDS.items()}
    name = "invoice" if kind is DocumentKind.INVOICE else "act"
    title = f"{words[name]} {words['number']} {number}"
    if content.corrects:
        title = (
            f"{words['counter_' + name]} {words['number']} {content.corrects}, "
            f"{words['number']} {number}"
        )
    title = f"{title} {words['of']} {content.day}"
    pieces = [
        f"<html lang='{content.language}'><head><meta charset='utf-8'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>",
        f"<body><h1>{escape(title)}</h1>",
        _party(words["seller"], content.seller),
        _party(words["buyer"], content.buyer),
    ]
    if content.period:
        pieces.append(f"<p>{words['period']}: {escape(' - '.join(content.period))}</p>")
    pieces.append(_table(content, words))
    if content.corrects:
        pieces.append(f"<p>{words['taken_back']}</p>")
    elif kind is DocumentKind.ACT:
        pieces.append(f"<p>{words['done']}</p>")
    pieces.append(_signatures(content, words))
    return "\n".join([*pieces, "</body></html>"])


def _party(word: str, party: Party) -> str:
    lines = "".join(f"<div>{escape(line)}</div>" for line in (party.name, *party.details))
    return f"<div class='party'><b>{word}:</b>{lines}</div>"


def _table(content: Content, words: Mapping[str, str]) -> str:
    def row(cells: Sequence[object], *, css: str = "", tag: str = "td") -> str:
        shown = "".join(
            f"<{tag}{' class=n' if at not in (0, 1) else ''}>{escape(str(cell))}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr class='{css}'>{shown}</tr>"

    total = content.total_micros
    currency = content.currency
    head = [words["number"], words["service"], words["count"], f"{words['sum']}, {currency}"]
    rows = [row(head, tag="th")]
    for number, line in enumerate(content.lines, 1):
        rows.append(row([number, line.name, line.count, format_micros(line.sum_micros)]))
    rows.append(row(["", words["total"], "", format_micros(total)], css="total"))
    if content.tax_percent:
        tax = abs(total) * content.tax_percent // (100 + content.tax_percent)
        tax = round_to_hundredth(-tax if total < 0 else tax)
        word = words["tax"].format(content.tax_percent)
        rows.append(row(["", word, "", format_micros(tax)]))
    else:
        rows.append(row(["", words["no_tax"], "", ""]))
    return f"<table>{''.join(rows)}</table>"


def _signatures(content: Content, words: Mapping[str, str]) -> str:
    signers = "".join(f"<br>{escape(signer)}" for signer in content.signers)
    return (
        f"<table class='sign'><tr><td>{words['seller']} _______________{signers}</td>"
        f"<td>{words['buyer']} _______________</td></tr></table>"
    )
