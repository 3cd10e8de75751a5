"""The version of the configuration: every write of it counts one up in the same transaction.

The command line and the server are two processes; a server that sees another version reads its
accounts, tariffs, routes and connectors anew.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["bump", "current"]

_BUMP = text(
    "INSERT INTO revisions (name, version) VALUES ('configuration', 1) "
    "ON CONFLICT (name) DO UPDATE SET version = revisions.version + 1"
)
_CURRENT = text("SELECT version FROM revisions WHERE name = 'configuration'")


async def bump(connection: AsyncConnection) -> None:
    """Notes that the configuration changes with this transaction."""
    await connection.execute(_BUMP)


async def current(connection: AsyncConnection) -> int:
    """The version; 0 before the first change."""
    return await connection.scalar(_CURRENT) or 0
