"""`heliograph binds`: the SMPP sessions of a running gateway."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from heliograph.cli.options import Installation, json_option, with_installation
from heliograph.cli.output import (
    ExitCode,
    Failure,
    plain,
    print_json,
    print_table,
    show_moment,
)

__all__ = ["binds"]

_STALE_S = 30


@click.command()
@click.option("--account", "login", help="Only of this account.")
@click.option("--failed", is_flag=True, help="The latest binds that were refused, instead.")
@json_option
@with_installation
def binds(place: Installation, *, login: str | None, failed: bool, as_json: bool) -> None:
    """List SMPP binds of clients with their counters and last errors.

    The running gateway tells them anew every two seconds.

    \b
    Example:
      heliograph binds --account shop
      heliograph binds --failed
    """
    found = _read(place)
    rows: list[dict[str, Any]] = found["failures" if failed else "binds"]
    if login is not None:
        rows = [row for row in rows if row["login"] == login]
    if as_json:
        print_json(rows)
    elif failed:
        print_table(
            ["at", "login", "address", "reason"],
            [[show_moment(r["at_ms"]), plain(r["login"]), r["address"], r["reason"]] for r in rows],
            empty="no bind was refused",
        )
    else:
        columns = ["bind", "account", "role", "version", "from", "since", "waiting"]
        columns += ["submitted", "accepted", "refused", "delivered", "last_error"]
        print_table(columns, [_row(each) for each in rows], empty="no binds")


def _read(place: Installation) -> dict[str, Any]:
    from heliograph.gateways.smpp.door import BINDS_FILE

    file = place.config().server.data_dir / BINDS_FILE
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {"at_ms": 0}
    if found["at_ms"] < (time.time() - _STALE_S) * 1000:
        raise Failure(
            "no gateway with an open SMPP door runs on this data folder; see heliograph serve "
            "--smpp",
            ExitCode.SERVER,
        )
    return found


def _row(bind: dict[str, Any]) -> list[Any]:
    return [
        bind["number"],
        bind["login"],
        bind["role"],
        bind["version"],
        bind["address"] + (" TLS" if bind["tls"] else ""),
        show_moment(bind["since_ms"]),
        bind["waiting"],
        bind["submitted"],
        bind["accepted"],
        sum(bind["refused"].values()),
        bind["delivered"],
        bind["last_error"],
    ]
