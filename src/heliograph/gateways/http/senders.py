"""`senders.php`: the registry of sender names (senders reference)."""

from __future__ import annotations

import re

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.domain.senders import MAX_SENDERS, OPERATOR_FLAGS
from heliograph.gateways.http.calls import Call, Reply
from heliograph.gateways.http.dates import day_begins_ms, parse_day
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
    write_json,
    write_list,
    write_record,
    write_xml,
)
from heliograph.protocols.forms.urlencoded import is_true
from heliograph.services.senders import Sender, SenderData, SenderDocument, SenderQuery

__all__ = ["list_senders", "senders"]

_MAX_SENDER_CHARS = 254
_MAX_COMMENT_CHARS = 1000
_MAX_CODE_CHARS = 20
_MAX_FILE_BYTES = 3 * 1024 * 1024
_MAX_WISHES = 60
_EXTENSIONS = ("jpg", "jpeg", "tif", "tiff", "pdf", "png", "zip", "rar")
# Registration data that is kept for the moderator (senders reference, operator flags).
_WISH = re.compile(r"fio|inn|site|email|address|desc|subj|by_[a-z_]{1,30}")


async def senders(call: Call) -> Reply:
    """One operation on sender names of the account, or of its sub-client (`user`)."""
    return await run_operation(
        call,
        {
            "get": _list,
            "add": _add,
            "chg": _change,
            "send_code": _send_code,
            "check_code": _check_code,
            "del": _delete,
        },
    )


async def list_senders(call: Call) -> Reply:
    """The list of names as an operation of `get.php` (`get_senders=1`), an older form of it."""
    if _find_account(call) is None:
        return call.refuse(Refusal.NOT_FOUND)
    return await run_operation(call, {"get_senders": _list})


async def _list(call: Call) -> Reply:
    refusal = count_equal(call, "senders")
    account = _find_account(call)
    if refusal is not None or account is None:
        return call.refuse(refusal or Refusal.NO_SUCH_ACCOUNT)
    fields = call.fields
    try:
        since = parse_day(fields.get("from_date", ""))
    except ValueError:
        raise ParameterError("from_date: DD.MM.YYYY") from None
    with_inactive = is_true(fields.get("all", ""))
    found = await call.services.books.senders.page(
        account,
        SenderQuery(
            with_inactive=with_inactive,
            is_mail=is_true(fields.get("mail", "")),
            changed_since=0 if since is None else day_begins_ms(since, call.settings.zone),
            before_id=read_id(call, "prev_id", default=0),
            limit=min(read_id(call, "cnt", default=MAX_SENDERS) or MAX_SENDERS, MAX_SENDERS),
        ),
    )
    if not found:
        return call.refuse(Refusal.NOT_FOUND)
    has_operators = is_true(fields.get("operators", ""))
    records = [
        _record(call.fmt, each, with_state=with_inactive, has_operators=has_operators)
        for each in found
    ]
    if call.fmt == Format.XML:
        return Reply(_write_xml(records))
    return Reply(write_list(call.fmt, records))


def _record(
    fmt: Format, sender: Sender, *, with_state: bool, has_operators: bool
) -> dict[str, Value]:
    record: dict[str, Value] = {"id": sender.id, "sender": sender.name}
    if with_state:
        record["status"] = int(sender.state)
        record["cmt"] = sender.comment
    if has_operators:
        states = [(name, int(state)) for name, state in sender.operators.items()]
        if fmt in (Format.TEXT, Format.NUMBERS):
            record["operators"] = "|".join(f"{name}:{state}" for name, state in states)
        else:
            record["operators"] = [{"name": name, "status": state} for name, state in states]
    return record


def _write_xml(records: list[dict[str, Value]]) -> str:
    """The name's element is called `name` here: its parent is `sender`."""
    elements = ["<list>"]
    for record in records:
        named = {("name" if name == "sender" else name): each for name, each in record.items()}
        elements.append(write_xml("sender", named, item="operator"))
    return "\n".join([*elements, "</list>"])


async def _add(call: Call) -> Reply:
    refusal = _count_creation(call)
    account = _find_account(call)
    if refusal is not None or account is None:
        return call.refuse(refusal or Refusal.NO_SUCH_ACCOUNT)
    made = await call.services.books.senders.add(
        account, _read_name(call), _read_data(call), is_mail=is_true(call.fields.get("mail", ""))
    )
    if isinstance(made, Refusal):
        return call.refuse(made)
    record: dict[str, Value] = {"id": made.id, "sender": made.name}
    if call.fmt == Format.TEXT:
        return Reply(f"ID = {made.id}")
    if call.fmt == Format.NUMBERS:
        return Reply(str(made.id))
    return Reply(write_json(record) if call.fmt == Format.JSON else write_record(call.fmt, record))


async def _change(call: Call) -> Reply:
    account = _find_account(call)
    if account is None:
        return call.refuse(Refusal.NO_SUCH_ACCOUNT)
    name, id = _read_which(call)
    data = _read_data(call)
    return finish(call, await call.services.books.senders.change(account, data, name=name, id=id))


async def _delete(call: Call) -> Reply:
    account = _find_account(call)
    if account is None:
        return call.refuse(Refusal.NO_SUCH_ACCOUNT)
    name, id = _read_which(call)
    return finish(call, await call.services.books.senders.delete(account, name=name, id=id))


async def _send_code(call: Call) -> Reply:
    refusal = _count_creation(call)
    account = _find_account(call)
    if refusal is not None or account is None:
        return call.refuse(refusal or Refusal.NO_SUCH_ACCOUNT)
    site = read_text(call, "site_name", 100).strip()
    if not site.isprintable():
        raise ParameterError("site_name: not printable")
    return finish(
        call,
        await call.services.books.senders.send_code(account, _read_name(call), site=site),
    )


async def _check_code(call: Call) -> Reply:
    account = _find_account(call)
    if account is None:
        return call.refuse(Refusal.NO_SUCH_ACCOUNT)
    code = require(call, "code")[:_MAX_CODE_CHARS]
    return finish(
        call, await call.services.books.senders.check_code(account, _read_name(call), code)
    )


def _count_creation(call: Call) -> Refusal | None:
    return call.services.limits.count(call.account, "senders-add", "")


def _find_account(call: Call) -> Account | None:
    """Whose names are meant: the account's own, or those of its sub-client `user`."""
    login = call.fields.get("user", "").strip()
    if not login or login == call.account.login:
        return call.account
    return call.services.subclients.find(call.account, login)


def _read_name(call: Call) -> str:
    name = read_text(call, "sender", _MAX_SENDER_CHARS).strip()
    if not name or not name.isprintable():
        raise ParameterError("sender: missing, or not printable")
    return name


def _read_which(call: Call) -> tuple[str, int]:
    """(name, 0) or ('', id)."""
    if call.fields.get("sender", "").strip():
        return _read_name(call), 0
    return "", read_id(call, "id")


def _read_data(call: Call) -> SenderData:
    fields = call.fields
    wishes = {
        name: read_text(call, name, _MAX_COMMENT_CHARS) for name in fields if _WISH.fullmatch(name)
    }
    if len(wishes) > _MAX_WISHES:
        raise ParameterError("too many registration data")
    return SenderData(
        comment=read_text(call, "cmt", _MAX_COMMENT_CHARS) if "cmt" in fields else None,
        owner=read_text(call, "name", _MAX_SENDER_CHARS) if "name" in fields else None,
        operators=[name for name in OPERATOR_FLAGS if is_true(fields.get(name, ""))],
        wishes=wishes,
        documents=_read_documents(call),
    )


def _read_documents(call: Call) -> list[SenderDocument]:
    description = read_text(call, "doc_info", _MAX_COMMENT_CHARS)
    documents = []
    for file in call.parameters.files:
        if not file.name.lower().endswith(tuple(f".{each}" for each in _EXTENSIONS)):
            raise ParameterError(f"a document is one of {', '.join(_EXTENSIONS)}")
        if not file.content or len(file.content) > _MAX_FILE_BYTES:
            raise ParameterError("a document has up to 3 MB")
        documents.append(
            SenderDocument(name=file.name, description=description, content=file.content)
        )
    return documents
