"""Versions of what a server keeps in memory: every write counts one up in the same transaction.

The command line and the server are two processes; a server that sees another version reads anew.
Accounts, tariffs, routes and connectors are the ``configuration``; imported numbers, of which there
can be a million, have a version of their own beside it. Registers, which accounts change
themselves, have a version for each account (``black:17``), and ``registers`` counts them all.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "bump",
    "bump_numbering",
    "bump_register",
    "current",
    "numbering_version",
    "register_versions",
]

_CONFIGURATION = "configuration"
_NUMBERING = "numbering"
_REGISTERS = "registers"
_BUMP = text(
    "INSERT INTO revisions (name, version) VALUES (:name, 1) "
    "ON CONFLICT (name) DO UPDATE SET version = revisions.version + 1 RETURNING version"
)
_CURRENT = text("SELECT version FROM revisions WHERE name = :name")
_LISTED = text("SELECT name, version FROM revisions WHERE name LIKE '%:%'")


async def bump(connection: AsyncConnection) -> None:
    """Notes that the configuration changes with this transaction."""
    await connection.execute(_BUMP, {"name": _CONFIGURATION})


async def bump_numbering(connection: AsyncConnection) -> None:
    """Notes that imported numbers change with this transaction."""
    await connection.execute(_BUMP, {"name": _NUMBERING})
    await bump(connection)


async def numbering_version(connection: AsyncConnection) -> int:
    """The version of the imported numbers; 0 before the first import."""
    return await connection.scalar(_CURRENT, {"name": _NUMBERING}) or 0


async def bump_register(connection: AsyncConnection, register: str, account_id: int) -> int:
    """Notes that a register of an account changes with this transaction; its new version."""
    version = await connection.scalar(_BUMP, {"name": f"{register}:{account_id}"})
    await connection.execute(_BUMP, {"name": _REGISTERS})
    return int(version or 0)


async def current(connection: AsyncConnection) -> int:
    """The version of the configuration; 0 before the first change."""
    return await connection.scalar(_CURRENT, {"name": _CONFIGURATION}) or 0


async def register_versions(
    connection: AsyncConnection, known: int = -1
) -> tuple[int, dict[tuple[str, int], int]]:
    """(version of all registers together, versions by register and account); no registers when
    the first one is `known`."""
    total = await connection.scalar(_CURRENT, {"name": _REGISTERS}) or 0
    if total == known:
        return total, {}
    found = {}
    for name, version in (await connection.execute(_LISTED)).all():
        register, _, account = name.partition(":")
        found[register, int(account)] = version
    return total, found
