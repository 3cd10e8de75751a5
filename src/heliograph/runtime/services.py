"""The use cases as one object, which every door is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from heliograph.runtime.engine import Engine
from heliograph.runtime.foundation import Foundation
from heliograph.services.authentication import Authentication
from heliograph.services.balances import Balances
from heliograph.services.books import Books, open_books
from heliograph.services.campaigns import Campaigns, open_campaigns
from heliograph.services.commands import SmsCommands
from heliograph.services.contacts import Groups
from heliograph.services.data import DataServices, open_data
from heliograph.services.day_counts import DayCounts
from heliograph.services.deliveries import Deliveries
from heliograph.services.directory import Directory
from heliograph.services.limits import RequestLimits
from heliograph.services.pieces import Pieces
from heliograph.services.references import References
from heliograph.services.registers import Registers
from heliograph.services.request_log import RequestLog
from heliograph.services.statistics import Statistics
from heliograph.services.statuses import Statuses
from heliograph.services.subclients import Subclients
from heliograph.services.submit import Submit

__all__ = ["Services", "build_services"]


@dataclass(slots=True, kw_only=True)
class Services:
    """What the doors may ask for, and the records in memory that are kept up beside it."""

    directory: Directory
    authentication: Authentication
    submit: Submit
    statuses: Statuses
    balances: Balances
    campaigns: Campaigns
    subclients: Subclients
    statistics: Statistics
    data: DataServices
    books: Books
    limits: RequestLimits
    request_log: RequestLog
    pieces: Pieces
    references: References
    deliveries: Deliveries
    commands: SmsCommands
    registers: Registers
    day_counts: DayCounts


async def build_services(
    base: Foundation, engine: Engine, http_address: Callable[[], str]
) -> Services:
    """The services on their foundation. `http_address()`: of the HTTP door, once it is open."""
    config = base.config
    records = await _load_records(base)
    limits = RequestLimits(config.limits, clock=base.clock)
    authentication = Authentication(base.directory, config.limits, clock=base.clock)
    data = _data(base, engine, http_address)
    submit = _submit(base, engine, records, limits, data)
    request_log = _request_log(base)
    commands = SmsCommands(
        directory=base.directory,
        authentication=authentication,
        submit=submit,
        groups=records.groups,
        limits=limits,
        request_log=request_log,
    )
    # Receipts hear what handsets write; who acts on it is built after them.
    engine.receipts.commands = commands
    engine.receipts.arrivals = data.arrivals
    return Services(
        directory=base.directory,
        authentication=authentication,
        submit=submit,
        statuses=_statuses(base, engine),
        balances=Balances(base.database),
        campaigns=_campaigns(base, engine, submit, records),
        subclients=Subclients(
            database=base.database,
            directory=base.directory,
            authentication=authentication,
            clock=base.clock,
            has_strict_passwords=config.limits.strict_passwords,
        ),
        data=data,
        statistics=Statistics(
            database=base.database,
            directory=base.directory,
            clock=base.clock,
            timezone_minutes=config.sending.timezone_minutes,
        ),
        books=open_books(
            config, base.database, registers=records.registers, submit=submit, clock=base.clock
        ),
        limits=limits,
        request_log=request_log,
        pieces=_pieces(base, engine, submit),
        references=_references(base, engine, submit),
        deliveries=engine.deliveries,
        commands=commands,
        registers=records.registers,
        day_counts=records.day_counts,
    )


class _Records(NamedTuple):
    """What planning asks for besides the directory."""

    registers: Registers
    day_counts: DayCounts
    groups: Groups


async def _load_records(base: Foundation) -> _Records:
    registers = Registers(
        base.database, base.directory, common_sender=base.config.sending.common_sender
    )
    await registers.refresh()
    day_counts = DayCounts(database=base.database, clock=base.clock)
    await day_counts.load()
    groups = Groups(
        base.database,
        account_by_id=base.directory.account_by_id,
        max_recipients=base.config.sending.max_recipients,
    )
    return _Records(registers, day_counts, groups)


def _data(base: Foundation, engine: Engine, http_address: Callable[[], str]) -> DataServices:
    return open_data(
        base.config,
        database=base.database,
        journal=base.journal,
        directory=base.directory,
        ids=base.ids,
        books=base.books,
        tracker=base.tracker,
        written=engine.receipts.written,
        wake_sessions=engine.deliveries.wake,
        http_address=http_address,
        clock=base.clock,
    )


def _submit(
    base: Foundation, engine: Engine, records: _Records, limits: RequestLimits, data: DataServices
) -> Submit:
    return Submit(
        config=base.config,
        directory=base.directory,
        limits=limits,
        registers=records.registers,
        expand_groups=records.groups.expand,
        journal=base.journal,
        ids=base.ids,
        refs=base.refs,
        books=base.books,
        dispatch=engine.dispatch,
        day_counts=records.day_counts,
        links=data.short_links,
        written=engine.receipts.written,
        clock=base.clock,
        metrics=base.metrics,
    )


def _request_log(base: Foundation) -> RequestLog:
    return RequestLog(
        journal=base.journal,
        database=base.database,
        ids=base.ids,
        clock=base.clock,
        days=base.config.sending.request_log_days,
    )


def _statuses(base: Foundation, engine: Engine) -> Statuses:
    return Statuses(
        database=base.database,
        journal=base.journal,
        directory=base.directory,
        tracker=base.tracker,
        books=base.books,
        receipts=engine.receipts,
        stop=engine.dispatch.stopped.add,
        clock=base.clock,
    )


def _campaigns(base: Foundation, engine: Engine, submit: Submit, records: _Records) -> Campaigns:
    return open_campaigns(
        base.config,
        database=base.database,
        journal=base.journal,
        directory=base.directory,
        registers=records.registers,
        submit=submit,
        dispatch=engine.dispatch,
        tracker=base.tracker,
        books=base.books,
        find_group=records.groups.find,
        written=engine.receipts.written,
        clock=base.clock,
    )


def _pieces(base: Foundation, engine: Engine, submit: Submit) -> Pieces:
    return Pieces(
        submit=submit,
        journal=base.journal,
        database=base.database,
        ids=base.ids,
        refs=base.refs,
        books=base.books,
        account_of=base.directory.account_by_id,
        written=engine.receipts.written,
        clock=base.clock,
        wait_ms=round(base.config.smpp.join_s * 1000),
    )


def _references(base: Foundation, engine: Engine, submit: Submit) -> References:
    return References(
        database=base.database,
        journal=base.journal,
        tracker=base.tracker,
        books=base.books,
        receipts=engine.receipts,
        submit=submit,
        stop=engine.dispatch.stopped.add,
        clock=base.clock,
    )
