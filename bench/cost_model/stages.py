"""The stages of a message, each measured alone. A new one is a method and a row in `STAGES`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from bench.cost_model.clock import Measure, Watch
from bench.cost_model.rig import CALLED, PASSWORD, PLAIN, Rig

from heliograph.connectors.base import ReceiptReport
from heliograph.domain.messages import MessageState, MessageType, Part
from heliograph.domain.planning import Rules, plan_request
from heliograph.domain.requests import Refused, Submitted
from heliograph.gateways.http.authentication import authenticate, authenticate_cached
from heliograph.gateways.http.parameters import read_parameters
from heliograph.gateways.http.send_request import build_request

_BATCH = 64  # what gathers for one commit at some thousand messages a second
_QUERY = f"login={PLAIN}&psw={PASSWORD}&phones=79161234567&mes=Your+code+is+1234".encode()
_ADDRESS = "127.0.0.1"
_WAIT_S = 60.0


def batches(messages: int) -> Iterator[int]:
    """Sizes that add up to it."""
    for at in range(0, messages, _BATCH):
        yield min(_BATCH, messages - at)


class Stages:
    """All stages on one rig. Each leaves nothing behind that another would trip over."""

    def __init__(self, rig: Rig, callbacks: Callable[[], int] = lambda: 0) -> None:
        """`callbacks()`: how many the handler of the account `called` has had so far."""
        self._rig = rig
        self._callbacks = callbacks
        self._next = 0

    def all(self) -> dict[str, Measure]:
        """By name, in the order of a message's walk."""
        return {
            "parse": self.parse,
            "authenticate": self.authenticate,
            "route": self.route,
            "price": self.price,
            "plan": self.plan,
            "accept": self.accept,
            "journal": self.journal,
            "claim": self.claim,
            "outcome": self.outcome,
            "receipt": self.receipt,
        }

    def watch(self, messages: int) -> Watch:
        """For work of the whole gateway."""
        return Watch(messages, self._rig.helpers)

    # --- pure -------------------------------------------------------------------------------------

    async def parse(self, messages: int) -> Watch:
        """From the query string to a request."""
        account = self._rig.account(PLAIN)
        watch = self.watch(messages)
        with watch:
            for _ in range(messages):
                build_request(account, read_parameters(_QUERY))
        return watch

    async def authenticate(self, messages: int) -> Watch:
        """A login that has been seen before."""
        authentication = self._rig.runtime.services.authentication
        fields = read_parameters(_QUERY).fields
        await authenticate(authentication, fields, _ADDRESS)
        watch = self.watch(messages)
        with watch:
            for _ in range(messages):
                account = authenticate_cached(authentication, fields, _ADDRESS)
        assert account == self._rig.account(PLAIN)
        return watch

    async def route(self, messages: int) -> Watch:
        """The choice of connectors."""
        routes, account = self._rig.runtime.base.directory.routes, self._rig.account(PLAIN)
        watch = self.watch(messages)
        with watch:
            for number in range(messages):
                chosen = routes.choose(
                    account_id=account.id,
                    type=MessageType.SMS,
                    recipient="79161234567",
                    mccmnc="25001",
                    sender="",
                    ticket=number,
                )
        assert chosen[0] == self._rig.upstream.id
        return watch

    async def price(self, messages: int) -> Watch:
        """The tariff's answer."""
        plan = self._rig.runtime.base.directory.plan_of(self._rig.account(PLAIN))
        assert plan is not None
        watch = self.watch(messages)
        with watch:
            for _ in range(messages):
                price = plan.price(MessageType.SMS, "25001", "79161234567")
        assert price
        return watch

    async def plan(self, messages: int) -> Watch:
        """From a request to its plan: number, text, parts, network, price, route."""
        directory = self._rig.runtime.base.directory
        rules = Rules(
            plan=directory.plan_of(self._rig.account(PLAIN)),
            routes=directory.routes,
            numbering=directory.numbering,
            max_recipients=1000,
        )
        requests = [self._rig.request(number) for number in range(messages)]
        watch = self.watch(messages)
        with watch:
            for request in requests:
                plan: Any = plan_request(request, rules, 1)
        assert plan.price_micros
        assert plan.refusal is None
        return watch

    # --- with the journal -------------------------------------------------------------------------

    async def accept(self, messages: int) -> Watch:
        """`submit`: the plan, the rows and what is kept in memory; the journal holds still."""
        valve = self._rig.valve
        watch = self.watch(messages)
        await self._accept(messages, PLAIN, watch)
        while valve.held:
            await valve.release(_BATCH)
        self.end(self.sent())
        return watch

    async def journal(self, messages: int) -> Watch:
        """Those rows to the disk, claimed at once, with their money; and everybody is told."""
        watch = self.watch(messages)
        await self._accept(messages, PLAIN, self.watch(0))
        with watch:
            while self._rig.valve.held:
                await self._rig.valve.release(_BATCH)
        parts = self.sent()
        assert len(parts) == messages
        self.end(parts)
        return watch

    async def claim(self, messages: int) -> Watch:
        """Parts that had to wait: from the lanes, claimed on disk, to the connector."""
        rig = self._rig
        await self._accept(messages, PLAIN, self.watch(0), slots=0)
        while rig.valve.held:
            await rig.valve.release(_BATCH)
        rig.upstream.sent = []
        watch = self.watch(messages)
        for count in batches(messages):
            with watch:
                rig.upstream.free = count
                rig.runtime.engine.dispatch.report_ready(rig.upstream)
                await rig.valve.drained()
        parts = self.sent()
        assert len(parts) == messages
        self.end(parts)
        return watch

    async def outcome(self, messages: int) -> Watch:
        """The operator's answers: noted in memory, and on disk."""
        parts = await self.send(messages, PLAIN)
        watch = self.watch(messages)
        await self._answer(parts, watch)
        self.end(parts)
        return watch

    async def receipt(self, messages: int, login: str = PLAIN) -> Watch:
        """Receipts: found, the messages' ends on disk with their money."""
        parts = await self.send(messages, login)
        await self._answer(parts, self.watch(0))
        watch = self.watch(messages)
        for at in range(0, messages, _BATCH):
            batch = parts[at : at + _BATCH]
            with watch:
                self._tell(batch)
                await self._rig.valve.drained()
        assert all(p.message.state is MessageState.DELIVERED for p in parts)
        return watch

    async def receipt_and_callback(self, messages: int) -> Watch:
        """As `receipt`, for an account with a handler: until its answers are on disk."""
        parts = await self.send(messages, CALLED)
        await self._answer(parts, self.watch(0))
        webhooks, valve = self._rig.runtime.engine.webhooks, self._rig.valve
        wanted = self._callbacks() + messages
        watch = self.watch(messages)
        with watch:
            for at in range(0, messages, _BATCH):
                self._tell(parts[at : at + _BATCH])
                await valve.drained()
            async with asyncio.timeout(_WAIT_S):
                while self._callbacks() < wanted:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                while webhooks.depth or valve.under_way:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        return watch

    # --- the ways there ---------------------------------------------------------------------------

    async def _accept(
        self, messages: int, login: str, watch: Watch, *, slots: int | None = None
    ) -> None:
        """Begins so many messages; their entries are held by the valve."""
        rig = self._rig
        rig.upstream.free = messages if slots is None else slots
        rig.valve.mode = "shut"
        begin = rig.runtime.services.submit.begin
        for count in batches(messages):
            requests = [rig.request(self._next + index, login) for index in range(count)]
            self._next += count
            wanted = len(rig.valve.held) + count
            with watch:
                for request in requests:
                    begin(request, _expect)
            async with asyncio.timeout(_WAIT_S):
                # Numbers may have to be waited for, and nobody tells when they are there.
                while len(rig.valve.held) < wanted:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        rig.valve.mode = "open"

    async def send(self, messages: int, login: str) -> list[Part]:
        """Messages of the account that have been submitted and not answered."""
        await self._accept(messages, login, self.watch(0))
        while self._rig.valve.held:
            await self._rig.valve.release(_BATCH)
        return self.sent()

    async def _answer(self, parts: list[Part], watch: Watch) -> None:
        for at in range(0, len(parts), _BATCH):
            with watch:
                self._rig.upstream.answer(parts[at : at + _BATCH])
                await self._rig.valve.drained()

    def _tell(self, parts: list[Part]) -> None:
        reports = [
            ReceiptReport(
                candidates=(part.external_id,), state=MessageState.DELIVERED, err=0, done_at=1
            )
            for part in parts
        ]
        self._rig.runtime.engine.dispatch.report_receipts(self._rig.upstream, reports, _stored)

    def sent(self) -> list[Part]:
        parts, self._rig.upstream.sent = self._rig.upstream.sent, []
        return parts

    def end(self, parts: list[Part]) -> None:
        """What is left open in the database does no harm; in memory it would grow."""
        for part in parts:
            self._rig.runtime.base.tracker.remove(part.message)


def _expect(end: Submitted | Refused) -> None:
    assert isinstance(end, Submitted), end


def _stored(is_stored: bool) -> None:
    assert is_stored
