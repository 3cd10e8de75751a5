"""Everything that accounts keep for sending, as one object for the doors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heliograph.config import Config
from heliograph.services.contacts import Contacts
from heliograph.services.registers import Registers
from heliograph.services.senders import Senders
from heliograph.services.submit import Submit
from heliograph.services.tasks import Tasks
from heliograph.services.templates import Templates
from heliograph.storage.database import Database

__all__ = ["Books", "open_books"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The use cases of phones.php, mails.php, senders.php, the templates and ping.php."""

    contacts: Contacts
    senders: Senders
    templates: Templates
    tasks: Tasks


def open_books(
    config: Config,
    database: Database,
    *,
    registers: Registers,
    submit: Submit,
    clock: Callable[[], int],
) -> Books:
    """The books over a database."""
    return Books(
        contacts=Contacts(database, registers),
        senders=Senders(
            database=database, registers=registers, submit=submit, config=config, clock=clock
        ),
        templates=Templates(database=database, registers=registers, config=config, clock=clock),
        tasks=Tasks(database, submit),
    )
