"""`heliograph account log` and `account settings`: outcomes of mails, and settings by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heliograph.cli.options import Installation, json_option, with_installation
from heliograph.cli.output import print_json, print_record, print_table, show_moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.request_log import LoggedRequest

__all__ = ["log", "settings"]


@click.command("log")
@click.argument("login")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)
@json_option
@with_installation
def log(place: Installation, login: str, *, limit: int, as_json: bool) -> None:
    """Show what became of the mails and text message commands of the account LOGIN.

    Newest first. Kept for sending.request_log_days.

    \b
    Example:
      heliograph account log shop --limit 10
    """
    from heliograph.storage import accounts, request_log

    async def load(connection: AsyncConnection) -> list[LoggedRequest]:
        found = await accounts.find_account(connection, login)
        return await request_log.list_requests(connection, found.id, limit=limit)

    rows = place.read(load)
    if as_json:
        print_json(
            [
                {
                    "at": show_moment(row.at),
                    "door": row.door,
                    "what": row.what,
                    "outcome": row.outcome,
                }
                for row in rows
            ]
        )
        return
    print_table(
        ["at", "door", "what", "outcome"],
        [(show_moment(row.at), row.door, row.what, row.outcome) for row in rows],
        empty="nothing was asked by mail or text message",
    )


@click.command("settings")
@click.argument("login")
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@json_option
@with_installation
def settings(place: Installation, login: str, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Show the named settings of the account LOGIN, after changing those given.

    Names are those of users.php, such as mph or mfl[5], and values are checked as there. An empty
    value takes a setting away.

    \b
    Example:
      heliograph account settings shop mph=79161234567 mlen=160 'mfl[4]=1'
      heliograph account settings shop mph=
    """
    from heliograph.services import administration
    from heliograph.storage import accounts

    wanted = _read(changes)
    if wanted:
        account = place.run(lambda d: administration.change_settings(d, login, wanted))
    else:
        account = place.read(lambda connection: accounts.find_account(connection, login))
    record = dict(sorted(account.settings.items()))
    if as_json:
        print_json(record)
    elif record:
        print_record(record)
    else:
        click.echo("no settings")


# Settings that accounts have columns for, with the commands that change them.
_ELSEWHERE = {
    "fl2[10]": "account block",
    "fl2[27]": "account set --test",
    "sender": "account set --sender",
    "url": "account set --callback",
    "tz": "account set --timezone",
    "tariff": "account set --plan",
    "type": "account kind",
    "curr": "account currency",
    "senders": "sender policy",
}
_OWN_NAME = "mfrom"  # the API has none for it


def _read(changes: tuple[str, ...]) -> dict[str, str]:
    """What is to be set; raises UsageError: a wrong value would count as none at all."""
    from heliograph.gateways.http.send_request import ParameterError
    from heliograph.gateways.http.subclient_settings import is_setting, read_changes

    wanted: dict[str, str] = {}
    for text in changes:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise click.UsageError(f"{text}: it has to be name=value")
        if name in _ELSEWHERE:
            raise click.UsageError(f"{name} is changed by heliograph {_ELSEWHERE[name]}")
        if name != _OWN_NAME and not is_setting(name):
            raise click.UsageError(f"there is no setting {name!r}")
        if name == _OWN_NAME or not value:
            wanted[name] = value
            continue
        try:
            wanted |= read_changes({name: value}, is_new=False).settings
        except ParameterError as error:
            raise click.UsageError(str(error)) from None
    return wanted
