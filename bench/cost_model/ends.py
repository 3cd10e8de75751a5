"""The ends that have sockets: the HTTP door, the SMPP door, and the wire to the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.cost_model.clock import Measure, Watch
from bench.cost_model.rig import PASSWORD, PLAIN, Rig
from bench.cost_model.stages import Stages
from bench.programs import Load, Sink, run_loader
from bench.scenarios import Stage, load_single, load_smpp
from bench.service import Door, SmppDoor

from heliograph.connectors import registry
from heliograph.connectors.base import (
    Connector,
    Incoming,
    IncomingCall,
    Outcome,
    OutcomeKind,
    ReceiptReport,
)
from heliograph.domain.messages import Part
from heliograph.gateways.http.app import HttpGateway
from heliograph.gateways.http.ports import HttpSettings
from heliograph.gateways.http.server import HttpServer
from heliograph.gateways.smpp.door import SmppDoor as SmppListener

_WINDOW = 100
_WAIT_S = 60.0


class Ends:
    """Stages that need the load tools. The loaders and the operator are other processes."""

    def __init__(self, rig: Rig, stages: Stages, *, tools: Path, sink: Sink, folder: Path) -> None:
        self._rig = rig
        self._stages = stages
        self._tools = tools
        self._sink = sink
        self._folder = folder
        self._first = 0

    def all(self) -> dict[str, Measure]:
        return {"http": self.http, "smpp": self.smpp, "submit": self.submit}

    async def http(self, messages: int) -> Watch:
        """From the socket to the answer: all but disk and operator, `parse` to `accept` in it."""
        rig = self._rig
        server = HttpServer(
            HttpGateway(rig.runtime.services, HttpSettings(), observer=rig.runtime.base.metrics)
        )
        port = (await server.start())[0][1]
        url = f"http://127.0.0.1:{port}/sys/send.php?login={PLAIN}&psw={PASSWORD}"
        door = Door(single_url=f"{url}&phones=791{{seq}}&mes=Tx{{ts}}+hello", good="OK - ")
        try:
            return await self._run(door, load_single, messages)
        finally:
            await server.stop()

    async def smpp(self, messages: int) -> Watch:
        """The same for a client that is bound by SMPP."""
        rig = self._rig
        listener = SmppListener(
            rig.runtime.services,
            rig.runtime.base.config,
            clock=rig.runtime.base.clock,
            observer=rig.runtime.base.metrics,
            announce=lambda _: None,
        )
        await listener.open()
        port = listener.ports["smpp"]
        assert port is not None
        smpp = SmppDoor(port=port, login=PLAIN, password=PASSWORD)
        try:
            return await self._run(Door(single_url="", good="", smpp=smpp), load_smpp, messages)
        finally:
            await listener.stop(1.0)

    async def _run(self, door: Door, load: Callable[[Stage], list[str]], messages: int) -> Watch:
        rig = self._rig
        stage = Stage(tools=self._tools, door=door, first=self._first, messages=messages)
        self._first += messages
        rig.valve.mode, rig.upstream.free = "instant", messages
        watch = self._stages.watch(messages)
        try:
            with watch:
                done: Load = await asyncio.to_thread(
                    run_loader,
                    load(stage),
                    map_path=self._folder / "accepted.map",
                    timeout_s=_WAIT_S,
                )
        finally:
            rig.valve.mode = "open"
        assert done.report["ok"] == messages, done
        self._stages.end(self._stages.sent())
        return watch

    async def submit(self, messages: int) -> Watch:
        """From the connector to the operator's answers: composed, encoded, written, matched."""
        parts = await self._stages.send(messages, PLAIN)
        connector = registry.build(
            id=self._rig.upstream.id,
            name="wire",
            kind="smpp",
            settings={
                "host": "127.0.0.1",
                "port": self._sink.smpp_port,
                "system_id": "bench",
                "password": "bench",
                "window": _WINDOW,
            },
        )
        answers = _Answers()
        await connector.start(answers)
        watch = self._stages.watch(messages)
        try:
            async with asyncio.timeout(_WAIT_S):
                await answers.until(lambda: connector.is_up)
                with watch:
                    await _submit_all(connector, parts, answers)
        finally:
            await connector.stop(1.0)
        assert all(outcome.kind is OutcomeKind.ACCEPTED for _, outcome in answers.outcomes)
        self._stages.end(parts)
        return watch


async def _submit_all(connector: Connector, parts: Sequence[Part], answers: _Answers) -> None:
    at = 0
    while len(answers.outcomes) < len(parts):
        count = connector.take(len(parts) - at) if at < len(parts) else 0
        if count:
            connector.submit(parts[at : at + count])
            at += count
        seen = len(answers.outcomes)
        await answers.until(lambda seen=seen: len(answers.outcomes) > seen)


class _Answers:
    """`ConnectorEvents` that only remembers outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[Part, Outcome]] = []
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def report_outcomes(
        self, connector: Connector, outcomes: Sequence[tuple[Part, Outcome]]
    ) -> None:
        self.outcomes += outcomes
        self._changed.set()

    def report_receipts(
        self,
        connector: Connector,
        receipts: Sequence[ReceiptReport],
        on_stored: Callable[[bool], None],
    ) -> None:
        on_stored(True)

    def report_incoming(
        self, connector: Connector, messages: Sequence[Incoming], on_stored: Callable[[bool], None]
    ) -> None:
        on_stored(True)

    def report_call(self, connector: Connector, call: IncomingCall) -> None:
        pass

    def report_ready(self, connector: Connector) -> None:
        self._changed.set()
