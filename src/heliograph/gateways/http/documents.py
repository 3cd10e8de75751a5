"""`documents.php`: invoices and acts of sub-clients (documents reference)."""

from __future__ import annotations

from heliograph.domain.accounts import Account
from heliograph.domain.documents import DocumentKind
from heliograph.domain.money import parse_micros, round_to_hundredth
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Document, Reply
from heliograph.gateways.http.failures import log_failure
from heliograph.gateways.http.operations import read_id, read_text, run_operation
from heliograph.gateways.http.repetition import count_equal
from heliograph.gateways.http.send_request import ParameterError
from heliograph.protocols.forms.replies import write_created, write_error
from heliograph.services.document_pdf import PdfFailed, PdfMissing

__all__ = ["documents"]

_MAX_SERVICE_CHARS = 300
_NOT_CREATED = 5


async def documents(call: Call) -> Reply:
    """Issues an invoice, or gives out an invoice or act."""
    refusal = count_equal(call, "documents")
    if refusal is not None:
        return call.refuse(refusal)
    operations = {"add_account": _add, "get_account": _get_invoice, "get_act": _get_act}
    return await run_operation(call, operations)


def _find_subclient(call: Call) -> Account | None:
    """Raises ParameterError when none is named."""
    login = call.fields.get("user", "").strip()
    if not login and not call.fields.get("user_id"):
        raise ParameterError("user or user_id: missing")
    id = 0 if login else read_id(call, "user_id")
    return call.services.data.documents.find_subclient(call.account, login=login, id=id)


async def _add(call: Call) -> Reply:
    """`add_account=1`."""
    try:
        micros = round_to_hundredth(parse_micros(call.fields.get("sum", "")))
    except ValueError as error:
        raise ParameterError(f"sum: {error}") from None
    if micros <= 0:
        raise ParameterError("sum: above zero")
    service = read_text(call, "service", _MAX_SERVICE_CHARS)
    subclient = _find_subclient(call)
    if subclient is None:
        return call.refuse(Refusal.NO_SUCH_ACCOUNT)
    made = await call.services.data.documents.invoice(call.account, subclient, micros, service)
    return Reply(write_created(call.fmt, str(made.id)))


async def _get_invoice(call: Call) -> Reply:
    """`get_account=1`."""
    return await _give(call, DocumentKind.INVOICE, read_id(call, "id"), 0)


async def _get_act(call: Call) -> Reply:
    """`get_act=1`, by id or number."""
    id = read_id(call, "id", default=0)
    return await _give(call, DocumentKind.ACT, id, 0 if id else read_id(call, "num"))


async def _give(call: Call, kind: DocumentKind, id: int, number: int) -> Reply:
    service = call.services.data.documents
    subclient = _find_subclient(call)
    if subclient is None:
        return call.refuse(Refusal.NO_SUCH_ACCOUNT)
    found = await service.find(call.account, subclient, kind, id=id, number=number)
    if found is None:
        return call.refuse(Refusal.NOT_FOUND)
    try:
        content = await service.file(found)
    except PdfMissing as error:
        # Whoever runs the gateway can do something about it, and only if he is told what.
        return Reply(write_error(call.fmt, _NOT_CREATED, str(error)), _NOT_CREATED)
    except PdfFailed as error:
        log_failure("documents", error)
        return call.refuse(Refusal.NOT_SAVED)
    is_invoice = kind is DocumentKind.INVOICE
    name = f"account_{found.id}.pdf" if is_invoice else f"act_{found.number}.pdf"
    return Reply("", document=Document("application/pdf", name, content))
