"""Opening the storage for a command, and telling plainly why it can not be opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from heliograph.cli.output import ExitCode, Failure
from heliograph.config import Config
from heliograph.storage.accounts import LoginTaken, NoSuchAccount
from heliograph.storage.database import Database, make_folder, sqlite_url
from heliograph.storage.ledger import NotCovered
from heliograph.storage.migration import HEAD, SchemaUnknown, read_revision, upgrade
from heliograph.storage.routing import ConnectorExists, NoSuchConnector
from heliograph.storage.subclients import HasChildren, NotItsOwn, TooDeep
from heliograph.storage.tariffs import NoSuchPlan, PlanExists

__all__ = ["has_database", "open_database", "unreachable", "with_database"]

T = TypeVar("T")

# What storage refuses, and where the right names are found.
_REFUSALS: dict[type[Exception], str] = {
    NoSuchAccount: "see heliograph account list",
    NoSuchPlan: "see heliograph tariff plans",
    NoSuchConnector: "see heliograph connector list",
    LoginTaken: "choose another one, or change it with heliograph account set",
    PlanExists: "choose another name",
    ConnectorExists: "choose another name, or change it with heliograph connector set",
    NotCovered: "see heliograph account show",
    NotItsOwn: "see heliograph account tree",
    HasChildren: "see heliograph account tree",
    TooDeep: "see heliograph account tree",
}


def has_database(config: Config) -> bool:
    """False when the embedded database has not been made yet."""
    return bool(config.database.url) or (config.server.data_dir / "heliograph.db").is_file()


async def with_database(
    config: Config, use: Callable[[Database], Awaitable[T]], *, creates: bool
) -> T:
    """What `use` answers on the open database. Raises Failure.

    `creates`: an empty folder gets a database; otherwise a missing one is an error, so that a
    mistyped folder is noticed.
    """
    database = await open_database(config, creates=creates)
    try:
        return await use(database)
    except tuple(_REFUSALS) as error:
        text = str(error.args[0]) if error.args else str(error)
        raise Failure(f"{text}; {_REFUSALS[type(error)]}") from None
    except (DBAPIError, OSError) as error:
        raise unreachable(config, error) from error
    finally:
        await database.close()


async def open_database(config: Config, *, creates: bool) -> Database:
    """The database, with the tables that this version needs. Raises Failure."""
    folder = config.server.data_dir
    if not has_database(config):
        if not creates:
            raise Failure(
                f"there is no database in {folder}: name the right folder with --data, or make "
                "one with `heliograph serve` or `heliograph account create`",
                ExitCode.STORAGE,
            )
        try:
            make_folder(folder)
        except OSError as error:
            raise unreachable(config, error) from None
    database = Database(config.database.url or sqlite_url(folder))
    try:
        async with database.read() as connection:
            revision = await read_revision(connection)
        if revision is None and creates:
            await upgrade(database)
        elif revision != HEAD:
            raise Failure(_explain_revision(config, revision), ExitCode.STORAGE)
    except BaseException as error:
        await database.close()
        if isinstance(error, SchemaUnknown):
            raise Failure(f"{error}; use that version", ExitCode.STORAGE) from None
        if isinstance(error, SQLAlchemyError | OSError):
            raise unreachable(config, error) from error
        raise
    return database


def _explain_revision(config: Config, revision: str | None) -> str:
    if revision is None:
        return (
            "the database has no tables yet: `heliograph serve` or `heliograph account create` "
            "makes them"
        )
    return (
        f"the tables are those of another version ({revision}, needed: {HEAD}): `heliograph serve` "
        "of this version brings older ones up to date"
    )


def unreachable(config: Config, error: Exception) -> Failure:
    """The failure that `error` of the database means.

    One line without the address of the database, which may hold a password.
    """
    cause = getattr(error, "orig", None) or error
    where = "PostgreSQL (database.url)" if config.database.url else str(config.server.data_dir)
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return Failure(
        f"the storage can not be reached: {where}: {reason}; `heliograph doctor` looks closer",
        ExitCode.STORAGE,
    )
