"""Replies of `send.php`: accepted and priced, in four forms, with a line a number when asked.

The first line says the same in every form: id and number of parts, then price, balance and the
spoken code as far as there are any (send.php reference, section 6).
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.domain.money import format_micros
from heliograph.domain.refusals import RECIPIENT_OUTCOMES
from heliograph.domain.requests import Line, Submitted
from heliograph.domain.statuses import API_STATUS
from heliograph.protocols.forms.replies import (
    Format,
    Value,
    identifier,
    write_json,
    write_numbers,
    write_text,
    write_xml,
    xml_text,
)

__all__ = ["Wish", "format_cost", "write_sent"]

# Rejected with no exact reason given: for refusals that name no state of a message.
_UNEXPLAINED = ("20", "255")


class Wish(NamedTuple):
    """What the client wants to read: `cost` 0..3, a line for every number, for faulty ones."""

    fmt: Format
    cost: int = 0
    op: bool = False
    err: bool = False


def format_cost(micros: int) -> str:
    """A price as text: `0` when there is none, else with two decimals at least."""
    return format_micros(micros) if micros else "0"


def write_sent(submitted: Submitted, wish: Wish) -> str:
    """The reply to a request that was accepted, or (`cost=1`) priced."""
    fmt, cost, op, err = wish
    if not (cost or op or err or submitted.code):
        # The plain reply to nearly every message.
        client_ref, count = submitted.client_ref, submitted.part_count
        if fmt == Format.NUMBERS:
            return f"{client_ref},{count}"
        if fmt == Format.TEXT:
            return f"OK - {count} SMS, ID - {client_ref}"
        if fmt == Format.JSON:
            return f'{{\n"id": {write_json(identifier(client_ref))},\n"cnt": {count}\n}}'
    record = _record(submitted, cost)
    lines = _lines(submitted, op=op) if op or err else None
    if fmt == Format.JSON:
        return write_json(record if lines is None else {**record, "phones": lines})
    if fmt == Format.XML:
        return _write_xml(record, lines)
    if fmt == Format.NUMBERS:
        first = ",".join(map(str, record.values()))
        rest = [write_numbers(_positions(line, op=op)) for line in lines or ()]
    else:
        first = _write_first_line(submitted, record, cost)
        rest = [_write_labels(line) for line in lines or ()]
    return "\n".join([first, *rest])


def _record(submitted: Submitted, cost: int) -> dict[str, Value]:
    price = format_cost(0 if submitted.is_test else submitted.cost_micros)
    if cost == 1:
        return {"cost": price, "cnt": submitted.part_count}
    record: dict[str, Value] = {
        "id": identifier(submitted.client_ref),
        "cnt": submitted.part_count,
    }
    if cost >= 2:
        record["cost"] = price
    if cost == 3:
        record["balance"] = format_micros(submitted.balance_micros)
    # Last, so that clients that count positions find the price where it always is.
    if submitted.code:
        record["code"] = submitted.code
    return record


def _write_first_line(submitted: Submitted, record: dict[str, Value], cost: int) -> str:
    if cost == 1:
        return f"{record['cost']} ({submitted.part_count} SMS)"
    words = [f"OK - {submitted.part_count} SMS, ID - {submitted.client_ref}"]
    words += [
        f"{name.upper()} - {record[name]}" for name in ("cost", "balance", "code") if name in record
    ]
    return ", ".join(words)


def _outcome(line: Line) -> tuple[str, str]:
    """(status, error) of a number as the reply shows them; empty for a good one."""
    if line.refusal is None:
        return "", ""
    outcome = RECIPIENT_OUTCOMES.get(line.refusal)
    if outcome is None:
        return _UNEXPLAINED
    state, err = outcome
    return str(API_STATUS[state]), str(err)


def _lines(submitted: Submitted, *, op: bool) -> list[dict[str, Value]]:
    """A record for every number (`op`), or for the faulty ones only and then without its price."""
    records: list[dict[str, Value]] = []
    for line in submitted.lines:
        if not op and line.refusal is None:
            continue
        record: dict[str, Value] = {"phone": line.recipient}
        if op:
            record["mccmnc"] = line.mccmnc
            if not submitted.is_test:
                record["cost"] = format_cost(line.price_micros)
        record["status"], record["error"] = _outcome(line)
        records.append(record)
    return records


def _positions(line: dict[str, Value], *, op: bool) -> list[Value]:
    """The values of a line at fixed positions: one that is left out stays empty."""
    if not op:
        return list(line.values())
    return [line["phone"], line["mccmnc"], line.get("cost", ""), line["status"], line["error"]]


def _write_labels(line: dict[str, Value]) -> str:
    rest = {name: value for name, value in line.items() if name != "phone"}
    return f"{line['phone']}, {write_text(rest)}"


def _write_xml(record: dict[str, Value], lines: list[dict[str, Value]] | None) -> str:
    elements = [write_xml(name, value) for name, value in record.items()]
    if lines is not None:
        elements.append("<phones>")
        for line in lines:
            attributes = "".join(
                f' {name}="{xml_text(str(value))}"'
                for name, value in line.items()
                if name != "phone"
            )
            elements.append(f"<phone{attributes}>{xml_text(str(line['phone']))}</phone>")
        elements.append("</phones>")
    return "\n".join(["<result>", *elements, "</result>"])
