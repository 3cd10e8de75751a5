"""Invoices and acts: numbers without gaps, frozen contents, counter-documents, months."""

from __future__ import annotations

import asyncio
import re
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.domain.accounts import Account
from heliograph.domain.documents import Content, DocumentKind, Line, Party, make_page
from heliograph.domain.money import round_to_hundredth
from heliograph.domain.refusals import Refusal
from heliograph.services import administration, document_pdf
from heliograph.services.document_pdf import PdfFailed, PdfMissing, make_pdf
from heliograph.services.documents import Documents
from heliograph.storage.documents import list_documents

MOSCOW = timezone(timedelta(hours=3))


def documents_of(rig: Rig) -> Documents:
    return rig.runtime.services.data.documents


@pytest.mark.parametrize(
    ("micros", "rounded"),
    [
        (0, 0),
        (4_999, 0),
        (5_000, 10_000),
        (1_155_000, 1_160_000),
        (-1_155_000, -1_160_000),
        (1_154_999, 1_150_000),
    ],
)
def test_amounts_of_documents_can_be_paid(micros: int, rounded: int) -> None:
    assert round_to_hundredth(micros) == rounded


async def child_of(rig: Rig, login: str = "child", **settings: str) -> Account:
    await administration.create_account(
        rig.runtime.database,
        login,
        "Secret-123",
        now_ms=1,
        balance_micros=10**9,
        parent_id=rig.account.id,
        settings=settings,
    )
    await rig.runtime.directory.refresh_if_changed()
    account = rig.runtime.directory.account(login)
    assert account is not None
    return account


async def test_numbers_have_no_gaps(tmp_path: Path) -> None:
    async with open_rig(tmp_path, "company.name=ACME") as rig:
        child = await child_of(rig, fio="Ivan", props="INN 1\nMoscow", cntr="7/26")
        service = documents_of(rig)
        made = await asyncio.gather(
            *(service.invoice(rig.account, child, n * 1_000_000) for n in range(1, 21))
        )
        assert sorted(each.number for each in made) == list(range(1, 21))
        first = await service.find(rig.account, child, DocumentKind.INVOICE, number=1)
        assert first is not None
        assert first.content.seller.name == "ACME"
        assert first.content.buyer == Party(
            name="Ivan", details=("INN 1", "Moscow", "Договор 7/26")
        )
        # What is issued stays as it is, whatever becomes of the parties.
        await administration.change_settings(rig.runtime.database, "child", {"fio": "Petr"})
        await rig.runtime.directory.refresh_if_changed()
        again = await service.find(rig.account, child, DocumentKind.INVOICE, id=first.id)
        assert again == first
        assert await service.find(child, child, DocumentKind.INVOICE, id=first.id) is None


async def test_what_is_taken_back(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        child = await child_of(rig)
        service = documents_of(rig)
        invoice = await service.invoice(rig.account, child, 5_000_000, "Звонки")
        counter = await service.correct(rig.account, invoice.id)
        assert not isinstance(counter, Refusal)
        assert (counter.number, counter.corrects_id) == (2, invoice.id)
        assert counter.content.total_micros == -5_000_000
        assert counter.content.corrects == 1
        assert await service.correct(rig.account, invoice.id) is Refusal.NOT_SAVED
        assert await service.correct(rig.account, counter.id) is Refusal.NOT_SAVED
        assert await service.correct(child, invoice.id) is Refusal.NOT_FOUND
        page = make_page(counter.kind, counter.number, counter.content)
        assert "Корректировочный счёт к счёту № 1, № 2" in page
        assert "-5.00" in page


async def test_acts_of_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_rig(tmp_path) as rig:
        connector = PuppetConnector(1)
        await rig.attach(connector)
        child = await child_of(rig)
        await child_of(rig, "idle")
        service = documents_of(rig)
        await service.stop()
        sent = await rig.send("79161234567,79161234568", account=child)
        await rig.until(lambda: len(connector.texts) == 2)
        assert sent.cost_micros == 2_000_000
        now = datetime.now(MOSCOW)
        following = (now.replace(day=28) + timedelta(days=5)).replace(day=1, hour=1)
        clock = [int(following.timestamp()) * 1000]
        monkeypatch.setattr(service, "_clock", lambda: clock[0])
        # The messages are still open: on the first day of the month that may yet change.
        assert await service.make_acts() == 0
        clock[0] += 2 * 86_400_000
        assert await service.make_acts() == 1
        assert await service.make_acts() == 0
        act = await service.find(rig.account, child, DocumentKind.ACT, number=1)
        assert act is not None
        assert act.content.lines == (Line(name="SMS-сообщения", count=2, sum_micros=2_000_000),)
        assert act.content.period[0] == f"01.{now.month:02}.{now.year}"
        # Taken back, the month gets another one.
        await service.correct(rig.account, act.id)
        assert await service.make_acts() == 1
        async with rig.runtime.database.read() as connection:
            found = await list_documents(connection, rig.account.id, kind=DocumentKind.ACT)
        assert [each.number for each in found] == [3, 2, 1]
        assert sum(each.content.total_micros for each in found) == 2_000_000


def content(**fields: object) -> Content:
    given: dict[str, object] = {
        "language": "en",
        "day": "01.02.2026",
        "currency": "RUR",
        "seller": Party(name="<b>ACME</b>"),
        "buyer": Party(name="Петров & Co", details=("<img src='file:///etc/passwd'>",)),
        "lines": (Line(name="Messages", count=3, sum_micros=120_000_000),),
    }
    return Content(**(given | fields))  # type: ignore[arg-type]


def test_a_page_holds_texts_and_no_markup_of_theirs() -> None:
    page = make_page(
        DocumentKind.ACT, 7, content(tax_percent=20, period=("01.01.2026", "31.01.2026"))
    )
    assert "Act of services rendered No. 7 of 01.02.2026" in page
    assert "&lt;b&gt;ACME&lt;/b&gt;" in page
    assert "<img" not in page
    assert "including VAT 20%" in page
    assert "20.00" in page
    assert "01.01.2026 - 31.01.2026" in page


def unpack(pdf: bytes) -> bytes:
    """Everything in the streams of a PDF."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return b"".join(zlib.decompressobj().decompress(each) for each in streams if each[:1] == b"x")


async def test_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    page = make_page(DocumentKind.INVOICE, 1, content(language="ru"))
    made = await make_pdf(page)
    assert made.startswith(b"%PDF-")
    assert b"FontFile" in unpack(made)  # letters come with it: nobody needs our fonts
    quiet = await make_pdf("<img src='file:///etc/passwd'><img src='http://127.0.0.1:1/x'>")
    assert quiet.startswith(b"%PDF-")
    monkeypatch.setattr(document_pdf, "_TIMEOUT_S", 0.01)
    with pytest.raises(PdfFailed):
        await make_pdf(page)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PdfMissing, match="heliograph\\[invoices\\]"):
        await make_pdf(page)
