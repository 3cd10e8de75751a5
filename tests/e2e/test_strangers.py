"""Nobody reads or changes what is not theirs: every script and every operation is asked by a
stranger, by a sub-client about its main account, and by a main account about its sub-client.

Everything that an account has carries its mark, or is known by its own numbers. Whatever others
ask, by the ids and numbers of its owner, no answer holds any of it; and when all have asked, all
that the owner can see of its own is what it was before.

A script or an operation that is not asked here fails `test_nothing_is_left_out`.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from tests.harness.gateway import PASSWORD, Gateway, wait_for

from heliograph.domain.tasks import TaskGroup
from heliograph.gateways.http import contacts as contacts_module
from heliograph.gateways.http.app import SCRIPTS
from heliograph.services.inbound import receive
from heliograph.storage.accounts import find_account
from heliograph.storage.database import Database
from heliograph.storage.rentals import offer_number
from heliograph.storage.tasks import put_task

NUMBER = "79581115555"
CHILD_PASSWORD = "Sub-Secret-1"
Request = tuple[str, dict[str, Any]]

# Scripts that do one thing, without a flag that names it.
PLAIN = {"send", "status", "balance", "info", "get_mnp", "wait_call", "ping"}
# What a main account may ask about its sub-client, and is answered.
OF_MAINS = {"users", "documents", "senders"}


@dataclass
class World:
    """An account and everything that it has. `mark` stands in all its texts."""

    login: str
    psw: str
    mark: str
    phone: str  # whom it writes to, and who writes to it
    rented: str
    child: str
    ids: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    def ask_raw(self, gateway: Gateway, script: str, **fields: Any) -> bytes:
        """The body that a request of this account is answered with."""
        query = {"login": self.login, "psw": self.psw, "charset": "utf-8", "fmt": 3, **fields}
        return gateway.get(f"/sys/{script}.php?{urllib.parse.urlencode(query)}")

    def ask(self, gateway: Gateway, script: str, **fields: Any) -> Any:
        """What its JSON tells."""
        return json.loads(self.ask_raw(gateway, script, **fields))


def build(gateway: Gateway, world: World) -> None:
    """Gives an account one of everything."""

    def ask(script: str, **fields: Any) -> Any:
        reply = world.ask(gateway, script, **fields)
        assert "error_code" not in reply, (script, fields, reply)
        return reply

    mark, ids = world.mark, world.ids
    target = f"https://example.com/{mark}"
    ids["group"] = ask("phones", add_group=1, name=mark, num=world.phone[-4:])["id"]
    ids["mails"] = ask("mails", add_group=1, name=mark)["id"]
    ask("phones", add=1, phone=world.phone, name=mark, grp=ids["group"], cmt=mark)
    ask("mails", add=1, mail=f"{mark}@example.com", name=mark, grp=ids["mails"])
    ask("phones", add_black=1, phone=f"{world.phone[:-1]}9")
    ids["template"] = ask("templates", add=1, name=mark, msg=f"{mark} template")["id"]
    ids["sender"] = ask("senders", add=1, sender=mark, cmt=mark)["id"]
    ask("senders", send_code=1, sender=world.phone)
    ask("op_templates", add=1, sender=mark, msg=f"{mark} %d", mts_srv=1)
    ids["sent"] = ask("send", phones=world.phone, mes=f"{mark} {target}", tinyurl=1, id=41)["id"]
    ids["waiting"] = ask("send", phones=world.phone, mes=mark, time="+600", id=42)["id"]
    ids["job"] = ask("jobs", add=1, name=mark, phones=world.phone, mes=mark, time="+600")["id"]
    ids["child"] = ask(
        "users", add=1, user=world.child, password=CHILD_PASSWORD, fio=mark, sender=mark
    )["id"]
    ids["invoice"] = ask("documents", add_account=1, user=world.child, sum=1, service=mark)["id"]
    ask("receive_phones", buy=1, phone=world.rented)
    gateway.administer(partial(_by_the_operator, world))
    ids["link"] = ask("tinyurls", get=1, link=target)["id"]
    ids["answer"] = wait_for(lambda: ask("get", get_answers=1))[0]["id"]
    sent = wait_for(lambda: ask("status", id=ids["sent"], phone=world.phone, all=1))
    assert mark in sent["message"]
    gateway_status = {"id": ids["sent"], "phone": world.phone}
    wait_for(lambda: ask("status", **gateway_status)["status"] == 1, what="delivery")
    ids["message"] = ask("get", get_messages=1, cnt=1)[0]["int_id"]
    world.secrets += [mark, world.rented, "%PDF", f"{mark}@"]


async def _by_the_operator(world: World, database: Database) -> None:
    """A message from a handset, and a task group: `inbox send` and `task set`."""
    async with database.read() as connection:
        account = await find_account(connection, world.login)
    await receive(
        database,
        account,
        source=world.phone,
        destination=NUMBER,
        text=world.mark,
        now_ms=time.time_ns() // 1_000_000,
    )
    task = TaskGroup(number=7, phones=(world.phone,), failure_text=world.mark)
    async with database.write() as connection:
        await put_task(connection, account.id, task)


def requests_about(world: World) -> list[Request]:
    """Everything that somebody else may ask about what this account has."""
    ids, phone, group, child = world.ids, world.phone, world.ids["group"], world.child
    target = f"https://example.com/{world.mark}"
    return [
        ("send", {"phones": f"G{group}", "mes": "x"}),
        ("send", {"phones": f"G{phone[-4:]}", "mes": "x"}),
        ("status", {"id": ids["sent"], "phone": phone, "all": 2}),
        (
            "status",
            {"id": f"{ids['sent']},{ids['waiting']}", "phone": f"{phone},{phone}", "all": 1},
        ),
        ("status", {"id": ids["sent"], "phone": phone, "del": 1}),
        ("status", {"id": ids["waiting"], "phone": phone, "del": 1}),
        ("status", {"id": ids["job"], "phone": phone, "all": 1}),
        ("balance", {"cur": 1}),
        ("get", {"get_messages": 1, "phone": phone}),
        ("get", {"get_message": 1, "phone": phone}),
        ("get", {"get_messages": 1, "prev_id": ids["message"] + 1}),
        ("get", {"get_messages": 1, "format": 8, "email": f"{world.mark}@example.com"}),
        ("get", {"get_answers": 1, "after_id": ids["answer"] - 1, "to_phone": NUMBER}),
        ("get", {"get_stat": 1, "user": world.login}),
        ("get", {"get_price": 1, "user": world.login}),
        ("get", {"get_mega_accounts": 1, "account": phone}),
        ("get", {"get_senders": 1, "all": 1, "user": world.login}),
        ("info", {"get_operator": 1, "phone": phone}),
        ("get_mnp", {}),
        ("tinyurls", {"get": 1, "link": target}),
        ("tinyurls", {"get": 1, "id": ids["link"]}),
        ("receive_phones", {"get": 1}),
        ("receive_phones", {"gets": 1}),
        ("receive_phones", {"buy": 1, "phone": world.rented}),
        ("receive_phones", {"chg": 1, "phone": world.rented, "noprolong": 1}),
        ("wait_call", {"phone": phone}),
        ("ping", {"id": 7, "name": "x"}),
        ("documents", {"add_account": 1, "user": child, "sum": 1}),
        ("documents", {"add_account": 1, "user_id": ids["child"], "sum": 1}),
        ("documents", {"get_account": 1, "user": child, "id": ids["invoice"]}),
        ("documents", {"get_account": 1, "user_id": ids["child"], "id": ids["invoice"]}),
        ("documents", {"get_act": 1, "user_id": ids["child"], "num": 1}),
        ("users", {"add": 1, "user": child, "password": CHILD_PASSWORD}),
        ("users", {"chg": 1, "user": child, "fl2[10]": 1}),
        ("users", {"chg": 1, "user": world.login, "password": "Taken-Over-1"}),
        ("users", {"pay": 1, "user": child, "sum": 1}),
        ("users", {"pay": 1, "user": world.login, "sum": -1}),
        ("users", {"get_stat": 1, "user": child}),
        ("users", {"get_stat": 1, "user_id": ids["child"], "reseller": 1}),
        ("users", {"get_stat": 1, "reseller": 1}),
        ("users", {"get_stat_all": 1, "user": child}),
        ("templates", {"add": 1, "name": "own", "msg": "own", "id": ids["template"]}),
        ("templates", {"chg": 1, "id": ids["template"], "msg": "changed"}),
        ("templates", {"del": 1, "id": ids["template"]}),
        ("templates", {"get": 1, "id": ids["template"]}),
        ("op_templates", {"add": 1, "sender": "own", "msg": "own", "mts_srv": 1}),
        ("op_templates", {"get": 1, "sender": world.mark, "msg": f"{world.mark} %d"}),
        ("senders", {"get": 1, "all": 1, "operators": 1}),
        ("senders", {"get": 1, "all": 1, "user": child}),
        ("senders", {"add": 1, "sender": "own", "user": child}),
        ("senders", {"chg": 1, "id": ids["sender"], "cmt": "changed"}),
        ("senders", {"chg": 1, "sender": world.mark, "cmt": "changed"}),
        ("senders", {"send_code": 1, "sender": f"{phone[:-1]}8", "user": child}),
        ("senders", {"check_code": 1, "sender": phone, "code": "0000"}),
        ("senders", {"del": 1, "id": ids["sender"]}),
        ("senders", {"del": 1, "sender": world.mark}),
        *_about_lists(world),
        *_about_books(world),
    ]


def _about_lists(world: World) -> list[Request]:
    ids = world.ids
    return [
        ("jobs", {"add": 1, "name": "x", "phones": f"G{ids['group']}", "mes": "x"}),
        ("jobs", {"add": 1, "name": "x", "phones": "79160000000", "tpl": ids["template"]}),
        ("jobs", {"get": 1, "id": ids["job"]}),
        ("jobs", {"get_all": 1}),
        ("jobs", {"cancel": 1, "id": ids["job"]}),
        ("jobs", {"del": 1, "id": ids["job"]}),
    ]


def _about_books(world: World) -> Iterator[Request]:
    scripts = {"phones": ("phone", world.phone, "group")}
    scripts["mails"] = ("mail", f"{world.mark}@example.com", "mails")
    for script, (name, address, group) in scripts.items():
        other = "79169999999" if script == "phones" else "own@example.com"
        grp = world.ids[group]
        yield script, {"add": 1, name: other, "grp": grp}
        yield script, {"add_group": 1, "name": "own"}
        yield script, {"chg": 1, name: address, "name": "changed"}
        yield script, {"chg": 1, name: address, f"new_{name}": other}
        yield script, {"chg_group": 1, "grp": grp, "name": "changed"}
        for way in (1, 2, 3):
            yield script, {"move_group": way, name: address, "grp": grp}
        yield script, {"get": 1}
        yield script, {"get": 1, "grp": grp}
        yield script, {"get": 1, name: address}
        yield script, {"get": 1, "search": world.mark}
        yield script, {"get_group": 1}
        yield script, {"del": 1, name: address}
        yield script, {"del_group": 1, "grp": grp}
        yield script, {"add_black": 1, name: other}
        yield script, {"del_black": 1, name: f"{world.phone[:-1]}9" if name == "phone" else other}


def everything(gateway: Gateway, world: World, *, has_statistics: bool) -> list[Any]:
    """All that an account can see of what it has, also about its sub-clients."""
    ids = world.ids
    asked: list[Request] = [
        ("balance", {"cur": 1}),
        ("phones", {"get": 1}),
        ("phones", {"get_group": 1}),
        ("mails", {"get": 1}),
        ("mails", {"get_group": 1}),
        ("templates", {"get": 1}),
        ("senders", {"get": 1, "all": 1, "operators": 1}),
        ("op_templates", {"get": 1, "sender": world.mark, "msg": f"{world.mark} %d"}),
        ("jobs", {"get_all": 1}),
        ("get", {"get_messages": 1}),
        ("get", {"get_answers": 1}),
        ("get", {"get_stat": 1}),
        ("status", {"id": ids["waiting"], "phone": world.phone, "all": 1}),
        ("receive_phones", {"get": 1}),
        ("tinyurls", {"get": 1, "id": ids["link"]}),
        ("documents", {"get_account": 1, "user": world.child, "id": ids["invoice"]}),
    ]
    if has_statistics:
        asked.append(("users", {"get_stat": 1, "reseller": 1}))
    seen: list[Any] = [world.ask_raw(gateway, script, **fields) for script, fields in asked]
    # A number on the black list is found by sending to it.
    seen.append(world.ask(gateway, "send", phones=f"{world.phone[:-1]}9", mes="x", cost=1))
    return seen


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("strangers") / "data",
        *("limits.enforce=false", "limits.duplicates=false", f"calls.numbers={NUMBER}"),
    )
    gateway.create_account("owner", "777777", default_sender="Zephyr")
    gateway.create_account("stranger", "5")

    async def offer(database: Database) -> None:
        async with database.write() as connection:
            for rented in ("79580000001", "79580000002"):
                await offer_number(connection, rented, 1_000_000)

    gateway.administer(offer)
    gateway.start()
    yield gateway
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def worlds(gateway: Gateway) -> dict[str, World]:
    """Three accounts: a main account, its sub-client, and one that has nothing to do with them."""
    owner = World("owner", PASSWORD, "Zephyr", "79031150001", "79580000001", "child")
    child = World("child", CHILD_PASSWORD, "Quokka", "79031150022", "79580000002", "grandchild")
    build(gateway, owner)
    assert owner.ask(gateway, "users", pay=1, user="child", sum=500) == {"result": "OK"}
    build(gateway, child)
    stranger = World("stranger", PASSWORD, "Gnu", "79031150033", "", "")
    return {"owner": owner, "child": child, "stranger": stranger}


PAIRS = [("stranger", "owner"), ("stranger", "child"), ("child", "owner"), ("owner", "child")]


@pytest.mark.parametrize(("who", "whose"), PAIRS)
def test_nothing_of_somebody_else_is_told_or_changed(
    gateway: Gateway, worlds: dict[str, World], who: str, whose: str
) -> None:
    asking, theirs = worlds[who], worlds[whose]
    # What a sub-client sends of its own its main account sees in statistics.
    look = partial(everything, gateway, theirs, has_statistics=who != "child")
    before = look()
    # What its own main account may see and set of it is no secret.
    allowed = OF_MAINS if who == "owner" else set()
    secrets = theirs.secrets
    if who == "child":  # the name that it was given, and its own documents
        secrets = [each for each in secrets if each not in (theirs.mark, "%PDF")]
        secrets += [f"{theirs.mark} ", f"/{theirs.mark}", f"{theirs.mark}@"]
    for script, fields in requests_about(theirs):
        if script in allowed or (allowed and "get_senders" in fields):
            continue
        for fmt in (0, 1, 2, 3) if whose == "owner" and who == "stranger" else (0, 3):
            reply = asking.ask_raw(gateway, script, fmt=fmt, **fields).decode("utf-8", "replace")
            for secret in secrets:
                if secret in str(fields) and script in ("op_templates", "senders"):
                    continue  # its own words
                assert secret not in reply, (script, fields, fmt)
    assert look() == before
    assert gateway.audit() == []


def operations_of(script: str) -> set[str]:
    """The flags that choose an operation of a script, as its handler has them in its tables."""
    handler = SCRIPTS[script]
    module = inspect.getmodule(handler)
    assert module is not None
    trees = [ast.parse(textwrap.dedent(inspect.getsource(handler)))]
    source = inspect.getsource(handler)
    if "_OPERATIONS" in source or "_run(" in source:
        tables = [
            each
            for each in ast.parse(inspect.getsource(module)).body
            if isinstance(each, ast.Assign | ast.AnnAssign)
            and "_OPERATIONS" in ast.dump(each)[:200]
        ]
        assert tables, script
        trees += [ast.Module([table], []) for table in tables]
    names: set[str] = set()
    for node in itertools.chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.Dict):
            names |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Tuple) and len(trees) > 1:
            names |= {
                each.value
                for each in node.elts
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return names


def test_nothing_is_left_out() -> None:
    """What a script can do is asked by strangers: a new script or operation has to be added."""
    names = "group mails template sender sent waiting job child invoice link answer message"
    ids = dict.fromkeys(names.split(), 1)
    requests = requests_about(World("x", "x", "Mark", "79031150001", "1", "y", ids=ids))
    assert {script for script, _ in requests} == set(SCRIPTS)
    for script in SCRIPTS:
        if script in PLAIN:
            continue
        operations = operations_of(script)
        assert operations, f"{script}: the tables of operations are not where they were"
        asked = {name for each, fields in requests if each == script for name in fields}
        assert operations - asked == set(), script
    # The tables are read as they are: what is known of some of them is found in them.
    assert operations_of("mails") == set(contacts_module._OPERATIONS)
    assert {"get_messages", "get_answers", "get_stat"} <= operations_of("get")
    assert operations_of("receive_phones") == {"get", "gets", "buy", "chg"}
