"""Mailing lists over `jobs.php`: every operation and form, their errors, and a power cut."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import urllib.parse
import uuid
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

MOSCOW = timezone(timedelta(hours=3))
PHONE = "79167770001"
FIELDS = [
    *("id", "name", "status", "status_name", "cnt", "cost", "sender", "format", "message"),
    *("created", "time", "rpt", "delivered", "failed"),
]


def jobs(gateway: Gateway, operation: str, **fields: Any) -> Any:
    return gateway.call("jobs", **{operation: 1} | fields)


def add(gateway: Gateway, phones: str = PHONE, **fields: Any) -> int:
    fields = {"name": "Test", "mes": "Hello", **fields}
    answer = jobs(gateway, "add", phones=phones, **fields)
    assert set(answer) == {"id"}, answer
    assert isinstance(answer["id"], int)
    return int(answer["id"])


def finished(gateway: Gateway, id: int, **counts: int) -> Any:
    def reached() -> Any:
        view = jobs(gateway, "get", id=id)
        is_counted = all(view[name] == count for name, count in counts.items())
        return view if view["status"] == 1 and is_counted else None

    return wait_for(reached, what=f"the end of list {id}")


def post(gateway: Gateway, body: bytes, content_type: str) -> Any:
    answer = gateway.request("/sys/jobs.php", body, {"Content-Type": content_type})[1]
    return json.loads(answer)


def test_add_in_every_form(gateway: Gateway) -> None:
    given = {"phones": f"{PHONE},79167770002", "name": "Forms", "mes": "Hello", "add": 1}
    first = jobs(gateway, "add", **given)["id"]
    assert first >= 1_000_001
    assert gateway.call("jobs", fmt=None, **given) == f"OK, ID - {first + 1}"
    assert gateway.call("jobs", fmt=1, **given) == f"{first + 2}"
    assert gateway.call("jobs", fmt=2, **given) == f"<result>\n<id>{first + 3}</id>\n</result>"
    assert jobs(gateway, "add", **given, cost=1) == {"id": first + 4, "cost": "2.00"}
    assert gateway.call("jobs", fmt=0, cost=1, **given) == f"OK, ID - {first + 5}, COST - 2.00"
    assert gateway.call("jobs", fmt=1, cost=1, **given) == f"{first + 6},2.00"
    assert gateway.call("jobs", fmt=2, cost=1, **given) == (
        f"<result>\n<id>{first + 7}</id>\n<cost>2.00</cost>\n</result>"
    )
    finished(gateway, first, delivered=2)


def test_get_in_every_form(gateway: Gateway) -> None:
    id = add(gateway, f"{PHONE},123", name="Two, of them", sender="ivan")
    view = finished(gateway, id)
    assert list(view) == FIELDS
    created = datetime.strptime(view["created"], "%d.%m.%Y %H:%M:%S").replace(tzinfo=MOSCOW)
    assert abs(created.timestamp() - time.time()) < 60
    assert view == {
        "id": id,
        "name": "Two, of them",
        "status": 1,
        "status_name": "Доставлено",
        "cnt": 2,
        "cost": "1.00",
        "sender": "ivan",
        "format": 0,
        "message": "Hello",
        "created": view["created"],
        "time": "",
        "rpt": 0,
        "delivered": 1,
        "failed": 1,
    }
    values = [str(view[name]) for name in FIELDS]
    pairs = [f"{name} = {value}" for name, value in zip(FIELDS[1:], values[1:], strict=True)]
    text = ", ".join([str(id), *pairs])
    numbers = ",".join(values)
    elements = "".join(f"<{n}>{v}</{n}>\n" for n, v in zip(FIELDS, values, strict=True))
    assert gateway.call("jobs", fmt=0, get=1, id=id) == text
    assert gateway.call("jobs", fmt=1, get=1, id=id) == numbers
    assert gateway.call("jobs", fmt=2, get=1, id=id) == f"<job>\n{elements}</job>"
    assert gateway.call("jobs", get=1, id=id, mail=1) == view

    assert view in jobs(gateway, "get_all")
    lines = gateway.call("jobs", fmt=None, get_all=1).split("\n")
    assert text in lines
    assert all(line[:7].isdigit() for line in lines)  # what a client cuts off
    assert numbers in gateway.call("jobs", fmt=1, get_all=1).split("\n")
    listed = gateway.call("jobs", fmt=2, get_all=1)
    assert listed.startswith("<list>\n<job>\n<id>")
    assert f"<job>\n{elements}</job>" in listed


def test_lists_of_a_period(gateway: Gateway) -> None:
    id = add(gateway)
    now = datetime.now(MOSCOW)
    today, yesterday = (f"{now - timedelta(days=d):%d.%m.%Y}" for d in (0, 1))
    assert id in [each["id"] for each in jobs(gateway, "get_all", start=yesterday, end=today)]
    assert jobs(gateway, "get_all", end=yesterday) == []
    for day in ("31.02.2026", "2026-01-01", "yesterday"):
        for name in ("start", "end"):
            assert jobs(gateway, "get_all", **{name: day})["error_code"] == 5


def test_no_lists(gateway: Gateway) -> None:
    login = f"empty{uuid.uuid4().hex[:6]}"
    gateway.create_account(login)
    wait_for(lambda: "balance" in gateway.call("balance", login=login))
    assert jobs(gateway, "get_all", login=login) == []
    assert gateway.call("jobs", fmt=2, login=login, get_all=1) == "<list>\n</list>"
    assert gateway.call("jobs", fmt=0, login=login, get_all=1) == "ERROR = 3 (record not found)"
    assert gateway.call("jobs", fmt=1, login=login, get_all=1) == "0,-3"
    id = add(gateway)
    for operation in ("get", "cancel", "del"):  # what is another one's does not exist
        assert jobs(gateway, operation, login=login, id=id)["error_code"] == 3
    assert jobs(gateway, "get", id=id)["id"] == id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"add": 1}, 1),
        ({"add": 1, "phones": PHONE, "mes": "x"}, 1),
        ({"add": 1, "name": "x", "mes": "x"}, 1),
        ({"add": 1, "name": "x", "mes": "x", "phones": " ,"}, 1),
        ({"add": 1, "name": "x", "phones": PHONE}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x" * 1001}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "mes2": "x" * 1001}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "tpl": "999999"}, 1),
        ({"add": 1, "name": "x", "phones": "G999999", "mes": "x"}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "rpt": 8}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "rptn": "many"}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "tz": "Atlantis/City"}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "period": 721, "freq": 1}, 1),
        ({"add": 1, "name": "x", "list": "no text"}, 1),
        ({"add": 1, "name": "x", "phones": PHONE, "mes": "x", "time": "tomorrow"}, 5),
        ({"get": 1}, 1),
        ({"get": 1, "id": "x"}, 1),
        ({"get": 1, "id": 1}, 3),
        ({"cancel": 1, "id": 1}, 3),
        ({"del": 1, "id": 1}, 3),
        ({}, 1),
        ({"add": 0, "phones": PHONE}, 1),
    ],
)
def test_errors(gateway: Gateway, fields: dict[str, Any], code: int) -> None:
    assert gateway.call("jobs", **fields)["error_code"] == code
    assert gateway.call("jobs", fmt=1, **fields) == f"0,-{code}"


def test_errors_in_every_form(gateway: Gateway) -> None:
    assert gateway.call("jobs", fmt=0, add=1) == "ERROR = 1 (parameters error)"
    assert gateway.call("jobs", fmt=2, add=1) == (
        "<result>\n<error>parameters error</error>\n<error_code>1</error_code>\n</result>"
    )
    wrong = gateway.call("jobs", add=1, psw="wrong")
    assert wrong == {"error": "authorise error", "error_code": 2}


def test_cancel_and_delete(gateway: Gateway) -> None:
    before = gateway.call("balance")
    id = add(gateway, f"{PHONE},79167770002", time="+60")
    view = jobs(gateway, "get", id=id)
    assert (view["status"], view["cnt"], view["cost"]) == (-1, 2, "2.00")
    planned = datetime.strptime(view["time"], "%d.%m.%Y %H:%M:%S").replace(tzinfo=MOSCOW)
    assert abs(planned.timestamp() - time.time() - 3600) < 60
    assert gateway.status(id, PHONE)["status"] == -1
    assert gateway.call("balance") != before
    assert jobs(gateway, "cancel", id=id) == {"result": "OK"}
    assert gateway.call("balance") == before
    assert gateway.status(id, PHONE)["status"] == -2
    assert jobs(gateway, "get", id=id)["status"] == -2
    assert jobs(gateway, "cancel", id=id)["error_code"] == 3
    for fmt, done in ((None, "OK"), (1, "OK"), (2, "<result>OK</result>")):
        other = add(gateway, time="+60", mes=f"cancel {fmt}")
        assert gateway.call("jobs", fmt=fmt, cancel=1, id=other) == done
        assert gateway.call("jobs", fmt=fmt, **{"del": 1}, id=other) == done
        assert jobs(gateway, "get", id=other)["error_code"] == 3
    assert gateway.call("balance") == before
    assert gateway.audit() == []


def test_delete_keeps_what_was_sent(gateway: Gateway) -> None:
    id = add(gateway)
    finished(gateway, id)
    assert jobs(gateway, "cancel", id=id)["error_code"] == 3
    assert jobs(gateway, "del", id=id) == {"result": "OK"}
    assert id not in [each["id"] for each in jobs(gateway, "get_all")]
    assert gateway.status(id, PHONE)["status"] == 1


def test_message_ids(gateway: Gateway) -> None:
    own = f"own-{uuid.uuid4().hex[:8]}"
    id = add(gateway, f"{PHONE},79167770002", id=own)
    finished(gateway, id)
    assert gateway.status(own, "79167770002")["status"] == 1
    assert gateway.status(id, PHONE)["status"] == -3


def test_own_texts(gateway: Gateway) -> None:
    lines = f"{PHONE}:one\\nline\nShop,1|79167770002,79167770003;two"
    id = jobs(gateway, "add", name="List", list=lines, cost=1)["id"]
    view = finished(gateway, id, delivered=3)
    assert (view["message"], view["cost"]) == ("one\nline", "3.00")
    found = gateway.status(id, "79167770003", all=1)
    assert (found["message"], found["sender_id"]) == ("two", "Shop")


@pytest.mark.parametrize(
    ("fields", "type"),
    [
        ({"flash": 1, "mes": "now"}, 1),
        ({"bin": 2, "mes": "00414243"}, 2),
        ({"push": 1, "mes": "http://wap.example/\nTitle"}, 3),
        ({"hlr": 1, "mes": ""}, 4),
        ({"ping": 1, "mes": ""}, 5),
        ({"call": 1, "mes": "voice", "voice": "w3", "param": "20,10,3"}, 7),
        ({"viber": 1, "mes": "viber"}, 10),
        ({"soc": 1, "mes": "network"}, 12),
    ],
)
def test_types(gateway: Gateway, fields: dict[str, Any], type: int) -> None:
    id = add(gateway, **fields)
    view = finished(gateway, id)
    assert (view["format"], view["delivered"]) == (type, 1)
    assert gateway.status(id, PHONE, all=2)["type"] == type


def test_mail_with_files(gateway: Gateway) -> None:
    """Mail addresses divided by `;`, files with any field name, as a mailer of Laravel sends."""
    boundary = "b" + uuid.uuid4().hex
    texts = {
        **{"login": LOGIN, "psw": PASSWORD, "fmt": "3", "charset": "utf-8", "add": "1"},
        **{"mail": "1", "name": "News", "subj": "Subject", "sender": "me@example.com"},
        **{"phones": "foo@example.com;bar@example.com", "mes": "<html>hi</html>"},
    }
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in texts.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file0"; filename="a.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\n{'x' * 200}\r\n--{boundary}--\r\n"
    )
    reply = post(gateway, "".join(parts).encode(), f"multipart/form-data; boundary={boundary}")
    view = finished(gateway, reply["id"], delivered=2)
    assert (view["format"], view["cnt"]) == (8, 2)
    assert gateway.call("jobs", get=1, id=reply["id"], mail=1)["status"] == 1


def test_second_channel(gateway: Gateway) -> None:
    """A Viber message that ends undelivered is followed by an SMS, which fails as well."""
    lost, found = "791600001006", "79167770004"
    id = add(gateway, f"{lost},{found}", viber=1, mes="viber", mes2="by sms", sender2="Shop")
    view = finished(gateway, id, delivered=1, failed=1)
    assert view["cnt"] == 2
    answer = gateway.status(id, lost, all=2)
    assert (answer["type"], answer["message"], answer["sender_id"]) == (0, "by sms", "Shop")
    assert gateway.status(id, found, all=2)["type"] == 10


def test_spread(gateway: Gateway) -> None:
    """Half of it now, half in six minutes, which is cancelled."""
    phones = [f"7916777100{n}" for n in range(4)]
    id = add(gateway, ",".join(phones), period=0.2, freq=6)
    for phone in phones[:2]:
        gateway.wait_status(id, phone, 1)
    assert [gateway.status(id, phone)["status"] for phone in phones[2:]] == [-1, -1]
    assert jobs(gateway, "get", id=id)["status"] == 0
    assert jobs(gateway, "cancel", id=id) == {"result": "OK"}
    for phone in phones[2:]:
        gateway.wait_status(id, phone, -2)
    wait_for(lambda: jobs(gateway, "get", id=id)["cost"] == "2.00")


@pytest.mark.parametrize("rpt", range(1, 8))
def test_periodic(gateway: Gateway, rpt: int) -> None:
    at = datetime.now(MOSCOW) + timedelta(hours=2)
    id = add(gateway, rpt=rpt, rptn=3, time=f"{at:%d.%m.%y %H:%M}", tz=0)
    view = jobs(gateway, "get", id=id)
    assert (view["status"], view["rpt"], view["cnt"]) == (-1, rpt, 1)
    first = datetime.strptime(view["time"], "%d.%m.%Y %H:%M:%S").replace(tzinfo=MOSCOW)
    assert first >= at.replace(second=0, microsecond=0)
    assert (first.hour, first.minute) == (at.hour, at.minute)
    assert jobs(gateway, "cancel", id=id) == {"result": "OK"}
    assert gateway.status(id, PHONE)["status"] == -3  # nothing was made yet


def test_zone_with_changes_of_clocks(gateway: Gateway) -> None:
    """Ten o'clock in New York, in winter and in summer."""
    now = datetime.now(MOSCOW)
    for month, hour in ((1, 18), (7, 17)):
        year = now.year + (datetime(now.year, month, 15, tzinfo=MOSCOW) < now)
        time = f"15.{month:02d}.{year % 100:02d} 10:00"
        id = add(gateway, time=time, tz="America/New_York", rpt=2)
        assert jobs(gateway, "get", id=id)["time"] == f"15.{month:02d}.{year} {hour}:00:00"
        jobs(gateway, "cancel", id=id)


def test_funds_too_low(gateway: Gateway) -> None:
    login = f"poor{uuid.uuid4().hex[:6]}"
    gateway.create_account(login, "1.5")
    wait_for(lambda: "balance" in gateway.call("balance", login=login))
    id = jobs(gateway, "add", login=login, name="x", phones=f"{PHONE},79167770002", mes="x")["id"]
    assert gateway.status(id, PHONE, login=login)["status"] == 24
    view = finished_as(gateway, login, id)
    assert (view["cnt"], view["failed"], view["cost"]) == (2, 2, "0.00")
    assert gateway.call("balance", login=login) == {"balance": "1.50"}


def finished_as(gateway: Gateway, login: str, id: int) -> Any:
    def reached() -> Any:
        view = jobs(gateway, "get", login=login, id=id)
        return view if view["status"] == 1 else None

    return wait_for(reached)


def test_requests_a_minute(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data")
    gateway.create_account()
    gateway.start()
    try:
        given = {"name": "x", "phones": PHONE, "mes": "x"}
        id = jobs(gateway, "add", **given)["id"]
        twice = {"error": "duplicate request, wait a minute", "error_code": 9}
        assert jobs(gateway, "add", **given) == twice
        assert gateway.call("jobs", fmt=1, add=1, **given) == "0,-9"
        assert "id" in jobs(gateway, "add", **given | {"mes": "y"})
        assert [jobs(gateway, "get", id=id)["id"] for _ in range(10)] == [id] * 10
        assert jobs(gateway, "get", id=id) == twice
    finally:
        assert gateway.stop() == 0


def test_killed_in_the_middle_of_a_large_list(tmp_path: Path) -> None:
    """kill -9 twice while the messages of 20,000 are being made: nobody twice, nobody forgotten."""
    gateway = Gateway(tmp_path / "data", *UNLIMITED)
    gateway.create_account()
    gateway.start()
    people = [str(79168000000 + n) for n in range(20_000)]
    fields = {"add": 1, "name": "Large", "mes": "Hello", "phones": ",".join(people)}
    form = {"login": LOGIN, "psw": PASSWORD, "charset": "utf-8", "fmt": 3, **fields}
    body = urllib.parse.urlencode(form).encode()
    try:
        id = post(gateway, body, "application/x-www-form-urlencoded")["id"]
        for least in (2_000, 9_000):
            wait_for(lambda least=least: jobs(gateway, "get", id=id)["cnt"] >= least)
            gateway.kill()
            gateway.start()
        wait_for(lambda: jobs(gateway, "get", id=id)["cnt"] == 20_000, timeout_s=60)

        def ended() -> bool:
            view = jobs(gateway, "get", id=id)
            # What was on the wire at the blows is of unknown outcome, and counts as failed.
            is_all = view["delivered"] + view["failed"] == 20_000
            return bool(is_all and view["status"] == 1)

        wait_for(ended, timeout_s=90)
        with closing(sqlite3.connect(tmp_path / "data" / "heliograph.db")) as connection:
            left = "SELECT count(*) FROM campaign_sources"
            wait_for(lambda: connection.execute(left).fetchone() == (0,), what="their room back")
        gateway.wait_status(id, people[0], 1)
        gateway.wait_status(id, people[-1], 1)
        assert gateway.audit() == []
    finally:
        assert gateway.stop() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "heliograph.db")) as connection:
        query = "SELECT count(*), count(DISTINCT recipient) FROM messages"
        assert connection.execute(query).fetchone() == (20_000, 20_000)


def examples(page: Path) -> list[tuple[str, str, bytes | None, str]]:
    """What the page shows, in its order: (path, method, body, reply)."""
    text = page.read_text(encoding="utf-8").partition("## Examples")[2]
    found = []
    for block in re.findall(r"^```\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL):
        request, *rest = block.split("\n")
        body = None
        if request.startswith("POST "):
            body, request = rest.pop(0).encode(), request.removeprefix("POST ")
        found.append((request, "GET" if body is None else "POST", body, "\n".join(rest)))
    return found


def without_moments(text: str) -> str:
    return re.sub(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "(a moment)", text)


def test_examples_of_the_reference(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "http-jobs.md"
    gateway = Gateway(tmp_path / "data", *UNLIMITED)
    gateway.create_account()
    gateway.start()
    try:
        shown = examples(page)
        assert len(shown) >= 10
        for path, method, body, expected in shown:
            if "get_all" in path:
                for id in (1_000_001, 1_000_002, 1_000_004):
                    finished(gateway, id)
            reply = gateway.request(path, body)[1].decode()
            assert without_moments(reply) == without_moments(expected), (method, path)
    finally:
        assert gateway.stop() == 0


def test_command_line(gateway: Gateway) -> None:
    id = add(gateway, f"{PHONE},79167770002", time="+60", name="From the command line")
    shown = json.loads(gateway.cli("campaign", "show", str(id), "--json", "--text"))
    assert (shown["state"], shown["recipients"], shown["made"]) == ("sending", 2, 2)
    assert (shown["text"], shown["account"], shown["cost"]) == ("Hello", LOGIN, "2.00")
    listed = json.loads(gateway.cli("campaign", "list", "--active", "--json"))
    assert id in [each["id"] for each in listed]
    assert "being stopped" in gateway.cli("campaign", "cancel", str(id))
    wait_for(lambda: gateway.status(id, PHONE)["status"] == -2)
    assert jobs(gateway, "get", id=id)["status"] == -2
    wait_for(lambda: "cancelled" in gateway.cli("campaign", "show", str(id)))
    gateway.cli("campaign", "cancel", "77", check=False)
    assert str(id) not in gateway.cli("campaign", "list", "--account", "other")
