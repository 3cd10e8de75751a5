"""What the end-to-end tests share: one running gateway for all that do not need their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.harness.gateway import Gateway
from tests.harness.handler import Handler, run_handler

# Every test sends from the same account as fast as it can.
UNLIMITED = ("limits.enforce=false", "limits.duplicates=false", "webhooks.allow_private=true")


@pytest.fixture(scope="session")
def handler() -> Iterator[Handler]:
    """The callback handler of the account `alex`."""
    with run_handler() as running:
        yield running


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, handler: Handler) -> Iterator[Gateway]:
    """A gateway without limits, with the account `alex` and the virtual network.

    Tests may add accounts to it, but change nothing that others see.
    """
    running = Gateway(tmp_path_factory.mktemp("gateway") / "data", *UNLIMITED)
    running.create_account(callback_url=handler.url("charset=utf-8&sha1=zxc&shop=5"))
    running.create_account("other")
    running.create_account("player", is_test=True)
    running.create_account("owing", "5", credit="10")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()
