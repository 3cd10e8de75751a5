"""From an HTML page to a PDF, in a process of its own.

The library is large and slow to load, its work would hold up the event loop, and what a party is
called comes from outside: so it lives in a process that is started for one document and ends with
it. It may load nothing, neither files nor addresses.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys

__all__ = ["PdfFailed", "PdfMissing", "make_pdf"]

# A page of an invoice takes two seconds, most of it to load the library.
_TIMEOUT_S = 60.0


class PdfMissing(Exception):
    """The library for PDF is not installed. The text says what to install."""


class PdfFailed(Exception):
    """No PDF came out of the page."""


async def make_pdf(page: str) -> bytes:
    """The PDF of a page. Raises PdfMissing, PdfFailed."""
    if importlib.util.find_spec("weasyprint") is None:
        raise PdfMissing("PDF is not installed: pip install 'heliograph[invoices]'")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "heliograph.services.document_pdf",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            content, errors = await process.communicate(page.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PdfFailed("the PDF was not ready in time") from None
    if process.returncode or not content.startswith(b"%PDF"):
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        if "cannot load library" in last:  # Pango is of the system, not of Python
            raise PdfMissing(f"PDF needs the library Pango: {last[:200]}")
        raise PdfFailed(last[:200])
    return content


def _main() -> None:
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    page = sys.stdin.buffer.read().decode()
    nothing = URLFetcher(allowed_protocols=())
    sys.stdout.buffer.write(HTML(string=page, url_fetcher=nothing).write_pdf())


if __name__ == "__main__":
    _main()
