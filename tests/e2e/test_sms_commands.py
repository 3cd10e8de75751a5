"""Orders by text message: what a registered phone writes to a number becomes a mailing."""

from __future__ import annotations

from typing import Any

from tests.harness.gateway import PASSWORD, Gateway, wait_for

# The handset of the virtual network that writes back whatever it gets.
ECHO = "79000009000"
NUMBER = "79581118888"
LOGIN = "commander"


def sent(gateway: Gateway, phone: str) -> list[str]:
    found: Any = gateway.call("get", login=LOGIN, get_messages=1, phone=phone)
    return [each["message"] for each in found] if isinstance(found, list) else []


def test_a_registered_phone_starts_a_mailing(gateway: Gateway) -> None:
    gateway.create_account(LOGIN, settings={"ph": f"79160000001,{ECHO}"})
    gateway.cli("numbering", "assign", NUMBER, LOGIN)
    gateway.settle()

    def write(text: str) -> bool:
        return bool(wait_for(lambda: gateway.send(ECHO, text, login=LOGIN, sender=NUMBER)["id"]))

    def heard() -> list[str]:
        found: Any = gateway.call("get", login=LOGIN, get_answers=1, to_phone=NUMBER)
        return [each["message"] for each in found] if isinstance(found, list) else []

    # What is no order is an incoming message. A running gateway knows a number within a second.
    wait_for(lambda: write("just a text") and "just a text" in heard(), what="a number")
    write(f"{LOGIN} {PASSWORD} 79163330001,8 916 333-00-02: Meet at ten: sharp")
    for phone in ("79163330001", "79163330002"):
        wait_for(lambda phone=phone: sent(gateway, phone) == ["Meet at ten: sharp"], what=phone)
    # A wrong password sends nothing; the owner reads so.
    write(f"{LOGIN} wrong-secret 79163330003: Hello")
    wait_for(lambda: "wrong login" in gateway.cli("account", "log", LOGIN), what="the log")
    assert sent(gateway, "79163330003") == []
    # Orders are kept as well, their passwords are not.
    texts = " ".join(wait_for(lambda: found if len(found := heard()) > 2 else None))
    assert f"{LOGIN} ******** 79163330003: Hello" in texts
    assert PASSWORD not in texts
    assert "wrong-secret" not in texts
    assert "accepted: id" in gateway.cli("account", "log", LOGIN)
