"""`soap.php`: the scripts for sending, statuses and balance, asked and answered in SOAP.

An operation becomes the parameters of its script, and the script's reply becomes the members of the
operation's result: what is checked, limited and charged is one thing for both (soap reference,
part 1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heliograph.gateways.http.calls import Reply
from heliograph.gateways.http.envelopes import Answer, Asked
from heliograph.gateways.http.parameters import Parameters
from heliograph.protocols.forms.charsets import UTF_8, find_charset
from heliograph.protocols.forms.replies import Format, xml_text
from heliograph.protocols.forms.urlencoded import decode_fields, parse_form
from heliograph.protocols.soap.envelope import SoapError
from heliograph.protocols.soap.wsdl import OPERATIONS, Operation, write_wsdl

__all__ = ["AnswerScript", "SoapService"]

# (script, parameters, format of the reply, the client's address)
AnswerScript = Callable[[str, Parameters, Format, str], Awaitable[Reply]]

_BY_REQUEST = {operation.request: operation for operation in OPERATIONS}
_SCRIPTS = {"sendresult": "send", "costresult": "send", "statusresult": "status"}
# What the result is written from is ours to choose; who asks stands in elements of their own.
_FIXED = ("fmt", "charset", "op", "err", "login", "psw", "apikey")
# A status always has these, and the others as much as `all` asks for.
_STATUS_ALWAYS = frozenset(
    {"status", "last_date", "last_timestamp", "err", "send_timestamp", "cost", "operator", "region"}
)
_NOT_FOUND = -3
_ERROR_NOT_FOUND = 3


class SoapService:
    """Answers the operations; see `envelopes.SoapEndpoint` for what is around them."""

    name = "soap"

    def __init__(self, answer: AnswerScript) -> None:
        self._answer = answer

    def describe(self, address: str) -> str:
        """The WSDL for the address at which it was asked."""
        return write_wsdl(address)

    async def carry_out(self, asked: Asked) -> Answer:
        """Raises SoapError when there is no such operation."""
        body = asked.request.body
        operation = _BY_REQUEST.get(body.name)
        if operation is None:
            raise SoapError("there is no such operation", asked.request.version)
        fields = _read_fields(asked.request.fields, operation)
        depth = fields.get("all", "")
        if operation.result == "statusresult":
            fields["all"] = "2"
        parameters = Parameters(fields, fields, charset=UTF_8)
        script = _SCRIPTS.get(operation.result, "balance")
        reply = await self._answer(script, parameters, Format.JSON, asked.address)
        record = msgspec.json.decode(reply.text)
        members = _members(operation, record, reply.error_code, depth)
        # Nothing but its own namespace is understood by a program made for another host.
        namespace = xml_text(body.namespace or asked.endpoint)
        content = "".join([f"<{name}>{xml_text(text)}</{name}>" for name, text in members])
        return Answer(
            f'<s:{operation.reply} xmlns:s="{namespace}"><{operation.result}>{content}'
            f"{_write_errors(operation, record)}</{operation.result}></s:{operation.reply}>",
            reply.error_code,
        )


def _read_fields(given: dict[str, str], operation: Operation) -> dict[str, str]:
    """The parameters of the script."""
    fields: dict[str, str] = {}
    if "query" in (*operation.required, *operation.optional) and given.get("query"):
        raw: dict[str, str] = {}
        parse_form(given["query"].encode(), raw)
        fields = dict(decode_fields(raw, find_charset(raw.get("charset", ""), UTF_8)))
        for name in _FIXED:
            fields.pop(name, None)
    known = (*operation.required, *operation.optional, "apikey")
    for name in known:
        text = given.get(name, "")
        if name != "mes":
            text = text.strip()
        # Generated programs write every field: an empty sender here is one that was not given.
        if text and name != "query":
            fields[name] = text
    match operation.result:
        case "sendresult":
            fields["cost"] = "1" if fields.get("cost") == "1" else "3"
            fields["err"] = "1" if operation.has_errors else ""
        case "costresult":
            fields["cost"] = "1"
        case "statusresult":
            for name in ("phone", "id"):  # of several messages only the first one is answered
                fields[name] = fields.get(name, "").partition(",")[0]
    return fields


def _members(
    operation: Operation, record: dict[str, Any], error: int, depth: str
) -> list[tuple[str, str]]:
    """The members of a result in the order of its type; `error` is always among them."""
    if not error and operation.result == "statusresult":
        if record.get("status") == _NOT_FOUND:
            error = _ERROR_NOT_FOUND
        elif depth not in ("1", "2", "true"):
            record = {name: value for name, value in record.items() if name in _STATUS_ALWAYS}
    if error:
        shown: dict[str, Any] = {"error": error}
        if "id" in record:
            shown["id"] = record["id"]
    else:
        shown = record | {"error": 0}
    return [(name, str(shown[name])) for name in operation.members if name in shown]


def _write_errors(operation: Operation, record: dict[str, Any]) -> str:
    """The faulty numbers with their statuses."""
    if not operation.has_errors:
        return ""
    return "".join(
        [
            f"<errors><phone>{xml_text(line['phone'])}</phone>"
            f"<status>{xml_text(line['status'])}</status></errors>"
            for line in record.get("phones", ())
        ]
    )
