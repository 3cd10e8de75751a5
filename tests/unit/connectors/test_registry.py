"""The registry: kinds, their settings from texts, and what is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from heliograph.connectors.base import UnknownPolicy
from heliograph.connectors.registry import KINDS, build, check, describe, mask
from heliograph.connectors.settings import SettingsError, parse_settings
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.connectors.virtual.settings import ALL_TYPES, TypeName, VirtualSettings
from heliograph.domain.messages import MessageType

_PAGE = Path(__file__).parents[3] / "docs" / "reference" / "connectors.md"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_explains_every_setting(kind: str) -> None:
    described = describe(kind)
    assert described
    for setting in described:
        assert setting.help.endswith("."), setting.name
        assert setting.type != "value", setting.name
    # Every default can be given as a text and means the same.
    written = {s.name: s.default for s in described if not s.is_required and s.default}
    required = {s.name: "smsc.example" for s in described if s.is_required}
    assert check(kind, required | written) == check(kind, required)


def test_settings_from_the_command_line() -> None:
    settings = check(
        "smpp",
        {"host": "h", "window": "50", "tls": "true", "carries": "sms, flash", "source_ton": "5"},
    )
    assert isinstance(settings, SmppSettings)
    assert (settings.window, settings.tls, settings.source_ton) == (50, True, 5)
    assert settings.types == {MessageType.SMS, MessageType.FLASH}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "host"),
        ({"host": "h", "windw": "1"}, "windw: no such setting"),
        ({"host": "h", "window": "0"}, "window"),
        ({"host": "h", "window": "many"}, "window"),
        ({"host": "h", "bind": "both"}, "bind"),
        ({"host": "h", "carries": "sms,pigeon"}, "carries"),
        ({"host": "h", "tls_key_file": "k"}, "tls_key_file"),
        ({"host": "h", "reconnect_first_s": "90"}, "reconnect_first_s"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check("smpp", values)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(SettingsError, match="pigeon"):
        build(id=1, name="p", kind="pigeon", settings={})


def test_secrets_are_never_shown() -> None:
    values = {"host": "h", "system_id": "alex", "password": "geheim"}
    settings = parse_settings(SmppSettings, values)
    assert settings.password == "geheim"
    assert "geheim" not in repr(settings)
    assert mask("smpp", values) == {"host": "h", "system_id": "alex", "password": "********"}
    assert [s.name for s in describe("smpp") if s.is_secret] == ["password"]


def test_built_connectors_know_what_they_carry() -> None:
    smpp = build(id=7, name="op", kind="smpp", settings={"host": "h", "unknown_policy": "query"})
    assert (smpp.id, smpp.name, smpp.kind) == (7, "op", "smpp")
    assert smpp.unknown_policy is UnknownPolicy.QUERY
    assert MessageType.HLR not in smpp.carries
    with_hlr = build(id=7, name="op", kind="smpp", settings={"host": "h", "hlr": "true"})
    assert with_hlr.carries - smpp.carries == {MessageType.HLR}
    virtual = build(id=8, name="v", kind="virtual", settings={})
    assert virtual.carries == frozenset(MessageType)


def test_the_virtual_network_has_a_name_for_every_type() -> None:
    assert set(get_args(TypeName)) == set(ALL_TYPES)
    assert VirtualSettings().types == frozenset(MessageType)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_reference_page_has_every_setting_as_it_is(kind: str) -> None:
    page = _PAGE.read_text("utf-8")
    for setting in describe(kind):
        name = f"`{setting.name}`{' (secret)' if setting.is_secret else ''}"
        default = f"`{setting.default}`" if setting.default else "empty"
        default = "required" if setting.is_required else default
        line = f"| {name} | {setting.type.replace('|', 'or')} | {default} | {setting.help} |"
        assert line in page
