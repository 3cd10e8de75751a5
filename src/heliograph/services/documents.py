"""Invoices and acts: issued by a main account to its sub-clients.

Invoices are asked for; an act is made for every sub-client and finished month with messages, once
nothing of that month is open any more, or on the third day at the latest. A document is frozen when
it is issued; its file, when it is first read.
"""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.config_services import Company
from heliograph.domain.accounts import Account
from heliograph.domain.documents import (
    Content,
    DocumentKind,
    Line,
    Party,
    counter_content,
    make_page,
    type_name,
)
from heliograph.domain.money import round_to_hundredth
from heliograph.domain.refusals import Refusal
from heliograph.services.directory import Directory
from heliograph.services.document_pdf import make_pdf
from heliograph.storage import documents
from heliograph.storage.database import Database
from heliograph.storage.documents import Document

__all__ = ["Documents", "correct_document"]

_PASS_S = 600.0
_MONTHS_BACK = 3
# From this day of the next month on an act is made even if something is still open.
_LAST_DAY_TO_WAIT = 3
_EPOCH = date(1970, 1, 1)
_SERVICE = ("Messaging services", "Услуги по передаче сообщений")
_LABELS = (
    ("tax_id", "Tax number", "ИНН/КПП"),
    ("address", "Address", "Адрес"),
    ("bank", "Bank", "Банк"),
    ("bank_account", "Account", "Счёт"),
    ("contact", "Contact", "Контакты"),
)

_log = structlog.get_logger(__name__)


class Documents:
    """Works from `start` to `stop`."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        company: Company,
        clock: Callable[[], int],
        timezone_minutes: int,
    ) -> None:
        """`company`: the operator of the gateway. `timezone_minutes`: of days and months."""
        self._database = database
        self._directory = directory
        self._company = company
        self._clock = clock
        self._zone = timezone(timedelta(minutes=timezone_minutes))
        self._task: asyncio.Task[None] | None = None
        self._making = asyncio.Semaphore(2)

    def start(self) -> None:
        """Begins to make acts."""
        self._task = asyncio.create_task(self._run(), name="documents")

    async def stop(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def find_subclient(self, issuer: Account, *, login: str = "", id: int = 0) -> Account | None:
        """A sub-client of the account by login or number."""
        found = self._directory.account(login) if login else self._directory.account_by_id(id)
        return found if found is not None and found.parent_id == issuer.id else None

    async def invoice(
        self, issuer: Account, subclient: Account, sum_micros: int, service: str = ""
    ) -> Document:
        """Issues an invoice in the issuer's currency."""
        name = service or _SERVICE[subclient.language == "ru"]
        line = Line(name=name, count=1, sum_micros=sum_micros)
        content = self._content(issuer, subclient, (line,), currency=issuer.currency)
        async with self._database.write() as connection:
            return await documents.insert_document(
                connection,
                DocumentKind.INVOICE,
                content,
                issuer_id=issuer.id,
                account_id=subclient.id,
                now_ms=self._clock(),
            )

    async def find(
        self,
        issuer: Account,
        subclient: Account,
        kind: DocumentKind,
        *,
        id: int = 0,
        number: int = 0,
    ) -> Document | None:
        """A document that was issued by the one to the other."""
        async with self._database.read() as connection:
            return await documents.find_document(
                connection, issuer.id, subclient.id, kind, id=id, number=number
            )

    async def file(self, document: Document) -> bytes:
        """Its PDF, always the same one. Raises PdfMissing, PdfFailed."""
        async with self._database.read() as connection:
            known = await documents.read_file(connection, document.id)
        if known is not None:
            return known
        async with self._making:  # each takes a process and some memory
            page = make_page(document.kind, document.number, document.content)
            made = await make_pdf(page)
        async with self._database.write() as connection:
            return await documents.keep_file(connection, document.id, made)

    async def correct(self, issuer: Account, document_id: int) -> Document | Refusal:
        """As `correct_document`, now."""
        async with self._database.write() as connection:
            return await correct_document(
                connection, issuer.id, document_id, day=self._today(), now_ms=self._clock()
            )

    async def make_acts(self) -> int:
        """Makes the acts that are due; how many."""
        today = self._today()
        made = 0
        for back in range(1, _MONTHS_BACK + 1):
            period = today.year * 12 + today.month - 1 - back
            first = date(period // 12, period % 12 + 1, 1)
            last = first.replace(day=monthrange(first.year, first.month)[1])
            days = ((first - _EPOCH).days, (last - _EPOCH).days)
            async with self._database.read() as connection:
                due = await documents.accounts_without_act(connection, period, days)
            may_wait = back == 1 and today.day < _LAST_DAY_TO_WAIT
            for account_id, issuer_id in due:
                made += await self._make_acts_of(
                    account_id, issuer_id, period, (first, last), may_wait=may_wait
                )
        return made

    async def _make_acts_of(
        self,
        account_id: int,
        issuer_id: int,
        period: int,
        month: tuple[date, date],
        *,
        may_wait: bool,
    ) -> int:
        subclient = self._directory.account_by_id(account_id)
        issuer = self._directory.account_by_id(issuer_id)
        if subclient is None or issuer is None:
            return 0
        days = ((month[0] - _EPOCH).days, (month[1] - _EPOCH).days)
        made = 0
        async with self._database.write() as connection:
            sums = await documents.sums_by_type(connection, account_id, days)
            if may_wait and any(each.open_micros for each in sums):
                return 0
            standing = await documents.standing_currencies(connection, account_id, period)
            for currency in sorted({each.currency for each in sums} - standing):
                lines = tuple(
                    Line(
                        name=type_name(each.type, subclient.language),
                        count=each.count,
                        sum_micros=round_to_hundredth(each.charged_micros + each.open_micros),
                    )
                    for each in sums
                    if each.currency == currency and each.count
                )
                if not lines:
                    continue
                content = self._content(issuer, subclient, lines, currency=currency, month=month)
                await documents.insert_document(
                    connection,
                    DocumentKind.ACT,
                    content,
                    issuer_id=issuer_id,
                    account_id=account_id,
                    now_ms=self._clock(),
                    period=period,
                )
                made += 1
        return made

    def _content(
        self,
        issuer: Account,
        subclient: Account,
        lines: tuple[Line, ...],
        *,
        currency: str,
        month: tuple[date, date] | None = None,
    ) -> Content:
        language = subclient.language
        company = self._company
        return Content(
            language=language,
            day=self._today().strftime("%d.%m.%Y"),
            currency=currency,
            seller=self._seller(issuer, language),
            buyer=_buyer(subclient, language),
            lines=lines,
            tax_percent=company.tax_percent,
            period=tuple(day.strftime("%d.%m.%Y") for day in month or ()),
            signers=(company.signer,) if company.signer else (),
        )

    def _seller(self, issuer: Account, language: str) -> Party:
        """A main account that is somebody's sub-client itself sells in its own name."""
        if issuer.parent_id or not self._company.name:
            return _party_of(issuer)
        details = tuple(
            f"{russian if language == 'ru' else english}: {value}"
            for key, english, russian in _LABELS
            if (value := getattr(self._company, key))
        )
        return Party(name=self._company.name, details=details)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock() // 1000, self._zone).date()

    async def _run(self) -> None:
        while True:
            try:
                await self.make_acts()
            except Exception:
                _log.exception("acts were not made")
            await asyncio.sleep(_PASS_S)


async def correct_document(
    connection: AsyncConnection, issuer_id: int, document_id: int, *, day: date, now_ms: int
) -> Document | Refusal:
    """Takes a document back by a counter-document. Refusals: NOT_FOUND, NOT_SAVED (it is taken back
    already, or is a counter-document itself).

    A new act about the same month is made by the next pass of the running server.
    """
    found = await documents.list_documents(connection, issuer_id, id=document_id)
    if not found:
        return Refusal.NOT_FOUND
    original = found[0]
    if original.corrects_id or await documents.is_corrected(connection, original.id):
        return Refusal.NOT_SAVED
    return await documents.insert_document(
        connection,
        original.kind,
        counter_content(original.content, original.number, day),
        issuer_id=issuer_id,
        account_id=original.account_id,
        now_ms=now_ms,
        period=original.period,
        corrects_id=original.id,
    )


def _buyer(account: Account, language: str) -> Party:
    """With the number of its contract, when it has one (`cntr`)."""
    party = _party_of(account)
    number = account.settings.get("cntr", "").strip()
    if not number:
        return party
    contract = f"{'Договор' if language == 'ru' else 'Contract'} {number}"
    return replace(party, details=(*party.details, contract))


def _party_of(account: Account) -> Party:
    details = account.settings.get("props", "")
    return Party(
        name=account.settings.get("fio") or account.login,
        details=tuple(line for line in map(str.strip, details.splitlines()) if line),
    )
