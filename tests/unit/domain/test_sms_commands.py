"""Orders by text message: what is one, and who may send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.sms_commands import (
    SmsCommand,
    hide_password,
    may_command,
    read_command,
)


@pytest.mark.parametrize(
    ("text", "recipients", "said"),
    [
        ("alex Secret-1 79161234567: Hello", ("79161234567",), "Hello"),
        (" alex  Secret-1\n79161234567,+7 916 000-00-00;G12 :Hello: all\nof you ",
         ("79161234567", "+7 916 000-00-00", "G12"), "Hello: all\nof you"),
        ("alex Secret-1 79161234567:", ("79161234567",), ""),
    ],
)  # fmt: skip
def test_orders(text: str, recipients: tuple[str, ...], said: str) -> None:
    command = read_command(text)
    assert command == SmsCommand(
        login="alex", password="Secret-1", recipients=recipients, text=said
    )
    assert "Secret-1" not in repr(command)
    assert hide_password(text) == text.replace("Secret-1", "********")


@pytest.mark.parametrize(
    "text",
    ["", "Hello", "alex Secret-1 79161234567", "call me at 5: please", "a b c: d", "a:b:c",
     "alex Secret-1 friends: Hello", "alex 79161234567: Hello", ": : :", "x" * 5000],
)  # fmt: skip
def test_ordinary_messages(text: str) -> None:
    assert read_command(text) is None
    assert hide_password(text) == text


@given(st.text(alphabet="a7G ,:;\n\t+", max_size=60))
def test_any_text_is_an_order_or_none(text: str) -> None:
    command = read_command(text)
    assert command is None or command.recipients


def test_only_registered_phones() -> None:
    settings = {"ph": "79161234567, 8 (916) 000-00-00"}
    assert may_command(settings, "79161234567")
    assert may_command(settings, "+79160000000")
    assert not may_command(settings, "79169999999")
    assert not may_command(settings, "Bank")
    assert not may_command(settings, "")
    assert not may_command({}, "79161234567")
    assert not may_command({"ph": "x,,"}, "x")
