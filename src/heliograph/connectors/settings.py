"""Settings of connectors: typed, checked, described field by field, secrets never shown.

Each kind of connector has one `ConnectorSettings` class. A field's help text is the `description`
of its `msgspec.Meta`; the command line, the reference page and the checks all read it from there.
Values may be texts, as the command line gives them: ``window=50`` becomes a number, lists are
divided by commas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

__all__ = [
    "ConnectorSettings",
    "SettingHelp",
    "SettingsError",
    "describe_settings",
    "mask_settings",
    "parse_settings",
    "secret",
]

_MASK = "********"
_S = TypeVar("_S", bound="ConnectorSettings")


class SettingsError(ValueError):
    """A setting is missing, unknown or not valid; the text begins with its name."""


def secret(description: str, **limits: Any) -> msgspec.Meta:
    """`Meta` of a field that is never shown."""
    return msgspec.Meta(description=description, extra={"is_secret": True}, **limits)


class ConnectorSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What every kind of connector is configured by is a subclass of this."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in mask_settings(self).items())
        return f"{type(self).__name__}({shown})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingHelp:
    """One field for people: `type` in words, `default` as it is written on the command line."""

    name: str
    type: str
    default: str
    help: str
    is_required: bool
    is_secret: bool


def parse_settings(kind: type[_S], values: Mapping[str, object]) -> _S:
    """Checks `values` and builds the settings. Raises SettingsError with the name of the field."""
    lists = {f.name for f in msgspec.structs.fields(kind) if _is_list(_plain_type(f.type))}
    prepared = {
        name: [item.strip() for item in value.split(",") if item.strip()]
        if name in lists and isinstance(value, str)
        else value
        for name, value in values.items()
    }
    known = {f.name for f in msgspec.structs.fields(kind)}
    unknown = sorted(set(prepared) - known)
    if unknown:
        raise SettingsError(f"{unknown[0]}: no such setting; there are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(prepared, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_blame(str(error))) from None


def describe_settings(kind: type[ConnectorSettings]) -> list[SettingHelp]:
    """Every field in the order of its class."""
    described = []
    for each in msgspec.structs.fields(kind):
        meta = _meta(each.type)
        described.append(
            SettingHelp(
                name=each.name,
                type=_name_type(each.type),
                default="" if each.required else _write(each.default),
                help=meta.description or "" if meta else "",
                is_required=each.required,
                is_secret=_is_secret(each.type),
            )
        )
    return described


def mask_settings(settings: ConnectorSettings) -> dict[str, object]:
    """The fields that differ from their defaults, with stars for secrets that are set."""
    shown: dict[str, object] = {}
    for each in msgspec.structs.fields(settings):
        value = getattr(settings, each.name)
        if each.required or value != each.default:
            shown[each.name] = _MASK if value and _is_secret(each.type) else value
    return shown


def _meta(hint: Any) -> msgspec.Meta | None:
    metas = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, msgspec.Meta)]
    return metas[0] if metas else None


def _is_secret(hint: Any) -> bool:
    meta = _meta(hint)
    return bool(meta and meta.extra and meta.extra.get("is_secret"))


def _plain_type(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_list(plain: Any) -> bool:
    return get_origin(plain) in {tuple, list, frozenset}


def _name_type(hint: Any) -> str:
    plain = _plain_type(hint)
    if _is_list(plain):
        return f"list of {_name_type(get_args(plain)[0])}"
    if options := [a for a in get_args(plain) if isinstance(a, str)]:
        return " | ".join(options)
    names = {bool: "true | false", int: "whole number", float: "number", str: "text"}
    return names.get(plain, "value")


def _write(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)


def _blame(text: str) -> str:
    """``Expected `int` >= 1 - at `$.window``` -> ``window: expected `int` >= 1``."""
    what, _, where = text.partition(" - at `$.")
    if where:
        return f"{where.rstrip('`')}: {what[0].lower()}{what[1:]}"
    if "missing required field `" in text:
        return f"{text.split('`')[-2]}: this setting is required"
    return text
