"""Comments and type words in texts."""

from __future__ import annotations

import pytest

from heliograph.domain.messages import MessageType
from heliograph.domain.texts import split_comment, split_pid_dcs, take_prefix


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello", ("Hello", "")),
        ("Hello\n~~~\nfor me", ("Hello", "for me")),
        ("Hello\r\n~~~\r\nfor me", ("Hello", "for me")),
        ("Hello\n~~~\na\n~~~\nb", ("Hello", "a\n~~~\nb")),
        ("Hello\n~~~", ("Hello", "")),
        ("Hello ~~~ you", ("Hello ~~~ you", "")),
        ("Hello\n~~~~\nyou", ("Hello\n~~~~\nyou", "")),
        ("Hello\n~~~ \nyou", ("Hello\n~~~ \nyou", "")),
        ("\n~~~\nonly a comment", ("", "only a comment")),
        ("~~~\nno line before", ("~~~\nno line before", "")),
        ("", ("", "")),
    ],
)
def test_split_comment(text: str, parts: tuple[str, str]) -> None:
    assert split_comment(text) == parts


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("Hello", (None, "Hello")),
        ("__HLR__", (MessageType.HLR, "")),
        ("__CALL__ Hello", (MessageType.CALL, "Hello")),
        ("__VIBER__\nHello", (MessageType.VIBER, "Hello")),
        ("__SOC__\r\nHello", (MessageType.SOCIAL, "Hello")),
        ("__PING__  x", (MessageType.PING, " x")),
        ("__FLASH__Hello", (MessageType.FLASH, "Hello")),
        ("__MAIL__ x", (MessageType.EMAIL, "x")),
        ("__TG__ 1", (MessageType.TELEGRAM, "1")),
        ("__WHATSAPP__ 1", (MessageType.WHATSAPP, "1")),
        ("__OTHER__ x", (None, "__OTHER__ x")),
        ("__call__ x", (None, "__call__ x")),
        (" __CALL__ x", (None, " __CALL__ x")),
        ("__ x", (None, "__ x")),
    ],
)
def test_take_prefix(text: str, taken: tuple[MessageType | None, str]) -> None:
    assert take_prefix(text) == taken


def test_pid_and_dcs_end_a_binary_text() -> None:
    assert split_pid_dcs("00AB\n~~~\npid: 1, dcs: 245") == ("00AB", (1, 245))
    assert split_pid_dcs("00AB\n~~~\npid:1, dcs:245") == ("00AB\n~~~\npid:1, dcs:245", None)
    assert split_pid_dcs("00AB") == ("00AB", None)
    with pytest.raises(ValueError, match="octets"):
        split_pid_dcs("00AB\n~~~\npid: 1, dcs: 256")
