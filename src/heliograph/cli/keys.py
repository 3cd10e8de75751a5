"""`heliograph account key`: the API keys of accounts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import ROW_ID, Installation, done_option, json_option, with_installation
from heliograph.cli.output import (
    Failure,
    print_done,
    print_json,
    print_record,
    print_table,
    show_moment,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.accounts import ApiKey

__all__ = ["describe_key", "key", "print_keys"]


@click.group()
def key() -> None:
    """API keys: they replace login and password.

    \b
    Example:
      heliograph account key create shop --name crm
    """


@key.command("create")
@click.argument("login")
@click.option("--name", default="", help="What it is for.")
@json_option
@with_installation
def create_key(place: Installation, login: str, *, name: str, as_json: bool) -> None:
    """Make an API key for the account LOGIN; it is shown this once.

    \b
    Example:
      heliograph account key create shop --name crm
    """
    from heliograph.services import administration

    key_id, secret = place.run(
        lambda database: administration.create_api_key(
            database, login, now_ms=time.time_ns() // 1_000_000, name=name
        )
    )
    record = {"id": key_id, "key": secret}
    if as_json:
        print_json(record)
    else:
        print_record(record)
        click.echo("the key is shown this once: keep it")


@key.command("list")
@click.argument("login")
@json_option
@with_installation
def list_keys(place: Installation, login: str, *, as_json: bool) -> None:
    """List the API keys of the account LOGIN.

    \b
    Example:
      heliograph account key list shop
    """
    from heliograph.storage import accounts

    async def load(connection: AsyncConnection) -> list[ApiKey]:
        found = await accounts.find_account(connection, login)
        return await accounts.list_api_keys(connection, found.id)

    records = [describe_key(each) for each in place.read(load)]
    if as_json:
        print_json(records)
    else:
        print_keys(records)


@key.command("disable")
@click.argument("login")
@click.argument("key_id", metavar="ID", type=ROW_ID)
@done_option
@with_installation
def disable_key(place: Installation, login: str, key_id: int) -> None:
    """End the API key ID of the account LOGIN.

    \b
    Example:
      heliograph account key disable shop 3
    """
    from heliograph.storage import accounts

    async def store(connection: AsyncConnection) -> bool:
        found = await accounts.find_account(connection, login)
        return await accounts.disable_api_key(connection, found.id, key_id)

    if not place.write(store):
        raise Failure(f"{login} has no key {key_id}; see heliograph account key list {login}")
    print_done(f"key {key_id} ended", id=key_id, state="ended")


def describe_key(key: ApiKey) -> dict[str, Any]:
    """What may be shown of a key."""
    state = "ended" if key.is_disabled else "active"
    return {"id": key.id, "name": key.name, "state": state, "made": show_moment(key.created_at)}


def print_keys(records: list[dict[str, Any]]) -> None:
    """A table of keys."""
    rows = [list(each.values()) for each in records]
    print_table(["key", "name", "state", "made"], rows, empty="no API keys")
