"""`templates.php` and `op_templates.php`: texts that an account keeps, and texts at operators."""

from __future__ import annotations

from heliograph.domain.refusals import Refusal
from heliograph.domain.templates import OPERATOR_KINDS, TEMPLATE_FORMATS
from heliograph.domain.texts import MAX_TEXT_CHARS
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.operations import (
    finish,
    read_id,
    read_text,
    require,
    run_operation,
)
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.replies import (
    Format,
    Value,
    write_created,
    write_json,
    write_list,
    write_numbers,
    write_xml,
)
from heliograph.protocols.forms.urlencoded import read_flags
from heliograph.services.templates import OperatorTemplate

__all__ = ["op_templates", "templates"]

_MAX_NAME_CHARS = 255
_MAX_SENDER_CHARS = 254


async def templates(call: Call) -> Reply:
    """One operation on the account's templates (templates reference, section 1)."""
    refusal = count_equal(call, "templates")
    if refusal is not None:
        return call.refuse(refusal)
    return await run_operation(call, {"add": _add, "chg": _change, "del": _delete, "get": _list})


async def op_templates(call: Call) -> Reply:
    """Registers a text at operators, or tells what they said (templates reference, section 2)."""
    refusal = count_equal(call, "templates")
    if refusal is not None:
        return call.refuse(refusal)
    return await run_operation(call, {"add": _register, "get": _show})


async def _add(call: Call) -> Reply:
    require(call, "name")
    require(call, "msg")
    made = await call.services.books.templates.add(call.account, _read_values(call))
    if isinstance(made, Refusal):
        return call.refuse(made)
    if call.fmt == Format.TEXT:
        return Reply(f"OK, ID - {made}")
    if call.fmt == Format.XML:
        return Reply(f"<result><id>{made}</id></result>")
    return Reply(write_created(call.fmt, str(made)))


async def _change(call: Call) -> Reply:
    values = _read_values(call)
    if "" in (values.get("name"), values.get("text")):
        raise ParameterError("a template has a name and a text")
    refusal = await call.services.books.templates.change(call.account, read_id(call, "id"), values)
    return finish(call, refusal)


async def _delete(call: Call) -> Reply:
    return finish(
        call, await call.services.books.templates.delete(call.account, read_id(call, "id"))
    )


async def _list(call: Call) -> Reply:
    records: list[dict[str, Value]] = [
        {
            "id": each.id,
            "name": each.name,
            "message": each.text,
            "format": each.format,
            "sender": each.sender,
            "flag": each.flags,
        }
        for each in await call.services.books.templates.all(call.account)
    ]
    if not records and call.fmt in (Format.TEXT, Format.NUMBERS):
        # Clients turn to another host when a body is empty.
        return call.refuse(Refusal.NOT_FOUND)
    return Reply(write_list(call.fmt, records, item="template"))


def _read_values(call: Call) -> dict[str, str | int]:
    """What the request says about a template, by the names of its row."""
    fields = call.fields
    values: dict[str, str | int] = {}
    if "name" in fields:
        values["name"] = read_text(call, "name", _MAX_NAME_CHARS)
    if "msg" in fields:
        values["text"] = read_text(call, "msg", MAX_TEXT_CHARS)
    if "format" in fields:
        values["format"] = fields["format"].strip().lower()
        if values["format"] not in TEMPLATE_FORMATS:
            raise ParameterError("format: unknown")
    if "sender" in fields:
        values["sender"] = read_text(call, "sender", _MAX_SENDER_CHARS).strip()
    flags = read_flags(fields, "fl")
    if 1 in flags:
        values["flags"] = int(flags[1])
    return values


async def _register(call: Call) -> Reply:
    names = [name for name in OPERATOR_KINDS if _is_on(call, name)]
    if not names:
        raise ParameterError("no operator")
    sender, text = _read_pair(call)
    found = await call.services.books.templates.register(call.account, sender, text, names=names)
    if isinstance(found, Refusal):
        return call.refuse(found)
    return Reply(_write_entries(call.fmt, found, has_state=False))


async def _show(call: Call) -> Reply:
    sender, text = _read_pair(call)
    found = await call.services.books.templates.registered(call.account, sender, text)
    if not found:
        return call.refuse(Refusal.NOT_FOUND)
    return Reply(_write_entries(call.fmt, found, has_state=True))


def _read_pair(call: Call) -> tuple[str, str]:
    require(call, "sender")
    require(call, "msg")
    return (
        read_text(call, "sender", _MAX_SENDER_CHARS).strip(),
        read_text(call, "msg", MAX_TEXT_CHARS),
    )


def _is_on(call: Call, name: str) -> bool:
    return call.fields.get(name, "") not in ("", "0")


def _write_entries(fmt: Format, found: list[OperatorTemplate], *, has_state: bool) -> str:
    records: list[dict[str, Value]] = []
    for each in found:
        record: dict[str, Value] = {"name": each.name, "id": each.id}
        if has_state:
            record["status"] = int(each.state)
        records.append(record)
    if fmt == Format.JSON:
        return write_json(records)
    if fmt == Format.XML:
        return write_xml("result", records, item="template")
    if fmt == Format.NUMBERS:
        return "\n".join(write_numbers(list(record.values())) for record in records)
    lines = []
    for each in found:
        status = f", status = {int(each.state)}" if has_state else ""
        lines.append(f"{each.name} = {each.id}{status}")
    return "\n".join(lines)
