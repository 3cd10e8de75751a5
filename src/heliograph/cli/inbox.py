"""`heliograph inbox`: the handsets of the built-in virtual network."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import Installation, done_option, json_option, with_installation
from heliograph.cli.output import print_done, print_json, print_json_line, print_table, show_moment

if TYPE_CHECKING:
    from heliograph.cli.handsets import Arrived
    from heliograph.domain.accounts import Account
    from heliograph.storage.database import Database

__all__ = ["inbox"]

_POLL_S = 0.3


@click.group(invoke_without_command=True)
@click.option("--number", help="Only this handset.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows."
)
@click.option("--follow", is_flag=True, help="Go on and print what arrives, until Ctrl-C.")
@json_option
@with_installation
@click.pass_context
def inbox(
    context: click.Context,
    place: Installation,
    *,
    number: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the messages that arrived on handsets of the virtual network, oldest first.

    With --follow --json, every message is one line of JSON.

    \b
    Example:
      heliograph inbox --number 79161234567
      heliograph inbox --follow
    """
    if context.invoked_subcommand:
        return
    from heliograph.cli.handsets import list_arrived
    from heliograph.domain.numbering import normalise_recipient

    if number is not None:
        number = normalise_recipient(number) or number
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            place.run(lambda database: _follow(database, number, limit, as_json=as_json))
        return
    found = place.read(lambda c: list_arrived(c, number=number, limit=limit))
    if as_json:
        print_json([each.as_record() for each in found])
        return
    columns = ["arrived", "from", "to", "type", "text"]
    print_table(columns, [_row(each) for each in found], empty="no messages have arrived")


@inbox.command("send")
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.argument("text")
@click.option("--account", "login", help="Whose number TO is; without it: its owner's.")
@json_option
@with_installation
def send(
    place: Installation,
    source: str,
    destination: str,
    text: str,
    *,
    login: str | None,
    as_json: bool,
) -> None:
    """Write TEXT from the handset FROM to the service number TO.

    The message is stored as an incoming one of the account. The running server tells the account's
    handler or sessions, and passes it on. An order by text message is taken for an ordinary one.

    \b
    Example:
      heliograph inbox send 79161234567 4444 STOP --account shop
    """
    from heliograph.domain.numbering import normalise_recipient
    from heliograph.services.inbound import receive

    async def store(database: Database) -> int:
        number, account = await _choose_account(database, destination, login)
        return await receive(
            database,
            account,
            source=normalise_recipient(source) or source,
            destination=number,
            text=text,
            now_ms=time.time_ns() // 1_000_000,
            tz_minutes=place.config().sending.timezone_minutes,
        )

    incoming_id = place.run(store)
    if as_json:
        print_json({"id": incoming_id})
    else:
        click.echo(f"incoming message {incoming_id} stored")


@inbox.command("call")
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="[TO]", required=False, default="")
@done_option
@with_installation
def call(place: Installation, source: str, destination: str) -> None:
    """Call the service number TO from the handset FROM, and let it ring.

    Whoever waits for that call (wait_call.php) is told by the running server. Without TO: whatever
    number the person was told to call.

    \b
    Example:
      heliograph inbox call 79161234567
      heliograph inbox call 79161234567 79581112233
    """
    from heliograph.domain.numbering import normalise_recipient
    from heliograph.storage.calls import add_arrival

    phone = normalise_recipient(source) or source
    now_ms = time.time_ns() // 1_000_000
    place.write(lambda c: add_arrival(c, "call", source=phone, destination=destination, at=now_ms))
    print_done(f"{phone} has called", source=phone, destination=destination)


async def _choose_account(
    database: Database, destination: str, login: str | None
) -> tuple[str, Account]:
    """(the number as it is known, its account): the one that was named, the number's owner, or the
    only account there is."""
    from heliograph.domain.numbering import find_service_number
    from heliograph.storage import accounts, numbering

    async with database.read() as connection:
        owners = await numbering.load_service_numbers(connection)
        number, owner = find_service_number(owners, destination)
        if login is not None or owner:
            return number, await accounts.find_account(connection, login or owner)
        found = await accounts.list_accounts(connection, limit=2)
    if len(found) != 1:
        raise click.UsageError(
            f"say whose number {destination} is: --account LOGIN, or once and for all with "
            "heliograph numbering assign"
        )
    return number, found[0]


async def _follow(database: Database, number: str | None, limit: int, *, as_json: bool) -> None:
    """Prints the newest messages, then every one that arrives."""
    from heliograph.cli.handsets import Follower

    follower = Follower(number=number)
    async with database.read() as connection:
        arrived = await follower.begin(connection, limit)
    while True:
        for each in arrived:
            if as_json:
                print_json_line(each.as_record())
            else:
                click.echo("  ".join(_row(each)))
        await asyncio.sleep(_POLL_S)
        async with database.snapshot() as connection:
            arrived = await follower.poll(connection)


def _row(each: Arrived) -> list[str]:
    from heliograph.cli.output import plain

    text = [plain(part) for part in (each.sender, each.recipient, each.type, each.text)]
    return [show_moment(each.arrived_at), *text]
