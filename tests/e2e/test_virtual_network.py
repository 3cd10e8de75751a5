"""Magic numbers of the virtual network: each one reaches the end that its reference page names."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.harness.gateway import Gateway, wait_for
from tests.harness.handler import Handler

from heliograph.connectors.virtual.carrier import ERROR_ENDS
from heliograph.domain.statuses import API_STATUS

# code: (status, err)
ENDS: dict[str, tuple[int, int]] = {
    **{f"0{err:03}": (API_STATUS[state], err) for err, state in ERROR_ENDS.items()},
    "1001": (20, 1),
    "1255": (20, 255),
    "2006": (3, 6),
    "2245": (3, 245),
    "3001": (1, 0),
    "4001": (1, 0),
    "5002": (1, 0),
    "6001": (1, 0),
    "6002": (1, 0),
    "6005": (1, 0),
    "6006": (1, 0),
    "6007": (2, 0),
    "7000": (25, 248),
    "8000": (1, 0),
    "9000": (1, 0),
    # Never answered: given up after a time of grace, which the tests before this one used up.
    "5000": (3, 245),
    "5001": (3, 245),
}


@pytest.fixture(scope="module")
def sent(gateway: Gateway) -> dict[str, Any]:
    """A message to every magic number, sent before the first one is looked at."""
    return {code: gateway.send(f"79160000{code}")["id"] for code in (*ENDS, "6000")}


@pytest.mark.parametrize("code", ENDS)
def test_end(gateway: Gateway, sent: dict[str, Any], code: str) -> None:
    status, err = ENDS[code]
    found = gateway.wait_status(sent[code], f"79160000{code}", status)
    assert found["err"] == err


@pytest.mark.parametrize("code", ["0001", "1001", "7000"])
def test_what_was_not_delivered_is_paid_as_the_operator_took_it(
    gateway: Gateway, sent: dict[str, Any], code: str
) -> None:
    """The operator was given 0001 and took it; it refused 1001, and nobody carried 7000."""
    found = gateway.wait_status(sent[code], f"79160000{code}", ENDS[code][0])
    assert found["cost"] == {"0001": "1.00", "1001": "0", "7000": "0"}[code]


def test_without_a_receipt_it_stays_with_the_operator(
    gateway: Gateway, sent: dict[str, Any]
) -> None:
    gateway.wait_status(sent["6000"], "791600006000", 0)


def test_first_receipt_counts(gateway: Gateway, handler: Handler) -> None:
    """Delivered after expired is news, undeliverable after delivered is not."""
    first = gateway.send("791600006003")["id"]
    second = gateway.send("791600006004")["id"]
    gateway.wait_status(second, "791600006004", 1)
    time.sleep(1.5)
    assert gateway.status(second, "791600006004")["status"] == 1
    assert gateway.status(first, "791600006003")["status"] in (1, 3)


def test_callback_for_each_step(gateway: Gateway, handler: Handler) -> None:
    """Delivered, then read: one call each, in this order."""
    read = gateway.send("791600006007")["id"]
    gateway.wait_status(read, "791600006007", 2)
    told = wait_for(lambda: len(handler.about(read)) >= 2 and handler.about(read))
    assert [each["status"] for each in told] == ["1", "2"]


def test_several_recipients_end_each_in_its_own_way(gateway: Gateway) -> None:
    phones = ["79161234567", "791600000001", "123", "791600002006"]
    sent = gateway.send(",".join(phones), op=1, cost=3)
    assert [each["error"] for each in sent["phones"]] == ["", "", "249", ""]
    assert (sent["cnt"], sent["cost"]) == (3, "3.00")
    ends = []
    for phone, status in zip(phones, (1, 20, 22, 3), strict=True):
        ends.append(gateway.wait_status(sent["id"], phone, status)["err"])
    assert ends == [0, 1, 249, 6]
