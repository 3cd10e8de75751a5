"""Sessions of additional logins: bound as the main account, with what is forbidden to the login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.harness.esme import PHONE, Esme, message
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import Unbind


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("logins") / "data",
        "limits.enforce=false",
        "limits.duplicates=false",
        doors=("smpp",),
    )
    running.create_account()
    running.cli("account", "create", "player", "--parent", LOGIN, "--kind", "login", "--test")
    running.cli("account", "set", "player", "--password", PASSWORD, "--smpp")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


def balance_of(door: Gateway) -> str:
    found: str = door.call("balance")["balance"]
    return found


async def test_changes_elsewhere_free_a_login_from_nothing(door: Gateway) -> None:
    """Every change of the configuration renews the accounts of sessions."""
    login = await Esme.bind(door.smpp, "player", PASSWORD)
    main = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    before = balance_of(door)
    for text in ("before", "after"):
        answer = await login.ask(message(text))
        assert answer.command_status == 0
        assert door.wait_status(answer.message_id, PHONE, 1)["err"] == 200
        door.settle()
    assert balance_of(door) == before
    answer = await main.ask(message("for money"))
    assert door.wait_status(answer.message_id, PHONE, 1)["err"] == 0
    assert balance_of(door) != before
    # Its own block and password end its sessions, and nobody else's.
    door.cli("account", "block", "player")
    await login.find(lambda pdu: isinstance(pdu, Unbind))
    assert (await main.ask(message("still here"))).command_status == 0
    await login.close()
    await main.close()


async def test_the_logins_own_password(door: Gateway) -> None:
    door.cli("account", "unblock", "player")
    door.settle()
    login = await Esme.bind(door.smpp, "player", PASSWORD)
    door.cli("account", "set", LOGIN, "--password", PASSWORD)  # hashed anew
    door.settle()
    assert (await login.ask(message("still here"))).command_status == 0
    door.cli("account", "set", "player", "--password", "Other-123")
    await login.find(lambda pdu: isinstance(pdu, Unbind))
    await login.close()
