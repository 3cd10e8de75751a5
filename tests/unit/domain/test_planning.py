"""From a request to messages: texts, numbers, prices and refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import NumberingPlan
from heliograph.domain.planning import Plan, Rules, plan_request
from heliograph.domain.policies import Policy
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, SendRequest, Spread
from heliograph.domain.routing import Route, RouteTable
from heliograph.domain.tariffs import Rate, TariffPlan

NOW = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000
NUMBERING = NumberingPlan.load_default()
ACCOUNT = Account(id=1, login="shop", payer_id=1, plan_id=1, default_sender="Shop")
CARRIES = frozenset(MessageType) - {MessageType.VIBER}


def make_rules(**changes: Any) -> Rules:
    fields: dict[str, Any] = {
        "plan": TariffPlan(
            id=1, name="p", rates=[Rate(price_micros=100, mccmnc="250"), Rate(price_micros=300)]
        ),
        "routes": RouteTable([Route(id=1, connector_id=5)], {5: CARRIES}),
        "numbering": NUMBERING,
        "max_recipients": 100,
    }
    return Rules(**(fields | changes))


def plan(
    phones: str = "79161234567", text: str = "hello", rules: Rules | None = None, **fields: Any
) -> Plan | Refusal:
    entries = fields.pop("entries", None) or [Entry(phones.split(","), text)]
    request = SendRequest(fields.pop("account", ACCOUNT), entries, **fields)
    return plan_request(request, rules or make_rules(), NOW)


def good(*args: Any, **fields: Any) -> Plan:
    made = plan(*args, **fields)
    assert isinstance(made, Plan)
    return made


def test_a_plain_message() -> None:
    made = good()
    (draft,) = made.drafts
    assert (made.type, made.sender, made.text, made.comment) == (0, "Shop", "hello", "")
    assert (draft.recipient, draft.mccmnc, draft.route) == ("79161234567", "25001", (5,))
    assert (made.part_count, made.price_micros) == (1, 100)


def test_prices_follow_the_network_and_the_parts() -> None:
    made = good("79161234567,380501234567", "я" * 100)
    assert [d.price_micros for d in made.drafts] == [200, 600]
    assert (made.part_count, made.price_micros) == (4, 800)


def test_numbers_are_put_right_and_repeated_ones_sent_once() -> None:
    made = good("+7 (916) 123-45-67,89161234567,9161234567,123")
    assert [(d.recipient, d.refusal) for d in made.drafts] == [
        ("79161234567", None),
        ("123", Refusal.BAD_NUMBER),
    ]
    assert made.refusal is None


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"phones": "123"}, Refusal.BAD_NUMBER),
        ({"sender": "a name that is too long"}, Refusal.SENDER_DENIED),
        ({"type": MessageType.VIBER}, Refusal.NO_ROUTE),
        ({"phones": "123,79161234567", "type": MessageType.VIBER}, Refusal.NO_ROUTE),
        ({"rules": make_rules(plan=None)}, Refusal.NO_ROUTE),
    ],
)
def test_a_request_fails_when_every_recipient_fails(
    fields: dict[str, Any], refusal: Refusal
) -> None:
    made = good(**fields)
    assert made.refusal is refusal
    assert (made.part_count, made.price_micros) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"text": ""}, Refusal.BAD_PARAMETERS),
        ({"text": "__VIBER__"}, Refusal.BAD_PARAMETERS),
        ({"time": "nonsense"}, Refusal.BAD_DATE),
        ({"text": "0x", "type": MessageType.BINARY}, Refusal.BAD_PARAMETERS),
        ({"phones": ",".join(f"7916{n:07d}" for n in range(101))}, Refusal.BAD_PARAMETERS),
    ],
)
def test_what_is_refused_before_there_is_a_message(
    fields: dict[str, Any], refusal: Refusal
) -> None:
    assert plan(**fields) is refusal


def test_words_and_comments_in_the_text() -> None:
    made = good(text="__FLASH__ look here\n~~~\nmy own note")
    assert (made.type, made.text, made.comment) == (MessageType.FLASH, "look here", "my own note")
    asked = good(text="__HLR__")
    assert (asked.type, asked.sender, asked.text) == (MessageType.HLR, "HLR", "")


def test_transliteration_comes_before_counting() -> None:
    assert good(text="ю" * 71).part_count == 2
    made = good(text="ю" * 71, translit=1)
    assert made.text.isascii()
    assert made.part_count == 1


@pytest.mark.parametrize("raw", ["7" * 1_000_000, "no number " * 100_000])
def test_what_is_much_too_long_is_kept_by_its_beginning(raw: str) -> None:
    [draft] = good(f"{raw},79161234567").drafts[:1]
    assert (draft.recipient, draft.refusal) == (raw[:40], Refusal.BAD_NUMBER)


def test_a_text_is_cut_to_the_wanted_parts() -> None:
    made = good(text="я" * 300, max_parts=2)
    assert made.part_count == 2
    assert made.text == "я" * 134


def test_senders_of_the_request_and_of_a_line() -> None:
    assert good(sender=None).sender == "Shop"
    assert good(sender="").sender == ""
    entries = [Entry(["79161234567"], "one"), Entry(["79161234568"], "two", sender="Other")]
    made = good(entries=entries)
    assert [(d.own_text, d.own_sender) for d in made.drafts] == [(None, None), ("two", "Other")]


def test_each_line_of_a_list_has_its_own_zone() -> None:
    entries = [
        Entry(["79161234561"], "one"),
        Entry(["79161234562"], "two", tz_minutes=0),
        Entry(["79161234563"], "three"),
    ]
    made = good(entries=entries, time="23.11.26 12:00", tz_minutes=180)
    ahead = [(d.due_at - NOW) // HOUR for d in made.drafts]
    assert ahead == [21, 24, 21]


def test_test_accounts_pay_nothing() -> None:
    made = good(account=Account(id=2, login="t", payer_id=2, plan_id=1, is_test=True))
    assert (made.part_count, made.price_micros) == (1, 0)


def test_mail_goes_to_addresses_only() -> None:
    made = good("a@example.com,79161234567", type=MessageType.EMAIL, sender="me@example.com")
    assert [d.refusal for d in made.drafts] == [None, Refusal.BAD_NUMBER]


def test_a_file_is_enough_for_a_call_and_a_subject_for_an_mms() -> None:
    assert plan(text="", type=MessageType.CALL) is Refusal.BAD_PARAMETERS
    assert good(text="", type=MessageType.CALL, options={"files": [("a", "", b"x")]}).part_count
    assert good(text="", type=MessageType.MMS, options={"subject": "hi"}).part_count


def test_what_is_spread_keeps_to_the_allowed_hours() -> None:
    """It is noon in Greenwich; a portion every three hours, and nothing from eight at night on."""
    spread = Spread(period_ms=24 * HOUR, step_ms=3 * HOUR)
    for refuses in (False, True):
        account = replace(
            ACCOUNT,
            timezone_minutes=0,
            policy=Policy(hours=(9, 20), refuses_outside=refuses),
        )
        phones = ",".join(str(79161230000 + n) for n in range(8))
        made = good(phones, account=account, spread=spread)
        times = [0, 3, 6, 21, 21, 21, 21, 21]
        expected = [hours and NOW + hours * HOUR for hours in times]
        if refuses:  # what is due at nine in the evening, at midnight, three and six
            assert [d.refusal for d in made.drafts[3:7]] == [Refusal.OUTSIDE_HOURS] * 4
            del expected[3:7], made.drafts[3:7]
        assert [d.due_at for d in made.drafts] == expected
