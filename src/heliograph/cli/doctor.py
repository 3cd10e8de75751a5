"""`heliograph doctor`: what is wrong with an installation, and what to do about each thing."""

from __future__ import annotations

import click

from heliograph.cli.options import Installation, json_option, with_installation
from heliograph.cli.output import Failure, plain, print_json

__all__ = ["doctor"]

_MARKS = {"good": "ok  ", "warn": "WARN", "bad": "BAD "}


@click.command()
@json_option
@with_installation
def doctor(place: Installation, *, as_json: bool) -> None:
    """Check settings, data folder, disk space, database, connectors, ports and clock.

    Everything that is not right comes with what to do. Nothing is changed. The exit code is 1 when
    something is bad; warnings alone leave it 0.

    \b
    Example:
      heliograph doctor --data /srv/heliograph
    """
    import asyncio

    from heliograph.cli.checks import Finding, examine

    try:
        config = place.config()
    except Failure as error:
        todo = "correct it; docs/reference/settings.md lists all settings"
        findings = [Finding("settings", "bad", error.message, todo)]
    else:
        findings = asyncio.run(examine(config))
    is_bad = any(each.verdict == "bad" for each in findings)
    if as_json:
        print_json({"ok": not is_bad, "findings": [each._asdict() for each in findings]})
    else:
        width = max(len(each.check) for each in findings)
        for each in findings:
            click.echo(f"{_MARKS[each.verdict]}  {each.check.ljust(width)}  {plain(each.what)}")
            if each.todo:
                click.echo(f"{' ' * (width + 8)}-> {plain(each.todo)}")
    if is_bad:
        raise SystemExit(1)
