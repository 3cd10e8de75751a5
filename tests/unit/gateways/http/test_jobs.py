"""What the parameters of jobs.php make of an account's own settings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from heliograph.domain.accounts import Account
from heliograph.gateways.http.calls import Call
from heliograph.gateways.http.jobs import _read_order
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.ports import HttpSettings
from heliograph.protocols.forms.replies import Format


@pytest.mark.parametrize(
    ("settings", "asked", "repeats"),
    [
        ({}, {}, False),
        ({}, {"fl[5]": "1"}, True),
        ({"fl[5]": "1"}, {}, True),
        ({"fl[5]": "1"}, {"fl[5]": "0"}, False),
        ({"fl[5]": "0"}, {}, False),
    ],
)
def test_who_was_not_reached_gets_it_once_more(
    settings: dict[str, str], asked: dict[str, str], repeats: bool
) -> None:
    account = Account(id=1, login="shop", payer_id=1, settings=settings)
    fields = {"name": "List", "phones": "79161234567", "mes": "Hello", **asked}
    services: Any = SimpleNamespace(campaigns=SimpleNamespace(max_recipients=1000))
    call = Call(
        "jobs",
        Parameters(fields, fields),
        fmt=Format.JSON,
        account=account,
        services=services,
        settings=HttpSettings(),
        tell=lambda _: None,
    )
    assert _read_order(call).repeats is repeats
