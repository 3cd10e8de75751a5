"""The walk of a request over real sockets: paths, methods, charsets, login, limits, failures."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from tests.unit.gateways.http.fakes import ALEX, Door, open_door

from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.http.ports import HttpSettings

SEND = "/sys/send.php?login=alex&psw=123&phones=79999999999&mes=Hello"
OK = b"OK - 1 SMS, ID - 1234"


async def test_a_get_and_its_headers(door: Door) -> None:
    reply = await door.get(SEND)
    assert reply.status == 200
    assert reply.body == OK
    assert reply.headers["content-length"] == str(len(OK))
    assert "server" not in reply.headers
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", "text/html; charset=windows-1251"),
        ("fmt=1&charset=utf-8", "text/html; charset=utf-8"),
        ("fmt=2&charset=KOI8_R", "text/xml; charset=koi8-r"),
        ("fmt=3", "application/json; charset=windows-1251"),
        ("fmt=3&charset=UTF8", "application/json; charset=utf-8"),
        ("fmt=9&charset=latin1", "text/html; charset=windows-1251"),
    ],
)
async def test_content_types(door: Door, query: str, kind: str) -> None:
    assert (await door.get(f"{SEND}&{query}")).headers["content-type"] == kind


@pytest.mark.parametrize(
    "path", ["/rest/send/", "/rest/send", "//rest//send/", "/sys/send.php", "//sys/send.php"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_paths_and_methods(door: Door, path: str, method: str) -> None:
    query = SEND.partition("?")[2] + "&fmt=0"
    reply = await door.exchange(f"{method} {path}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (reply.status, reply.body) == (200, OK)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods(door: Door, method: str) -> None:
    reply = await door.exchange(f"{method} {SEND} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert reply.status == 405
    assert reply.headers["allow"] == "get, post"
    assert door.services.submit.sent == []


@pytest.mark.parametrize("path", ["/sys/", "/sys/other.php", "/send", "/sys/send.php/", "/..", "*"])
async def test_unknown_paths(door: Door, path: str) -> None:
    assert (await door.get(path)).status == 404


async def test_a_target_with_a_host_and_one_with_a_fragment(door: Door) -> None:
    assert (await door.get("http://localhost" + SEND)).body == OK
    assert (await door.get(SEND + "#top")).body == OK
    assert door.services.submit.sent[-1].entries[0].text == "Hello"
    assert (await door.get("http://localhost")).status == 200


async def test_pages() -> None:
    settings = HttpSettings(
        health=lambda: {"ok": False, "journal": "down"}, metrics=lambda: b"heliograph_up 1\n"
    )
    async with open_door(settings=settings) as door:
        assert b"Heliograph" in (await door.get("/")).body
        health = await door.get("/health")
        assert health.status == 503
        assert json.loads(health.body) == {"ok": False, "journal": "down"}
        metrics = await door.get("/metrics")
        assert metrics.body == b"heliograph_up 1\n"
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        head = await door.exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", has_body=False)
        assert head.status == 200
        assert (await door.post("/", b"")).status == 405


async def test_pages_without_anything_behind_them(door: Door) -> None:
    assert json.loads((await door.get("/health")).body) == {"ok": True}
    assert (await door.get("/metrics")).status == 404


async def test_a_failing_page_is_500() -> None:
    def fail() -> bytes:
        raise RuntimeError("psw=123")

    async with open_door(settings=HttpSettings(metrics=fail)) as door:
        assert (await door.get("/metrics")).status == 500


# Parameters and their charsets


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("", "cp1251"),
        ("windows-1251", "cp1251"),
        ("cp1251", "cp1251"),
        ("utf8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("koi8-r", "koi8-r"),
        ("koi-8r", "koi8-r"),
    ],
)
async def test_charset_of_query_and_body(door: Door, charset: str, codec: str) -> None:
    text = "Привет & мир"
    form = f"login=alex&psw=123&phones=7999&mes={quote(text, encoding=codec)}&charset={charset}"
    await door.get("/sys/send.php?" + form)
    await door.post("/sys/send.php", form.encode(), "application/x-www-form-urlencoded")
    raw = f"login=alex&psw=123&phones=7999&charset={charset}&mes=".encode()
    await door.get(b"/sys/send.php?" + raw + "Привет".encode(codec))
    texts = [request.entries[0].text for request in door.services.submit.sent]
    assert texts == [text, text, "Привет"]


async def test_bytes_that_do_not_decode_are_replaced(door: Door) -> None:
    assert await door.send("charset=utf-8&mes=%CF%F0") == OK
    assert door.services.submit.sent[0].entries[0].text == "\ufffd\ufffd"


async def test_body_wins_over_query_and_any_type_is_a_form(door: Door) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
        reply = await door.post(SEND + "&fmt=3", b"mes=from+the+body&fmt=1\r\n", kind)
        assert reply.body == b"1234,1"
    assert {each.entries[0].text for each in door.services.submit.sent} == {"from the body"}


async def test_a_get_may_have_a_body(door: Door) -> None:
    data = f"GET {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfmt=1".encode()
    assert (await door.exchange(data)).body == b"1234,1"


async def test_a_chunked_body(door: Door) -> None:
    data = (
        f"POST {SEND} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nfmt\r\n2;ext=1\r\n=1\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert (await door.exchange(data.encode())).body == b"1234,1"


@pytest.mark.parametrize("path", ["/rest/send/", "/rest/send"])
@pytest.mark.parametrize("kind", ["application/json", "", "application/x-www-form-urlencoded"])
async def test_json(door: Door, path: str, kind: str) -> None:
    members = {
        "login": "alex",
        "psw": 123,
        "phones": ["79991111111", 79992222222],
        "mes": "Привет",
        "id": 14,
        "flash": True,
        "translit": None,
        "cost": 3,
        "tz": 2.5,
    }
    reply = await door.post(path, b" \n" + json.dumps(members, ensure_ascii=False).encode(), kind)
    assert reply.body == (b'{\n"id": 1234,\n"cnt": 1,\n"cost": "1.40",\n"balance": "100.50"\n}')
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    request = door.services.submit.sent[0]
    assert request.entries[0].recipients == ["79991111111", "79992222222"]
    assert request.entries[0].text == "Привет"
    assert (request.client_ref, request.tz_minutes, int(request.type)) == ("14", 330, 1)


async def test_json_path_takes_forms_and_obeys_fmt(door: Door) -> None:
    form = "login=alex&psw=123&phones=7999&mes=" + quote("Привет")
    reply = await door.post("/rest/send/", form.encode())
    assert json.loads(reply.body) == {"id": 1234, "cnt": 1}
    assert door.services.submit.sent[0].entries[0].text == "Привет"
    body = b'{"login": "alex", "psw": "123", "phones": "1", "mes": "x", "fmt": 1}'
    assert (await door.post("/rest/send/", body)).body == b"1234,1"
    body = b'{"login": "alex", "psw": "123", "phone": "1", "id": 7}'
    assert json.loads((await door.post("/rest/status/", body)).body)["status"] == -3


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"mes": }',
        b'{"mes": {"a": 1}}',
        b'{"phones": [[1]]}',
        b'{"mes": "\xff}',
        b'{"mes": ' + b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"id": ' + b"9" * 10_000 + b"}",
        b"{" + b",".join(b'"a%d": 1' % i for i in range(1001)) + b"}",
        b'{"phones": [' + b"1," * 200_000 + b"1]}",
    ],
)
async def test_broken_json_is_error_1_in_the_form_that_was_asked(door: Door, body: bytes) -> None:
    target = "/rest/send/?" + SEND.partition("?")[2]
    assert (await door.post(target + "&fmt=1", body)).body == b"0,-1"
    assert json.loads((await door.post(target, body)).body)["error_code"] == 1
    assert door.services.submit.sent == []


async def test_too_many_fields_are_error_1(door: Door) -> None:
    body = "&".join(f"a{i}=1" for i in range(1001))
    assert (await door.post(SEND + "&fmt=1", body.encode())).body == b"0,-1"


# Login


@pytest.mark.parametrize(
    ("query", "is_good"),
    [
        ("login=alex&psw=123", True),
        ("login=alex&psw=%EF%E0%F0%EE%EB%FC", True),
        ("login=alex&psw=" + quote("пароль") + "&charset=utf-8", True),
        ("apikey=K1", True),
        ("login=alex&apikey=K1", True),
        ("login=alex&psw=wrong&apikey=K1", True),
        ("login=&psw=K1", True),
        ("psw=K1", True),
        ("login=alex&psw=wrong", False),
        ("login=alex&psw=123&apikey=wrong", False),
        ("login=alex", False),
        ("login=alex&psw=", False),
        ("login=&psw=123", False),
        ("apikey=", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("is_warm", [True, False])
async def test_forms_of_login(door: Door, query: str, is_good: bool, is_warm: bool) -> None:
    door.services.authentication.is_warm = is_warm
    reply = await door.get(f"/sys/send.php?phones=7999&mes=x&fmt=1&{query}")
    assert reply.body == (b"1234,1" if is_good else b"0,-2")
    assert door.observer.requests == [("send", 0 if is_good else 2)]


async def test_order_of_checks(door: Door) -> None:
    """A blocked address is told before a wrong login, that before wrong parameters."""
    services = door.services
    assert (await door.get("/sys/send.php?fmt=1")).body == b"0,-2"
    assert (await door.get("/sys/send.php?fmt=1&login=alex&psw=123")).body == b"0,-1"
    services.limits.room = 0
    assert (await door.get("/sys/send.php?login=alex&psw=123")).body == (
        b"ERROR = 9 (too many concurrent requests)"
    )
    services.authentication.blocked.add("127.0.0.1")
    assert (await door.get("/sys/send.php?login=alex&psw=123&fmt=1")).body == b"0,-4"


async def test_every_request_leaves_its_place_even_a_failed_one(door: Door) -> None:
    def fail(request: SendRequest) -> Submitted:
        raise RuntimeError("s3cret")

    for decide in (None, fail):
        door.services.submit.decide = decide
        for query in ("", "&id=%20", "&cost=9"):
            await door.get(SEND + query)
    assert door.services.limits.inside == 0
    door.services.be_account(has_limits=False)
    door.services.limits.room = 0
    door.services.submit.decide = None
    assert (await door.get(SEND)).body == OK


async def test_addresses_behind_proxies() -> None:
    settings = HttpSettings(trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))
    cases = {
        "": "127.0.0.1",
        "198.51.100.7": "198.51.100.7",
        "6.6.6.6, 198.51.100.7": "198.51.100.7",
        "198.51.100.7, 10.1.1.1": "198.51.100.7",
        "198.51.100.7, garbage": "127.0.0.1",
        "2001:db8::1": "2001:db8::1",
        "198.51.100.7:4711": "198.51.100.7",
        "[2001:db8::1]:4711": "2001:db8::1",
        "[2001:db8::1], 10.1.1.1:80": "2001:db8::1",
        "198.51.100.7:4711:1": "127.0.0.1",
        "10.1.1.1": "10.1.1.1",
    }
    async with open_door(settings=settings) as door:
        for forwarded, expected in cases.items():
            line = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
            await door.exchange(f"GET {SEND} HTTP/1.1\r\nHost: x\r\n{line}\r\n".encode())
            assert door.services.authentication.seen[-1][-1] == expected


@pytest.mark.parametrize(
    ("networks", "proxies", "forwarded", "status"),
    [
        ("127.0.0.0/8", "", "", 200),
        ("192.0.2.0/24", "", "", 404),
        ("127.0.0.0/8", "", "127.0.0.1", 404),  # through a proxy that nobody vouches for
        ("127.0.0.0/8", "127.0.0.0/8", "198.51.100.7", 404),
        ("198.51.100.0/24", "127.0.0.0/8", "198.51.100.7", 200),
    ],
)
async def test_metrics_are_not_for_strangers(
    networks: str, proxies: str, forwarded: str, status: int
) -> None:
    settings = HttpSettings(
        metrics=lambda: b"sent 5",
        metrics_networks=(ip_network(networks),),
        trusted_proxies=(ip_network(proxies),) if proxies else (),
    )
    line = f"X-Forwarded-For: {forwarded}\r\n" if forwarded else ""
    async with open_door(settings=settings) as door:
        reply = await door.exchange(f"GET /metrics HTTP/1.1\r\nHost: x\r\n{line}\r\n".encode())
        assert reply.status == status
        assert (b"sent 5" in reply.body) is (status == 200)


async def test_strangers_cannot_choose_their_address(door: Door) -> None:
    line = "X-Forwarded-For: 198.51.100.7\r\n"
    await door.exchange(f"GET {SEND} HTTP/1.1\r\nHost: x\r\n{line}\r\n".encode())
    assert door.services.authentication.seen[-1][-1] == "127.0.0.1"


# Failures


async def test_a_bug_is_answered_and_logged_without_secrets(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: SendRequest) -> Submitted:
        raise RuntimeError(f"{request.account} {request.entries[0].text}")

    door.services.submit.decide = fail
    with caplog.at_level(logging.DEBUG):
        assert await door.send("fmt=3&mes=s3cret") == (
            b'{\n"error": "system error",\n"error_code": 99\n}'
        )
    assert door.observer.requests == [("send", 99)]
    assert "RuntimeError" in caplog.text
    for secret in ("s3cret", "79999999999", "alex"):
        assert secret not in caplog.text
    door.services.submit.decide = None
    assert await door.send() == OK


async def test_nothing_of_a_request_is_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await door.get(SEND)
        await door.get("/nowhere?psw=s3cret")
        await door.raw(b"GET /sys/send.php?psw=s3cret HTTP/9.9\r\n\r\n")
    assert "s3cret" not in caplog.text
    assert "psw" not in caplog.text


async def test_a_client_that_leaves_does_not_stop_the_message(door: Door) -> None:
    reached = asyncio.Event()
    finished = asyncio.Event()

    def slow(request: SendRequest, done: Callable[[Submitted | Refused], None]) -> None:
        def finish() -> None:
            done(Submitted("1", 1, 0, 0, []))
            finished.set()

        reached.set()
        asyncio.get_running_loop().call_later(0.05, finish)

    door.services.submit.begin = slow  # type: ignore[method-assign]
    async with door.connect() as (_, writer):
        writer.write(f"GET {SEND} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reached.wait()
        writer.transport.abort()
    await asyncio.wait_for(finished.wait(), 30)
    assert (await door.get("/sys/balance.php?login=alex&psw=123")).body == b"100.50"


def test_the_account_of_tests_is_alex() -> None:
    assert ALEX.login == "alex"
