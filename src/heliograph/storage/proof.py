"""The whole proof: the ledger, and the running totals that statistics are read from."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import ledger, totals
from heliograph.storage.ledger import AuditReport, Problem

__all__ = ["prove"]


async def prove(connection: AsyncConnection) -> AuditReport:
    """Everything that has to cancel out. `connection`: of `Database.snapshot()`."""
    report = await ledger.audit(connection)
    # Counts are told as they are, amounts in micros: both are whole numbers that should be zero.
    wrong = [
        Problem(
            rule=f"the running total of {column} agrees with the messages",
            subject=subject,
            difference_micros=difference,
        )
        for subject, column, difference in await totals.audit(connection)
    ]
    return replace(report, problems=(*report.problems, *wrong))
