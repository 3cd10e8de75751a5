"""The checks of `heliograph doctor`. Each looks at one thing and says what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, NamedTuple

from heliograph import __version__
from heliograph.config import Config, parse_listen

__all__ = ["Finding", "examine"]

Verdict = Literal["good", "warn", "bad"]

_GIB = 1 << 30
_DISK_BAD = _GIB // 5  # a busy hour's write-ahead log and messages
_DISK_WARN = 2 * _GIB
_FILES_WARN = 4096  # a socket each: clients, binds, callbacks
_CONNECT_S = 3.0
_SKEW_MS = 2_000
# Any earlier clock has lost its battery.
_BUILT_S = 1_767_225_600  # 2026-01-01


class Finding(NamedTuple):
    """One line of the report. `todo` is empty when all is well."""

    check: str
    verdict: Verdict
    what: str
    todo: str = ""


async def examine(config: Config) -> list[Finding]:
    """All findings, in the order in which things depend on each other."""
    from heliograph.cli.storage_checks import examine_storage

    return [
        _describe_program(),
        *_check_settings(config),
        *_check_folder(config.server.data_dir),
        *_check_limits(),
        *_check_clock(),
        *await examine_storage(config),
        *await _check_ports(config),
    ]


def _describe_program() -> Finding:
    from heliograph.storage import batch

    python = ".".join(map(str, sys.version_info[:3]))
    how = "interpreted" if batch.__file__.endswith(".py") else "compiled"
    return Finding("program", "good", f"{__version__}, {how}, on Python {python}")


def _check_settings(config: Config) -> Iterator[Finding]:
    http = config.http
    public = _is_public(http.listen)
    yield Finding("settings", "good", "every setting is valid")
    if public and not http.tls_listen:
        yield Finding(
            "settings",
            "warn",
            f"http.listen = {http.listen} takes passwords from other machines without TLS",
            "set http.tls_listen with a certificate, or put a proxy with TLS in front",
        )
    if public and config.webhooks.allow_private:
        yield Finding(
            "settings",
            "warn",
            "webhooks.allow_private lets clients make the gateway call machines of your network",
            "switch it off and name the networks that are meant in webhooks.allowed_networks",
        )
    if public and not config.limits.auth_block:
        yield Finding(
            "settings",
            "warn",
            "limits.auth_block is off: passwords can be guessed without a pause",
            "set limits.auth_block = true",
        )
    for name in ("tls_certificate", "tls_key"):
        file = getattr(http, name)
        if file and not os.access(file, os.R_OK):
            todo = "give the right path, or let the user of the server read it"
            yield Finding("settings", "bad", f"http.{name}: {file} can not be read", todo)


def _is_public(listen: str) -> bool:
    """True when a door is open to other machines."""
    if not listen:
        return False
    host = parse_listen(listen)[0]
    if host in ("localhost",):
        return False
    with contextlib.suppress(ValueError):
        return not ip_address(host).is_loopback
    return True


def _check_folder(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(
            "data folder",
            "warn",
            f"{folder} is not there yet",
            "the first `heliograph serve` makes it; if it should be there, check --data",
        )
    else:
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
            yield Finding("data folder", "good", f"{folder} can be written")
        except OSError as error:
            yield Finding(
                "data folder",
                "bad",
                f"{folder} can not be written: {error.strerror}",
                "give it to the user that runs the server: chown, or mount it for writing",
            )
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    what = f"{free / _GIB:.1f} GiB free under {folder}"
    if free < _DISK_BAD:
        todo = "free some space at once: without it nothing can be accepted"
        yield Finding("disk space", "bad", what, todo)
    elif free < _DISK_WARN:
        yield Finding("disk space", "warn", what, "free some space, or move the data folder")
    else:
        yield Finding("disk space", "good", what)


def _check_limits() -> Iterator[Finding]:
    from heliograph.runtime.descriptors import ask_for_all

    most = ask_for_all()  # as the server does
    if most < _FILES_WARN:
        yield Finding(
            "open files",
            "warn",
            f"at most {most} files and connections at once",
            f"raise it: ulimit -Hn {_FILES_WARN}, or LimitNOFILE= in the unit of systemd",
        )
    else:
        yield Finding("open files", "good", f"up to {most} files and connections at once")


def _check_clock() -> Iterator[Finding]:
    now_s = time.time()
    todo = "set the clock, and keep it right with chrony or systemd-timesyncd"
    if now_s < _BUILT_S:
        what = f"the clock says {time.strftime('%Y-%m-%d', time.gmtime(now_s))}"
        yield Finding("clock", "bad", what, todo)
        return
    # Two readings of both clocks: a clock that is being stepped right now shows.
    before = time.time_ns() - time.monotonic_ns()
    time.sleep(0.05)
    drift_ms = (time.time_ns() - time.monotonic_ns() - before) / 1e6
    if abs(drift_ms) > 20:
        yield Finding("clock", "warn", f"the clock jumped by {drift_ms:.0f} ms just now", todo)
    else:
        yield Finding("clock", "good", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))


async def _check_ports(config: Config) -> list[Finding]:
    file = config.server.data_dir / "ports.json"
    try:
        ports = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        ports = None
    except (OSError, ValueError):
        ports = {}
    findings = []
    if ports is not None:
        open_ports = {n: p for n, p in ports.items() if isinstance(p, int)} if ports else {}
        alive = [name for name, port in open_ports.items() if await is_reachable("127.0.0.1", port)]
        if alive or not open_ports:
            listed = ", ".join(f"{name} {port}" for name, port in open_ports.items())
            findings.append(Finding("server", "good", f"it runs here ({listed or 'no doors'})"))
            if "http" in alive:
                findings += await _ask_health(open_ports["http"])
            return findings
        findings.append(
            Finding(
                "server",
                "warn",
                f"{file} is there, but nothing answers: the server was ended by force",
                "start it; it takes up what was left",
            )
        )
    else:
        findings.append(Finding("server", "good", "it does not run on this folder"))
    doors = {
        "http.listen": config.http.listen,
        "http.tls_listen": config.http.tls_listen,
        "smpp.listen": config.smpp.listen,
        "smpp.tls_listen": config.smpp.tls_listen,
        "smtp.listen": config.smtp.listen,
    }
    for name, listens in doors.items():
        # SMPP may have several of each kind, divided by commas.
        findings += [_check_door(name, each.strip()) for each in listens.split(",") if each.strip()]
    return findings


async def _ask_health(port: int) -> list[Finding]:
    """What the running server itself finds wrong, such as an operator that refuses the bind."""
    from heliograph.httpclient import HttpClient, HttpError

    client = HttpClient(allow_private=True, timeout_s=_CONNECT_S)
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/health", 1 << 16)
        checks = dict(json.loads(answer.body)["checks"])
    except (HttpError, ValueError, KeyError, TypeError) as error:
        todo = "look at the server's log"
        return [Finding("health", "bad", f"/health is not answered: {error}", todo)]
    finally:
        await client.close()
    todos = {"connectors": "docs/howto/connect-an-operator.md says what each reason means"}
    return [
        Finding("health", "bad", f"{name}: {told}", todos.get(name, "look at the server's log"))
        for name, told in checks.items()
        if told != "ok"
    ]


def _check_door(name: str, listen: str) -> Finding:
    host, port = parse_listen(listen)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((host, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        todo = f"stop what uses it (ss -ltnp 'sport = :{port}'), or choose another {name}"
        if isinstance(error, PermissionError):
            todo = f"use a port above 1023 for {name}, or give the program CAP_NET_BIND_SERVICE"
        return Finding("ports", "bad", f"{name} = {listen}: {reason}", todo)
    return Finding("ports", "good", f"{name} = {listen} is free")


async def is_reachable(host: str, port: int) -> bool:
    """True when something accepts a TCP connection there in time."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
