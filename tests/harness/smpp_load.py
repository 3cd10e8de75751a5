"""Clients that submit with a full window over every restart of the gateway, and keep count."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from tests.harness.esme import Esme, eventually, message
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import (
    DeliverSm,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    encode,
)

__all__ = ["SmppLoad"]

_FIRST = 11  # sequence numbers of submits; the bind has the first one
_AGAIN_S = 0.05


class SmppLoad:
    """`run` until `is_over`. Every message goes to a number of its own.

    `answered`: ids of messages and parts that the gateway took; `receipts`: how often each came.
    """

    def __init__(
        self, gateway: Gateway, *, binds: int = 3, window: int = 50, cut_every: int = 0
    ) -> None:
        """`cut_every`: each message whose number this divides comes in two parts; 0: none."""
        self._gateway = gateway
        self._binds = binds
        self._window = window
        self._cut_every = cut_every
        self._number = 0
        self.is_over = False
        self.answered: set[str] = set()
        self.receipts: Counter[str] = Counter()

    async def run(self) -> None:
        """Binds again and again."""
        await asyncio.gather(*(self._client() for _ in range(self._binds)))

    async def answer_more(self, count: int) -> None:
        """Waits until so many more are answered. Raises TimeoutError."""
        wanted = len(self.answered) + count
        await eventually(lambda: len(self.answered) >= wanted, 120)

    async def take_receipts(self, timeout_s: float) -> set[str]:
        """Takes what is still to come; the ids of those that did not."""
        esme = await Esme.bind(self._gateway.smpp, LOGIN, PASSWORD, kind="rx")
        with contextlib.suppress(TimeoutError):
            await eventually(lambda: not self._missing(esme), timeout_s)
        await esme.close()
        return self._missing(esme)

    async def find_lost(self) -> set[str]:
        """Ids of answered messages that the gateway does not know."""
        esme = await Esme.bind(self._gateway.smpp, LOGIN, PASSWORD, kind="tx")
        ids = sorted(self.answered)
        for at in range(0, len(ids), 100):
            page = dict(enumerate(ids[at : at + 100], at + _FIRST))
            esme.write(b"".join(encode(QuerySm(message_id=each), n) for n, each in page.items()))
            last = max(page)
            await esme.find(lambda p, n=last: p.sequence_number == n, timeout_s=60)
        found = {p.message_id for p in esme.log if isinstance(p, QuerySmResp)}
        await esme.close()
        return self.answered - found

    def _missing(self, esme: Esme) -> set[str]:
        for pdu in esme.inbox:
            self.receipts[pdu.tlvs.text(0x001E) or ""] += 1
        esme.inbox.clear()
        return self.answered - self.receipts.keys()

    async def _client(self) -> None:
        while not self.is_over:
            try:
                esme = await Esme.bind(self._gateway.smpp, LOGIN, PASSWORD)
            except (OSError, TimeoutError, AssertionError, ConnectionError):
                await asyncio.sleep(_AGAIN_S)
                continue
            with contextlib.suppress(OSError, TimeoutError, ConnectionError):
                await self._submit(esme)
            self._collect(esme)
            await esme.close()

    async def _submit(self, esme: Esme) -> None:
        sent = done = 0
        while not self.is_over and not esme.is_closed.is_set():
            done += self._collect(esme)
            while sent - done < self._window:
                for pdu in self._next():
                    esme.write(encode(pdu, _FIRST + sent))
                    sent += 1
            await asyncio.sleep(0.005)
        async with asyncio.timeout(30):
            while done < sent and not esme.is_closed.is_set():
                done += self._collect(esme)
                await asyncio.sleep(0.005)

    def _next(self) -> list[SubmitSm]:
        """The next message, whole or in parts."""
        self._number += 1
        number = self._number
        # The tail keeps clear of the magic numbers of the virtual network.
        phone = f"7916{number:06d}1"
        if not self._cut_every or number % self._cut_every:
            return [message(f"n{number}", phone=phone)]
        headers = [bytes([5, 0, 3, number & 0xFF, 2, part]) for part in (1, 2)]
        return [
            message(phone=phone, esm_class=0x40, short_message=header + b"part of %d" % number)
            for header in headers
        ]

    def _collect(self, esme: Esme) -> int:
        """Counts what came since the last time; how many submits it answers."""
        log, esme.log = esme.log, []
        esme.inbox.clear()
        answers = 0
        for pdu in log:
            if isinstance(pdu, SubmitSmResp):
                answers += 1
                if not pdu.command_status:
                    self.answered.add(pdu.message_id)
            elif isinstance(pdu, DeliverSm):
                self.receipts[pdu.tlvs.text(0x001E) or ""] += 1
        return answers
