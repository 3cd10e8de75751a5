"""What all commands share: where the installation is, what to print, the types of arguments."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from heliograph.cli.output import WANTS_JSON, ExitCode, Failure

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.config import Config
    from heliograph.storage.database import Database

__all__ = [
    "AMOUNT",
    "MESSAGE_TYPE",
    "ROW_ID",
    "Installation",
    "done_option",
    "json_option",
    "numbers_option",
    "with_installation",
]

T = TypeVar("T")
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The installation that a command works on: settings and, through them, the storage."""

    data_dir: Path | None = None
    config_file: Path | None = None
    overrides: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def config(self, *extra: str) -> Config:
        """All settings; `extra` are further ``section.key=value``. Raises Failure."""
        from heliograph.config import ConfigError, load

        try:
            return load(
                self.data_dir,
                self.config_file,
                environ=self.environ,
                overrides=[*self.overrides, *extra],
            )
        except ConfigError as error:
            raise Failure(str(error), ExitCode.USAGE) from None

    def run(self, use: Callable[[Database], Awaitable[T]], *, creates: bool = False) -> T:
        """Runs `use` on the open storage. `creates`: an empty folder gets a database first.

        Raises Failure when the storage can not be reached, and for what storage refuses.
        """
        from heliograph.cli.opening import with_database

        return asyncio.run(with_database(self.config(), use, creates=creates))

    def read(self, use: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Runs `use` on a connection for reading. Raises Failure."""

        async def on_connection(database: Database) -> T:
            async with database.read() as connection:
                return await use(connection)

        return self.run(on_connection)

    def write(self, use: Callable[[AsyncConnection], Awaitable[T]], *, creates: bool = False) -> T:
        """Runs `use` in one transaction. Raises Failure; nothing is changed then."""

        async def on_connection(database: Database) -> T:
            async with database.write() as connection:
                return await use(connection)

        return self.run(on_connection, creates=creates)

    def parted(self) -> tuple[Installation, dict[str, str]]:
        """The installation with its own settings only, and those without a dot in their names.

        Commands with settings of another kind (a connector's) share --set between both.
        """
        own = tuple(text for text in self.overrides if "." in text.partition("=")[0])
        others: dict[str, str] = {}
        for text in self.overrides:
            name, equals, value = text.partition("=")
            if text in own:
                continue
            if not equals or not name.strip():
                raise click.UsageError(f"--set {text}: it has to be name=value")
            others[name.strip()] = value
        return replace(self, overrides=own), others


def with_installation(command: Command) -> Command:
    """Adds --data, --config and --set; the command gets an `Installation` first."""

    @click.option(
        "--data",
        "data_dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Data folder. Without it: the setting server.data_dir, which is `var` by default.",
    )
    @click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Configuration file, instead of heliograph.toml in the data folder.",
    )
    @click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="A setting (docs/reference/settings.md); may be repeated.",
    )
    @wraps(command)
    def run(
        *args: Any,
        data_dir: Path | None,
        config_file: Path | None,
        overrides: tuple[str, ...],
        **options: Any,
    ) -> Any:
        place = Installation(data_dir=data_dir, config_file=config_file, overrides=overrides)
        return command(place, *args, **options)

    return run


def json_option(command: Command) -> Command:
    """Adds --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def done_option(command: Command) -> Command:
    """Adds --json to a command that does something and says so by `print_done`."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=lambda context, _, is_on: context.meta.update({WANTS_JSON: is_on}),
        help="Print JSON.",
    )(command)


def numbers_option(command: Command) -> Command:
    """Adds --numbers."""
    text = "Show the numbers of people whole; they are masked otherwise."
    return click.option("--numbers", is_flag=True, help=text)(command)


class _Amount(click.ParamType[int]):
    """Decimal text to micros."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from heliograph.domain.money import parse_micros

        if isinstance(value, int):
            return value
        try:
            return parse_micros(value)
        except ValueError as error:
            self.fail(f"{error}; it has to be like 12.50", param, ctx)


class _MessageType(click.ParamType[int]):
    """The name of a message type to its number."""

    name = "type"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from heliograph.domain.messages import MessageType

        if isinstance(value, int):
            return value
        try:
            return int(MessageType[value.strip().upper().replace("-", "_")])
        except KeyError:
            known = ", ".join(kind.name.lower() for kind in MessageType)
            self.fail(f"there is no message type {value!r}; there are {known}", param, ctx)


AMOUNT = _Amount()
# The id of a row: what a database can hold.
ROW_ID = click.IntRange(1, 2**63 - 1)
MESSAGE_TYPE = _MessageType()
