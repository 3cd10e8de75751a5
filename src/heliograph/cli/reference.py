"""The reference page of the command line, written from the commands themselves.

``python -m heliograph.cli.reference docs/reference/cli.md`` renews the page below its marker; a
test holds it against the commands.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from heliograph.cli.main import program

__all__ = ["MARKER", "describe_commands", "iter_commands"]

MARKER = "<!-- Below this line: written by python -m heliograph.cli.reference -->\n"

# These three are the same everywhere and are described once, above the marker.
_COMMON = frozenset({"data_dir", "config_file", "overrides"})


def iter_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before what is in them."""
    yield from _walk("heliograph", program)


def describe_commands() -> str:
    """A Markdown section for every command."""
    return "\n".join(_describe(name, command) for name, command in iter_commands())


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for key, child in command.commands.items():
            yield from _walk(f"{name} {key}", child)


def _describe(name: str, command: click.Command) -> str:
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    level = "##" if name.count(" ") == 1 or name == "heliograph" else "###"
    lines = [f"{level} {name}", ""]
    if not isinstance(command, click.Group) or command.invoke_without_command:
        lines += ["```", " ".join([name, *_pieces(command)]), "```", ""]
    lines += [text.strip(), ""]
    options = [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in _COMMON
    ]
    if options and name != "heliograph":
        lines += ["| Option | Meaning |", "| --- | --- |"]
        lines += [f"| {_name(option)} | {_meaning(option)} |" for option in options]
        lines.append("")
    lines += ["```sh", inspect.cleandoc(example), "```", ""]
    return "\n".join(lines)


def _pieces(command: click.Command) -> list[str]:
    context = click.Context(command)
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    pieces = [piece for argument in arguments for piece in argument.get_usage_pieces(context)]
    return [*pieces, "[OPTIONS]"]


def _name(option: click.Option) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return f"`{names}`"
    value = option.make_metavar(click.Context(click.Command("heliograph"))).replace("|", "\\|")
    return f"`{names}` {value}"


def _meaning(option: click.Option) -> str:
    notes = [option.help or ""]
    if option.multiple:
        notes.append("May be repeated.")
    if option.required:
        notes.append("Required.")
    if option.show_default and option.default not in (None, ""):
        notes.append(f"Default: `{option.default}`.")
    if option.envvar:
        notes.append(f"Environment: `{option.envvar}`.")
    return " ".join(notes).replace("|", "\\|")


def _renew(page: Path) -> None:
    above = page.read_text(encoding="utf-8").partition(MARKER)[0]
    page.write_text(f"{above}{MARKER}\n{describe_commands()}", encoding="utf-8")


if __name__ == "__main__":
    _renew(Path(sys.argv[1]))
