"""`heliograph callbacks`: the calls to the clients' handlers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import (
    ROW_ID,
    Installation,
    json_option,
    numbers_option,
    with_installation,
)
from heliograph.cli.output import Failure, print_json, print_record, print_table

if TYPE_CHECKING:
    from heliograph.storage.database import Database

__all__ = ["callbacks"]

_HOUR_MS = 3_600_000


@click.group()
def callbacks() -> None:
    """Callbacks: what was told to the clients' handlers, and what was not.

    \b
    Example:
      heliograph callbacks list --state given-up
      heliograph callbacks replay --account shop --since 24
    """


@callbacks.command("list")
@click.option("--account", "login", help="Only of this account.")
@click.option(
    "--state",
    type=click.Choice(["waiting", "done", "given-up", "for-session"]),
    help="Only in this state; `for-session` waits for an SMPP session.",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows."
)
@json_option
@with_installation
def list_all(
    place: Installation, *, login: str | None, state: str | None, limit: int, as_json: bool
) -> None:
    """List callbacks with their attempts, newest first.

    \b
    Example:
      heliograph callbacks list --account shop --state waiting
    """
    from heliograph.cli.outbox import list_callbacks

    found = place.read(lambda c: list_callbacks(c, login=login, state=state, limit=limit))
    if as_json:
        print_json(found)
        return
    columns = ["id", "account", "kind", "state", "attempts", "written", "next_try", "last_result"]
    rows = [[each[name] for name in columns] for each in found]
    print_table(columns, rows, empty="no callbacks")


@callbacks.command("show")
@click.argument("callback_id", metavar="ID", type=ROW_ID)
@click.option("--text", "with_text", is_flag=True, help="Show the text; it is hidden otherwise.")
@numbers_option
@json_option
@with_installation
def show(
    place: Installation, callback_id: int, *, with_text: bool, numbers: bool, as_json: bool
) -> None:
    """Show callback ID: what it says, and every attempt that failed.

    \b
    Example:
      heliograph callbacks show 1000017
    """
    from heliograph.cli.outbox import read_callback

    found = place.read(
        lambda c: read_callback(c, callback_id, with_text=with_text, numbers=numbers)
    )
    if found is None:
        raise Failure(f"there is no callback {callback_id}; see heliograph callbacks list")
    if as_json:
        print_json(found)
        return
    says: dict[str, Any] = found.pop("says")
    attempts = found.pop("failed_attempts")
    print_record({**found, **{f"  {name}": value for name, value in says.items()}})
    click.echo()
    rows = [list(each.values()) for each in attempts]
    print_table(["at", "took_ms", "result"], rows, empty="no attempt has failed")


@callbacks.command("replay")
@click.argument("ids", metavar="[ID]...", type=ROW_ID, nargs=-1)
@click.option("--account", "login", help="All of this account.")
@click.option("--since", "hours", type=click.FloatRange(min=0), help="Of the last HOURS only.")
@json_option
@with_installation
def replay(
    place: Installation,
    ids: tuple[int, ...],
    *,
    login: str | None,
    hours: float | None,
    as_json: bool,
) -> None:
    """Make callbacks again, by their IDs or all of an account; also those that were done.

    A running server makes the calls within a second or two.

    \b
    Example:
      heliograph callbacks replay 1000017 1000018
      heliograph callbacks replay --account shop --since 24
    """
    from heliograph.cli.outbox import replay_callbacks

    if bool(ids) == bool(login):
        raise click.UsageError("say which: IDs, or --account (with --since)")
    now_ms = time.time_ns() // 1_000_000
    since_ms = 0 if hours is None else now_ms - round(hours * _HOUR_MS)

    async def run(database: Database) -> int:
        return await replay_callbacks(database, ids, login=login, since_ms=since_ms, now_ms=now_ms)

    count = place.run(run)
    if as_json:
        print_json({"replayed": count})
    else:
        click.echo(f"{count} callbacks will be made again")
    if not count:
        raise SystemExit(1)
