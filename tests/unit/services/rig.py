"""A whole gateway without doors, and a connector that does what the test tells it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from heliograph.config import load
from heliograph.connectors.base import (
    BindStatus,
    Connector,
    ConnectorEvents,
    Outcome,
    OutcomeKind,
    ReceiptReport,
    UnknownPolicy,
)
from heliograph.domain.accounts import Account
from heliograph.domain.messages import MessageState, MessageType, Part
from heliograph.domain.requests import Entry, Refused, SendRequest, StatusAnswer, Submitted
from heliograph.runtime import Runtime, now_ms
from heliograph.services import administration
from heliograph.storage import ledger, routing
from heliograph.storage.messages import messages_of
from heliograph.storage.timeline import read_timeline

__all__ = ["PHONE", "PuppetConnector", "Rig", "open_rig"]

PHONE = "79161234567"
_PATIENCE_S = 30.0


class PuppetConnector:
    """Takes parts into `sent`; `answer`, `reject` ... report for the oldest ones."""

    kind = "puppet"
    carries = frozenset(MessageType)

    def __init__(
        self,
        id: int,
        *,
        window: int = 1000,
        policy: UnknownPolicy = UnknownPolicy.FAIL,
        answers: bool = True,
        forgets: bool = False,
    ) -> None:
        self.id = id
        self.name = f"puppet{id}"
        self.unknown_policy = policy
        self.forgets_receipts = forgets
        self.is_up = True
        self.answers = answers
        self.free = window
        self.lowest_free = window
        self.sent: list[Part] = []
        self.texts: list[str] = []
        self.sent_to: list[str] = []
        self.sent_at: list[int] = []
        self.asked: list[int] = []
        self.events: ConnectorEvents | None = None

    async def start(self, events: ConnectorEvents) -> None:
        self.events = events

    async def stop(self, drain_s: float) -> None:
        parts, self.sent = self.sent, []
        self._report(parts, [Outcome(OutcomeKind.UNKNOWN) for _ in parts])

    def take(self, wanted: int) -> int:
        taken = min(wanted, self.free) if self.is_up else 0
        self.free -= taken
        self.lowest_free = min(self.lowest_free, self.free)
        return taken

    def give_back(self, count: int) -> None:
        self.free += count

    def submit(self, parts: Sequence[Part]) -> None:
        assert all(p.state is MessageState.SUBMITTING for p in parts)
        self.texts += [p.message.text for p in parts]
        self.sent_to += [p.message.recipient for p in parts]
        self.sent_at += [now_ms()] * len(parts)
        self.sent += parts
        if self.answers:
            asyncio.get_running_loop().call_soon(self.accept)

    async def query(self, parts: Sequence[Part]) -> dict[int, ReceiptReport | None]:
        self.asked += [p.id for p in parts]
        return {p.id: self.receipt(p.external_id) for p in parts}

    def status(self) -> list[BindStatus]:
        return [BindStatus(name=self.name, state="bound", since_ms=0)]

    @staticmethod
    def receipt(
        *external_ids: str, state: MessageState = MessageState.DELIVERED, err: int = 0
    ) -> ReceiptReport:
        return ReceiptReport(candidates=external_ids, state=state, err=err, done_at=now_ms())

    def outcome(self, kind: OutcomeKind, count: int = 1, **fields: Any) -> list[Part]:
        """Reports the same outcome for the oldest `count` parts."""
        parts = self.sent[:count]
        del self.sent[:count]
        self._report(parts, [Outcome(kind, **fields) for _ in parts])
        return parts

    def accept(self) -> None:
        """Accepts everything that was sent; external ids are the part ids in decimal."""
        parts, self.sent = self.sent, []
        outcomes = [Outcome(OutcomeKind.ACCEPTED, external_id=str(p.id)) for p in parts]
        self._report(parts, outcomes)

    async def tell(self, *receipts: ReceiptReport) -> bool:
        """Reports receipts together; whether they were stored."""
        assert self.events is not None
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.events.report_receipts(self, receipts, stored.set_result)
        return await asyncio.wait_for(stored, 30)

    def _report(self, parts: list[Part], outcomes: list[Outcome]) -> None:
        self.free += len(parts)
        if parts and self.events is not None:
            self.events.report_outcomes(self, list(zip(parts, outcomes, strict=True)))


class Rig:
    """The running gateway and the account `shop`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.dispatch = runtime.dispatch

    @property
    def account(self) -> Account:
        account = self.runtime.directory.account("shop")
        assert account is not None
        return account

    async def attach(self, *connectors: Connector) -> None:
        """Uses these connectors, the first one preferred."""
        async with self.runtime.database.write() as connection:
            for route in await routing.list_routes(connection):
                await routing.remove_route(connection, route.id)
            for at, connector in enumerate(connectors):
                made = await routing.add_connector(
                    connection, connector.name, "virtual", settings={}, now_ms=now_ms()
                )
                connector.id = made
                await routing.add_route(
                    connection, routing.Route(id=0, connector_id=made, order=at + 1)
                )
        # The configuration says `virtual`; what really runs is the puppet.
        self.runtime.directory._listeners.clear()
        await self.runtime.directory.refresh_if_changed()
        for connector in connectors:
            await self.dispatch.attach(connector)

    async def retire(self, connector: Connector) -> None:
        """Leaves the connector to the test after the next start: nothing is built for it then."""
        async with self.runtime.database.write() as connection:
            await routing.set_connector_disabled(connection, connector.id, True)

    async def send(self, phones: str = PHONE, text: str = "hello", **fields: Any) -> Submitted:
        """Sends; fails the test when refused."""
        answer = await self.try_send(phones, text, **fields)
        assert isinstance(answer, Submitted), answer
        return answer

    async def try_send(
        self, phones: str = PHONE, text: str = "hello", **fields: Any
    ) -> Submitted | Refused:
        """Sends to numbers divided by commas."""
        fields.setdefault("account", self.account)
        request = SendRequest(entries=[Entry(phones.split(","), text)], **fields)
        return await self.runtime.services.submit.send(request)

    async def status(self, client_ref: str, phone: str = PHONE) -> StatusAnswer:
        """The owner's view of one message."""
        statuses = self.runtime.services.statuses
        return (await statuses.find(self.account, [(client_ref, phone)]))[0]

    async def reach(self, client_ref: str, status: int, phone: str = PHONE) -> StatusAnswer:
        """Waits for a status."""
        ends = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends:
            answer = await self.status(client_ref, phone)
            if answer.status == status:
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(f"{client_ref} is {answer.status} {answer.err} and not {status}")

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until a condition holds."""
        ends = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends:
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen")

    async def balance(self) -> int:
        """Micros."""
        return (await self.runtime.services.balances.balance(self.account))[0]

    async def audit(self) -> Any:
        """The audit's report."""
        async with self.runtime.database.read() as connection:
            return await ledger.audit(connection)

    async def events(self, client_ref: str) -> list[str]:
        """Kinds of the events on the timeline of the newest message with that id."""
        async with self.runtime.database.read() as connection:
            newest = (await messages_of(connection, self.account.id, client_ref))[0]
            timeline = await read_timeline(connection, newest.id)
        assert timeline is not None
        return [event["kind"] for event in timeline.events]


@asynccontextmanager
async def open_rig(folder: Path, *settings: str, balance: int = 10**9) -> AsyncIterator[Rig]:
    """A gateway on this folder without doors, limits off."""
    overrides = ["http.listen=", "limits.enforce=false", "limits.duplicates=false", *settings]
    config = load(folder, environ={}, overrides=[*overrides, "server.drain_s=1"])
    runtime = Runtime(config, announce=lambda _: None)
    await runtime.start()
    try:
        if runtime.directory.account("shop") is None:
            await administration.create_account(
                runtime.database, "shop", "Secret-123", now_ms=now_ms(), balance_micros=balance
            )
            await runtime.directory.refresh_if_changed()
        yield Rig(runtime)
    finally:
        await runtime.stop()
