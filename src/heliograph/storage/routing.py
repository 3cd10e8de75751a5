"""Connectors as they are configured, and the routes to them.

Every write notes a new version of the configuration. What the settings of a kind mean is the
business of the connectors: here they are a JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.messages import MessageType
from heliograph.domain.routing import Route
from heliograph.storage import revisions
from heliograph.storage.schema import connectors, routes

__all__ = [
    "ConnectorConfig",
    "ConnectorExists",
    "NoSuchConnector",
    "add_connector",
    "add_route",
    "find_connector",
    "list_connectors",
    "list_routes",
    "remove_route",
    "set_connector_disabled",
    "update_connector",
]


class ConnectorExists(ValueError):
    """Another connector has this name."""


class NoSuchConnector(LookupError):
    """There is no connector with this id or name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorConfig:
    """A connector as it is configured. `settings` may hold secrets: they are not for logs."""

    id: int
    name: str
    kind: str
    settings: dict[str, Any]
    is_disabled: bool = False

    def __repr__(self) -> str:
        return f"ConnectorConfig(id={self.id}, name={self.name!r}, kind={self.kind!r})"


async def add_connector(
    connection: AsyncConnection, name: str, kind: str, *, settings: dict[str, Any], now_ms: int
) -> int:
    """A new connector; its id. Raises ConnectorExists."""
    values = {"name": name, "kind": kind, "settings": _encode(settings), "created_at": now_ms}
    try:
        async with connection.begin_nested():
            made = await connection.execute(
                insert(connectors).values(values).returning(connectors.c.id)
            )
    except IntegrityError as error:
        raise ConnectorExists(f"there is a connector {name!r} already") from error
    await revisions.bump(connection)
    return int(made.scalar_one())


async def update_connector(
    connection: AsyncConnection, connector_id: int, settings: dict[str, Any]
) -> None:
    """Replaces the settings. Raises NoSuchConnector."""
    await _change(connection, connector_id, settings=_encode(settings))


async def set_connector_disabled(
    connection: AsyncConnection, connector_id: int, is_disabled: bool
) -> None:
    """Takes a connector out of work, or back into it. Raises NoSuchConnector."""
    await _change(connection, connector_id, is_disabled=int(is_disabled))


async def find_connector(connection: AsyncConnection, key: int | str) -> ConnectorConfig:
    """A connector by id or name. Raises NoSuchConnector."""
    for found in await list_connectors(connection):
        if key in (found.id, found.name):
            return found
    raise NoSuchConnector(f"there is no connector {key!r}")


async def list_connectors(connection: AsyncConnection) -> list[ConnectorConfig]:
    """All connectors, disabled ones too, in the order of their ids."""
    rows = await connection.execute(select(connectors).order_by(connectors.c.id))
    return [
        ConnectorConfig(
            id=row.id,
            name=row.name,
            kind=row.kind,
            settings=msgspec.json.decode(row.settings, type=dict[str, Any]),
            is_disabled=bool(row.is_disabled),
        )
        for row in rows
    ]


async def add_route(connection: AsyncConnection, route: Route) -> int:
    """A new route; its id (`route.id` is not looked at). Raises NoSuchConnector."""
    await find_connector(connection, route.connector_id)
    values = {
        "connector_id": route.connector_id,
        "order": route.order,
        "weight": route.weight,
        "account_id": route.account_id,
        "types": ",".join(str(int(type)) for type in sorted(route.types)),
        "prefix": route.prefix,
        "mccmnc": route.mccmnc,
        "sender": route.sender,
    }
    made = await connection.execute(insert(routes).values(values).returning(routes.c.id))
    await revisions.bump(connection)
    return int(made.scalar_one())


async def remove_route(connection: AsyncConnection, route_id: int) -> bool:
    """Removes a route; False: there was none."""
    done = await connection.execute(delete(routes).where(routes.c.id == route_id))
    if done.rowcount:
        await revisions.bump(connection)
    return bool(done.rowcount)


async def list_routes(connection: AsyncConnection) -> list[Route]:
    """All routes that are not disabled, by order and id."""
    rows = await connection.execute(
        select(routes).where(routes.c.is_disabled == 0).order_by(routes.c.order, routes.c.id)
    )
    return [
        Route(
            id=row.id,
            connector_id=row.connector_id,
            order=row.order,
            weight=row.weight,
            account_id=row.account_id,
            types=frozenset(MessageType(int(number)) for number in row.types.split(",") if number),
            prefix=row.prefix,
            mccmnc=row.mccmnc,
            sender=row.sender,
        )
        for row in rows
    ]


async def _change(connection: AsyncConnection, connector_id: int, **values: object) -> None:
    done = await connection.execute(
        update(connectors).where(connectors.c.id == connector_id).values(values)
    )
    if not done.rowcount:
        raise NoSuchConnector(f"there is no connector {connector_id}")
    await revisions.bump(connection)


def _encode(settings: dict[str, Any]) -> str:
    return msgspec.json.encode(settings).decode()
