"""What the tests of the SMPP door share: a gateway of their own, and a bind to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trustme
from tests.harness.esme import Esme
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

UNLIMITED = ("limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("smpp")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pem = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    running = Gateway(
        folder / "data",
        *UNLIMITED,
        "smpp.tls_listen=127.0.0.1:0",
        f"smpp.tls_certificate={pem}",
        f"smpp.tls_key={pem}",
        "smpp.join_s=2",
        "smpp.response_s=2",
        doors=("smpp",),
    )
    running.create_account()
    for login in ("turns", "refuser", "counted"):
        running.create_account(login)
    running.create_account("poor", "0")
    running.create_account("far", networks=["192.0.2.0/24"])
    running.create_account("shut", settings={"fl[2]": "0"})
    running.create_account("narrow", smpp_binds=1, smpp_window=5)
    running.create_account("slow", smpp_rate=10)
    running.create_account("taker", settings={"fl[1]": "1"})
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text(), running.output.read_text()[-5000:]


@pytest.fixture
async def esme(door: Gateway) -> AsyncIterator[Esme]:
    """A transceiver of the account `alex`."""
    bound = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    yield bound
    await bound.close()
