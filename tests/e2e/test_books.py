"""Contacts, templates, sender names and task groups over the HTTP door of a running gateway."""

from __future__ import annotations

import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import PASSWORD, Gateway, wait_for

from heliograph.storage.database import Database
from heliograph.storage.senders import Code, store_code

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PHONE = "79161234567"
ERROR = {1: "parameters error", 3: "record not found"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own: ids and lists are told apart by what is in them."""
    running = Gateway(tmp_path_factory.mktemp("books") / "data", *UNLIMITED)
    running.create_account()
    running.create_account("other")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


def query(gateway: Gateway, sql: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(gateway.data_dir / "heliograph.db", timeout=20)) as connection:
        return connection.execute(sql, values).fetchall()


PAGES = ["contacts", "templates", "senders", "subclients", "documents", "http-general"]


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_reference(page: str, tmp_path: Path) -> None:
    """Every request of a page is answered as the page says, to the letter."""
    text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```text\n(/(?:sys|rest)/.*?)^```$", text, re.M | re.S)
    examples = [each.partition("\n") for block in blocks for each in block.split("\n\n")]
    assert len(examples) >= 5
    running = Gateway(tmp_path / "data", *UNLIMITED)
    running.create_account()
    running.start()
    try:
        for request, _, expected in examples:
            path = request.replace("psw=123", f"psw={PASSWORD}").strip()
            assert running.get(path).decode() == expected.rstrip("\n"), request
    finally:
        assert running.stop() == 0


def test_a_group_of_many(gateway: Gateway) -> None:
    phones = [f"7926{at:07}" for at in range(25_000)]
    group = gateway.call("phones", add_group=1, name="Many", num=25)["id"]
    fields = {
        "add": "1",
        "login": "alex",
        "psw": PASSWORD,
        "fmt": "1",
        "grp": group,
        "phone": "\n".join(phones),
    }
    body = urllib.parse.urlencode(fields).encode()
    assert gateway.request("/sys/phones.php", body)[1].isdigit()
    (found,) = [g for g in gateway.call("phones", get_group=1) if g["id"] == group]
    assert found["cnt"] == "25000"
    page = gateway.call("phones", get=1, grp=group)
    assert [c["phone"] for c in page] == phones[:1000]
    after = gateway.call("phones", get=1, grp=group, after_id=page[-1]["int_id"], lmt=2)
    assert [c["phone"] for c in after] == phones[1000:1002]
    assert gateway.call("send", phones="G25", mes="hello", cost=1)["cnt"] == 25_000
    sent = gateway.send(f"G25,{PHONE}", "hello")
    assert sent["cnt"] == 25_001
    gateway.wait_status(sent["id"], phones[-1], 1)
    assert gateway.call("phones", del_group=1, grp=group) == {"result": "OK"}
    assert gateway.send("G25")["error_code"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"add": 1},
        {"add": 1, "phone": "123"},
        {"add": 1, "phone": PHONE, "bd": "31.02.1983"},
        {"add": 1, "phone": PHONE, "grp": "x"},
        {"add": 1, "phone": PHONE, "name": "x" * 1001},
        {"chg": 1, "phone": PHONE, "new_phone": "12"},
        {"chg": 1, "phone": f"{PHONE},79161234568"},
        {"add_group": 1},
        {"add_group": 1, "name": "x", "num": "1a"},
        {"add_group": 1, "name": "x", "type": 2},
        {"chg_group": 1, "name": "x"},
        {"move_group": 4, "phone": PHONE, "grp": 1},
        {"move_group": 1, "phone": PHONE},
        {"del": 1},
        {"get": 1, "grp": "x"},
        {"get": 1, "after_id": "-1"},
        {"add_black": 1},
        {"add_black": 1, "phone": PHONE, "type": 3},
    ],
)
def test_wrong_parameters_of_contacts(gateway: Gateway, fields: dict[str, Any]) -> None:
    assert gateway.call("phones", **fields) == {"error": ERROR[1], "error_code": 1}


def test_the_black_list_holds_at_once_and_by_its_type(gateway: Gateway) -> None:
    black, friend = "79167770001", "79167770002"
    for type, single, mass in ((0, 6, "23"), (1, 0, "23"), (2, 6, "")):
        assert gateway.call("phones", add_black=1, phone=black, type=type)["id"] > 0
        assert gateway.send(black, f"single {type}").get("error_code", 0) == single
        both = gateway.send(f"{black},{friend}", f"mass {type}", op=1)
        assert [p["status"] for p in both["phones"]] == [mass, ""]
        assert gateway.send(black, "hello", login="other", sender="Shop").get("error_code") is None
        assert gateway.call("phones", del_black=1, phone=black, type=type)["result"] == "OK"
    assert gateway.call("phones", del_black=1, phone=black)["error_code"] == 3
    assert "id" in gateway.send(black, "free again")


def test_a_code_is_a_real_message_that_its_account_does_not_see(gateway: Gateway) -> None:
    number = "79168880001"
    balance = gateway.call("balance")["balance"]
    assert gateway.call("senders", send_code=1, sender=number)["result"] == "OK"
    rows = wait_for(
        lambda: query(
            gateway,
            "SELECT s.text, s.client_ref, m.state, m.price_micros, m.is_deleted FROM messages m "
            "JOIN submissions s ON s.id = m.submission_id WHERE m.recipient = ? AND m.state = 10",
            number,
        ),
        what="delivery of the code",
    )
    ((text, client_ref, _, price, is_deleted),) = rows
    assert (price, is_deleted) == (0, 1)
    assert gateway.call("balance")["balance"] == balance
    assert gateway.status(client_ref, number, all=1)["status"] == -3
    check = {"check_code": 1, "sender": number}
    code = text[-4:]
    assert (
        gateway.call("senders", **check, code=f"{(int(code) + 1) % 10_000:04}")["error_code"] == 11
    )
    listed = gateway.call("senders", get=1)
    assert number not in [each["sender"] for each in listed]
    assert gateway.call("senders", login="other", **check, code=code)["error_code"] == 3
    assert gateway.call("senders", **check, code=code)["result"] == "OK"
    assert number in [each["sender"] for each in gateway.call("senders", get=1)]
    assert gateway.call("senders", **check, code=code)["error_code"] == 11
    assert gateway.call("senders", send_code=1, sender=number)["error_code"] == 10
    assert gateway.call("senders", **{"del": 1}, sender=number)["result"] == "OK"
    assert gateway.call("senders", send_code=1, sender=number)["error_code"] == 10
    assert gateway.call("senders", send_code=1, sender="shop")["error_code"] == 7


def test_five_wrong_codes_end_a_code(gateway: Gateway) -> None:
    number = "79168880002"
    gateway.call("senders", send_code=1, sender=number)
    ((code,),) = query(gateway, "SELECT code FROM sender_codes WHERE number = ?", number)
    wrong = f"{(int(code) + 1) % 10_000:04}"
    for _ in range(5):
        assert gateway.call("senders", check_code=1, sender=number, code=wrong)["error_code"] == 11
    assert gateway.call("senders", check_code=1, sender=number, code=code)["error_code"] == 11


def test_codes_are_free_and_so_there_are_not_many(gateway: Gateway) -> None:
    """A hundred in eight hours: the text before a code is the account's own."""
    gateway.create_account("coder")
    wait_for(lambda: "balance" in gateway.call("balance", login="coder"), what="the account")
    ((id,),) = query(gateway, "SELECT id FROM accounts WHERE login = 'coder'")

    async def fill(database: Database) -> None:
        now = time.time_ns() // 1_000_000
        async with database.write() as connection:
            for number in range(100):
                code = Code(code="0000", tries=0, sent_at=now)
                await store_code(connection, id, str(79168890000 + number), code=code)

    gateway.administer(fill)
    call = {"login": "coder", "send_code": 1}
    assert gateway.call("senders", **call, sender="79168880003")["error_code"] == 10
    assert gateway.call("senders", send_code=1, sender="79168880003")["result"] == "OK"


def test_sub_clients_use_registered_names(gateway: Gateway) -> None:
    ((main_id,),) = query(gateway, "SELECT id FROM accounts WHERE login = 'alex'")
    settings = {"bound": {}, "lent": {"fl[29]": "1"}, "spare": {"sender2": "Ours"}}
    settings["silent"] = {"sender2": "Ours", "fl2[13]": "1"}
    settings["strict"] = {"sender2": "Ours", "fl2[12]": "1"}
    for login, chosen in settings.items():
        gateway.create_account(login, parent_id=main_id, settings=chosen)
    wait_for(lambda: "balance" in gateway.call("balance", login="strict"), what="accounts")
    for login in settings:
        gateway.call("senders", add=1, sender="Ours", login=login)
    gateway.call("senders", add=1, sender="Main")

    def seen(login: str, sender: str, text: str = "hello") -> Any:
        answer = gateway.send(PHONE, text, login=login, sender=sender, cost=2)
        if "error_code" in answer:
            return answer["error_code"]
        found = gateway.call("status", id=answer["id"], phone=PHONE, all=1, login=login)
        return found["sender_id"], found["message"]

    assert seen("bound", "Ours") == ("Ours", "hello")
    assert seen("bound", "oUrS") == ("oUrS", "hello")
    assert seen("bound", "Heliograph") == ("Heliograph", "hello")
    assert seen("bound", "Main") == 6
    assert seen("bound", ".") == ("", "hello")
    assert seen("lent", "Main") == ("Main", "hello")
    assert seen("lent", "Foreign") == 6
    assert seen("spare", "Foreign") == ("Ours", "Foreign: hello")
    assert seen("silent", "Foreign") == ("Ours", "hello")
    assert seen("strict", "Foreign") == 6
    listed = gateway.send("", login="bound", list=f"Ours,|{PHONE}:a\nMain,|79161234568:b", op=1)
    assert "error_code" in listed or [p["status"] for p in listed["phones"]]
    answer = gateway.call("send", login="bound", list=f"Ours|{PHONE}:a\nMain|{PHONE}:b", op=1)
    assert [p["error"] for p in answer["phones"]] == ["", "254"]
    gateway.cli("sender", "policy", "bound", "any")
    wait_for(lambda: seen("bound", "Main") == ("Main", "hello"), what="the policy")
    assert gateway.call("senders", add=1, sender="Given", user="lent")["sender"] == "Given"
    assert seen("lent", "Given") == ("Given", "hello")
    assert seen("strict", "Given") == 6
    assert gateway.call("senders", get=1, user="other")["error_code"] == 3
    made = {"user": "granted", "password": PASSWORD, "type": 2, "sender": "Granted"}
    assert gateway.call("users", add=1, **made)["id"] > 0
    wait_for(lambda: "balance" in gateway.call("balance", login="granted"), what="the account")
    assert seen("granted", "Granted") == ("Granted", "hello")
    assert gateway.send(PHONE, "its default", login="granted")["cnt"] == 1
    assert seen("granted", "Foreign") == 6
    # Nobody gives more than he has.
    made = {"user": "deeper", "password": PASSWORD, "type": 2, "sender": "Bank"}
    assert gateway.call("users", add=1, login="granted", **made)["id"] > 0
    wait_for(lambda: "balance" in gateway.call("balance", login="deeper"), what="the account")
    assert seen("deeper", "Bank") == 6
    older = gateway.call("get", get_senders=1, user="lent")
    assert older == gateway.call("senders", get=1, login="lent")
    assert gateway.call("get", get_senders=1, user="other")["error_code"] == 3


def test_moderation_is_a_switch(tmp_path: Path) -> None:
    moderated = ("moderation.senders=true", "moderation.templates=true")
    running = Gateway(tmp_path / "data", *UNLIMITED, *moderated)
    running.create_account(settings={"senders": "registered"})
    running.start()
    try:
        running.call("senders", add=1, sender="Shop")
        pair = {"sender": "Shop", "msg": "Code %d"}
        (template,) = running.call("op_templates", add=1, mts_auth=1, **pair)
        assert [s["sender"] for s in running.call("senders", get=1)] == ["Heliograph"]
        assert running.send(PHONE, "x", sender="Shop")["error_code"] == 6
        assert running.call("op_templates", get=1, **pair)[0]["status"] == 0
        running.cli("sender", "approve", "alex", "shop")
        running.cli("template", "approve", str(template["id"]))

        def is_marked() -> bool:
            sent = running.send(PHONE, "Code 17", sender="Shop")
            return bool(running.status(sent.get("id", 0), PHONE).get("flag") == 0x500)

        wait_for(is_marked, what="the decisions")
        sent = running.send(f"{PHONE},79261234567", "Code 18", sender="Shop")
        assert running.status(sent["id"], "79261234567")["flag"] == 0
        lists = running.call("send", list=f"{PHONE}:Code 1\n79161234568:Other", sender="SHOP")
        flags = [running.status(lists["id"], p)["flag"] for p in (PHONE, "79161234568")]
        assert flags == [0x500, 0]
        running.cli("sender", "reject", "alex", "shop")
        wait_for(
            lambda: running.send(PHONE, "x", sender="Shop").get("error_code") == 6,
            what="the refusal",
        )
    finally:
        assert running.stop() == 0


def test_documents_of_a_name(gateway: Gateway) -> None:
    def upload(name: str, content: bytes) -> bytes:
        head = f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + b"\r\n--b--\r\n"
        path = f"/sys/senders.php?add=1&login=alex&psw={PASSWORD}&sender=Papers&doc_info=mark&fmt=1"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        return gateway.request(path, body, kind)[1]

    assert upload("mark.exe", b"x") == b"0,-1"
    assert upload("mark.pdf", b"x" * (3 * 1024 * 1024 + 1)) == b"0,-1"
    assert query(gateway, "SELECT 1 FROM senders WHERE name = 'Papers'") == []
    assert upload("../mark.pdf", b"%PDF").isdigit()
    shown = gateway.cli("sender", "show", "alex", "papers")
    (number,) = re.findall(r"document (\d+)  +mark.pdf, 4 bytes", shown)
    assert gateway.cli("sender", "show", "alex", "papers", "--document", number) == "%PDF"
    # A name that is there gets what comes with it.
    assert upload("more.pdf", b"more").isdigit()
    assert "more.pdf, 4 bytes" in gateway.cli("sender", "show", "alex", "papers")


def test_a_task_group_is_notified(gateway: Gateway) -> None:
    assert gateway.call("ping", id=1, name="disk") == {"error": ERROR[1], "error_code": 1}
    gateway.cli("task", "set", "alex", "3", "--phone", "79169990001", "--failure", "{NAME}! {INFO}")
    told = gateway.call("ping", id=3, name="{INFO}", info="full & {HOST}", host="h")
    assert told == {"result": "OK"}
    assert gateway.call("ping", id=3, ok=1, name="disk", host="h")["result"] == "OK"
    texts = query(
        gateway,
        "SELECT s.text FROM messages m JOIN submissions s ON s.id = m.submission_id "
        "WHERE m.recipient = '79169990001' ORDER BY m.id",
    )
    # What is put in is not filled in again.
    assert texts == [("{INFO}! full & {HOST}",), ("OK disk h",)]
    assert gateway.call("ping", id=3, login="other")["error_code"] == 1


def test_nobody_reads_or_changes_what_is_not_his(gateway: Gateway) -> None:
    """Every operation with another account's ids and names, then everything is as it was."""
    mine = {
        "group": gateway.call("phones", add_group=1, name="Mine", num=77)["id"],
        "contact": gateway.call("phones", add=1, phone="79165550001", name="Secret")["id"],
        "template": gateway.call("templates", add=1, name="mine", msg="Secret")["id"],
        "sender": gateway.call("senders", add=1, sender="Mine")["id"],
    }
    gateway.call("phones", move_group=1, phone="79165550001", grp=mine["group"])
    gateway.call("op_templates", add=1, sender="Mine", msg="Secret %d", mts_srv=1)
    gateway.call("phones", add_black=1, phone="79165550002")
    reads: tuple[tuple[str, dict[str, Any]], ...] = (
        ("phones", {"get": 1, "lmt": 10_000, "phone": "79165550001"}),
        ("phones", {"get_group": 1}),
        ("templates", {"get": 1}),
        ("op_templates", {"get": 1, "sender": "Mine", "msg": "Secret %d"}),
        ("senders", {"get": 1, "all": 1}),
    )
    before = [gateway.call(script, **fields) for script, fields in reads]
    tries: list[tuple[str, dict[str, Any]]] = [
        ("phones", {"chg": 1, "phone": "79165550001", "name": "x"}),
        ("phones", {"del": 1, "phone": "79165550001"}),
        ("phones", {"move_group": 1, "phone": "79165550001", "grp": mine["group"]}),
        ("phones", {"add": 1, "phone": "79165550003", "grp": mine["group"]}),
        ("phones", {"chg_group": 1, "grp": mine["group"], "name": "x"}),
        ("phones", {"del_group": 1, "grp": mine["group"]}),
        ("phones", {"get": 1, "grp": mine["group"]}),
        ("phones", {"get": 1, "search": "Secret"}),
        ("phones", {"get": 1, "phone": "79165550001"}),
        ("phones", {"del_black": 1, "phone": "79165550002"}),
        ("mails", {"del_group": 1, "grp": mine["group"]}),
        ("mails", {"chg_group": 1, "grp": mine["group"], "name": "x"}),
        ("templates", {"chg": 1, "id": mine["template"], "msg": "x"}),
        ("templates", {"del": 1, "id": mine["template"]}),
        ("op_templates", {"get": 1, "sender": "Mine", "msg": "Secret %d"}),
        ("senders", {"chg": 1, "id": mine["sender"], "cmt": "x"}),
        ("senders", {"del": 1, "id": mine["sender"]}),
        ("senders", {"del": 1, "sender": "Mine"}),
        ("senders", {"get": 1, "user": "alex"}),
        ("senders", {"add": 1, "user": "alex", "sender": "Theirs"}),
        ("senders", {"del": 1, "user": "alex", "sender": "Mine"}),
    ]
    for script, fields in tries:
        answer = gateway.call(script, login="other", **fields)
        assert answer["error_code"] == 3, (script, fields, answer)
    assert gateway.send("G77", login="other")["error_code"] == 1
    assert gateway.send(f"G{mine['group']}", login="other")["error_code"] == 1
    assert "id" in gateway.send("79165550002", login="other")
    names = [s["sender"] for s in gateway.call("senders", get=1, all=1, login="other")]
    assert "Mine" not in names
    assert gateway.call("templates", get=1, login="other") == []
    assert [gateway.call(script, **fields) for script, fields in reads] == before
