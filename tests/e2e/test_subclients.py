"""users.php over the wire: the examples of its page literally, every reply form, every error."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from tests.harness.gateway import Gateway, wait_for

from heliograph.services import administration
from heliograph.storage import currencies, tariffs
from heliograph.storage.database import Database

MICROS = 10**6
PHONE = "79161234567"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose main account is that of the examples: alex, with the password 123."""
    running = Gateway(
        tmp_path_factory.mktemp("subclients") / "data",
        "limits.enforce=false",
        "limits.duplicates=false",
    )

    async def create(database: Database) -> None:
        now_ms = time.time_ns() // 1_000_000
        for login in ("alex", "stranger"):
            await administration.create_account(
                database,
                login,
                "123",
                now_ms=now_ms,
                balance_micros=10_000 * MICROS,
                is_strict=False,
                default_sender="ALEX",
            )
        await administration.pay(database, "alex", 500 * MICROS, now_ms=now_ms, is_electronic=True)
        async with database.write() as connection:
            gold = await tariffs.create_plan(connection, "gold")
            await tariffs.number_plan(connection, gold, 2)
            await tariffs.set_rate(connection, gold, tariffs.Rate(price_micros=MICROS // 2))
            await currencies.set_rates(
                connection, {"RUR": MICROS, "USD": 80 * MICROS}, now_ms=now_ms
            )

    running.administer(create)
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()
    assert running.audit() == []


def ask(server: Gateway, query: str, *, login: str = "alex", psw: str = "123") -> str:
    """The reply to `users.php?query` with these credentials."""
    path = f"/sys/users.php?login={login}&psw={psw}&charset=utf-8&{query}"
    return server.get(path).decode()


def ask_json(server: Gateway, query: str, **who: str) -> Any:
    return json.loads(ask(server, f"{query}&fmt=3", **who))


def call(server: Gateway, script: str, login: str, psw: str = "mypassword", **fields: Any) -> Any:
    """Any script with JSON."""
    query = urllib.parse.urlencode(
        {"login": login, "psw": psw, "fmt": 3, "charset": "utf-8"} | fields
    )
    return json.loads(server.get(f"/sys/{script}.php?{query}"))


def add(server: Gateway, user: str, query: str = "", **who: str) -> int:
    made: int = ask_json(server, f"add=1&user={user}&password=mypassword&{query}", **who)["id"]
    return made


def balance(server: Gateway, login: str, psw: str = "mypassword") -> str:
    found: str = call(server, "balance", login, psw)["balance"]
    return found


def stat(server: Gateway, query: str, **who: str) -> Any:
    return ask_json(server, f"get_stat=1&{query}", **who)


def test_the_examples_of_the_page(server: Gateway) -> None:
    """Word by word, but for the parts of the addresses that its picture cuts off."""
    made = server.get(
        "/sys/users.php?add=1&login=alex&psw=123&user=mylogin&password=mypassword"
        "&phone=79999999999&fl[29]=1"
    ).decode()
    assert made.startswith("ID = ")
    assert balance(server, "mylogin") == "0.00"
    ask(server, "pay=1&user=mylogin&sum=10")
    # Access to the main account's sender name: it is the default one.
    sent = call(server, "send", "mylogin", phones=PHONE, mes="hello")
    seen = call(server, "status", "mylogin", phone=PHONE, id=sent["id"], all=1)
    assert seen["sender_id"] == "ALEX"

    wait_for(  # what is under way was priced for the balance that it is to give up
        lambda: call(server, "status", "mylogin", phone=PHONE, id=sent["id"])["status"] == 1
    )
    changed = server.get(
        "/sys/users.php?chg=1&login=alex&psw=123&user=mylogin&password=mypassword"
        "&new_login=mylogin2&type=2&fmts=7,-77"
    ).decode()
    assert changed == "OK"
    assert balance(server, "mylogin2") == balance(server, "alex", "123")
    assert call(server, "balance", "mylogin")["error_code"] == 2
    refused = call(server, "send", "mylogin2", phones="77011234567", mes="hello")
    assert refused["error_code"] == 6
    status = call(server, "status", "mylogin2", phone="77011234567", id=refused["id"])
    assert (status["status"], status["err"]) == (23, 250)
    assert "id" in call(server, "send", "mylogin2", phones=PHONE, mes="hello")

    shared = server.get("/sys/users.php?get_stat=1&login=alex&psw=123&balance2=1").decode()
    assert shared.startswith("login = mylogin2, cnt = 0, credit = 0.00, debit = 0.00, currency =")
    add(server, "sub_alex", "curr=2")
    server.get("/sys/users.php?pay=1&login=alex&psw=123&user=sub_alex&sum=100")
    one = server.get("/sys/users.php?get_stat=1&login=alex&psw=123&user=sub_alex").decode()
    assert one == "login = sub_alex, cnt = 0, credit = 0.00, debit = 1.25, currency = USD"
    past = server.get(
        "/sys/users.php?get_stat=1&login=alex&psw=123&mycur=1"
        "&start=01.01.2014&end=01.02.2014&reseller=1"
    ).decode()
    assert past == "login = sub_alex, cnt = 0, credit = 0.00, debit = 0.00, currency = RUR"


def test_a_real_clients_way_to_create(server: Gateway) -> None:
    query = (
        "user=asclient&password=Abcdef12&email=a@b.c&phone=79999999999&reseller=1&type=0"
        "&tariff=0&mintrf=0&add=1&fmt=3&op=1&fl2[24]=1&sender=ivan&fl[29]&login=alex&psw=123"
    )
    made = server.request(f"/sys/users.php?{query}", b"")
    assert made[0] == 200
    assert isinstance(json.loads(made[1])["id"], int)
    assert call(server, "balance", "asclient", "Abcdef12") == {"balance": "0.00"}


def test_money_goes_to_both_sides(server: Gateway) -> None:
    add(server, "payee")
    before = float(balance(server, "alex", "123"))
    assert ask(server, "pay=1&user=payee&sum=100.5") == "OK"
    assert ask(server, "pay=1&user=payee&sum=-10&fmt=1") == "OK"
    assert ask(server, "pay=1&user=payee&sum=1&fmt=2") == "<result>OK</result>"
    assert ask_json(server, "pay=1&user=payee&sum=1") == {"result": "OK"}
    assert balance(server, "payee") == "92.50"
    assert float(balance(server, "alex", "123")) == before - 92.5
    assert stat(server, "user=payee")[0]["debit"] == "92.50"
    # The electronic balance is another one, and pays for e-mail and calls once it is there.
    assert ask(server, "pay=1&user=payee&sum=20&balance2=1") == "OK"
    assert balance(server, "payee") == "92.50"
    assert ask_json(server, "pay=1&user=payee&sum=-100")["error_code"] == 7
    call(server, "send", "payee", phones=PHONE, mes="hello", call=1)
    assert balance(server, "payee") == "92.50"
    (row,) = stat(server, "user=payee&balance2=1")
    assert (row["cnt"], row["credit"], row["debit"]) == (1, "1.50", "20.00")


def test_statistics(server: Gateway) -> None:
    """A main account of its own, so that no other test counts."""
    add(server, "reseller")
    ask(server, "pay=1&user=reseller&sum=1000")
    who = {"login": "reseller", "psw": "mypassword"}
    id = add(server, "own", **who)
    add(server, "cheap", "tariff=1", **who)
    add(server, "shared", "type=2", **who)
    for each in ("own", "cheap"):
        ask(server, f"pay=1&user={each}&sum=50", **who)
        call(server, "send", each, phones=f"{PHONE},79161234568", mes="hello")
    call(server, "send", "own", phones="123", mes="a number that is none")
    call(server, "send", "shared", phones=PHONE, mes="hello")
    assert stat(server, "reseller=1", **who) == [
        {
            "login": "own",
            "cnt": 2,
            "credit": "2.00",
            "debit": "50.00",
            "currency": "RUR",
            "user_id": id,
            "sms": 2,
        },
        {
            "login": "cheap",
            "cnt": 2,
            "credit": "1.00",
            "debit": "50.00",
            "currency": "RUR",
            "user_id": id + 1,
            "sms": 2,
        },
    ]
    assert [each["login"] for each in stat(server, "reseller=0", **who)] == ["shared"]
    assert ask(server, f"get_stat=1&user_id={id}&fmt=1", **who) == "own,2,2.00,50.00,RUR"
    assert ask(server, "get_stat=1&fmt=2", **who) == (
        "<list>\n<stat>\n<login>shared</login>\n<cnt>1</cnt>\n<credit>1.00</credit>\n"
        "<debit>0.00</debit>\n<currency>RUR</currency>\n</stat>\n</list>"
    )
    details = ask_json(server, "get_stat_all=1&reseller=1&user=own", **who)
    assert details == [
        {
            "login": "own",
            "date": time.strftime("%d.%m.%Y", time.gmtime(time.time() + 3 * 3600)),
            "country": "Россия",
            "operator": "МТС",
            "mccmnc": "25001",
            "format": 0,
            "cnt": 2,
            "credit": "2.00",
            "currency": "RUR",
        }
    ]
    assert stat(server, "user=own&start=01.01.2020&end=02.01.2020", **who)[0]["cnt"] == 0
    assert ask_json(server, "get_stat=1", login="own", psw="mypassword")["error_code"] == 3
    # On the day on which the currency changes there is one line still, all told in the new one.
    wait_for(lambda: ask(server, "chg=1&user=own&curr=2", **who) == "OK")
    assert "id" in call(server, "send", "own", phones=PHONE, mes="for dollars")
    (detail,) = ask_json(server, "get_stat_all=1&reseller=1&user=own", **who)
    assert (detail["cnt"], detail["credit"], detail["currency"]) == (3, "0.0375", "USD")


def test_kinds(server: Gateway) -> None:
    add(server, "main")
    ask(server, "pay=1&user=main&sum=100")
    ask(server, "chg=1&user=main&tariff=1")  # half the price
    who = {"login": "main", "psw": "mypassword"}
    for kind in range(5):
        add(server, f"kind{kind}", f"type={kind}", **who)
    for kind in (0, 1):
        ask(server, f"pay=1&user=kind{kind}&sum=10", **who)
    for kind in (2, 3, 4):
        assert ask_json(server, f"pay=1&user=kind{kind}&sum=1", **who)["error_code"] == 7
    costs = {
        kind: call(server, "send", f"kind{kind}", phones=PHONE, mes="hello", cost=2)["cost"]
        for kind in range(5)
    }
    assert costs == {0: "1.00", 1: "0.50", 2: "0.50", 3: "1.00", 4: "0.50"}
    balances = [balance(server, f"kind{kind}") for kind in range(5)]
    left = "78.00"  # of 100: two tens given away, and 0.5 + 1 + 0.5 spent by those that share it
    assert balances == ["9.00", "9.50", left, left, left]
    # An additional login is the main account: it sees the main account's messages, and pays.
    sent = call(server, "send", "main", phones=PHONE, mes="from the main account")
    assert call(server, "status", "kind4", phone=PHONE, id=sent["id"])["status"] != -3
    assert call(server, "status", "kind2", phone=PHONE, id=sent["id"])["status"] == -3
    assert ask(server, "pay=1&user=kind0&sum=1", login="kind4", psw="mypassword") == "OK"
    # What is left on a balance goes with the account when it shares one.
    assert ask(server, "chg=1&user=kind0&type=3", **who) in ("OK", "ERROR = 8 (save error)")
    # A main account that is blocked takes along whoever spends its money.
    ask(server, "chg=1&user=main&fl2[10]=1")
    for kind, is_let_in in enumerate((True, True, False, False, False)):
        if kind:
            assert ("balance" in call(server, "balance", f"kind{kind}")) is is_let_in, kind


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 1),
        ("del=1&user=u", 1),
        ("add=1&password=mypassword", 1),
        ("add=1&user=errors", 1),
        ("add=1&user=errors&password=short", 1),
        ("add=1&user=errors&password=mypassword&type=5", 1),
        ("add=1&user=errors&password=mypassword&curr=6", 1),
        ("add=1&user=errors&password=mypassword&tz=25", 1),
        ("add=1&user=errors&password=mypassword&tariff=9", 1),
        ("add=1&user=errors&password=mypassword&tariff=7", 1),  # there is no eighth plan
        ("add=1&user=errors&password=mypassword&email=nobody", 1),
        ("add=1&user=errors&password=mypassword&phone=12", 1),
        ("add=1&user=errors&password=mypassword&fmts=Russia", 1),
        ("add=1&user=errors&password=mypassword&tmlim=9", 1),
        ("add=1&user=errors&password=mypassword&dlim=many", 1),
        ("add=1&user=errors&password=mypassword&url=ftp://example.com/", 1),
        ("add=1&user=alex&password=mypassword", 8),
        ("add=1&user=ab&password=mypassword", 8),
        ("add=1&user=with%20space&password=mypassword", 8),
        (f"add=1&user={'x' * 41}&password=mypassword", 8),
        ("chg=1", 1),
        ("chg=1&user=nobody", 6),
        ("chg=1&user=stranger", 6),
        ("chg=1&user=target&new_login=alex", 8),
        ("chg=1&user=target&new_login=x", 8),
        ("chg=1&user=target&pswc=wrong", 5),
        ("chg=1&user=alex&type=1", 5),  # what nobody may ask of himself
        ("pay=1&user=target", 1),
        ("pay=1&user=target&sum=0", 1),
        ("pay=1&user=target&sum=much", 1),
        ("pay=1&user=target&sum=1000000", 10),
        ("pay=1&user=target&sum=-1", 10),
        ("pay=1&user=target&sum=501&balance2=1", 10),
        ("pay=1&user=nobody&sum=1", 6),
        ("pay=1&user=alex&sum=1", 6),
        ("get_stat=1&user=nobody", 6),
        ("get_stat=1&user=stranger", 6),
        ("get_stat=1&user_id=1", 3),
        ("get_stat=1&user_id=x", 1),
        ("get_stat=1&start=31.02.2024", 1),
        ("get_stat=1&start=02.01.2024&end=01.01.2024", 1),
        ("get_stat_all=1&start=01.01.2001&end=02.01.2001&reseller=1", 3),
    ],
)
def test_errors(server: Gateway, query: str, number: int) -> None:
    ask(server, "add=1&user=target&password=mypassword")
    assert ask(server, f"{query}&fmt=1") == f"0,-{number}"


def test_the_forms_of_an_error(server: Gateway) -> None:
    query = "chg=1&user=nobody"
    assert ask(server, query) == "ERROR = 6 (subclient not found)"
    assert ask(server, f"{query}&fmt=2") == (
        "<result>\n<error>subclient not found</error>\n<error_code>6</error_code>\n</result>"
    )
    assert ask(server, f"{query}&fmt=3") == (
        '{\n"error": "subclient not found",\n"error_code": 6\n}'
    )
    assert ask(server, query, psw="wrong") == "ERROR = 2 (authorise error)"


def test_protection(server: Gateway) -> None:
    """`fl[27]`: no changes of its settings by the sub-client; `fl[28]`: no payments."""
    add(server, "guarded")
    who = {"login": "guarded", "psw": "mypassword"}
    ask(server, "pay=1&user=guarded&sum=10")
    add(server, "below", **who)
    assert ask(server, "chg=1&user=guarded&phone=79161234567", **who) == "OK"
    for forbidden in ("dlim=5", "type=2", "tariff=1", "fl2[10]=0", "fl[27]=0", "curr=2"):
        query = f"chg=1&user=guarded&{forbidden}"
        assert ask_json(server, query, **who)["error_code"] == 5, forbidden
    assert ask(server, "chg=1&user=guarded&fl[27]=1&fl[28]=1") == "OK"
    assert ask_json(server, "chg=1&user=guarded&phone=79161234567", **who)["error_code"] == 5
    assert ask_json(server, "pay=1&user=below&sum=1", **who)["error_code"] == 5
    assert ask_json(server, "add=1&user=one&password=mypassword", **who)["error_code"] == 5
    # An additional login frees neither itself nor another one.
    add(server, "extra1", "type=4&fl[27]=1")
    add(server, "extra2", "type=4")
    for login, user in (("extra1", "extra1"), ("extra1", "extra2"), ("extra2", "extra1")):
        query = f"chg=1&user={user}&fl[27]=0"
        assert ask_json(server, query, login=login, psw="mypassword")["error_code"] == 5


def test_what_is_forbidden_is_not_to_be_had_by_way_of_a_sub_client(server: Gateway) -> None:
    """`fl[6]`, `fl[28]` and `fl2[27]` hold for everybody who spends the same balance."""
    add(server, "mid", "type=2&fl[28]=1&fl2[27]=1")
    add(server, "low", "type=2", login="mid", psw="mypassword")
    add(server, "far", login="low", psw="mypassword")
    paid = ask_json(server, "pay=1&user=far&sum=5", login="low", psw="mypassword")
    assert paid["error_code"] == 5
    before = balance(server, "alex", "123")
    assert "id" in call(server, "send", "low", phones=PHONE, mes="for nothing")
    assert balance(server, "alex", "123") == before
    add(server, "quiet", "type=3&fl[6]=1")
    add(server, "quietkid", "type=2", login="quiet", psw="mypassword")
    assert call(server, "send", "quietkid", phones=PHONE, mes="hello")["error_code"] == 6
    # An additional login makes nobody who may do more with the balance than itself.
    add(server, "clerk", "type=4&fl[28]=1")
    who = {"login": "clerk", "psw": "mypassword"}
    for query in (
        "add=1&user=friend&password=mypassword&type=4",
        "add=1&user=friend&password=mypassword&type=2",
        "chg=1&user=quietkid2&password=Abcdef12",
        "chg=1&user=far2&type=3",
    ):
        user = query.partition("user=")[2].partition("&")[0]
        if user != "friend":
            add(server, user, f"type={2 if user == 'quietkid2' else 0}")
        assert ask_json(server, query, **who)["error_code"] == 5, query
    add(server, "client", **who)
    assert ask(server, "chg=1&user=client&dlim=5", **who) == "OK"
    assert ask_json(server, "pay=1&user=client&sum=1", **who)["error_code"] == 5


def test_three_requests_a_minute(tmp_path: Any) -> None:
    running = Gateway(tmp_path / "data")
    running.create_account()
    running.start()
    try:
        for n, number in enumerate((None, None, None, 9)):
            made = running.call("users", add=1, user=f"user{n}", password="Abcdef12")
            assert made.get("error_code") == number
        changes = [running.call("users", chg=1, user="user1", notes=str(n)) for n in range(3)]
        assert changes == [{"result": "OK"}] * 3
        assert running.call("users", chg=1, user="user1", new_login="another")["error_code"] == 9
        assert running.call("users", chg=1, user="user2", new_login="renamed") == {"result": "OK"}
        for number in (None, None, 9):  # under another name it is the same sub-client
            changed = running.call("users", chg=1, user="renamed")
            assert changed.get("error_code") == number
        for _ in range(5):  # payments are not counted
            assert running.call("users", pay=1, user="user1", sum=1) == {"result": "OK"}
        answers = [running.call("users", get_stat=1, reseller=1) for _ in range(4)]
        assert len(answers[2]) == 3
        assert answers[3]["error_code"] == 9
        assert running.call("users", add=1, user="user9", password="Abcdef12", fmt=1) == "0,-9"
    finally:
        assert running.stop() == 0


def test_limits_of_sending(server: Gateway) -> None:
    add(server, "limited", "dlim=6&plim=3&tlim=2&ilim=1&fl2[23]=1&vld=1")
    ask(server, "pay=1&user=limited&sum=100")

    def send(text: str, phone: str = PHONE, **fields: Any) -> tuple[int, int]:
        answer = call(server, "send", "limited", phones=phone, mes=text, **fields)
        seen = call(server, "status", "limited", phone=phone, id=answer["id"])
        assert answer.get("error_code", 0) == (6 if seen["status"] == 23 else 0)
        return (seen["status"], seen["err"]) if seen["status"] == 23 else (0, 0)

    assert [send("one") for _ in range(3)] == [(0, 0), (0, 0), (23, 251)]
    assert [send("two") for _ in range(2)] == [(0, 0), (23, 251)]  # three to this number
    other = "79161230000"
    assert [send("x", other, userip="192.0.2.7") for _ in range(2)] == [(0, 0), (23, 247)]
    assert send("y", "79161230001", userip="192.0.2.8") == (0, 0)
    # An estimate counts for nothing, and a message without money neither.
    call(server, "send", "limited", phones="79161230002", mes="z", cost=1)
    assert send("z", "79161230002") == (0, 0)
    assert send("z", "79161230003") == (23, 247)  # six in all
    many = ",".join(str(79161240000 + n) for n in range(21))
    answer = call(server, "send", "limited", phones=many, mes="mass")
    assert answer["error_code"] == 6
    assert balance(server, "limited") == "94.00"


def test_counts_outlive_a_restart(server: Gateway) -> None:
    add(server, "counted", "dlim=2")
    ask(server, "pay=1&user=counted&sum=100")
    assert "id" in call(server, "send", "counted", phones=PHONE, mes="one")
    assert server.stop() == 0
    server.start()
    assert "error" not in call(server, "send", "counted", phones=PHONE, mes="two")
    assert call(server, "send", "counted", phones=PHONE, mes="three")["error_code"] == 6


def test_hours(server: Gateway) -> None:
    """The hour is chosen so that it is closed now, in both zones that are looked at."""
    hour = time.gmtime(time.time() + 3 * 3600).tm_hour  # in Moscow
    closed = f"{(hour + 3) % 24}-{(hour + 5) % 24}"
    add(server, "daily", f"tmlim={closed}")
    ask(server, "pay=1&user=daily&sum=100")
    sent = call(server, "send", "daily", phones=PHONE, mes="later")
    seen = call(server, "status", "daily", phone=PHONE, id=sent["id"], all=1)
    assert seen["status"] == -1
    due = time.gmtime(seen["send_timestamp"] + 3 * 3600)
    assert (due.tm_hour, due.tm_min) == ((hour + 3) % 24, 0)
    ask(server, "chg=1&user=daily&fl2[15]=1")
    refused = call(server, "send", "daily", phones=PHONE, mes="now")
    assert refused["error_code"] == 6
    seen = call(server, "status", "daily", phone=PHONE, id=refused["id"])
    assert (seen["status"], seen["err"]) == (23, 246)
    # In Vladivostok it is seven hours later.
    there = (hour + 7) % 24
    ask(server, f"chg=1&user=daily&fl2[16]=1&tmlim={there}-{(there + 2) % 24}")
    far = "74232000000"
    assert "error" not in call(server, "send", "daily", phones=far, mes="now")
    assert call(server, "send", "daily", phones=PHONE, mes="now")["error_code"] == 6


def test_forbidden_and_virtual_sending(server: Gateway) -> None:
    add(server, "mute", "fl[6]=1")
    answer = call(server, "send", "mute", phones=PHONE, mes="hello")
    assert answer["error_code"] == 6
    seen = call(server, "status", "mute", phone=PHONE, id=answer["id"])
    assert (seen["status"], seen["err"]) == (23, 244)
    add(server, "virtual", "fl2[27]=1")
    sent = call(server, "send", "virtual", phones=PHONE, mes="hello", cost=3)
    assert sent["cost"] == "0"
    seen = call(server, "status", "virtual", phone=PHONE, id=sent["id"])
    assert (seen["status"], seen["err"]) == (1, 200)
    assert len(call(server, "get", "virtual", get_messages=1)) == 1
    ask(server, "chg=1&user=virtual&fl2[1]=1")
    wait_for(lambda: "error_code" in call(server, "get", "virtual", get_messages=1))
    assert call(server, "get", "virtual", get_messages=1)["error_code"] == 3
    assert call(server, "status", "virtual", phone=PHONE, id=sent["id"])["status"] == 1
    ask(server, "chg=1&user=virtual&fl2[10]=1")
    assert call(server, "balance", "virtual")["error_code"] == 2
    ask(server, "chg=1&user=virtual&fl2[10]=0")
    assert "balance" in call(server, "balance", "virtual")


def test_the_log_of_requests(server: Gateway) -> None:
    add(server, "logged", "fl[30]=1")
    call(server, "send", "logged", phones=PHONE, mes="a secret text")
    call(server, "balance", "logged")
    lines = wait_for(
        lambda: [
            each
            for each in json.loads(server.cli("account", "log", "logged", "--json"))
            if each["door"] == "http"
        ]
    )
    assert "secret" not in str(lines)
    assert any("send: " in str(each) and "error 3" in str(each) for each in lines)


def test_nobody_reaches_what_is_not_theirs(server: Gateway) -> None:
    """Every operation by: a stranger, the sub-client itself, its sister, its own sub-client."""
    who = {"login": "head", "psw": "mypassword"}
    add(server, "head")
    ask(server, "pay=1&user=head&sum=100")
    target = add(server, "prey", "phone=79161234567", **who)
    add(server, "sister", **who)
    ask(server, "pay=1&user=prey&sum=50", **who)
    prey = {"login": "prey", "psw": "mypassword"}
    add(server, "beneath", **prey)
    add(server, "strange")
    sent = call(server, "send", "prey", phones=PHONE, mes="hello")
    before = balance(server, "prey")
    operations = {
        "chg=1&user=prey&phone=79990000000": 6,
        "chg=1&user=prey&password=stolen-1": 6,
        "chg=1&user=prey&new_login=stolen": 6,
        "chg=1&user=prey&pswc=mypassword&fl2[10]=1": 6,
        "pay=1&user=prey&sum=-1": 6,
        "pay=1&user=prey&sum=-1&balance2=1": 6,
        "pay=1&user=prey&sum=0.01": 6,
        "get_stat=1&user=prey": 6,
        f"get_stat=1&user_id={target}": 3,
        "get_stat_all=1&user=prey": 6,
        f"get_stat_all=1&user_id={target}": 3,
    }
    for login in ("strange", "sister", "beneath", "alex"):
        psw = "123" if login == "alex" else "mypassword"
        for query, number in operations.items():
            assert ask(server, f"{query}&fmt=1", login=login, psw=psw) == f"0,-{number}", (
                login,
                query,
            )
        for list_of in ("reseller=0", "reseller=1"):
            assert "prey" not in ask(server, f"get_stat=1&{list_of}", login=login, psw=psw)
        seen = call(server, "status", login, psw, phone=PHONE, id=sent["id"])
        assert seen["status"] == -3 or login != "sister"
        assert (
            ask_json(server, "add=1&user=prey&password=mypassword", login=login, psw=psw)[
                "error_code"
            ]
            == 8
        )  # the login is taken, and nothing more is told
    # Of itself it sees nothing there, and takes nothing from whoever is above it.
    for query, number in (
        ("pay=1&user=prey&sum=1", 6),
        ("pay=1&user=head&sum=-1", 6),
        ("chg=1&user=head&fl[27]=0", 6),
        ("get_stat=1&user=head", 6),
        ("chg=1&user=prey&fmts=", 5),
    ):
        assert ask(server, f"{query}&fmt=1", **prey) == f"0,-{number}", query
    assert balance(server, "prey") == before
    assert [each["login"] for each in stat(server, "reseller=1", **who)] == ["prey", "sister"]


def test_many_payments_at_once(server: Gateway) -> None:
    """Ten connections take the same money: it is there once."""
    from concurrent.futures import ThreadPoolExecutor

    add(server, "purse")
    add(server, "pocket", login="purse", psw="mypassword")
    ask(server, "pay=1&user=purse&sum=10")
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(
                lambda _: ask(
                    server, "pay=1&user=pocket&sum=3&fmt=1", login="purse", psw="mypassword"
                ),
                range(10),
            )
        )
    assert sorted(answers) == ["0,-10"] * 7 + ["OK"] * 3
    assert (balance(server, "purse"), balance(server, "pocket")) == ("1.00", "9.00")


def test_an_api_key_manages_sub_clients(server: Gateway) -> None:
    key = json.loads(server.cli("account", "key", "create", "alex", "--json"))["key"]
    server.settle()
    reply = server.get(f"/sys/users.php?apikey={key}&add=1&user=bykey&password=mypassword&fmt=3")
    assert "id" in json.loads(reply)
    body = json.dumps({"apikey": key, "chg": 1, "user": "bykey", "fio": "Иван"}).encode()
    done = server.request("/rest/users/", body, {"Content-Type": "application/json"})
    assert json.loads(done[1]) == {"result": "OK"}
