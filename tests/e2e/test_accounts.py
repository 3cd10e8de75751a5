"""What accounts may do: test mode, money, keys, addresses, blocks; and nobody sees another's."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

from heliograph.domain.messages import MessageType
from heliograph.services import administration
from heliograph.storage.database import Database

PHONE = "79163334455"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, str]]:
    """A gateway with accounts of every kind, behind a trusted proxy; and an API key of `alex`."""
    running = Gateway(
        tmp_path_factory.mktemp("accounts") / "data",
        *UNLIMITED,
        "http.trusted_proxies=127.0.0.1/32",
    )
    running.create_account()
    running.create_account("blocked", is_blocked=True)
    running.create_account("office", "7", networks=["192.0.2.0/24", "2001:db8::/32"])
    made: list[str] = []

    async def make_key(database: Database) -> None:
        now_ms = time.time_ns() // 1_000_000
        made.append((await administration.create_api_key(database, LOGIN, now_ms=now_ms))[1])

    running.administer(make_key)
    running.start()
    yield running, made[0]
    assert running.stop() == 0


def ask(gateway: Gateway, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """The balance, asked for with these credentials."""
    query = urllib.parse.urlencode({"fmt": 3} | fields)
    return json.loads(gateway.request(f"/sys/balance.php?{query}", headers=headers)[1])


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        hashlib.md5(PASSWORD.encode()).hexdigest(),
        hashlib.sha1(PASSWORD.encode()).hexdigest(),
    ],
    ids=["plain", "md5", "sha1"],
)
def test_forms_of_a_password(keys: tuple[Gateway, str], form: str) -> None:
    assert "balance" in ask(keys[0], login=LOGIN, psw=form)


def test_forms_of_a_key(keys: tuple[Gateway, str]) -> None:
    gateway, key = keys
    for credentials in (
        {"apikey": key},
        {"login": LOGIN, "apikey": key},
        {"login": "", "psw": key},
    ):
        assert "balance" in ask(gateway, **credentials)


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"login": LOGIN},
        {"login": LOGIN, "psw": PASSWORD.upper()},
        {"login": LOGIN, "psw": hashlib.md5(PASSWORD.encode()).hexdigest().upper()},
        {"login": "nobody", "psw": PASSWORD},
        {"login": "blocked", "psw": PASSWORD},
        {"login": "", "psw": PASSWORD},
        {"apikey": "0" * 40},
        {"login": "office", "psw": PASSWORD},
    ],
    ids=str,
)
def test_who_is_turned_away(keys: tuple[Gateway, str], credentials: dict[str, str]) -> None:
    assert ask(keys[0], **credentials) == {"error": "authorise error", "error_code": 2}


def test_the_key_says_whose_it_is(keys: tuple[Gateway, str]) -> None:
    """Whatever login stands beside it (send.php reference, 1: "check the key")."""
    gateway, key = keys
    assert ask(gateway, login="office", apikey=key) == ask(gateway, apikey=key)


@pytest.mark.parametrize(
    ("address", "is_let_in"),
    [("192.0.2.77", True), ("2001:db8::5", True), ("192.0.3.1", False), ("junk", False)],
)
def test_list_of_addresses(keys: tuple[Gateway, str], address: str, is_let_in: bool) -> None:
    headers = {"X-Forwarded-For": address}
    answer = ask(keys[0], headers, login="office", psw=PASSWORD)
    assert ("balance" in answer) is is_let_in


def test_forged_address_before_the_proxy(keys: tuple[Gateway, str]) -> None:
    """Only what the trusted proxy itself wrote counts: the last one."""
    headers = {"X-Forwarded-For": "192.0.2.77, 198.51.100.1"}
    assert ask(keys[0], headers, login="office", psw=PASSWORD)["error_code"] == 2


def test_address_header_of_strangers_is_not_believed(gateway: Gateway) -> None:
    gateway.create_account("homely", networks=["192.0.2.0/24"])
    gateway.settle()
    headers = {"X-Forwarded-For": "192.0.2.77"}
    assert ask(gateway, headers, login="homely", psw=PASSWORD)["error_code"] == 2


def test_account_in_test_mode_plays(gateway: Gateway) -> None:
    """`send.php` reference, section 8: an id, no price, delivered with error 200."""
    before = gateway.call("balance", login="player")
    sent = gateway.call("send", login="player", phones=PHONE, mes="hello", cost=3, op=1)
    assert (sent["cost"], sent["balance"]) == ("0", before["balance"])
    assert "cost" not in sent["phones"][0]
    found = gateway.call("status", login="player", id=sent["id"], phone=PHONE, all=1)
    assert (found["status"], found["err"]) == (1, 200)
    assert gateway.call("balance", login="player") == before


def test_e_mails_know_no_test_mode(gateway: Gateway) -> None:
    """They are really sent and paid for (send.php reference, section 8)."""
    mail = {"mail": 1, "subj": "Hello", "sender": "shop@example.com", "login": "player"}
    before = float(gateway.call("balance", login="player")["balance"])
    sent = gateway.call("send", phones="box@example.com", mes="hello", cost=3, op=1, **mail)
    assert sent["cost"] == sent["phones"][0]["cost"] == "0.10"
    assert before - float(sent["balance"]) == pytest.approx(0.1)

    def ended() -> object:
        found = gateway.call("status", login="player", id=sent["id"], phone="box@example.com")
        return found if found["status"] == 1 else None

    assert wait_for(ended)["err"] == 0


def test_no_money(gateway: Gateway) -> None:
    """Five and a credit of ten: fifteen parts, not one more; the refused one has an id."""
    many = ",".join(f"7916777000{n}" for n in range(10))
    assert gateway.call("send", login="owing", phones=many, mes="x", cost=3)["balance"] == "-5.00"
    many = ",".join(f"7916777001{n}" for n in range(6))
    refused = gateway.call("send", login="owing", phones=many, mes="x")
    assert (refused["error"], refused["error_code"]) == ("no money", 3)
    found = gateway.call("status", login="owing", id=refused["id"], phone="79167770010", all=1)
    assert (found["status"], found["err"], found["cost"]) == (24, 0, "0")
    assert gateway.call("send", login="owing", phones=PHONE, mes="x" * 161)["cnt"] == 2
    assert gateway.call("balance", login="owing", cur=1) == {
        "balance": "-7.00",
        "credit": "10.00",
        "currency": "RUR",
    }


@pytest.mark.parametrize(
    ("fields", "error", "status", "err"),
    [
        ({"phones": "123"}, 7, 22, 249),
        ({"phones": PHONE, "sender": "Зверь"}, 6, 23, 254),
        ({"phones": PHONE, "sender": "longer than eleven"}, 6, 23, 254),
    ],
)
def test_refused_with_an_id_can_be_asked_for(
    gateway: Gateway, fields: dict[str, str], error: int, status: int, err: int
) -> None:
    refused = gateway.send(mes="x", **fields)
    assert refused["error_code"] == error
    found = gateway.status(refused["id"], fields["phones"], all=1)
    assert (found["status"], found["err"], found["cost"]) == (status, err, "0")
    lines = {fmt: gateway.call("send", fmt=fmt, mes="x", **fields) for fmt in (0, 1)}
    assert lines[0].split(", ID - ")[1].isdigit()
    assert lines[1].endswith(f",-{error}")


@pytest.mark.parametrize(
    "fields",
    [
        {"phones": PHONE},
        {"mes": "x"},
        {"phones": PHONE, "mes": "x" * 1001},
        {"phones": "G17", "mes": "x"},
        {"phones": PHONE, "mes": "x", "id": "a b"},
        {"phones": PHONE, "mes": "zz", "bin": 2},
    ],
    ids=str,
)
def test_wrong_parameters_have_no_id(gateway: Gateway, fields: dict[str, Any]) -> None:
    assert gateway.call("send", **fields) == {"error": "parameters error", "error_code": 1}


def test_limits_hold_by_default(tmp_path: Any) -> None:
    """`send.php` reference, 6.4; `status.php`, 1.7; `balance.php`: error 9."""
    gateway = Gateway(tmp_path / "data")
    gateway.create_account()
    gateway.create_account("free", has_limits=False)
    gateway.start()
    try:
        sent = gateway.send(PHONE, "once")
        again = gateway.send(PHONE, "once")
        assert again == {"error": "duplicate request, wait a minute", "error_code": 9}
        assert gateway.send(PHONE, "another")["cnt"] == 1
        estimates = [gateway.send(PHONE, "how much", cost=1) for _ in range(6)]
        assert [("cost" in e) for e in estimates] == [True] * 5 + [False]
        asked = [gateway.status(sent["id"], PHONE) for _ in range(6)]
        assert [e.get("error_code", 0) for e in asked] == [0] * 5 + [9]
        asked = [gateway.status(f"{sent['id']},", f"{PHONE},") for _ in range(2)]
        assert isinstance(asked[0], list)
        assert asked[1]["error_code"] == 9
        asked = [gateway.call("balance") for _ in range(11)]
        assert [e.get("error_code", 0) for e in asked] == [0] * 10 + [9]
        ids = [gateway.call("send", login="free", phones=PHONE, mes="once")["id"] for _ in range(3)]
        asked = [gateway.call("status", login="free", id=ids[0], phone=PHONE) for _ in range(7)]
        assert all("status" in e for e in asked)
        gateway.kill()
        gateway.start()
        assert gateway.send(PHONE, "once")["cnt"] == 1  # limits are forgotten, messages are not
    finally:
        assert gateway.stop() == 0


def test_nobody_sees_messages_of_another_account(gateway: Gateway) -> None:
    """Every script, with every way to name a message, in every format."""
    text = "only for alex"
    sent = gateway.send(PHONE, text, id="ours-1")
    gateway.wait_status("ours-1", PHONE, 1)
    assert sent["id"] == "ours-1"
    theirs: dict[str, Any] = {"login": "other", "phone": PHONE}
    for fmt in range(4):
        for depth in range(3):
            for ref in ("ours-1", "ours-1,"):
                said = str(gateway.call("status", fmt=fmt, all=depth, id=ref, **theirs))
                assert text not in said
                assert "-3" in said
        gone = str(gateway.call("status", fmt=fmt, id="ours-1", **{"del": 1}, **theirs))
        assert "OK" not in gone
    assert gateway.status("ours-1", PHONE, all=1)["message"] == text
    # The same id of another account is another message.
    gateway.call("send", login="other", phones=PHONE, mes="mine", id="ours-1")
    found = gateway.call("status", id="ours-1", all=1, **theirs)
    assert found["message"] == "mine"
    assert gateway.status("ours-1", PHONE, all=1)["message"] == text
    for path in ("/", "/health", "/metrics"):
        page = gateway.get(path).decode()
        assert text not in page
        assert PHONE not in page


def test_type_without_a_route(tmp_path: Any) -> None:
    """Error 8 with an id, and status 25 for the one who asks."""
    gateway = Gateway(tmp_path / "data", *UNLIMITED)
    gateway.create_account()

    async def leave_only_sms(database: Database) -> None:
        from heliograph.storage import routing

        async with database.write() as connection:
            virtual = await routing.find_connector(connection, "virtual")
            await routing.update_connector(connection, virtual.id, {"carries": ["sms", "hlr"]})

    gateway.administer(leave_only_sms)
    gateway.start()
    try:
        assert gateway.send(PHONE)["cnt"] == 1
        refused = gateway.send(PHONE, viber=1)
        assert (refused["error"], refused["error_code"]) == ("can't to deliver", 8)
        found = gateway.status(refused["id"], PHONE, all=1)
        assert (found["status"], found["err"]) == (25, 248)
        assert found["type"] == MessageType.VIBER
    finally:
        assert gateway.stop() == 0
