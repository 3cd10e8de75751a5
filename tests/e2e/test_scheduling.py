"""When messages go out: times, windows, spreading, life; lists with own texts; deleting."""

from __future__ import annotations

import time
import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

MOSCOW = timezone(timedelta(hours=3))
PHONE = "79162223344"


def test_goes_out_when_its_time_comes(gateway: Gateway) -> None:
    due = int(time.time()) + 3
    sent = gateway.send(PHONE, "later", time=f"0{due}")
    assert gateway.status(sent["id"], PHONE)["status"] == -1 or time.time() >= due
    found = gateway.wait_status(sent["id"], PHONE, 1)
    assert 0 <= found["last_timestamp"] - due <= 20


@pytest.mark.parametrize(
    "form",
    [
        lambda at: at.strftime("%d%m%y%H%M"),
        lambda at: at.strftime("%d.%m.%y %H:%M"),
        lambda at: f"0{int(at.timestamp())}",
        lambda at: "+90",
        lambda at: " 90",
    ],
)
def test_forms_of_a_time_ahead(gateway: Gateway, form: object) -> None:
    assert callable(form)
    at = datetime.now(MOSCOW) + timedelta(hours=1)
    sent = gateway.send(PHONE, time=form(at))
    assert gateway.status(sent["id"], PHONE)["status"] == -1


def test_zone_of_a_time(gateway: Gateway) -> None:
    """An hour ago in Moscow is two hours ahead, said in the zone three hours west of it."""
    at = (datetime.now(MOSCOW) - timedelta(hours=1)).strftime("%d.%m.%y %H:%M")
    assert gateway.status(gateway.send(PHONE, time=at, tz=-3)["id"], PHONE)["status"] == -1
    gateway.wait_status(gateway.send(PHONE, time=at, tz=0)["id"], PHONE, 1)


def test_hour_window(gateway: Gateway) -> None:
    hour = datetime.now(MOSCOW).hour
    # Two hours that begin in two hours: closed now, whatever the minute is.
    closed = f"{(hour + 2) % 24}-{(hour + 4) % 24}"
    assert gateway.status(gateway.send(PHONE, time=closed)["id"], PHONE)["status"] == -1
    gateway.wait_status(gateway.send(PHONE, time=f"{hour}-{(hour + 2) % 24}")["id"], PHONE, 1)


@pytest.mark.parametrize("text", ["0", "", "01.01.12 00:00", "01600000000"])
def test_past_and_nothing_are_now(gateway: Gateway, text: str) -> None:
    gateway.wait_status(gateway.send(PHONE, time=text)["id"], PHONE, 1)


@pytest.mark.parametrize("text", ["tomorrow", "31.02.30 10:00", "25-26", "+", "99.99.99 99:99"])
def test_no_time_is_error_5(gateway: Gateway, text: str) -> None:
    assert gateway.send(PHONE, time=text) == {"error": "invalid date format", "error_code": 5}


def test_spread_over_a_period(gateway: Gateway) -> None:
    """Half of it now, half in six minutes."""
    phones = [f"7916555000{n}" for n in range(4)]
    sent = gateway.send(",".join(phones), period=0.2, freq=6)
    for phone in phones[:2]:
        gateway.wait_status(sent["id"], phone, 1)
    assert [gateway.status(sent["id"], phone)["status"] for phone in phones[2:]] == [-1, -1]


@pytest.mark.parametrize("valid", ["1", "24", "00:01", "24:00"])
def test_life_is_accepted(gateway: Gateway, valid: str) -> None:
    gateway.wait_status(gateway.send(PHONE, valid=valid)["id"], PHONE, 1)


@pytest.mark.parametrize("valid", ["0:00", "25", "24:01", "x"])
def test_life_is_refused(gateway: Gateway, valid: str) -> None:
    assert gateway.send(PHONE, valid=valid)["error_code"] == 1


def test_list_with_own_texts(gateway: Gateway) -> None:
    lines = (
        "79161000001:first\\nline\r\n"
        "79161000002,79161000003;second\n"
        "Shop,3|79161000004:" + "x" * 161
    )
    sent = gateway.call("send", list=lines, cost=2)
    assert (sent["cnt"], sent["cost"]) == (5, "5.00")
    found = {
        phone: gateway.wait_status(sent["id"], phone, 1)
        for phone in ("79161000001", "79161000002", "79161000003", "79161000004")
    }
    assert found["79161000001"]["message"] == "first\nline"
    assert found["79161000002"]["message"] == found["79161000003"]["message"] == "second"
    assert found["79161000004"]["sender_id"] == "Shop"


def test_list_in_the_body(gateway: Gateway) -> None:
    lines = "79161000005:" + "ж" * 60 + "\n79161000006:short"
    form = {"login": LOGIN, "psw": PASSWORD, "charset": "utf-8", "fmt": "0", "list": lines}
    body = urllib.parse.urlencode(form).encode()
    assert gateway.request("/sys/send.php", body)[1].startswith(b"OK - 2 SMS, ID - ")


def test_deleting_cancels_without_charge(gateway: Gateway) -> None:
    before = gateway.call("balance")
    sent = gateway.send(PHONE, "never", time="+60")
    assert gateway.call("balance") != before
    assert gateway.status(sent["id"], PHONE, **{"del": 1}) == {"result": "OK"}
    assert gateway.call("balance") == before
    assert gateway.status(sent["id"], PHONE)["status"] == -3
    assert gateway.status(sent["id"], PHONE, **{"del": 1})["error_code"] == 5


def test_deleting_hides_what_was_sent(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, "secret")
    gateway.wait_status(sent["id"], PHONE, 1)
    for fmt, answer in ((0, "OK"), (1, "OK"), (2, "<result>OK</result>")):
        extra = gateway.send(PHONE, f"secret {fmt}")["id"]
        gateway.wait_status(extra, PHONE, 1)
        assert gateway.call("status", fmt=fmt, id=extra, phone=PHONE, **{"del": 1}) == answer
    assert gateway.status(sent["id"], PHONE, **{"del": 1}) == {"result": "OK"}
    assert gateway.status(sent["id"], PHONE, all=2)["status"] == -3


def test_part_limit_cuts_the_text(gateway: Gateway) -> None:
    sent = gateway.send(PHONE, "x" * 1000, maxsms=2, cost=2)
    assert (sent["cnt"], sent["cost"]) == (2, "2.00")
    found = gateway.wait_status(sent["id"], PHONE, 1)
    assert found["message"] == "x" * 306


def test_scheduled_recipients_do_not_wait_for_each_other(gateway: Gateway) -> None:
    soon = int(time.time()) + 1
    late = gateway.send("79161000007", time=f"0{soon + 3600}")["id"]
    early = gateway.send("79161000008", time=f"0{soon}")["id"]
    wait_for(lambda: gateway.status(early, "79161000008")["status"] == 1)
    assert gateway.status(late, "79161000007")["status"] == -1
