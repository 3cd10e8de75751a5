"""What the pages of the data scripts show is what the gateway answers.

A block of a page is a request line and the reply to it. Numbers (ids, times, ports, codes) differ
from one run to another; everything else has to be the same.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness.gateway import PASSWORD, Gateway, wait_for

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
_BLOCK = re.compile(r"^```\n(/sys/\S+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
PHONE = "79161234567"


def blocks_of(page: str) -> list[tuple[str, str]]:
    return _BLOCK.findall((REFERENCE / page).read_text(encoding="utf-8"))


def rough(text: str) -> str:
    """The text without what differs: numbers, and the codes of short links."""
    text = re.sub(r'("id": "|id = |:\d+/)[0-9A-Za-z]{10}\b', r"\1CODE", text)
    return re.sub(r"\d+", "0", text)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("pages")
    gateway = Gateway(
        folder / "data", "limits.enforce=false", "calls.numbers=79581112233,79581112244"
    )
    gateway.create_account("alex", "1000", language="en")
    table = folder / "ported.csv"
    table.write_text("Phone;mccmnc\n79161234568;25002\n")
    gateway.cli("numbering", "import", str(table), "--ported")
    gateway.cli("numbering", "offer", "79580000001", "310")
    gateway.start()
    sent = gateway.send(PHONE, "Hello", sender="ivan")
    gateway.wait_status(sent["id"], PHONE, 1)
    gateway.cli("inbox", "send", PHONE, "4444", "Yes", "--account", "alex")
    yield gateway
    assert gateway.stop() == 0


def check(gateway: Gateway, page: str) -> None:
    blocks = blocks_of(page)
    assert len(blocks) >= 2
    for request, reply in blocks:
        path = request.replace("psw=123", f"psw={PASSWORD}") + "&charset=utf-8"
        found = gateway.get(path).decode().strip()
        assert rough(found) == rough(reply), request


def test_data(gateway: Gateway) -> None:
    check(gateway, "data.md")


def test_numbers(gateway: Gateway) -> None:
    check(gateway, "numbers.md")


def test_short_links(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, "https://example.com/sale", tinyurl=1)
    text = gateway.status(sent["id"], PHONE, all=1)["message"]
    browser = {"User-Agent": "Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36"}

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    opener = urllib.request.build_opener(Stay)
    with pytest.raises(urllib.error.HTTPError) as raised:
        opener.open(urllib.request.Request(text, headers=browser), timeout=30)
    raised.value.close()
    assert raised.value.headers["Location"] == "https://example.com/sale"
    gateway.wait_status(sent["id"], PHONE, 4)
    check(gateway, "short-links.md")


def test_documents(gateway: Gateway) -> None:
    gateway.call("users", add=1, user="sub_alex", password="Sub-Secret-1", type=0)
    wait_for(lambda: "error" not in gateway.call("balance", login="sub_alex", psw="Sub-Secret-1"))
    check(gateway, "documents.md")
