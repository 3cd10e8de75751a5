"""The gateways that are compared. A new one is a class with the methods of `Service` and a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import Gateway
from bench.peers.jasmin import Jasmin
from bench.peers.kannel import Kannel
from bench.peers.postgres import HeliographOnPostgres
from bench.scenarios import Way
from bench.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A gateway that can be measured."""

    name: str
    about: str
    build: Callable[[Sequence[str], Path], Service]  # may raise NotInstalled
    ways: frozenset[Way]
    has_stores: bool = False  # other programs keep its messages
    by_default: bool = True


_ALL = frozenset(Way)
_HTTP = frozenset({Way.HTTP})
_NO_BULK = frozenset({Way.HTTP, Way.SMPP})

GATEWAYS = (
    Choice(name="heliograph", about="with SQLite", build=Gateway, ways=_ALL),
    Choice(
        name="heliograph-postgresql",
        about="with PostgreSQL",
        build=HeliographOnPostgres,
        ways=_ALL,
        has_stores=True,
    ),
    Choice(
        name="kannel",
        about="Kannel without a store: what it holds is lost with it",
        build=lambda _command, folder: Kannel(folder, store=""),
        ways=_HTTP,
    ),
    Choice(
        name="kannel-file",
        about="Kannel with its file store, which does not wait for the disk",
        build=lambda _command, folder: Kannel(folder, store="file"),
        ways=_HTTP,
    ),
    Choice(
        name="kannel-spool",
        about="Kannel with a file for each message",
        build=lambda _command, folder: Kannel(folder, store="spool"),
        ways=_HTTP,
        by_default=False,
    ),
    Choice(
        name="jasmin",
        about="Jasmin as its manual sets it up, with RabbitMQ and Redis",
        build=lambda _command, folder: Jasmin(folder),
        ways=_NO_BULK,
        has_stores=True,
    ),
    Choice(
        name="jasmin-tuned",
        about="Jasmin patched: TCP_NODELAY, a hundred messages at a time",
        build=lambda _command, folder: Jasmin(folder, is_tuned=True),
        ways=_NO_BULK,
        has_stores=True,
    ),
)
