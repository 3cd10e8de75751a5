"""`heliograph connector unmatched`: receipts that fitted no message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import Installation, json_option, with_installation
from heliograph.cli.output import print_json, print_table, show_moment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.storage.unmatched import UnmatchedReceipt

__all__ = ["unmatched"]


@click.command()
@click.argument("name", required=False)
@click.option("--id", "external_id", help="The operator's message id, in any spelling of it.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows."
)
@json_option
@with_installation
def unmatched(
    place: Installation, name: str | None, *, external_id: str | None, limit: int, as_json: bool
) -> None:
    """List receipts that fitted no message when they came, newest first.

    Of connector NAME, or of all. Many of them that differ from the ids of answers only by their
    base mean that the connector's receipt_ids is to be set; single ones are receipts of messages
    that somebody else sent, that were never answered, or that ended long ago.

    \b
    Example:
      heliograph connector unmatched mts
      heliograph connector unmatched --id 4A3F00C1
    """
    from heliograph.protocols.smpp.external_id import normalise_external_id
    from heliograph.storage import routing
    from heliograph.storage.unmatched import list_unmatched

    keys = normalise_external_id(external_id or "")

    async def find(
        connection: AsyncConnection,
    ) -> tuple[list[UnmatchedReceipt], dict[int, str]]:
        wanted = (await routing.find_connector(connection, name)).id if name else 0
        found = await list_unmatched(
            connection,
            connector_id=wanted,
            external_ids=[*keys, external_id] if external_id else [],
            limit=limit,
        )
        names = {each.id: each.name for each in await routing.list_connectors(connection)}
        return found, names

    found, names = place.read(find)
    listed: list[dict[str, Any]] = [
        {
            "received": show_moment(each.received_at),
            "connector": names.get(each.connector_id, str(each.connector_id)),
            "operator_id": each.external_id,
            "state": each.state.name.lower(),
            "err": each.err,
        }
        for each in found
    ]
    if as_json:
        print_json(listed)
        return
    columns = ["received", "connector", "operator_id", "state", "err"]
    print_table(columns, [list(each.values()) for each in listed], empty="no unmatched receipts")
