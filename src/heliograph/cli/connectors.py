"""`heliograph connector`: the upstreams that messages leave through."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import Installation, done_option, json_option, with_installation
from heliograph.cli.output import (
    ExitCode,
    Failure,
    print_done,
    print_json,
    print_record,
    print_table,
)
from heliograph.cli.unmatched import unmatched

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.routing import ConnectorConfig

__all__ = ["connector"]

# A name stands in metrics, logs and on command lines.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def connector() -> None:
    """Connectors: operators' SMPP links and the built-in virtual network.

    \b
    Example:
      heliograph connector add mts --kind smpp --set host=smpp.example.com --set system_id=shop
    """


connector.add_command(unmatched)


@connector.command("add")
@click.argument("name")
@click.option("--kind", default="smpp", show_default=True, help="See `heliograph connector kinds`.")
@json_option
@with_installation
def add(place: Installation, name: str, *, kind: str, as_json: bool) -> None:
    """Add a connector called NAME.

    --set without a dot in the name is a setting of the connector (`heliograph connector kinds`
    lists them), with a dot one of the installation. A route has to lead to the connector before
    messages go through it.

    \b
    Example:
      heliograph connector add mts --set host=smpp.example.com --set system_id=shop \\
          --set password=secret --set window=50
    """
    import msgspec

    from heliograph.connectors.registry import check
    from heliograph.storage import routing

    if not _NAME.fullmatch(name):
        raise click.UsageError("a connector's name has letters, digits and . _ - only, at most 64")
    place, texts = place.parted()
    with _settings_of(kind):
        settings = msgspec.to_builtins(check(kind, texts))
    now_ms = time.time_ns() // 1_000_000
    connector_id = place.write(
        lambda c: routing.add_connector(c, name, kind, settings=settings, now_ms=now_ms),
        creates=True,
    )
    if as_json:
        print_json({"id": connector_id, "name": name, "kind": kind})
    else:
        click.echo(f"connector {name} added; to use it: heliograph route add --connector {name}")


@connector.command("set")
@click.argument("name")
@json_option
@with_installation
def change(place: Installation, name: str, *, as_json: bool) -> None:
    """Change settings of connector NAME, given by --set name=value.

    An empty value puts a setting back to its default. The running server reconnects with the new
    settings.

    \b
    Example:
      heliograph connector set mts --set window=100 --set parts_per_second=80
    """
    import msgspec

    from heliograph.connectors.registry import check
    from heliograph.storage import routing

    place, settings = place.parted()
    if not settings:
        raise click.UsageError("nothing to change: give --set name=value")

    async def store(connection: AsyncConnection) -> ConnectorConfig:
        found = await routing.find_connector(connection, name)
        merged = {**found.settings, **settings}
        merged = {key: value for key, value in merged.items() if value != ""}
        with _settings_of(found.kind):
            checked = check(found.kind, merged)
        await routing.update_connector(connection, found.id, msgspec.to_builtins(checked))
        return await routing.find_connector(connection, found.id)

    _show(place.write(store), as_json=as_json)


@connector.command("list")
@json_option
@with_installation
def list_all(place: Installation, *, as_json: bool) -> None:
    """List connectors.

    \b
    Example:
      heliograph connector list --json
    """
    from heliograph.storage import routing

    found = [_record(each) for each in place.read(routing.list_connectors)]
    if as_json:
        print_json(found)
        return
    rows = [[r["id"], r["name"], r["kind"], r["state"], _write(r["settings"])] for r in found]
    print_table(
        ["id", "name", "kind", "state", "settings"],
        rows,
        empty="no connectors; add one: heliograph connector add NAME --set host=...",
    )


@connector.command("show")
@click.argument("name")
@json_option
@with_installation
def show(place: Installation, name: str, *, as_json: bool) -> None:
    """Show the settings of connector NAME; secrets are stars.

    \b
    Example:
      heliograph connector show mts
    """
    from heliograph.storage import routing

    _show(place.read(lambda c: routing.find_connector(c, name)), as_json=as_json)


@connector.command("disable")
@click.argument("name")
@done_option
@with_installation
def disable(place: Installation, name: str) -> None:
    """Take connector NAME out of work; what waits for it goes another way or waits.

    \b
    Example:
      heliograph connector disable mts
    """
    _switch(place, name, is_disabled=True)


@connector.command("enable")
@click.argument("name")
@done_option
@with_installation
def enable(place: Installation, name: str) -> None:
    """Put connector NAME back to work.

    \b
    Example:
      heliograph connector enable mts
    """
    _switch(place, name, is_disabled=False)


@connector.command("kinds")
@click.argument("kind", required=False)
@json_option
def kinds(kind: str | None, *, as_json: bool) -> None:
    """List the kinds of connectors, or the settings of one KIND.

    \b
    Example:
      heliograph connector kinds smpp
    """
    from heliograph.connectors.registry import KINDS, describe

    if kind is None:
        listed = [{"kind": each.name, "summary": each.summary} for each in KINDS.values()]
        if as_json:
            print_json(listed)
        else:
            print_table(["kind", "what it is"], [list(each.values()) for each in listed])
        return
    with _settings_of(kind):
        fields = describe(kind)
    if as_json:
        names = ("name", "type", "default", "help", "is_required", "is_secret")
        print_json([{name: getattr(each, name) for name in names} for each in fields])
        return
    rows = [
        [each.name, each.type, "(required)" if each.is_required else each.default, each.help]
        for each in fields
    ]
    print_table(["setting", "type", "default", "meaning"], rows)


@contextmanager
def _settings_of(kind: str) -> Iterator[None]:
    """Turns a refused setting into a line that says where the right ones are listed."""
    from heliograph.connectors.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        text = f"{error}; see heliograph connector kinds {kind}"
        raise Failure(
            text.removesuffix(f" {kind}") if str(error).startswith("kind:") else text,
            ExitCode.USAGE,
        ) from None


def _switch(place: Installation, name: str, *, is_disabled: bool) -> None:
    from heliograph.storage import routing

    async def store(connection: AsyncConnection) -> None:
        found = await routing.find_connector(connection, name)
        await routing.set_connector_disabled(connection, found.id, is_disabled)

    place.write(store)
    state = "disabled" if is_disabled else "enabled"
    print_done(f"connector {name} is {state}", name=name, state=state)


def _record(config: ConnectorConfig) -> dict[str, Any]:
    from heliograph.connectors.registry import mask
    from heliograph.connectors.settings import SettingsError

    try:
        settings = mask(config.kind, config.settings)
    except SettingsError as error:  # written by another version: shown without its values
        settings = {"not valid": str(error)}
    state = "disabled" if config.is_disabled else "enabled"
    record: dict[str, Any] = {"id": config.id, "name": config.name, "kind": config.kind}
    return {**record, "state": state, "settings": settings}


def _show(config: ConnectorConfig, *, as_json: bool) -> None:
    record = _record(config)
    if as_json:
        print_json(record)
        return
    settings = record.pop("settings")
    print_record({**record, **{f"  {name}": _text(value) for name, value in settings.items()}})


def _write(settings: dict[str, object]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in settings.items())


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
