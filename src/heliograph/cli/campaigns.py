"""`heliograph campaign`: mailing lists, how far they are, and stopping one."""

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

    from heliograph.domain.campaigns import CampaignView

__all__ = ["campaign"]

_HIDDEN = "(hidden)"
_STATES = {
    1: "waiting",
    2: "loading",
    3: "sending",
    4: "stopping",
    10: "done",
    11: "cancelled",
}
_REPETITIONS = (
    *("once", "hourly", "daily", "working days", "weekends", "weekly", "monthly", "yearly"),
)


@click.group()
def campaign() -> None:
    """Mailing lists: what accounts ordered through jobs.php.

    \b
    Example:
      heliograph campaign list --account shop
      heliograph campaign cancel 1000017
    """


@campaign.command("list")
@click.option("--account", "login", help="Only of this account.")
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows."
)
@json_option
@with_installation
def list_all(
    place: Installation, *, login: str | None, active: bool, limit: int, as_json: bool
) -> None:
    """List mailing lists with their progress, newest last.

    \b
    Example:
      heliograph campaign list --active
    """
    found = place.read(lambda c: _read(c, login=login, active=active, limit=limit))
    if as_json:
        print_json(found)
        return
    columns = ["id", "account", "name", "state", "recipients", "made", "delivered", "failed"]
    rows = [[each[column] for column in columns] for each in found]
    print_table(columns, rows, empty="no mailing lists")


@campaign.command("show")
@click.argument("campaign_id", metavar="ID", type=ROW_ID)
@click.option("--text", "with_text", is_flag=True, help="Show the text; it is hidden otherwise.")
@json_option
@with_installation
def show(place: Installation, campaign_id: int, *, with_text: bool, as_json: bool) -> None:
    """Show mailing list ID: its order, and how far it is.

    \b
    Example:
      heliograph campaign show 1000017
    """
    found = place.read(lambda c: _read(c, campaign_id=campaign_id, with_text=with_text))
    if not found:
        raise _unknown(campaign_id)
    if as_json:
        print_json(found[0])
    else:
        print_record(found[0])


@campaign.command("cancel")
@click.argument("campaign_id", metavar="ID", type=ROW_ID)
@done_option
@with_installation
def cancel(place: Installation, campaign_id: int) -> None:
    """Stop mailing list ID: what has not gone out does not go out, and costs nothing.

    A running server begins within a second; without one it is done at the next start.

    \b
    Example:
      heliograph campaign cancel 1000017
    """
    from heliograph.storage.campaigns import order_stop

    if place.write(lambda c: order_stop(c, campaign_id)):
        print_done(f"mailing list {campaign_id} is being stopped", id=campaign_id)
        return
    found = place.read(lambda c: _read(c, campaign_id=campaign_id))
    if not found:
        raise _unknown(campaign_id)
    raise Failure(f"mailing list {campaign_id} is {found[0]['state']} already")


def _unknown(campaign_id: int) -> Failure:
    return Failure(f"there is no mailing list {campaign_id}; see heliograph campaign list")


async def _read(
    connection: AsyncConnection,
    *,
    login: str | None = None,
    campaign_id: int | None = None,
    active: bool = False,
    limit: int = 1,
    with_text: bool = False,
) -> list[dict[str, Any]]:
    from heliograph.storage import accounts
    from heliograph.storage.campaigns import list_views

    known = {account.id: account.login for account in await accounts.load_accounts(connection)}
    account_id = None
    if login is not None:
        account_id = (await accounts.find_account(connection, login)).id
    views = await list_views(
        connection,
        now_ms=time.time_ns() // 1_000_000,
        account_id=account_id,
        id=campaign_id,
        limit=limit,
        is_active=active,
        with_deleted=True,
    )
    is_whole = campaign_id is not None
    return [_record(view, known, is_whole=is_whole, with_text=with_text) for view in views]


def _record(
    view: CampaignView, known: dict[int, str], *, is_whole: bool, with_text: bool
) -> dict[str, Any]:
    from heliograph.domain.money import format_micros

    campaign = view.campaign
    record: dict[str, Any] = {
        "id": campaign.id,
        "account": known.get(campaign.account_id, ""),
        "name": campaign.name,
        "state": _STATES[campaign.state],
        "recipients": campaign.recipient_count,
        "made": view.message_count if campaign.run else 0,
        "ended": view.ended,
        "delivered": view.delivered,
        "failed": view.failed,
        "cost": format_micros(view.cost_micros),
    }
    if is_whole:
        record |= {
            "message_id": campaign.client_ref,
            "type": campaign.type.name.lower(),
            "sender": campaign.sender,
            "text": campaign.text if with_text else _HIDDEN,
            "ordered": show_moment(campaign.created_at),
            "planned": show_moment(campaign.planned_at),
            "repeated": _REPETITIONS[campaign.repetition],
            "runs": campaign.run,
            "next_run": show_moment(campaign.next_run_at),
            "deleted": campaign.is_deleted,
        }
    return record
