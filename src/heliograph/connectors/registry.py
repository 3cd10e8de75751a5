"""The kinds of connectors: name -> settings, one sentence of help, how to build one.

A new kind is one folder beside this file and one row in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from heliograph.connectors.base import Connector
from heliograph.connectors.settings import (
    ConnectorSettings,
    SettingHelp,
    SettingsError,
    describe_settings,
    mask_settings,
    parse_settings,
)
from heliograph.connectors.smpp.connector import SmppConnector
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.connectors.virtual.connector import VirtualConnector
from heliograph.connectors.virtual.settings import VirtualSettings

__all__ = ["KINDS", "ConnectorKind", "build", "check", "describe", "kind_of", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorKind:
    """One row of the registry. `make` takes ``id, name, settings`` by keyword."""

    name: str
    summary: str
    settings: type[ConnectorSettings]
    make: Callable[..., Connector]


KINDS: dict[str, ConnectorKind] = {
    kind.name: kind
    for kind in (
        ConnectorKind(
            name="smpp",
            summary="An operator or aggregator over SMPP 3.4 (or 5.0), with or without TLS.",
            settings=SmppSettings,
            make=SmppConnector,
        ),
        ConnectorKind(
            name="virtual",
            summary="The built-in network: carries everything, ends as the number says.",
            settings=VirtualSettings,
            make=VirtualConnector,
        ),
    )
}


def kind_of(name: str) -> ConnectorKind:
    """The kind of that name. Raises SettingsError."""
    try:
        return KINDS[name]
    except KeyError:
        known = ", ".join(sorted(KINDS))
        raise SettingsError(f"kind: there is no connector {name!r}; there are {known}") from None


def check(kind: str, settings: Mapping[str, object]) -> ConnectorSettings:
    """Parsed settings of a kind. Raises SettingsError."""
    return parse_settings(kind_of(kind).settings, settings)


def build(*, id: int, name: str, kind: str, settings: Mapping[str, object]) -> Connector:
    """A connector that is not started yet. Raises SettingsError."""
    return kind_of(kind).make(id=id, name=name, settings=check(kind, settings))


def describe(kind: str) -> list[SettingHelp]:
    """Help for every setting of a kind. Raises SettingsError."""
    return describe_settings(kind_of(kind).settings)


def mask(kind: str, settings: Mapping[str, object]) -> dict[str, Any]:
    """Settings as they may be shown: secrets are stars. Raises SettingsError."""
    return mask_settings(check(kind, settings))
