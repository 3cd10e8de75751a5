"""Short links, from the text of a message to the click on a handset."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.harness.gateway import Gateway, wait_for
from tests.harness.handler import Handler

PHONE = "79031120001"
TARGET = "https://example.com/sale?from=sms&n=1"
BROWSER = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)


def visit(
    gateway: Gateway, path: str, *, method: str = "GET", agent: str = BROWSER
) -> tuple[int, str]:
    """(status, where to) of a visit, without following it."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.http, timeout=20)
    try:
        connection.request(method, path, headers={"User-Agent": agent})
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.headers.get("Location", "")
    finally:
        connection.close()


def links_in(text: str) -> list[str]:
    return re.findall(r"http://127\.0\.0\.1:\d+(/[0-9A-Za-z]{10})", text)


def text_of(gateway: Gateway, id: object, phone: str) -> str:
    return str(gateway.status(id, phone, all=1)["message"])


def counts(gateway: Gateway, **fields: Any) -> list[int]:
    answer = gateway.call("tinyurls", get=1, **fields)
    return [answer[name] for name in ("cnt", "cnt_mon", "cnt_day", "cnt_yes")]


def test_the_own_comment_keeps_its_address(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, f"{TARGET}\n~~~\nfor {TARGET}", tinyurl=1)
    found = gateway.wait_status(sent["id"], PHONE, 1)
    assert len(links_in(found["message"])) == 1
    assert found["comment"] == f"for {TARGET}"


def test_a_click_tells_its_message(gateway: Gateway, handler: Handler) -> None:
    sent = gateway.send(PHONE, f"Sale: {TARGET}. Come!", tinyurl=1)
    gateway.wait_status(sent["id"], PHONE, 1)
    text = text_of(gateway, sent["id"], PHONE)
    [path] = links_in(text)
    assert text == f"Sale: {gateway.base}{path}. Come!"
    assert visit(gateway, path) == (302, TARGET)
    gateway.wait_status(sent["id"], PHONE, 4)
    wait_for(lambda: [c["status"] for c in handler.about(sent["id"])] == ["1", "4"])
    assert visit(gateway, path) == (302, TARGET)
    wait_for(lambda: counts(gateway, id=path[1:]) == [2, 2, 2, 0])
    answer = gateway.call("tinyurls", get=1, link=TARGET)
    assert answer == {
        "id": path[1:],
        "cnt": 2,
        "cnt_mon": 2,
        "cnt_day": 2,
        "cnt_yes": 0,
        "link": TARGET,
        "short": gateway.base + path,
    }
    assert [c["status"] for c in handler.about(sent["id"])] == ["1", "4"]


def test_robots_are_led_and_not_counted(gateway: Gateway) -> None:
    target = "https://example.com/robots"
    sent = gateway.send(PHONE, target, tinyurl=1)
    gateway.wait_status(sent["id"], PHONE, 1)
    [path] = links_in(text_of(gateway, sent["id"], PHONE))
    assert visit(gateway, path, agent="WhatsApp/2.23.20.0 A") == (302, target)
    assert visit(gateway, path, method="HEAD") == (302, target)
    assert visit(gateway, path, method="POST")[0] == 404
    assert visit(gateway, path) == (302, target)
    wait_for(lambda: counts(gateway, link=target) == [1, 1, 1, 0])


def test_everybody_gets_a_code(gateway: Gateway) -> None:
    target = "www.example.com/everybody"
    phones = [f"790311300{n:02}" for n in range(12)]
    sent = gateway.send(",".join(phones), f"a {target} b {target}/2", tinyurl=1, cost=3)
    assert sent["cnt"] == 12
    paths = [links_in(text_of(gateway, sent["id"], phone)) for phone in phones]
    assert len({path for pair in paths for path in pair}) == 24
    assert [visit(gateway, path)[1] for path in paths[3]] == [
        f"http://{target}",
        f"http://{target}/2",
    ]
    gateway.wait_status(sent["id"], phones[3], 4)
    gateway.wait_status(sent["id"], phones[4], 1)
    visit(gateway, paths[5][0])
    # The clicks of all recipients are those of one link, whichever code it is asked for by.
    wait_for(lambda: counts(gateway, id=paths[0][0][1:]) == [2, 2, 2, 0])
    assert counts(gateway, link=target) == [2, 2, 2, 0]
    assert counts(gateway, link=f"{target}/2") == [1, 1, 1, 0]


def test_parts_and_prices_are_those_of_the_short_text(gateway: Gateway) -> None:
    long = "https://example.com/" + "x" * 300
    assert gateway.send(PHONE, long, cost=1)["cnt"] == 3
    assert gateway.send(PHONE, long, cost=1, tinyurl=1)["cnt"] == 1
    sent = gateway.send(PHONE, long, tinyurl=1, cost=3)
    assert (sent["cnt"], sent["cost"]) == (1, "1.00")
    lines = f"79031120002:one {long}\n79031120003:two"
    listed = gateway.call("send", list=lines, tinyurl=1)
    assert links_in(text_of(gateway, listed["id"], "79031120002"))
    assert text_of(gateway, listed["id"], "79031120003") == "two"


def test_other_accounts_and_codes_that_are_not(gateway: Gateway) -> None:
    target = "https://example.com/mine"
    sent = gateway.send(PHONE, target, tinyurl=1)
    [path] = links_in(text_of(gateway, sent["id"], PHONE))
    for asked in ({"link": target}, {"id": path[1:]}):
        answer = gateway.call("tinyurls", get=1, login="other", **asked)
        assert answer == {"error": "link not found", "error_code": 3}
    assert gateway.call("tinyurls", get=1)["error_code"] == 1
    assert gateway.call("tinyurls", id=path[1:])["error_code"] == 1
    assert gateway.call("tinyurls", get=1, id="x", fmt=1) == "0,-3"
    code = path[1:]
    assert gateway.call("tinyurls", get=1, id=code, fmt=1) == f"{code},0,0,0,0"
    line = f"id = {code}, cnt = 0, cnt_mon = 0, cnt_day = 0, cnt_yes = 0"
    assert gateway.call("tinyurls", get=1, id=code, fmt=0) == line
    xml = gateway.call("tinyurls", get=1, id=code, fmt=2)
    assert xml.startswith(f"<result>\n<id>{code}</id>\n<cnt>0</cnt>\n")
    assert visit(gateway, "/abcdefghij")[0] == 404
    assert visit(gateway, "/https://example.com")[0] == 404


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose short links are at another address."""
    gateway = Gateway(tmp_path / "data", "links.url=https://s.example.com/x")
    gateway.create_account()
    gateway.start()
    yield gateway
    gateway.stop()


def test_an_address_of_ones_own_and_strangers_who_guess(slow: Gateway) -> None:
    sent = slow.send(PHONE, "https://example.com/own", tinyurl=1)
    text = text_of(slow, sent["id"], PHONE)
    assert re.fullmatch(r"https://s\.example\.com/x/[0-9A-Za-z]{10}", text)
    path = "/" + text.rpartition("/")[2]
    assert visit(slow, path)[0] == 302
    # After thirty misses even a code that exists is not told.
    assert [visit(slow, f"/aaaaaaaa{n}")[0] for n in range(10, 40)] == [404] * 30
    assert visit(slow, path)[0] == 404


def test_the_same_text_is_the_same_request(slow: Gateway) -> None:
    assert "error" not in slow.send(PHONE, "https://example.com/a", tinyurl=1)
    assert slow.send(PHONE, "https://example.com/a", tinyurl=1)["error_code"] == 9
    assert "error" not in slow.send(PHONE, "https://example.com/b", tinyurl=1)
