"""The engine: what sends, what hears, and what happens because time passes."""

from __future__ import annotations

from dataclasses import dataclass

from heliograph.runtime.foundation import Foundation
from heliograph.services.clockwork import Clockwork
from heliograph.services.deliveries import Deliveries
from heliograph.services.dispatch import Dispatch
from heliograph.services.receipts import Receipts
from heliograph.storage.deliveries import Deliveries as DeliveryRows
from heliograph.storage.outbox import Outbox
from heliograph.webhooks.dispatcher import WebhookDispatcher

__all__ = ["Engine", "build_engine"]


@dataclass(slots=True, kw_only=True)
class Engine:
    """Built and not started."""

    webhooks: WebhookDispatcher
    deliveries: Deliveries
    receipts: Receipts
    dispatch: Dispatch
    clockwork: Clockwork

    def start(self) -> None:
        """Begins to call handlers, to fill sessions and to tick."""
        self.webhooks.start()
        self.deliveries.start()
        self.clockwork.start()

    def waiting_parts(self) -> int:
        """Parts that wait in memory for their connectors."""
        return sum(len(upstream.lanes) for upstream in self.dispatch.upstreams.values())


def build_engine(base: Foundation) -> Engine:
    """The engine on its foundation."""
    webhooks = WebhookDispatcher(
        Outbox(base.database, base.journal, base.ids.take),
        base.client,
        base.directory,
        clock=base.clock,
        config=base.config.webhooks,
        metrics=base.metrics,
    )
    deliveries = Deliveries(
        rows=DeliveryRows(base.database), journal=base.journal, clock=base.clock
    )

    def has_incoming_sessions(account_id: int) -> bool:
        account = base.directory.account_by_id(account_id)
        return account is not None and account.is_on("fl[1]")

    receipts = Receipts(
        journal=base.journal,
        database=base.database,
        tracker=base.tracker,
        books=base.books,
        ids=base.ids,
        clock=base.clock,
        metrics=base.metrics,
        offer=webhooks.offer,
        offer_sessions=deliveries.offer,
        service_number=base.directory.service_number,
        has_incoming_sessions=has_incoming_sessions,
    )
    dispatch = Dispatch(
        journal=base.journal,
        database=base.database,
        tracker=base.tracker,
        books=base.books,
        receipts=receipts,
        clock=base.clock,
        metrics=base.metrics,
    )
    clockwork = Clockwork(
        config=base.config,
        journal=base.journal,
        database=base.database,
        tracker=base.tracker,
        books=base.books,
        dispatch=dispatch,
        receipts=receipts,
        clock=base.clock,
    )
    return Engine(
        webhooks=webhooks,
        deliveries=deliveries,
        receipts=receipts,
        dispatch=dispatch,
        clockwork=clockwork,
    )
