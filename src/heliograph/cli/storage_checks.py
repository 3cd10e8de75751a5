"""The checks of `heliograph doctor` that read the storage, and what is configured in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.cli.checks import Finding, is_reachable
from heliograph.cli.opening import has_database, open_database
from heliograph.cli.output import Failure
from heliograph.config import Config
from heliograph.connectors.registry import check
from heliograph.connectors.settings import SettingsError
from heliograph.domain.routing import Route
from heliograph.storage import routing, tariffs
from heliograph.storage.database import Database
from heliograph.storage.routing import ConnectorConfig
from heliograph.storage.schema import accounts as account_rows
from heliograph.storage.schema import messages

__all__ = ["examine_storage"]

_SKEW_MS = 2_000
_LOG_WARN_BYTES = 1 << 30


async def examine_storage(config: Config) -> list[Finding]:
    """Findings about the database and what is configured in it."""
    if not has_database(config):
        todo = "the first `heliograph serve` makes it"
        return [Finding("database", "warn", "there is none yet", todo)]
    try:
        database = await open_database(config, creates=False)
    except (Failure, ValueError) as error:
        what = error.message if isinstance(error, Failure) else str(error)
        todo = (
            "start PostgreSQL, or correct database.url"
            if config.database.url
            else "check who owns the files of the folder; restore a backup if the file is damaged"
        )
        return [Finding("database", "bad", what, todo)]
    try:
        findings = await _check_database(config, database)
        async with database.read() as connection:
            findings += await _check_clock(connection, is_sqlite=database.is_sqlite)
            findings += await _check_accounts(connection)
            findings += await _check_connectors(connection)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        todo = "look at the message; heliograph ledger audit proves the money when it can be read"
        findings = [Finding("database", "bad", f"it can not be read: {cause}", todo)]
    finally:
        await database.close()
    return findings


async def _check_database(config: Config, database: Database) -> list[Finding]:
    findings = []
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    try:
        started = time.monotonic()
        async with database.write() as connection:
            await connection.execute(text("SELECT 1"))
        took_ms = (time.monotonic() - started) * 1000
        findings.append(
            Finding("database", "good", f"{kind} answers, write lock in {took_ms:.0f} ms")
        )
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        todo = "see whether the disk is full or mounted read-only, and who holds the lock"
        findings.append(Finding("database", "bad", f"{kind} can not be written: {cause}", todo))
    log = config.server.data_dir / "heliograph.db-wal"
    if database.is_sqlite and log.is_file() and log.stat().st_size > _LOG_WARN_BYTES:
        what = f"the write-ahead log has {log.stat().st_size >> 20} MiB"
        todo = "end programs that read the database for hours; a restart of the server shrinks it"
        findings.append(Finding("database", "warn", what, todo))
    return findings


async def _check_clock(connection: AsyncConnection, *, is_sqlite: bool) -> list[Finding]:
    now_ms = time.time() * 1000
    newest = await connection.scalar(
        select(messages.c.created_at).order_by(messages.c.id.desc()).limit(1)
    )
    findings = []
    if newest is not None and newest > now_ms + _SKEW_MS:
        ahead_s = (newest - now_ms) / 1000
        todo = "set the clock; messages wait for their times by it"
        what = f"the newest message is {ahead_s:.0f} s in the future: the clock went back"
        findings.append(Finding("clock", "bad", what, todo))
    if not is_sqlite:
        told: Any = await connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
        skew_ms = float(told) * 1000 - time.time() * 1000
        if abs(skew_ms) > _SKEW_MS:
            what = f"the clock of PostgreSQL differs by {skew_ms / 1000:+.1f} s"
            todo = "keep both clocks right with chrony or systemd-timesyncd"
            findings.append(Finding("clock", "warn", what, todo))
    return findings


async def _check_accounts(connection: AsyncConnection) -> list[Finding]:
    count = await connection.scalar(select(func.count()).select_from(account_rows))
    if not count:
        todo = "heliograph account create LOGIN --password ... --balance 100"
        return [Finding("accounts", "warn", "there are none: nobody can send", todo)]
    findings = [Finding("accounts", "good", f"{count}")]
    plans = await tariffs.load_plans(connection)
    rateless = [p.name for p in plans.values() if not await tariffs.list_rates(connection, p.id)]
    if rateless:
        what = f"plans without rates sell nothing: {', '.join(rateless)}"
        todo = f"heliograph tariff add --plan {rateless[0]} --price AMOUNT"
        findings.append(Finding("tariffs", "warn", what, todo))
    planless = await connection.scalar(
        select(func.count())
        .select_from(account_rows)
        .where(account_rows.c.plan_id.not_in(plans or [0]))
    )
    if planless:
        what = f"{planless} accounts have no tariff plan and can not send"
        todo = "heliograph account set LOGIN --plan NAME"
        findings.append(Finding("tariffs", "warn", what, todo))
    return findings


async def _check_connectors(connection: AsyncConnection) -> list[Finding]:
    configured = await routing.list_connectors(connection)
    enabled = [each for each in configured if not each.is_disabled]
    if not enabled:
        todo = "heliograph connector add NAME --kind smpp --set host=..., then route add"
        return [Finding("connectors", "warn", "none is enabled: nothing can be sent", todo)]
    findings = []
    for each in enabled:
        findings.append(await _check_connector(each))
    findings += _check_routes(enabled, await routing.list_routes(connection))
    return findings


async def _check_connector(config: ConnectorConfig) -> Finding:
    try:
        settings: Any = check(config.kind, config.settings)
    except SettingsError as error:
        todo = f"heliograph connector set {config.name} --set NAME=VALUE"
        return Finding("connectors", "bad", f"{config.name}: {error}", todo)
    host, port = getattr(settings, "host", ""), getattr(settings, "port", 0)
    if not host:
        return Finding("connectors", "good", f"{config.name} ({config.kind})")
    if await is_reachable(host, port):
        return Finding("connectors", "good", f"{config.name}: {host}:{port} accepts connections")
    return Finding(
        "connectors",
        "bad",
        f"{config.name}: {host}:{port} does not accept connections",
        "check host, port and firewall, and ask the operator whether your address is let in",
    )


def _check_routes(enabled: list[ConnectorConfig], routes: list[Route]) -> Iterator[Finding]:
    led_to = {route.connector_id for route in routes}
    if not any(each.id in led_to for each in enabled):
        todo = f"heliograph route add --connector {enabled[0].name}"
        yield Finding("routes", "bad", "no route leads to an enabled connector", todo)
        return
    for each in enabled:
        if each.id not in led_to:
            todo = f"heliograph route add --connector {each.name}, or disable it"
            yield Finding("routes", "warn", f"no route leads to {each.name}", todo)
    yield Finding("routes", "good", f"{len(routes)} rules")
